package ip

import (
	"encoding/binary"
	"net/netip"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// This file sends what the instance itself sends, past the gVisor stack and
// through the gate: pings, raw packets, the probes of duplicate address
// detection. It is _nx_ip_packet_send, _nx_ipv6_packet_send,
// _nx_ip_fragment_packet and _nx_ipv6_fragment_process.

// outgoing is a datagram before it has an IP header.
type outgoing struct {
	source, destination netip.Addr
	protocol            uint8
	timeToLive          uint8
	typeOfService       uint8
	payload             []byte
}

const (
	defaultTimeToLive = 128 // NX_IP_TIME_TO_LIVE
	defaultHopLimit   = 255 // what nxd_ipv6_enable sets
)

// send puts a datagram on the link, in fragments if it is longer than the MTU
// and fragmentation is enabled.
func (inst *Instance) send(o *outgoing) {
	s := inst.settings.Load()
	headers := header.IPv4MinimumSize
	if o.destination.Is6() {
		headers = header.IPv6MinimumSize
	}
	if len(o.payload)+headers > 0xFFFF {
		inst.drop(nx.Sent, dropTooLong, len(o.payload)+headers, nil)
		return
	}
	if len(o.payload)+headers <= int(s.mtu) || !s.fragments || s.isOwn(o.destination) {
		inst.sendPiece(o, o.payload, nil)
		return
	}
	room := int(s.mtu) - headers
	if o.destination.Is6() {
		room -= header.IPv6FragmentHeaderSize
	}
	if room &^= 7; room <= 0 {
		inst.drop(nx.Sent, dropTooLong, len(o.payload)+headers, nil)
		return
	}
	id := inst.fragmentID.Add(1)
	for offset := 0; offset < len(o.payload); offset += room {
		end := min(offset+room, len(o.payload))
		inst.sendPiece(o, o.payload[offset:end], &fragmentInfo{id: id, offset: offset, more: end < len(o.payload)})
	}
}

// sendPiece sends one datagram: a whole one, or with f a fragment. The bytes
// are copied.
func (inst *Instance) sendPiece(o *outgoing, payload []byte, f *fragmentInfo) {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.IPv6MinimumSize + header.IPv6FragmentHeaderSize,
		Payload:            buffer.MakeWithData(payload),
	})
	if o.destination.Is4() {
		inst.putIPv4(pkt, o, f)
	} else {
		inst.putIPv6(pkt, o, f)
	}
	var list stack.PacketBufferList
	list.PushBack(pkt)
	_, _ = inst.gate.WritePackets(list) // what the link does not take, it counts
	pkt.DecRef()
}

func (inst *Instance) putIPv4(pkt *stack.PacketBuffer, o *outgoing, f *fragmentInfo) {
	fields := header.IPv4Fields{
		TOS:         o.typeOfService,
		TotalLength: uint16(header.IPv4MinimumSize + pkt.Data().Size()),
		TTL:         o.timeToLive,
		Protocol:    o.protocol,
		SrcAddr:     toStack(o.source),
		DstAddr:     toStack(o.destination),
	}
	if f == nil {
		fields.ID = uint16(inst.fragmentID.Add(1))
	} else {
		fields.ID, fields.FragmentOffset = uint16(f.id), uint16(f.offset)
		if f.more {
			fields.Flags = header.IPv4FlagMoreFragments
		}
	}
	h := header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize))
	h.Encode(&fields)
	h.SetChecksum(^h.CalculateChecksum())
	pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
}

func (inst *Instance) putIPv6(pkt *stack.PacketBuffer, o *outgoing, f *fragmentInfo) {
	size, next := header.IPv6MinimumSize, o.protocol
	if f != nil {
		size, next = size+header.IPv6FragmentHeaderSize, headerFragment
	}
	length := size - header.IPv6MinimumSize + pkt.Data().Size()
	b := pkt.NetworkHeader().Push(size)
	clear(b)
	b[0], b[1] = 6<<4|o.typeOfService>>4, o.typeOfService<<4
	binary.BigEndian.PutUint16(b[4:], uint16(length))
	b[6], b[7] = next, o.timeToLive
	source, destination := o.source.As16(), o.destination.As16()
	copy(b[8:], source[:])
	copy(b[24:], destination[:])
	if f != nil {
		word := uint16(f.offset)
		if f.more {
			word |= 1
		}
		b[40] = o.protocol
		binary.BigEndian.PutUint16(b[42:], word)
		binary.BigEndian.PutUint32(b[44:], f.id)
	}
	pkt.NetworkProtocolNumber = header.IPv6ProtocolNumber
}

// flatten is the data of a packet behind a header of so many bytes, which are
// zero.
func flatten(packet packetpool.Packet, headerSize int) []byte {
	b := make([]byte, headerSize)
	for piece := range packetpool.Pieces(packet) {
		b = append(b, piece...)
	}
	return b
}

// ICMP types.
const (
	icmpEchoReply   = 0
	icmpUnreachable = 3
	icmpEcho        = 8
	icmpTimeExceed  = 11
	icmpParameter   = 12

	fragmentationNeeded = 4 // a code of icmpUnreachable

	icmpv6Unreachable           = 1
	icmpv6TooBig                = 2
	icmpv6Parameter             = 4
	icmpv6Echo                  = 128
	icmpv6EchoReply             = 129
	icmpv6NeighborSolicitation  = 135
	icmpv6NeighborAdvertisement = 136
)

const icmpHeaderSize = 8

// sendEcho sends an echo request whose message has 8 bytes of header in front
// of the data (RFC 792, RFC 4443 section 4.1). The identifier is the lower half
// of the source address. A timeToLive of 0 is the usual one.
func (inst *Instance) sendEcho(source, destination netip.Addr, sequence uint16, timeToLive uint8, message []byte) {
	low := source.AsSlice()
	copy(message[4:6], low[len(low)-2:])
	binary.BigEndian.PutUint16(message[6:], sequence)
	message[0] = icmpEcho
	if destination.Is6() {
		message[0] = icmpv6Echo
	}
	inst.sendICMPFor(source, destination, timeToLive, message)
}

// sendICMP sends an ICMP message whose checksum is zero yet.
func (inst *Instance) sendICMP(source, destination netip.Addr, message []byte) {
	inst.sendICMPFor(source, destination, 0, message)
}

// sendICMPFor is sendICMP with a time to live, unless that is 0.
func (inst *Instance) sendICMPFor(source, destination netip.Addr, timeToLive uint8, message []byte) {
	o := outgoing{source: source, destination: destination, payload: message}
	if destination.Is4() {
		o.protocol, o.timeToLive = protocolICMP, defaultTimeToLive
		binary.BigEndian.PutUint16(message[2:], ^checksum.Checksum(message, 0))
	} else {
		o.protocol, o.timeToLive = protocolICMPv6, defaultHopLimit
		sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, toStack(source), toStack(destination), uint16(len(message)))
		binary.BigEndian.PutUint16(message[2:], ^checksum.Checksum(message, sum))
	}
	if timeToLive != 0 {
		o.timeToLive = timeToLive
	}
	inst.send(&o)
}

// sendProbe sends a neighbor solicitation for an address that is still under
// detection: from ::, to its solicited-node group (RFC 4862 section 5.4.2).
func (inst *Instance) sendProbe(address netip.Addr) {
	message := make([]byte, header.ICMPv6NeighborSolicitMinimumSize)
	message[0] = icmpv6NeighborSolicitation
	target := address.As16()
	copy(message[8:], target[:])
	inst.sendICMP(netip.IPv6Unspecified(), solicitedNode(address), message)
}
