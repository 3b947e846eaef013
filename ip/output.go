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
	if !own && !fragment && optionsTooLong(pkt, int(s.mtu)) {
		plain := cutSegment(pkt, 0, pkt.Data().Size(), source, destination, true)
		defer plain.DecRef()
		if g.output(plain) {
			g.write(plain)
		}
		return false
	}
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
	if pkt.TransportProtocolNumber == header.TCPProtocolNumber && !fragment {
		pass, cuts := g.segmentOut(pkt, source, destination)
		if !pass {
			return false
		}
		if len(cuts) > 0 {
			g.sendCut(pkt, cuts, source, destination, own)
			return false
		}
	}
	return g.leave(pkt, headerSize, fragment, own)
}

// leave counts a datagram that goes out, and turns it round when it is for the
// instance itself. True: it goes to the link.
func (g *gate) leave(pkt *stack.PacketBuffer, headerSize int, fragment, own bool) bool {
	g.fromInterface(pkt)
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

// fromInterface sees to it that a segment leaves from the address that the
// interface has now. That of its connection may have been replaced.
func (g *gate) fromInterface(pkt *stack.PacketBuffer) {
	if pkt.NetworkProtocolNumber != header.IPv4ProtocolNumber || pkt.TransportProtocolNumber != header.TCPProtocolNumber {
		return
	}
	h, word := header.IPv4(pkt.NetworkHeader().Slice()), g.inst.settings.Load().address
	from, _ := wordOf(netip.AddrFrom4([4]byte(h.SourceAddressSlice())))
	if from == word || from&loopbackMask == loopbackAddress&loopbackMask {
		return
	}
	tcp := header.TCP(pkt.TransportHeader().Slice())
	tcp.UpdateChecksumPseudoHeaderAddress(toStack(addrOf(from)), toStack(addrOf(word)), !partialChecksum(pkt))
	h.SetSourceAddressWithChecksumUpdate(toStack(addrOf(word)))
}

// sendCut sends a segment in pieces.
func (g *gate) sendCut(pkt *stack.PacketBuffer, cuts []int, source, destination netip.Addr, own bool) {
	from := 0
	for _, to := range append(cuts, pkt.Data().Size()) {
		piece := cutSegment(pkt, from, to, source, destination, false)
		if g.leave(piece, len(piece.NetworkHeader().Slice()), false, own) {
			g.write(piece)
		}
		piece.DecRef()
		from = to
	}
}

// write sends one datagram.
func (g *gate) write(pkt *stack.PacketBuffer) {
	var one stack.PacketBufferList
	one.PushBack(pkt)
	_, _ = g.Endpoint.WritePackets(one) // as WritePackets: who sent it could do nothing about it
}

// optionsTooLong tells that a segment with data is too long by its options.
// Those are selective acknowledgements, for which gVisor would leave room in
// each segment (endpoint.go, maxOptionSize); here a segment is as long as its MSS
// says, and goes without them: every segment that comes out of order is answered
// by one without data, which has them (RFC 2018 section 4).
func optionsTooLong(pkt *stack.PacketBuffer, mtu int) bool {
	if pkt.TransportProtocolNumber != header.TCPProtocolNumber {
		return false
	}
	transport, data := len(pkt.TransportHeader().Slice()), pkt.Data().Size()
	if transport <= header.TCPMinimumSize || data == 0 {
		return false
	}
	if pkt.GSOOptions.Type != stack.GSONone {
		data = min(data, int(pkt.GSOOptions.MSS))
	}
	return len(pkt.NetworkHeader().Slice())+transport+data > mtu
}

// cutSegment makes a segment of the bytes from .. to of another one, with its
// options or plain.
func cutSegment(pkt *stack.PacketBuffer, from, to int, source, destination netip.Addr, plain bool) *stack.PacketBuffer {
	network, transport := pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	if plain {
		transport = transport[:header.TCPMinimumSize]
	}
	data := pkt.Data().ToBuffer()
	last := to == int(data.Size())
	data.Truncate(int64(to))
	data.TrimFront(int64(from))
	piece := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: len(network) + len(transport), Payload: data,
	})
	tcp := header.TCP(piece.TransportHeader().Push(len(transport)))
	copy(tcp, transport)
	tcp.SetDataOffset(uint8(len(transport)))
	tcp.SetSequenceNumber(tcp.SequenceNumber() + uint32(from))
	if !last {
		tcp.SetFlags(uint8(tcp.Flags() &^ header.TCPFlagFin))
	}
	size := len(tcp) + to - from
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, toStack(source), toStack(destination), uint16(size))
	if partialChecksum(pkt) {
		piece.GSOOptions = pkt.GSOOptions
		tcp.SetChecksum(sum)
	} else {
		tcp.SetChecksum(0)
		tcp.SetChecksum(^tcp.CalculateChecksum(checksum.Combine(sum, piece.Data().Checksum())))
	}
	piece.TransportProtocolNumber, piece.NetworkProtocolNumber = pkt.TransportProtocolNumber, pkt.NetworkProtocolNumber

	h := piece.NetworkHeader().Push(len(network))
	copy(h, network)
	if source.Is4() {
		ip := header.IPv4(h)
		ip.SetTotalLength(uint16(len(network) + size))
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
	} else {
		header.IPv6(h).SetPayloadLength(uint16(len(network) - header.IPv6MinimumSize + size))
	}
	return piece
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
func (g *gate) segmentOut(pkt *stack.PacketBuffer, source, destination netip.Addr) (pass bool, cuts []int) {
	transport := g.inst.Transport()
	tcp := header.TCP(pkt.TransportHeader().Slice())
	if transport == nil || len(tcp) < header.TCPMinimumSize {
		g.inst.drop(nx.Sent, dropNoTCP, pkt.Size(), headOf(pkt))
		return false, nil
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
	pass = transport.SegmentOut(segment)
	cuts = segment.Cuts
	kept := segment.Kept
	*segment = Segment{}
	segments.Put(segment)
	if !pass {
		if !kept {
			g.inst.note(nx.Sent, dropByTransport, pkt.Size(), headOf(pkt))
		}
		return false, nil
	}
	if !bytes.Equal(old, tcp) && !partialChecksum(pkt) {
		mendChecksum(old, tcp)
	}
	return true, cuts
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
