package tcp

import (
	"cmp"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// receiveStream copies what has come into b, without regard to segments, and
// waits for something until it is interrupted. It is what net.Conn reads with.
func (p *protocol) receiveStream(s *Socket, b []byte, in *interrupt) (int, nx.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if in.why != nil {
			return 0, nx.WaitAborted, in.why
		}
		c := s.conn
		if c == nil {
			return 0, nx.NotConnected, s.cause()
		}
		seen := c.receiver.arrivals
		if n := p.takeBytes(s, c, b); n > 0 {
			return n, nx.Success, nil
		}
		if s.conn != c || c.receiver.arrivals != seen {
			continue // something came just now
		}
		if state := s.refresh(); state < SynSent || state == CloseWait || state >= Closing {
			return 0, nx.NotConnected, s.cause()
		}
		if status, cause := p.suspend(&s.receiving, s, nx.WaitForever, in, nil); status != nx.Success {
			return 0, status, cause
		}
		s.resumed--
	}
}

// takeBytes hands out bytes of a connection. It is called and returns with the
// protocol's lock held.
func (p *protocol) takeBytes(s *Socket, c *connection, b []byte) int {
	r := &c.receiver
	if r.head == len(r.queue) && c.ready {
		p.mu.Unlock()
		s.reading.Lock()
		n := 0
		if c.intake.arrival.Length() == 0 {
			n, _ = c.endpoint.readStream(b) // the end, or an error: the state tells
		}
		p.mu.Lock()
		if n > 0 {
			r.read += uint32(n)
			r.prune()
		} else if begun := c.intake.rest(); begun.length > 0 {
			// SocketReceive found no packet for the rest of this segment.
			r.enqueue([]queued{begun})
		}
		s.reading.Unlock()
		if len(s.starving) > 0 {
			s.passOn(r)
		}
		if n > 0 {
			p.taken(s, c)
			return n
		}
	}
	if r.head == len(r.queue) {
		return 0
	}
	q := &r.queue[r.head]
	n, _ := packetpool.DataExtractOffset(q.packet, 0, b)
	_ = packetpool.Trim(q.packet, n)
	q.length -= n
	r.held -= n
	if q.length == 0 {
		q, _ := r.dequeue()
		_ = packetpool.Release(q.packet)
	}
	p.taken(s, c)
	return int(n)
}

// sendStream sends b in packets of a pool, and waits as long as it takes, or
// until it is interrupted. It answers how many bytes the stack took.
func (p *protocol) sendStream(s *Socket, b []byte, pool *packetpool.Pool, d *deadline) (sent int, _ nx.Status, _ error) {
	room := max(1, int(pool.PayloadSize())-int(packetpool.TCPPacket))
	p.mu.Lock()
	if c := s.conn; c != nil && c.sender.mss > 0 && room > int(c.sender.mss) {
		room -= room % int(c.sender.mss) // what is left over would be a segment of its own
	}
	p.mu.Unlock()
	for sent < len(b) {
		if why := d.expired(); why != nil {
			return sent, nx.WaitAborted, why
		}
		packet, err := packetpool.AllocateContext(d.context(), pool, packetpool.TCPPacket, nx.WaitForever)
		if err != nil {
			return sent, statusOf(err), cmp.Or(d.expired(), err)
		}
		chunk := b[sent:min(len(b), sent+room)]
		if err := packetpool.DataAppend(packet, chunk, pool, nx.NoWait); err != nil {
			_ = packetpool.Release(packet)
			return sent, statusOf(err), err
		}
		status, cause := p.send(s, packet, nx.WaitForever, &d.in)
		if status != nx.Success {
			left, _ := packetpool.LengthGet(packet)
			_ = packetpool.Release(packet)
			return sent + len(chunk) - int(left), status, cause
		}
		sent += len(chunk)
	}
	return sent, nx.Success, nil
}
