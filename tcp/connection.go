package tcp

import (
	"net/netip"
	"time"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/waiter"
)

// flow is the two ends of a connection, seen from the instance.
type flow struct{ local, remote netip.AddrPort }

// connection is one connection of a socket: gVisor's endpoint, and what the
// gate knows of it from the segments that pass. A socket that connects again
// gets a new one.
//
// All fields but endpoint, p, flow and intake are guarded by the protocol's lock.
type connection struct {
	p        *protocol
	flow     flow
	endpoint endpoint
	ready    bool // endpoint.ep is set

	socket      *Socket    // nil: the socket has let go of it
	handshaking bool       // made by accept, SYN-ACK wanted, not yet established
	mute        bool       // what gVisor still sends for it stays off the wire
	parting     bool       // it is being abandoned: a RST is its last word, and gVisor would say it to each segment in its queue (Endpoint.Abort)
	over        bool       // it has ended
	reset       bool       // by a RST
	request     *synPacket // of a server socket, until accept answers it
	parked      *synPacket // for the connection after this one; see parks
	asked       *synPacket // the same afterwards, until the handshake is done
	cause       error      // why, as far as the segments tell

	budget   uint32 // bytes that the default pool can hold; see shares
	using    bool   // it is one of those that share them
	received bool   // something, since they were counted
	fresh    bool   // segmentIn has just seen something new
	limit    uint32 // of our own segments: the link's MTU less the headers, or what mss_set said
	sender   sender
	receiver receiver
	release  *release // nil: gVisor's timing
	alive    keepalive
	moved    time.Duration // when the peer acknowledged something last, or began to have something to acknowledge; see outlived
	delay    delay

	intake intake // guarded by the socket's reading lock
}

// newConnection makes the connection of a socket and lets the gate know it.
// The caller holds the protocol's lock.
func (s *Socket) newConnection(f flow) *connection {
	c := &connection{p: s.p, flow: f, socket: s}
	window, mss := c.p.inst.ReceiveLimit(f.local.Addr().Is6())
	c.budget = window
	c.receiver.size = min(s.window, window)
	c.receiver.mss, c.limit = mss, linkMSS(c.p.inst, f.local.Addr())
	if s.mss != 0 {
		c.receiver.mss, c.limit = min(s.mss, mss), min(s.mss, c.limit)
	}
	c.receiver.shift = -1
	if s.config.WindowScaling {
		c.receiver.shift = scaleFor(c.receiver.size)
	}
	if c.p.inst.Release() {
		c.release = &release{delay: ackTicks}
	}
	s.conn = c
	c.p.connections[f] = c
	c.firstShare()
	return c
}

// linkMSS is the largest segment that the interface carries.
func linkMSS(inst *ip.Instance, local netip.Addr) uint32 {
	mtu := inst.MTU()
	if mtu <= headerSize(local) {
		return 1
	}
	return mtu - headerSize(local)
}

// scaleFor is the shift count with which a window fits 16 bits.
func scaleFor(window uint32) int {
	shift := 0
	for window>>shift > maxWindow {
		shift++
	}
	return shift
}

// forget takes the connection away from the gate.
func (c *connection) forget() {
	if c.p.connections[c.flow] == c {
		delete(c.p.connections, c.flow)
		c.p.shares.leave(c)
	}
}

// leave is for a connection that has ended for its socket and is about to be
// abandoned: until gVisor's endpoint is gone, the gate knows whose its segments
// are, and keeps them off the wire.
func (c *connection) leave() {
	c.mute = true
	if c.p.connections[c.flow] == nil {
		c.p.connections[c.flow] = c
	}
}

// parks tells whether a SYN is kept for the next connection between the same
// two ports. This one has ended, and only its TIMED_WAIT, or gVisor's endpoint,
// is in the way (RFC 9293 section 3.10.7.4, "MAY accept a new SYN").
func (c *connection) parks(seg *ip.Segment) bool {
	const kind = header.TCPFlagSyn | header.TCPFlagAck | header.TCPFlagRst | header.TCPFlagFin
	return seg.TCP.Flags()&kind == header.TCPFlagSyn && before(c.receiver.next, seg.TCP.SequenceNumber()) &&
		(c.mute || c.receiver.finished && c.sender.finDone)
}

