package tcp

import (
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// SocketSend sends a message: nx_tcp_socket_send. It is on the wire when the
// call returns: one segment, or as many as its length and the MSS make.
//
// It takes as much as the peer's window and the transmit queue allow, and waits
// wait ticks for more; with NoWait, and in a callback, it does not wait. Each
// suspension has the whole wait again. Who can wait does so for the whole message,
// or 32 KiB of it, while as much is on its way; the original sends what there is
// room for, segment by segment.
//
// On success the packet is the stack's, until the peer has acknowledged it;
// then it is free again. On failure it stays the caller's. A part of it may have
// been sent then: what is left in it is the rest, and sending that goes on
// where it stopped.
//
// Errors, in order: NX_PTR_ERROR (socket), NX_INVALID_PACKET (no packet, or not
// the caller's), NX_NOT_CONNECTED (no peer), NX_UNDERFLOW (less room in front
// than the headers take, 40 bytes for IPv4, 60 for IPv6), NX_OVERFLOW,
// NX_INVALID_PACKET (empty), NX_NOT_BOUND, NX_NOT_CONNECTED,
// NX_NO_INTERFACE_ADDRESS (the IPv6 source address is gone), NX_NO_PACKET,
// NX_POOL_DELETED and NX_INVALID_PARAMETERS (a part is to be sent, and needs a
// packet of the same pool), NX_WINDOW_OVERFLOW (the peer's window is too small),
// NX_TX_QUEUE_DEPTH (too many segments are not acknowledged).
//
// Source: nxe_tcp_socket_send.c, nx_tcp_socket_send_internal.c.
func SocketSend(socket *Socket, packet packetpool.Packet, wait nx.Wait) error {
	const service = "tcp.SocketSend"
	p := created(socket)
	if p == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	out, ok := packetpool.Inspect(packet)
	if !ok {
		return nx.Fail(service, nx.InvalidPacket, nil)
	}
	p.mu.Lock()
	peer := socket.peer
	p.mu.Unlock()
	switch {
	case !peer.IsValid():
		return nx.Fail(service, nx.NotConnected, socket.whyNot())
	case out.Room < int(headerSize(peer.Addr())):
		p.countInvalid()
		return nx.Fail(service, nx.Underflow, nil)
	case out.Overflow:
		p.countInvalid()
		return nx.Fail(service, nx.Overflow, nil)
	}
	if out.Length == 0 {
		return nx.Fail(service, nx.InvalidPacket, nil)
	}
	call := p.called(service, socket)
	status, cause := p.send(socket, packet, p.inst.WaitOption(wait), nil)
	call.end(status, uint32(out.Length))
	return nx.Fail(service, status, cause)
}

func (p *protocol) countInvalid() {
	p.mu.Lock()
	p.counters.InvalidPackets++
	p.mu.Unlock()
}

// whyNot is why a socket has no connection.
func (s *Socket) whyNot() error {
	p := s.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.conn != nil && s.conn.cause != nil {
		return s.conn.cause
	}
	return errNeverConnected
}

// send is the loop of nx_tcp_socket_send_internal.c. With an interrupt the
// message is a piece of a stream.
func (p *protocol) send(s *Socket, packet packetpool.Packet, wait nx.Wait, in *interrupt) (nx.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.bound {
		return nx.NotBound, nil
	}
	if state := s.refresh(); state == SynSent || state == SynReceived {
		p.stateWait(s, Established, wait) // its answer is not looked at
	}
	if p.inst.Release() {
		return p.releaseSend(s, packet, wait, in)
	}
	for {
		c := s.conn
		if !s.refresh().exchanges() || c == nil {
			return nx.NotConnected, s.cause()
		}
		if status, cause := p.sourceGone(s); status != nx.Success {
			return status, cause
		}
		left, _ := packetpool.LengthGet(packet)
		n := c.room(left)
		if wait != nx.NoWait && c.scant(n, left, in != nil) {
			n = 0
		}
		if n > 0 {
			whole, status, cause := p.transmit(s, c, packet, left, n, wait)
			if whole || status != nx.Success {
				return status, cause
			}
			continue
		}
		if wait == nx.NoWait {
			return s.full(c), nil
		}
		c.probe()
		if status, cause := p.suspendSender(s, c, left, wait, in); status != nx.Success {
			return status, cause
		}
	}
}

// full is why nothing can be sent now.
func (s *Socket) full(c *connection) nx.Status {
	if c.sender.segments < s.queueMax {
		return nx.WindowOverflow
	}
	return nx.TxQueueDepth
}

// suspendSender suspends a caller, who has so many bytes left to send, until
// there is room. It is called and returns with the protocol's lock held.
func (p *protocol) suspendSender(s *Socket, c *connection, left uint32, wait nx.Wait, in *interrupt) (nx.Status, error) {
	return p.suspendAs(&suspended{socket: s, left: left, stream: in != nil}, &s.transmitting, wait, in, func() (nx.Status, error) {
		if s.state != Established {
			return nx.NotConnected, s.cause()
		}
		return s.full(c), nil
	})
}

// cause is why the connection ended, as far as it is known.
func (s *Socket) cause() error {
	if s.conn != nil {
		return s.conn.cause
	}
	return errNeverConnected
}

// sourceGone looks whether an IPv6 connection still has its source address.
func (p *protocol) sourceGone(s *Socket) (nx.Status, error) {
	if !s.local.Is6() {
		return nx.Success, nil
	}
	if route, err := p.inst.RouteFind(s.local); err != nil || route.Source != s.local {
		return nx.NoInterfaceAddress, err
	}
	return nx.Success, nil
}

// room is how much of a message of length bytes may be sent now: what the
// window takes, in as many segments as the transmit queue takes.
func (c *connection) room(length uint32) uint32 {
	t := &c.sender
	if t.segments >= c.socket.queueMax {
		return 0
	}
	n := min(length, c.usable())
	if mss := max(t.mss, 1); uint64(n) > uint64(c.socket.queueMax-t.segments)*uint64(mss) {
		n = (c.socket.queueMax - t.segments) * mss
	}
	return n
}

// bulk is what the part of a message has at least that is sent while as much is on
// its way.
const bulk = 32 << 10

// scant tells that a sender who can wait does better not to send n of the bytes
// that are left: an acknowledgement is about to make more room. There are two
// measures, because NetX Duo fills a window to its last byte with messages, and a
// stream is not NetX Duo's:
//
//   - while 32 KiB are on their way, as much, since a part costs a packet, a copy and
//     a segment of its own; it is the same for a sender with little left, whose
//     message goes whole;
//   - for a stream, while anything is, a whole segment: the sender's half of the
//     avoidance of silly windows (RFC 9293 section 3.8.6.2.1), without the timeout,
//     for which there is no need then.
func (c *connection) scant(n, left uint32, stream bool) bool {
	t := &c.sender
	out, least := t.outstanding(), uint32(0)
	if out >= bulk {
		least = bulk
	}
	if stream && out > 0 {
		least = max(least, min(t.mss, t.widest/2))
	}
	return c.release == nil && n < min(left, least)
}

// transmit gives the first n bytes of a message to gVisor. All of it goes in the
// packet itself; a part goes in a new packet of the same pool, as many whole
// segments as that takes, but one in any case, and is taken off the message. It is
// called and returns with the protocol's lock held.
func (p *protocol) transmit(s *Socket, c *connection, packet packetpool.Packet, left, n uint32, wait nx.Wait) (whole bool, _ nx.Status, _ error) {
	mss := max(c.sender.mss, 1)
	p.mu.Unlock()
	defer p.mu.Lock()
	part := packet
	if whole = n == left; !whole {
		// Not more: a pool that holds the message and one segment is enough.
		headroom := headroomFor(s.local.Is4())
		out, _ := packetpool.Inspect(packet)
		fits := uint32(max(out.Payload-int(headroom), 0))
		if n = min(n, max(fits, mss)); n > mss {
			n -= n % mss
		}
		var err error
		if part, err = packetpool.Split(packet, n, headroom, wait); err != nil {
			return false, statusOf(err), err
		}
		n, _ = packetpool.LengthGet(part)
	}
	ok, err := p.write(s, c, part, n)
	switch {
	case !ok && !whole:
		_ = packetpool.Release(part)
		fallthrough
	case !ok:
		if err != nil {
			return false, nx.NotConnected, err
		}
		return false, nx.Success, nil // less room than before: look again
	case !whole:
		_ = packetpool.Trim(packet, n)
	}
	return whole, nx.Success, nil
}

// headroomFor is the room for headers in packets that the stack makes.
func headroomFor(ipv4 bool) packetpool.PacketType {
	if ipv4 {
		return packetpool.IPv4TCPPacket
	}
	return packetpool.IPv6TCPPacket
}

// write puts a message on the transmit queue and gives it to gVisor. False: it
// was not taken, because there is no room any more (nil) or no connection.
func (p *protocol) write(s *Socket, c *connection, packet packetpool.Packet, n uint32) (bool, error) {
	var data payload
	for piece := range packetpool.Pieces(packet) {
		data.pieces = append(data.pieces, piece)
	}
	data.length = int(n)

	s.sending.Lock()
	defer s.sending.Unlock()
	p.mu.Lock()
	if s.conn != c || c.over || !s.state.exchanges() {
		cause := c.cause
		p.mu.Unlock()
		if cause == nil {
			cause = ErrDisconnected
		}
		return false, cause
	}
	if c.room(n) < n {
		p.mu.Unlock()
		return false, nil
	}
	segments := (n + max(c.sender.mss, 1) - 1) / max(c.sender.mss, 1)
	// Before it is written: the acknowledgement may be faster than the writer.
	c.sender.push(packet, n, segments)
	p.mu.Unlock()

	err := c.endpoint.write(&data)
	if err == nil {
		c.satisfied()
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	c.sender.settle(n, err == nil, c.release == nil, packetpool.Owner{Kind: packetpool.TransmitQueue, Name: s.name})
	if err != nil {
		s.refresh()
		if c.cause != nil {
			err = c.cause
		}
		return false, err
	}
	if c.over {
		c.sender.flush()
	}
	p.counters.PacketsSent += segments
	p.counters.BytesSent += n
	s.counters.packetsSent += segments
	s.counters.bytesSent += n
	return true, nil
}

// wakeSender is _nx_tcp_socket_state_transmit_check: the oldest suspended
// sender goes on when there is room for it.
func (s *Socket) wakeSender() {
	if len(s.transmitting) == 0 || s.conn == nil {
		return
	}
	first := s.transmitting[0]
	left := max(first.left, 1)
	if n := s.conn.room(left); n == 0 || s.conn.scant(n, left, first.stream) {
		return
	}
	s.post(s.notify.windowUpdate)
	s.transmitting.resume(nx.Success, nil)
}

// probes is the search for the end of a closed window while somebody waits for
// it: a window update that was lost would stop the connection for ever.
// NX_TCP_TRANSMIT_TIMER_RATE, NX_TCP_MAXIMUM_RETRIES.
type probes struct {
	timer  nx.Timer
	failed uint32 // unanswered, one after the other
}

func (b *probes) answered() { b.failed = 0 }

// probe starts the search when the window is closed and nothing is on its way
// that would be answered.
func (c *connection) probe() {
	s := c.socket
	if l := c.release; l != nil {
		if !l.probing {
			l.probing, l.probes = true, 0
		}
		if c.waits() {
			c.p.arm()
		}
		return
	}
	if s.probes.timer != nil || s.timeout == 0 || c.sender.window > 0 || c.sender.outstanding() > 0 {
		return
	}
	s.probes.failed = 0
	s.probes.timer = c.p.clock.AfterFunc(s.interval(0), func() { c.probeAgain() })
}

func (s *Socket) interval(retry uint32) time.Duration {
	return (time.Duration(s.timeout) * nx.Tick) << min(retry*s.shift, 20)
}

// probeAgain sends a byte that the peer has acknowledged already: it can only
// answer with its window.
func (c *connection) probeAgain() {
	p := c.p
	p.mu.Lock()
	s := c.socket
	if s == nil {
		p.mu.Unlock()
		return
	}
	s.probes.timer = nil
	if s.conn != c || c.over || c.sender.window > 0 || len(s.transmitting) == 0 {
		p.mu.Unlock()
		return
	}
	if s.probes.failed >= s.retries {
		c.mute = true
		s.reset(ErrTimedOut)
		p.mu.Unlock()
		c.end()
		return
	}
	s.probes.failed++
	s.probes.timer = p.clock.AfterFunc(s.interval(s.probes.failed), func() { c.probeAgain() })
	probe := c.probeSegment()
	p.mu.Unlock()
	c.send([]control{probe})
}

var probeByte = []byte{0}
