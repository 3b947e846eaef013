package linktest

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// TCP makes the datagram of one segment, with its checksums.
func TCP(from, to netip.AddrPort, seq, ack uint32, flags header.TCPFlags, payload []byte) []byte {
	segment := make([]byte, header.TCPMinimumSize+len(payload))
	h := header.TCP(segment)
	h.Encode(&header.TCPFields{
		SrcPort: from.Port(), DstPort: to.Port(), SeqNum: seq, AckNum: ack,
		DataOffset: header.TCPMinimumSize, Flags: flags, WindowSize: 0xFFFF,
	})
	copy(segment[header.TCPMinimumSize:], payload)
	h.SetChecksum(^checksum.Checksum(segment, pseudo(from, to, header.TCPProtocolNumber, len(segment))))
	return IP(from.Addr(), to.Addr(), header.TCPProtocolNumber, segment)
}

// UDP makes one UDP datagram, with its checksums.
func UDP(from, to netip.AddrPort, payload []byte) []byte {
	segment := make([]byte, header.UDPMinimumSize+len(payload))
	h := header.UDP(segment)
	h.Encode(&header.UDPFields{SrcPort: from.Port(), DstPort: to.Port(), Length: uint16(len(segment))})
	copy(segment[header.UDPMinimumSize:], payload)
	h.SetChecksum(^checksum.Checksum(segment, pseudo(from, to, header.UDPProtocolNumber, len(segment))))
	return IP(from.Addr(), to.Addr(), header.UDPProtocolNumber, segment)
}

func pseudo(from, to netip.AddrPort, protocol tcpip.TransportProtocolNumber, length int) uint16 {
	return header.PseudoHeaderChecksum(protocol, address(from.Addr()), address(to.Addr()), uint16(length))
}

// IP puts the header of a datagram before its payload.
func IP(from, to netip.Addr, protocol tcpip.TransportProtocolNumber, payload []byte) []byte {
	if from.Is4() {
		datagram := append(make([]byte, header.IPv4MinimumSize), payload...)
		h := header.IPv4(datagram)
		h.Encode(&header.IPv4Fields{
			TotalLength: uint16(len(datagram)), TTL: 64, Protocol: uint8(protocol),
			SrcAddr: address(from), DstAddr: address(to),
		})
		h.SetChecksum(^h.CalculateChecksum())
		return datagram
	}
	datagram := append(make([]byte, header.IPv6MinimumSize), payload...)
	header.IPv6(datagram).Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(payload)), TransportProtocol: protocol, HopLimit: 64,
		SrcAddr: address(from), DstAddr: address(to),
	})
	return datagram
}

func address(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }
