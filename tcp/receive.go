package tcp

import (
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// SocketReceive answers the next message: nx_tcp_socket_receive. It is one
// segment of the peer's, never joined with another one, in the very packets of
// the instance's default pool that it came in. It waits wait ticks for one; with
// NoWait, and in a callback, it does not wait.
//
// The packet is the caller's, who releases it. What has come before the end of
// the connection, or before a reset, is handed out first.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_BOUND, NX_NOT_CONNECTED (nothing is
// left and nothing will come; it wraps ErrPeerClosed, ErrReset, ErrTimedOut or
// ErrDisconnected), NX_NO_PACKET (nothing came in time; in other states than
// ESTABLISHED a wait that is over answers NX_NOT_CONNECTED).
//
// Source: nxe_tcp_socket_receive.c, nx_tcp_socket_receive.c,
// nx_tcp_receive_cleanup.c.
func SocketReceive(socket *Socket, wait nx.Wait) (packetpool.Packet, error) {
	const service = "tcp.SocketReceive"
	p := created(socket)
	if p == nil {
		return packetpool.Packet{}, nx.Fail(service, nx.PtrError, nil)
	}
	packet, status, cause := p.receive(socket, p.inst.WaitOption(wait))
	return packet, nx.Fail(service, status, cause)
}

func (p *protocol) receive(s *Socket, wait nx.Wait) (packet packetpool.Packet, status nx.Status, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	deadline := p.clock.Now() + wait.Duration()
	resumed := false
	for {
		// A caller that was resumed for a segment gets it, and nobody who came later.
		turn := s.resumed == 0
		if resumed {
			s.resumed--
			turn = true
		}
		if !s.bound {
			return packet, nx.NotBound, nil
		}
		if c := s.conn; c != nil && turn {
			seen := c.receiver.arrivals
			var n uint32
			if packet, n, status, cause = p.take(s, c); n > 0 || status != nx.Success {
				return packet, status, cause
			}
			if s.conn != c || c.receiver.arrivals != seen {
				resumed = false
				continue // one came just now
			}
		}
		state := s.refresh()
		switch {
		case state < SynSent, state == CloseWait, state >= Closing:
			return packet, nx.NotConnected, s.cause()
		case wait == nx.NoWait:
			return packet, nx.NoPacket, nil
		}
		if status, cause = p.suspend(&s.receiving, s, wait, nil, func() (nx.Status, error) {
			if s.state != Established {
				return nx.NotConnected, s.cause()
			}
			return nx.NoPacket, nil
		}); status != nx.Success {
			return packet, status, cause
		}
		resumed = true
		// Resumed, and should another caller have been faster: what is left.
		if wait != nx.WaitForever {
			wait = max(1, nx.Ticks(deadline-p.clock.Now()))
		}
	}
}

// take hands out the next message of a connection, if there is one. It is
// called and returns with the protocol's lock held.
func (p *protocol) take(s *Socket, c *connection) (packet packetpool.Packet, n uint32, status nx.Status, cause error) {
	r := &c.receiver
	if len(r.queue) > 0 {
		q := r.queue[0]
		if r.queue = r.queue[1:]; len(r.queue) == 0 {
			r.queue = nil
		}
		r.held -= q.length
		packetpool.Deliver(q.packet)
		p.taken(s, c)
		return q.packet, q.length, nx.Success, nil
	}
	if !c.ready {
		return packet, 0, nx.Success, nil
	}
	p.mu.Unlock()
	packet, n, cause = s.read(c, packetpool.Owner{})
	p.mu.Lock()
	if n == 0 {
		if cause != nil { // the pool has no packet for the copy of a part
			return packet, 0, statusOf(cause), cause
		}
		return packet, 0, nx.Success, nil
	}
	r.read += n
	r.prune()
	// What a super-segment holds beyond this part wakes nobody.
	if len(r.ends) > 0 && s.receiving.resume(nx.Success, nil) {
		s.resumed++
	}
	p.taken(s, c)
	return packet, n, nx.Success, nil
}

// read takes one segment out of gVisor. None and no error: there is none now.
func (s *Socket) read(c *connection, owner packetpool.Owner) (packet packetpool.Packet, n uint32, err error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	c.p.mu.Lock()
	unit, ready := c.receiver.unit(), c.ready
	c.p.mu.Unlock()
	if !ready {
		return packet, 0, nil
	}
	pool := c.p.inst.Pool()
	got, err := c.endpoint.readUnit(int(unit), func(pieces [][]byte) error {
		var failed error
		packet, failed = pool.Receive(pieces, owner)
		return failed
	})
	if got == 0 {
		if err != nil && nx.Code(err) == uint(nx.NoPacket) {
			return packet, 0, err
		}
		return packetpool.Packet{}, 0, nil // the end, or an error: the state tells
	}
	return packet, uint32(got), nil
}

// taken looks whether the window has grown enough to tell the peer: by half of
// it (RFC 1122 section 4.2.3.3, nx_tcp_socket_receive.c). It is called and
// returns with the protocol's lock held.
func (p *protocol) taken(s *Socket, c *connection) {
	r := &c.receiver
	if c.over || r.finished || r.gain() < max(r.size/2, 1) {
		return
	}
	switch s.state {
	case Established, FinWait1, FinWait2:
	default:
		return
	}
	f, seq, ack := c.flow, c.sender.max, r.acked
	p.mu.Unlock()
	p.sendRaw(f, seq, ack, nil)
	p.mu.Lock()
}

// drain takes everything out of gVisor, into the socket's receive queue: the
// endpoint is about to end.
func (s *Socket) drain(c *connection) {
	owner := packetpool.Owner{Kind: packetpool.ReceiveQueue, Name: s.name}
	for {
		packet, n, err := s.read(c, owner)
		c.p.mu.Lock()
		r := &c.receiver
		if n == 0 {
			if err != nil && c.p.recorder != nil {
				c.p.recorder.Record(nx.DropEvent{
					Where: s.name, Direction: nx.Received, Bytes: int(r.unread() - r.held),
					Reason: "received, and no packet left to keep it in when the connection ended",
				})
			}
			r.ends, r.ahead = nil, nil
			r.next = r.read
			c.p.mu.Unlock()
			return
		}
		r.read += n
		r.held += n
		r.queue = append(r.queue, queued{packet, n})
		c.p.mu.Unlock()
	}
}
