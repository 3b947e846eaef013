package ip

import (
	"net/netip"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// This file is the way in: _nx_ip_packet_receive, _nx_ipv4_packet_receive,
// _nx_ipv6_packet_receive and _nx_ip_dispatch_process. What passes goes up to
// the gVisor stack; the program's own protocols (pings, raw packets) end here.

// input examines a datagram and sends it where it belongs.
func (g *gate) input(d *datagram) {
	g.inst.counters.packetsReceived.Add(1)
	s := g.inst.settings.Load()
	if !g.examine(s, d) {
		return
	}
	if d.fragment == nil {
		g.dispatch(s, d)
		return
	}
	g.inst.counters.fragmentsReceived.Add(1)
	if !s.fragments {
		g.refuse(d.pkt, dropNoFragments)
		return
	}
	pkt := g.inst.assembly.add(g.inst, d)
	if pkt == nil {
		return
	}
	defer pkt.DecRef()
	if whole := (datagram{pkt: pkt, looped: d.looped}); g.examine(s, &whole) {
		g.dispatch(s, &whole)
	}
}

// examine finds out what a datagram is, and whether it is for this instance. If
// not, it is dropped and counted.
func (g *gate) examine(s *settings, d *datagram) bool {
	reason := dropNotIP
	if b, ok := d.bytes(0, 1); ok {
		switch b[0] >> 4 {
		case header.IPv4Version:
			reason = d.parseIPv4()
		case header.IPv6Version:
			if reason = dropNoIPv6; s.ipv6 {
				reason = d.parseIPv6()
			}
		}
	}
	if reason != "" {
		c := &g.inst.counters
		c.invalid.Add(1)
		if reason == dropIPChecksum {
			c.checksum.Add(1)
		}
	} else {
		reason = s.accepts(d)
	}
	if reason != "" {
		g.refuse(d.pkt, reason)
	}
	return reason == ""
}

// accepts tells whether a datagram is for this instance. It answers the reason
// to drop it for, or nothing.
func (s *settings) accepts(d *datagram) string {
	if !d.looped && (d.destination.IsLoopback() || d.source.IsLoopback()) {
		return dropMartian // RFC 1122 section 3.2.1.3 (g), RFC 4291 section 2.5.3
	}
	if d.destination.Is4() {
		source, _ := wordOf(d.source)
		if isMulticast(source) || s.isBroadcast(source) {
			return dropBadSource
		}
		word, _ := wordOf(d.destination)
		if s.isOwn(d.destination) || word == 0 || s.isBroadcast(word) || s.joined(word) {
			return ""
		}
		return dropNotMine
	}
	for i := range s.ipv6At {
		if e := &s.ipv6At[i]; e.state != AddressUnknown && (e.address == d.destination || isOwnMulticast(d.destination, e.address)) {
			return ""
		}
	}
	return dropNotMine
}

// isOwnMulticast is CHECK_IPV6_SOLICITED_NODE_MCAST_ADDRESS of nx_ipv6_util.c:
// the solicited-node address of an own address, and the all-nodes address.
func isOwnMulticast(group, own netip.Addr) bool {
	if !group.IsMulticast() {
		return false
	}
	return group == allNodes || group == solicitedNode(own)
}

var allNodes = netip.MustParseAddr("ff02::1")

// solicitedNode is RFC 4291 section 2.7.1.
func solicitedNode(a netip.Addr) netip.Addr {
	own := a.As16()
	b := [16]byte{0: 0xFF, 1: 0x02, 11: 0x01, 12: 0xFF, 13: own[13], 14: own[14], 15: own[15]}
	return netip.AddrFrom16(b)
}

// Protocol numbers (NX_PROTOCOL_…).
const (
	protocolICMP   = 1
	protocolIGMP   = 2
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
)

// dispatch is _nx_ip_dispatch_process: to the protocol, if it is enabled.
func (g *gate) dispatch(s *settings, d *datagram) {
	reason := ""
	switch {
	case d.protocol == protocolTCP:
		reason = g.tcp(s, d)
	case d.protocol == protocolUDP:
		reason = dropNoUDP
	case d.protocol == protocolICMP && d.source.Is4():
		reason = g.icmp(s, d)
	case d.protocol == protocolICMPv6 && d.source.Is6():
		reason = g.icmpv6(s, d)
	case d.protocol == protocolIGMP && d.source.Is4():
		if reason = dropNoIGMP; s.igmp {
			reason = "" // the books are kept by the program's own calls
			g.accept(d)
		}
	case s.raw:
		g.accept(d)
		g.raw(d)
	default:
		g.refuse(d.pkt, dropUnknown)
		if s.icmp && d.source.Is4() || s.icmpv6 && d.source.Is6() {
			g.up(d) // the stack tells the sender (RFC 1122 section 3.2.2.1, RFC 8200 section 4)
		}
	}
	if reason != "" {
		g.refuse(d.pkt, reason)
	}
}

// accept counts a datagram that found its protocol.
func (g *gate) accept(d *datagram) {
	size := header.IPv4MinimumSize
	if d.source.Is6() {
		size = header.IPv6MinimumSize
	}
	g.inst.counters.bytesReceived.Add(uint32(d.pkt.Data().Size() - size))
}

// tcp shows a segment to the transport and hands it to the stack.
func (g *gate) tcp(s *settings, d *datagram) string {
	transport := g.inst.Transport()
	if transport == nil {
		return dropNoTCP
	}
	if d.destination.Is6() {
		if i := s.ipv6AddressOf(d.destination); i < 0 || s.ipv6At[i].state != AddressValid {
			return dropTentative
		}
	}
	g.accept(d)

	b, ok := d.bytes(d.offset, header.TCPMinimumSize)
	if ok {
		length := int(header.TCP(b).DataOffset())
		ok = length >= header.TCPMinimumSize
		if ok {
			b, ok = d.bytes(d.offset, length)
		}
	}
	if !ok {
		g.refuse(d.pkt, dropBadSegment)
		return ""
	}
	tcp := header.TCP(b)
	damaged := !d.pkt.RXChecksumValidated && !d.sumsUp(header.TCPProtocolNumber)

	word, isV4 := wordOf(d.destination)
	segment := segments.Get().(*Segment)
	*segment = Segment{
		Broadcast: isV4 && word != s.address && !s.isOwn(d.destination),

		Local:   netip.AddrPortFrom(d.destination, tcp.DestinationPort()),
		Remote:  netip.AddrPortFrom(d.source, tcp.SourcePort()),
		TCP:     tcp,
		Payload: d.payload() - len(tcp),
		GSOSize: int(d.pkt.GSOOptions.MSS),
		Damaged: damaged,
		Packet:  d.pkt,
	}
	pass := transport.SegmentIn(segment)
	if to := segment.Local.Addr(); pass && to != d.destination && to.Is4() {
		header.IPv4(d.head).SetDestinationAddressWithChecksumUpdate(toStack(to))
	}
	kept := segment.Kept
	handed := pass && !damaged && g.straight(d, segment)
	*segment = Segment{}
	segments.Put(segment)

	switch {
	case damaged:
		g.inst.note(nx.Received, dropTCPChecksum, d.pkt.Size(), headOf(d.pkt))
	case handed, kept:
	case pass:
		g.up(d)
	default:
		g.inst.note(nx.Received, dropByTransport, d.pkt.Size(), headOf(d.pkt))
	}
	return ""
}

// sumsUp validates a checksum that covers the payload and a pseudo header.
func (d *datagram) sumsUp(protocol tcpip.TransportProtocolNumber) bool {
	sum := header.PseudoHeaderChecksum(protocol, toStack(d.source), toStack(d.destination), uint16(d.payload()))
	return checksum.Combine(sum, d.pkt.Data().ChecksumAtOffset(d.offset)) == 0xFFFF
}

// raw keeps a datagram for RawPacketReceive.
func (g *gate) raw(d *datagram) {
	packet, err := g.application(d, d.offset)
	if err != nil {
		g.inst.note(nx.Received, dropPoolEmpty, d.pkt.Size(), headOf(d.pkt))
		return
	}
	if !g.inst.raw.offer(packet) {
		g.inst.note(nx.Received, dropRawQueueFull, d.pkt.Size(), headOf(d.pkt))
		_ = packetpool.Release(packet) // ours since a moment ago
	}
}
