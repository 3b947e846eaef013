package fault

import (
	"slices"

	"gonetx/ip/link"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// corrupt turns one bit of the frame over, behind the IP header: a changed
// address would make another frame of it, and the checksum of TCP, UDP and
// ICMP finds any single bit.
func corrupt(data []byte, bit uint64) {
	from := 0
	if d, ok := link.Dissect(data, len(data)); ok {
		from = d.At
	}
	if from >= len(data) {
		return
	}
	bit %= uint64(len(data)-from) * 8
	data[from+int(bit/8)] ^= 1 << (bit % 8)
}

// split makes two of a TCP segment with more than at bytes of data. Anything
// else stays as it is.
func split(data []byte, at int) [][]byte {
	d, ok := link.Dissect(data, len(data))
	if !ok || at <= 0 || d.Fragment || d.Transport != header.TCPProtocolNumber || d.Length <= at {
		return [][]byte{data}
	}
	end := d.Payload + d.Length
	first := slices.Clone(data[:d.Payload+at])
	second := append(slices.Clone(data[:d.Payload]), data[d.Payload+at:end]...)

	// FIN, PSH and URG belong to the last byte.
	t := header.TCP(first[d.At:])
	t.SetFlags(uint8(t.Flags() &^ (header.TCPFlagFin | header.TCPFlagPsh | header.TCPFlagUrg)))
	header.TCP(second[d.At:]).SetSequenceNumber(d.Sequence + uint32(at))
	for _, part := range [][]byte{first, second} {
		seal(part, d)
	}
	return [][]byte{first, second}
}

// seal makes lengths and checksums right.
func seal(frame []byte, d link.Datagram) {
	if d.Version == 4 {
		h := header.IPv4(frame)
		h.SetTotalLength(uint16(len(frame)))
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
	} else {
		header.IPv6(frame).SetPayloadLength(uint16(len(frame) - header.IPv6MinimumSize))
	}
	segment := frame[d.At:]
	t := header.TCP(segment)
	t.SetChecksum(0)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, tcpip.AddrFromSlice(d.From.Addr().AsSlice()), tcpip.AddrFromSlice(d.To.Addr().AsSlice()), uint16(len(segment)))
	t.SetChecksum(^checksum.Checksum(segment, sum))
}
