package tcp

import (
	"net/netip"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// The gate between the stack and the link, where every segment of the instance
// passes. Here the socket's window is written into what gVisor sends, and here
// is seen what the peer has acknowledged.

// SegmentIn implements ip.Transport.
func (p *protocol) SegmentIn(seg *ip.Segment) bool {
	if p.recorder != nil {
		p.record(nx.Received, seg)
	}
	p.mu.Lock()
	p.address(seg)
	f := flow{seg.Local, seg.Remote}
	if c := p.connections[f]; c != nil && !seg.Damaged {
		pass, answer := c.segmentIn(seg)
		if pass && c.release != nil {
			c.satisfy(seg.TCP)
		}
		if c.ready && c.sender.started {
			seg.To = c.endpoint.in
		}
		if c.waits() {
			p.arm()
		}
		owner := c.queueOwner()
		p.mu.Unlock()
		if owner != "" {
			p.queued(seg, owner)
		}
		c.send(answer)
		return pass
	}
	defer p.mu.Unlock()
	switch {
	case seg.Damaged:
		p.counters.ChecksumErrors++
		return false
	case seg.Broadcast && !p.inst.Release():
		p.counters.ReceivePacketsDropped++ // RFC 1122 section 4.2.3.10
		return false
	case p.isQuiet(f):
		return false
	}
	return p.strayIn(f, seg)
}

// strayIn is a segment for which there is no connection: the second half of
// _nx_tcp_packet_process. True: gVisor answers with a RST.
func (p *protocol) strayIn(f flow, seg *ip.Segment) bool {
	flags := seg.TCP.Flags()
	syn, rst := flags.Contains(header.TCPFlagSyn), flags.Contains(header.TCPFlagRst)
	if !flags.Contains(header.TCPFlagAck) && len(p.listens) > 0 {
		source := f.remote.Addr()
		if f.local == f.remote || source.IsMulticast() || source == limitedBroadcast {
			p.counters.InvalidPackets++ // a LAND attack, or nobody to talk to
			return false
		}
		if l := p.listens[f.local.Port()]; l != nil {
			switch {
			case rst:
				p.dropRequest(l, f)
			case syn:
				request := newSYN(f, seg)
				p.requestIn(l, request, seg.Packet)
				seg.Kept = request.kept
			default:
				p.counters.ReceivePacketsDropped++
			}
			return false
		}
	}
	if syn {
		p.counters.ConnectionsDropped++
	}
	p.counters.ReceivePacketsDropped++
	return !rst
}

// address finds the connection of a segment as NetX Duo does, by the peer and
// the port: the address that the segment was sent to may have become the
// interface's after the connection was made. The caller holds the protocol's
// lock.
func (p *protocol) address(seg *ip.Segment) {
	if seg.Broadcast && p.inst.Release() {
		own, _, _ := ip.AddressGet(p.inst) // it exists
		seg.Local = netip.AddrPortFrom(own, seg.Local.Port())
	}
	if !p.moved || !seg.Local.Addr().Is4() || p.connections[flow{seg.Local, seg.Remote}] != nil {
		return
	}
	for f := range p.connections {
		if f.remote == seg.Remote && f.local.Port() == seg.Local.Port() {
			seg.Local = f.local
			return
		}
	}
}

// Uses implements ip.Transport.
func (p *protocol) Uses(address netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.connections {
		if f.local.Addr() == address {
			p.moved = true
			return true
		}
	}
	return false
}

// isQuiet tells that a socket has given up this connection and still has the
// port: NetX Duo finds the socket, which is CLOSED, and does nothing.
func (p *protocol) isQuiet(f flow) bool {
	e := p.ports[f.local.Port()]
	if e == nil {
		return false
	}
	for _, s := range e.sockets {
		if s.quiet == f && s.state == Closed {
			p.counters.ReceivePacketsDropped++
			return true
		}
	}
	return false
}

// SegmentOut implements ip.Transport.
func (p *protocol) SegmentOut(seg *ip.Segment) bool {
	p.mu.Lock()
	f := flow{seg.Local, seg.Remote}
	c := p.connections[f]
	pass, instead := false, []control(nil)
	own := p.raw[seg.Packet]
	if c != nil {
		if pass, instead = c.segmentOut(seg, own); pass {
			c.dress(seg.Packet)
		}
	} else {
		pass = p.strayOut(seg, f)
	}
	p.mu.Unlock()
	if pass && p.inst.Release() && seg.Payload == 0 && !p.packetLeft() {
		pass = false
	}
	if pass && p.recorder != nil {
		p.record(nx.Sent, seg)
	}
	if c != nil {
		c.send(instead)
	}
	return pass
}

// strayOut is a segment of no connection.
func (p *protocol) strayOut(seg *ip.Segment, f flow) bool {
	const synAck = header.TCPFlagSyn | header.TCPFlagAck
	if seg.TCP.Flags()&synAck == synAck {
		// Of a handshake that was given up before gVisor began it.
		p.inst.Post(func() { p.abortHandshake(f) })
		return false
	}
	return true
}

// segmentIn is a segment to the connection. The caller holds the protocol's
// lock.
func (c *connection) segmentIn(seg *ip.Segment) (pass bool, answer []control) {
	h, flags := seg.TCP, seg.TCP.Flags()
	r, t := &c.receiver, &c.sender
	from, length := h.SequenceNumber(), uint32(seg.Payload)
	c.hear()
	if c.release != nil && r.started {
		if a, drop := c.releaseIn(from, length, h); drop {
			return false, a
		} else {
			answer = a
		}
	}
	if flags.Contains(header.TCPFlagSyn) {
		return c.synIn(seg), nil
	}
	if c.request != nil {
		return false, nil // its SYN is not answered yet: nobody knows of the connection
	}
	if !r.started { // SYN_SENT
		if flags.Contains(header.TCPFlagRst) && flags.Contains(header.TCPFlagAck) && h.AckNumber() == t.initial+1 {
			c.reset = true
			c.noteCause(ErrRefused)
		}
		return true, nil
	}
	if flags.Contains(header.TCPFlagRst) {
		// gVisor takes it only when it is exactly the next byte (RFC 5961 section
		// 3.2); in the handshake of a server anywhere in the window.
		if from == r.next || c.handshaking && !before(from, r.next) && before(from, r.next+r.size) {
			c.reset = true
			c.noteCause(ErrReset)
		}
		return true, nil
	}
	if !r.plausible(from, length) {
		c.p.counters.ReceivePacketsDropped++
		c.disown(h, length) // gVisor's window is larger; it answers with what it expects
		return true, answer
	}
	if c.release == nil && !c.handshaking && !t.mayAcknowledge(h) {
		// Nobody who knows the connection says so (RFC 5961 section 5.2). gVisor
		// does not look; it answers to what it knows already.
		c.p.counters.ReceivePacketsDropped++
		c.disown(h, length)
		return true, answer
	}
	if flags.Contains(header.TCPFlagAck) && t.started {
		answer = append(answer, c.ackIn(h.AckNumber(), uint32(h.WindowSize())<<t.shift)...)
		if c.release == nil {
			t.unshrink(h)
		}
	}
	if length > 0 {
		if !c.takes(from, length) || before(r.next, from) && !c.keepsAhead() {
			// Beyond the window that the peer was told, or ahead of something that is
			// missing and would find no room: gVisor's window is larger.
			c.p.counters.ReceivePacketsDropped++
			c.disown(h, length)
			return true, answer
		}
		r.super = r.super || seg.GSOSize > 0
		c.noteUse(length)
		if fresh := r.accept(from, length, uint32(seg.GSOSize)); fresh > 0 {
			c.delay.segments++
			c.countIn(length, uint32(seg.GSOSize))
			c.fresh = true
		}
	}
	return true, answer
}

// queueOwner is the name of the socket whose receive queue gets what segmentIn
// has just seen; empty when that was nothing new.
func (c *connection) queueOwner() string {
	fresh := c.fresh
	c.fresh = false
	if !fresh || c.socket == nil {
		return ""
	}
	return c.socket.name
}

// queued notes for whom the packets are in which a segment lies: they are on the
// receive queue of the socket when gVisor has them. It is called without the
// protocol's lock, for which many wait while this waits for the pool's.
func (p *protocol) queued(seg *ip.Segment, socket string) {
	views, _ := seg.Packet.AsViewList()
	p.inst.Pool().Assign(views, packetpool.Owner{Kind: packetpool.ReceiveQueue, Name: socket})
}

// synIn is a SYN or SYN-ACK of the connection's peer.
func (c *connection) synIn(seg *ip.Segment) bool {
	t := &c.sender
	if c.request != nil {
		return false // again; accept has not been called yet
	}
	if c.receiver.started {
		if c.parks(seg) {
			c.parked = newSYN(c.flow, seg)
			return false
		}
		return true // gVisor challenges it
	}
	flags := seg.TCP.Flags()
	if flags.Contains(header.TCPFlagAck) && seg.TCP.AckNumber() != t.initial+1 {
		return true // not ours
	}
	c.receiver.start(seg.TCP.SequenceNumber())
	c.peerOptions(seg.TCP)
	t.window = uint32(seg.TCP.WindowSize()) // not scaled in a SYN
	t.widest = t.window
	return true
}

// ackIn is an acknowledgement from the peer. It answers what is sent because of
// it, with the release's timing.
func (c *connection) ackIn(ack, window uint32) (again []control) {
	t, s := &c.sender, c.socket
	full := s != nil && t.segments >= s.queueMax
	una, waiting := t.una, t.segments > 0
	bytes, valid := t.acknowledge(ack)
	if !valid {
		return nil
	}
	t.window, t.widest = window, max(t.widest, window)
	if window == 0 {
		c.moved = c.p.clock.Now() // it lives, and has no room (RFC 9293 section 3.8.6.1)
	}
	if bytes > 0 {
		c.moved = c.p.clock.Now()
	}
	if s == nil {
		return nil
	}
	if c.release != nil && s.state >= Established {
		again = append(again, c.acked(ack, una, bytes, waiting)...)
	}
	if bytes > 0 && full && t.segments < s.queueMax {
		s.post(s.notify.queueDepth)
	}
	s.probes.answered()
	s.wakeSender()
	if c.release == nil && len(s.transmitting) > 0 {
		c.probe() // somebody has waited since before the window closed
	}
	return again
}

// segmentOut is a segment that leaves: gVisor's, with the endpoint's lock held,
// or one of our own. It answers what is sent instead of it, or beside it. The
// caller holds the protocol's lock.
func (c *connection) segmentOut(seg *ip.Segment, own *control) (pass bool, instead []control) {
	h, flags := seg.TCP, seg.TCP.Flags()
	r, t := &c.receiver, &c.sender
	if flags.Contains(header.TCPFlagRst) {
		// _nx_tcp_packet_send_rst: no acknowledgement with it, but the window.
		h.SetFlags(uint8(header.TCPFlagRst))
		h.SetAckNumber(0)
		if r.started {
			field, _ := r.shown(r.open())
			h.SetWindowSize(field)
		}
		pass = !c.mute
		c.mute = c.mute || c.parting
		return pass, nil
	}
	if flags.Contains(header.TCPFlagSyn) {
		if c.mute || flags.Contains(header.TCPFlagAck) && !c.handshaking && !c.ready {
			if !c.mute {
				p, f := c.p, c.flow
				p.inst.Post(func() { p.abortHandshake(f) })
			}
			return false, nil
		}
		t.start(h.SequenceNumber())
		if c.release != nil && own == nil {
			return c.releaseOut(seg)
		}
		c.ownOptions(h)
		field, _ := r.shown(min(r.share, maxWindow) << max(r.shift, 0))
		h.SetWindowSize(field)
		return true, nil
	}
	if c.mute {
		return false, nil
	}
	if c.release != nil && own == nil {
		t.given = later(t.given, h.SequenceNumber()+uint32(seg.Payload))
		if pass, instead = c.releaseOut(seg); !pass {
			return false, instead
		}
	}
	if length := uint32(seg.Payload); length > 0 && (own == nil || !own.probe) {
		from := h.SequenceNumber()
		if before(from, t.max) {
			c.countAgain(seg)
		}
		to := from + length
		if seg.GSOSize == 0 {
			seg.Cuts = t.cuts(from, to)
		}
		c.reach(to)
	}
	if flags.Contains(header.TCPFlagFin) {
		t.fin, t.hasFIN = h.SequenceNumber()+uint32(seg.Payload), true
		c.reach(t.fin + 1)
	}
	if c.awaits() {
		c.p.expect()
	}
	if flags.Contains(header.TCPFlagAck) && r.started {
		ack := h.AckNumber()
		r.finished = r.finished || r.endsWith(ack)
		if own == nil && c.bare(seg) {
			missing := c.missing(h)
			waits := !missing && c.mayWait(ack)
			c.delay.missing = missing
			if waits {
				c.wait(ack)
				seg.Kept = true
				return false, instead
			}
		}
		if before(r.acked, ack) {
			r.acked = ack
		}
		c.delay.acknowledges(ack, seg.Payload > 0)
		field, window := r.shown(r.window(ack))
		h.SetWindowSize(field)
		if edge := r.data(ack) + window; before(r.edge, edge) {
			r.edge = edge
		}
		if c.release != nil {
			c.release.delay, c.release.told = ackTicks, true
		}
	}
	return true, instead
}