// unpark takes the SYN that was kept as if it came now. The caller holds the
// protocol's lock, and gVisor has no endpoint between the two ports any more.
func (c *connection) unpark() {
	syn := c.parked
	if syn == nil {
		return
	}
	c.parked = nil
	if l := c.p.listens[syn.flow.local.Port()]; l != nil {
		c.p.requestIn(l, syn, nil)
		return
	}
	c.p.counters.ConnectionsDropped++
	c.p.counters.ReceivePacketsDropped++
}

// state is the state of gVisor's endpoint in NetX Duo's words, seen together
// with what the gate knows: gVisor tells of a FIN before it changes its state.
func (c *connection) state() State {
	if !c.ready {
		if c.handshaking {
			return SynReceived
		}
		return SynSent
	}
	state := c.endpoint.state()
	if c.receiver.finished {
		switch state {
		case Established:
			return CloseWait
		case FinWait1:
			return Closing
		case FinWait2:
			return TimedWait
		}
	}
	return state
}

// NotifyEvent implements waiter.EventListener. gVisor calls it in its own
// goroutines, often with the endpoint's lock held.
func (c *connection) NotifyEvent(mask waiter.EventMask) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	s := c.socket
	if s == nil || c.over {
		return
	}
	if !c.ready {
		if mask&waiter.EventIn != 0 {
			c.receiver.early++ // handshakeDone makes up for it
		}
		return
	}
	if mask&waiter.EventIn != 0 && mask&waiter.EventHUp == 0 {
		c.arrived()
	}
	s.advance()
}

// arrived tells that a segment has joined the stream, or the peer's FIN.
func (c *connection) arrived() {
	r, s := &c.receiver, c.socket
	if r.finished && !r.told {
		r.told = true // this is the FIN: it is told after its acknowledgement was sent
		return
	}
	r.arrivals++
	if s.receiving.resume(nx.Success, nil) {
		s.resumed++
	}
	s.post(s.notify.receive)
}

// handshakeDone makes the socket's connection of an endpoint that accept asked
// for.
func (c *connection) handshakeDone(ep tcpip.Endpoint) {
	c.endpoint.set(ep)
	c.endpoint.setSizes()
	c.p.mu.Lock()
	s := c.socket
	c.p.mu.Unlock()
	if s != nil {
		c.endpoint.setFragment(s)
	}
	c.p.mu.Lock()
	if !c.handshaking {
		c.p.mu.Unlock()
		c.endpoint.discard()
		return
	}
	defer c.p.mu.Unlock()
	c.handshaking, c.ready, c.asked = false, true, nil
	if c.over {
		return
	}
	s.established() // before anything that has come is told
	for ; c.receiver.early > 0; c.receiver.early-- {
		c.arrived()
	}
	s.advance()
}

// handshakeFailed ends an accept whose handshake gVisor has given up: a RST
// came, or the SYN-ACK was not answered.
func (c *connection) handshakeFailed(err error) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if s := c.socket; s != nil && c.handshaking {
		c.handshaking = false
		if c.cause != nil {
			err = c.cause
		}
		s.reset(err)
	}
}

// abandon is how a socket lets go of its connection: gVisor's endpoint ends,
// with a RST on the wire if reset says so. What was received and not handed out
// is kept for the socket when keep says so, and freed otherwise.
//
// It is called with the socket's control lock held and without the protocol's.
func (c *connection) abandon(reset, keep bool) {
	s := c.socket
	if keep {
		s.drain(c)
	}
	c.p.mu.Lock()
	ready, handshaking := c.ready, c.handshaking
	c.handshaking, c.mute, c.parting = false, !reset, true
	if c.p.connections[c.flow] == nil {
		c.p.connections[c.flow] = c // forgotten already, and yet the gate is to know what is muted
	}
	c.p.mu.Unlock()

	switch {
	case ready:
		s.reading.Lock()
		c.endpoint.discard()
		c.intake.drop()
		s.reading.Unlock()
	case handshaking:
		c.p.abortHandshake(c.flow)
	}

	c.p.mu.Lock()
	c.over = true
	c.alive.stopAsking()
	c.sender.flush()
	if !keep {
		c.receiver.flush()
		c.socket = nil
	}
	c.ready = false
	if s != nil {
		s.starving.flush(nx.Success, nil)
	}
	c.forget()
	c.unpark()
	c.p.mu.Unlock()
}

// queued is one received segment that was taken out of the stack and not yet
// handed out.
type queued struct {
	packet packetpool.Packet
	length uint32
}
