package ip

import (
	"bytes"
	"net/netip"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// output is the way out: _nx_ip_driver_packet_send and _nx_ipv6_packet_send.
// True: the datagram goes to the link.
func (g *gate) output(pkt *stack.PacketBuffer) bool {
	s, up := g.inst.settings.Load(), g.inst.linkUp.Load()
	var source, destination netip.Addr
	var headerSize int
	fragment := false
	switch h := pkt.NetworkHeader().Slice(); pkt.NetworkProtocolNumber {
	case header.IPv4ProtocolNumber:
		source, destination = netip.AddrFrom4([4]byte(h[12:])), netip.AddrFrom4([4]byte(h[16:]))
		headerSize = header.IPv4MinimumSize
		fragment = header.IPv4(h).More() || header.IPv4(h).FragmentOffset() != 0
	case header.IPv6ProtocolNumber:
		source, destination = netip.AddrFrom16([16]byte(h[8:])), netip.AddrFrom16([16]byte(h[24:]))
		headerSize = header.IPv6MinimumSize
		fragment = header.IPv6(h).NextHeader() == headerFragment
	}

	own := s.isOwn(destination)
	long := !own && pkt.GSOOptions.Type == stack.GSONone && pkt.Size() > int(s.mtu)
	if long && s.fragments && !fragment && pkt.TransportProtocolNumber != header.TCPProtocolNumber {
		g.inst.sendLong(pkt, source, destination, headerSize)
		return false
	}
	reason := ""
	switch {
	case !own && !s.sendable(destination, up, g.inst.clock):
		reason = dropNoRoute
	case fragment && !s.fragments, long:
		reason = dropTooLong
	}
	if reason != "" {
		g.inst.drop(nx.Sent, reason, pkt.Size(), headOf(pkt))
		return false
	}
	if pkt.TransportProtocolNumber == header.TCPProtocolNumber && !fragment && !g.segmentOut(pkt, source, destination) {
		return false
	}

	c := &g.inst.counters
	c.packetsSent.Add(1)
	c.bytesSent.Add(uint32(pkt.Size() - headerSize))
	if fragment {
		c.fragmentsSent.Add(1)
	}
	if own {
		g.loop(pkt)
		return false
	}
	return true
}

// sendLong sends a datagram of gVisor's, an echo reply, in fragments.
func (inst *Instance) sendLong(pkt *stack.PacketBuffer, source, destination netip.Addr, headerSize int) {
	data := pkt.ToBuffer()
	defer data.Release()
	o := outgoing{source: source, destination: destination, payload: data.Flatten()[headerSize:]}
	if h := pkt.NetworkHeader().Slice(); source.Is4() {
		o.protocol, o.timeToLive = header.IPv4(h).Protocol(), header.IPv4(h).TTL()
		o.typeOfService, _ = header.IPv4(h).TOS()
	} else {
		o.protocol, o.timeToLive = header.IPv6(h).NextHeader(), header.IPv6(h).HopLimit()
	}
	inst.send(&o)
}

// sendable tells whether a datagram whose source is chosen has a way out.
func (s *settings) sendable(destination netip.Addr, up bool, clock nx.Clock) bool {
	if destination.Is4() {
		word, _ := wordOf(destination)
		_, _, _, ok := s.routeIPv4(word, up)
		return ok
	}
	if destination.IsMulticast() {
		return up && s.attached
	}
	_, _, _, ok := s.routeIPv6(destination, up, clock)
	return ok
}

// segmentOut shows a segment to the transport. False: it goes no further.
func (g *gate) segmentOut(pkt *stack.PacketBuffer, source, destination netip.Addr) bool {
	transport := g.inst.Transport()
	tcp := header.TCP(pkt.TransportHeader().Slice())
	if transport == nil || len(tcp) < header.TCPMinimumSize {
		g.inst.drop(nx.Sent, dropNoTCP, pkt.Size(), headOf(pkt))
		return false
	}
	const longest = 60 // header.TCPHeaderMaximumSize
	var before [longest]byte
	old := before[:copy(before[:], tcp)]

	segment := segments.Get().(*Segment)
	*segment = Segment{
		Local:   netip.AddrPortFrom(source, tcp.SourcePort()),
		Remote:  netip.AddrPortFrom(destination, tcp.DestinationPort()),
		TCP:     tcp,
		Payload: pkt.Data().Size(),
		Packet:  pkt,
	}
	if pkt.GSOOptions.Type != stack.GSONone {
		segment.GSOSize = int(pkt.GSOOptions.MSS)
	}
	pass := transport.SegmentOut(segment)
	*segment = Segment{}
	segments.Put(segment)
	if !pass {
		g.inst.note(nx.Sent, dropByTransport, pkt.Size(), headOf(pkt))
		return false
	}
	if !bytes.Equal(old, tcp) && !partialChecksum(pkt) {
		mendChecksum(old, tcp)
	}
	return true
}

// partialChecksum tells that the device completes the checksum: then only the
// pseudo header is in it, which no change of the TCP header touches.
func partialChecksum(pkt *stack.PacketBuffer) bool {
	return pkt.GSOOptions.Type != stack.GSONone && pkt.GSOOptions.NeedsCsum
}

// mendChecksum corrects the checksum of a segment for the difference between
// its old and its new header (RFC 1624).
func mendChecksum(old []byte, tcp header.TCP) {
	sum := header.TCP(old).Checksum()
	header.TCP(old).SetChecksum(0)
	tcp.SetChecksum(0)
	rest := checksum.Combine(^sum, ^checksum.Checksum(old, 0))
	tcp.SetChecksum(^checksum.Combine(rest, checksum.Checksum(tcp, 0)))
}
