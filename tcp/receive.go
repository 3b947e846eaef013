package tcp

import (
	"time"

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
// A segment of which the program has a part already, while a reader still has the
// other, is copied, and needs packets of the default pool; it waits for those, too.
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
	call := p.called(service, socket)
	packet, n, status, cause := p.receive(socket, p.inst.WaitOption(wait))
	call.end(status, n)
	return packet, nx.Fail(service, status, cause)
}

func (p *protocol) receive(s *Socket, wait nx.Wait) (packet packetpool.Packet, n uint32, status nx.Status, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var deadline time.Duration // of the wait, which begins with the first suspension: most calls find a message
	rest := func() nx.Wait {
		switch {
		case wait == nx.WaitForever:
		case deadline == 0:
			deadline = p.clock.Now() + wait.Duration()
		default: // another caller was faster, or the pool had no packet
			return max(1, nx.Ticks(deadline-p.clock.Now()))
		}
		return wait
	}
	resumed := false
	for {
		// A caller that was resumed for a segment gets it, and nobody who came later.
		turn := s.resumed == 0
		if resumed {
			s.resumed--
			turn = true
		}
		if !s.bound {
			return packet, 0, nx.NotBound, nil
		}
		if c := s.conn; c != nil && turn {
			seen := c.receiver.arrivals
			packet, n, status, cause = p.take(s, c, none)
			for status == nx.NoPacket && wait != nx.NoWait {
				spare, ended := p.awaitPacket(s, rest())
				if ended != nx.Success {
					if s.receiving.resume(nx.Success, nil) { // what is left is the next one's
						s.resumed++
					}
					return packet, 0, status, cause
				}
				packet, n, status, cause = p.take(s, c, spare)
			}
			if n > 0 || status != nx.Success {
				return packet, n, status, cause
			}
			if s.conn != c || c.receiver.arrivals != seen {
				resumed = false
				continue // one came just now
			}
		}
		state := s.refresh()
		switch {
		case state < SynSent, state == CloseWait, state >= Closing:
			return packet, 0, nx.NotConnected, s.cause()
		case wait == nx.NoWait:
			return packet, 0, nx.NoPacket, nil
		}
		if status, cause = p.suspend(&s.receiving, s, rest(), nil, func() (nx.Status, error) {
			if s.state != Established {
				return nx.NotConnected, s.cause()
			}
			return nx.NoPacket, nil
		}); status != nx.Success {
			return packet, n, status, cause
		}
		resumed = true
	}
}

// awaitPacket waits for a packet of the default pool, for the copy of a part that has
// arrived, in the order in which all ask who wait for one. It answers none, and that
// all is well, when the part has gone meanwhile: another caller has taken it, or the
// connection has. It is called and returns with the protocol's lock held.
func (p *protocol) awaitPacket(s *Socket, wait nx.Wait) (packetpool.Packet, nx.Status) {
	w := &suspended{Suspension: p.spare.get(p.clock), socket: s}
	s.starving = append(s.starving, w)
	p.mu.Unlock()
	packet, err := packetpool.AllocateOn(w.Suspension, p.inst.Pool(), packetpool.ReceivePacket, wait)
	p.mu.Lock()
	s.starving.remove(w)
	p.spare.put(w.Suspension) // off both lists
	if status := statusOf(err); status != nx.WaitAborted {
		return packet, status
	}
	return packet, nx.Success
}

// take hands out the next message of a connection, if there is one. spare is a
// packet for its copy, or none; take gives it away. It is called and returns with
// the protocol's lock held.
func (p *protocol) take(s *Socket, c *connection, spare packetpool.Packet) (packet packetpool.Packet, n uint32, status nx.Status, cause error) {
	r := &c.receiver
	q, ok := r.dequeue()
	if !ok && c.ready && r.next != r.read { // the stack may have something
		p.mu.Unlock()
		cause = s.read(c, false, spare)
		p.mu.Lock()
		q, ok = r.dequeue()
	} else if spare != none {
		_ = packetpool.Release(spare) // ours since a moment ago
	}
	if !ok {
		if cause != nil { // the pool has no packet for the copy of a part
			return packet, 0, statusOf(cause), cause
		}
		return packet, 0, nx.Success, nil
	}
	packetpool.Deliver(q.packet)
	s.passOn(r)
	p.taken(s, c)
	return q.packet, q.length, nx.Success, nil
}

// passOn wakes the next receiver for what is left when one has taken what was first;
// gVisor has told of it. Who waits for a packet for what was first looks again: what
// is first now may need none. When nothing is left nobody needs one.
func (s *Socket) passOn(r *receiver) {
	switch {
	case r.head == len(r.queue) && len(r.order) == 0:
		s.starving.flush(nx.Success, nil)
	case s.receiving.resume(nx.Success, nil):
		s.resumed++
	default:
		s.starving.resume(nx.Success, nil)
	}
}

// none is no packet.
var none packetpool.Packet

// read takes what has arrived out of gVisor, up to about a super-segment, and
// puts it on the receive queue, segment by segment. It answers an error only
// when the pool had no packet for the copy of a part; that stays in the stack. spare
// is a packet for it, or none, and given away. Without more it does nothing when
// there is something on the queue.
func (s *Socket) read(c *connection, more bool, spare packetpool.Packet) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	p, r, in := c.p, &c.receiver, &c.intake
	p.mu.Lock()
	if !c.ready || !more && r.head < len(r.queue) { // another receiver was faster
		p.mu.Unlock()
		if spare != none {
			_ = packetpool.Release(spare) // ours since a moment ago
		}
		return nil
	}
	r.prune()
	in.begin(c, s.name)
	p.mu.Unlock()

	if spare != none {
		in.arrival.Bring(spare)
	}
	taken, err := c.endpoint.readInto(in)
	if spare != none {
		in.arrival.Return() // there was nothing any more
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	r.read += taken
	r.held += taken
	r.prune()
	r.enqueue(in.messages)
	clear(in.messages)
	in.messages = in.messages[:0]
	if nx.Code(err) == uint(nx.NoPacket) {
		return err
	}
	return nil // nothing there, the end, or an error: the state tells
}

// taken looks whether the window has grown enough to tell the peer. It is called
// and returns with the protocol's lock held.
func (p *protocol) taken(s *Socket, c *connection) {
	r := &c.receiver
	if c.waits() {
		p.arm() // a smaller gain is told by the delayed acknowledgement
	}
	if c.over || r.finished || r.gain() < r.step() {
		return
	}
	switch s.state {
	case Established, FinWait1, FinWait2:
	default:
		return
	}
	update := c.acknowledgement()
	p.mu.Unlock()
	c.send([]control{update})
	if c.release != nil {
		p.yield()
	}
	p.mu.Lock()
}

// drain takes everything out of gVisor, into the socket's receive queue: the
// endpoint is about to end.
func (s *Socket) drain(c *connection) {
	p, r := c.p, &c.receiver
	for {
		p.mu.Lock()
		before := r.read
		p.mu.Unlock()
		err := s.read(c, true, none)
		s.reading.Lock()
		p.mu.Lock()
		if r.read == before {
			if rest := c.intake.rest(); rest.length > 0 {
				r.enqueue([]queued{rest})
			}
			if err != nil && p.recorder != nil {
				p.recorder.Record(nx.DropEvent{
					Where: s.name, Direction: nx.Received, Bytes: int(r.unread() - r.held),
					Reason: "received, and no packet left to keep it in when the connection ended",
				})
			}
			r.forget()
			p.mu.Unlock()
			s.reading.Unlock()
			return
		}
		p.mu.Unlock()
		s.reading.Unlock()
	}
}
