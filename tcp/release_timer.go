package tcp

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// The release's timer: _nx_tcp_fast_periodic_processing, every 100 ms from
// nx_tcp_enable on. It is set only while there is something to wait for.

// fastTimer is guarded by the protocol's lock.
type fastTimer struct {
	began time.Duration // when TCP was enabled
	due   time.Duration // when it is set
	set   bool
}

// arm sets the timer to the next tenth of a second. The caller holds the
// protocol's lock.
func (p *protocol) arm() {
	if p.fast.set {
		return
	}
	const every = fastTicks * nx.Tick
	now := p.clock.Now()
	wait := every - (now-p.fast.began)%every
	p.fast.set, p.fast.due = true, now+wait
	p.clock.AfterFunc(wait, p.fastPeriodic)
}

// timerFirst tells whether the timer's turn comes before that of a caller whose
// wait runs out at the same tick. ThreadX keeps waits in a wheel of 32 entries
// (TX_TIMER_ENTRIES), and puts a longer one back for its last round; of two timers
// of one tick the one fires first that came into its entry first, and the timer
// of 100 ms came ten ticks ago.
func timerFirst(wait nx.Wait) bool { return (wait-1)%32 < fastTicks }

// fastPeriodic looks at all sockets in the order in which they were created. It
// is called when the timer fires, and by callers whose wait has run out.
func (p *protocol) fastPeriodic() {
	p.mu.Lock()
	if !p.fast.set || p.clock.Now() < p.fast.due {
		p.mu.Unlock()
		return
	}
	p.fast.set = false
	sockets := make([]*Socket, 0, len(p.sockets))
	for s := range p.sockets {
		if s.conn != nil && s.conn.release != nil {
			sockets = append(sockets, s)
		}
	}
	slices.SortFunc(sockets, func(a, b *Socket) int { return cmp.Compare(a.serial, b.serial) })
	p.mu.Unlock()
	for _, s := range sockets {
		s.fastPeriodic(p)
	}
}

func (s *Socket) fastPeriodic(p *protocol) {
	p.mu.Lock()
	c := s.conn
	if c == nil || c.release == nil || c.over {
		p.mu.Unlock()
		return
	}
	s.refresh()
	send, given := c.fastPeriodic()
	if c.waits() {
		p.arm()
	}
	p.mu.Unlock()
	c.send(send)
	if given {
		c.end()
	}
}

// fastPeriodic is one socket's turn. It answers what is sent, and whether the
// connection has been given up.
func (c *connection) fastPeriodic() (send []control, given bool) {
	l, s, t := c.release, c.socket, &c.sender
	if s == nil || c.over {
		return nil, false
	}
	if c.owesAck() {
		if l.delay <= fastTicks {
			send = append(send, c.acknowledgement())
		} else {
			l.delay -= fastTicks
		}
	}
	switch {
	case l.timeout == 0:
		return send, false
	case l.timeout > fastTicks:
		l.timeout -= fastTicks
		return send, false
	case !l.probing && l.retries >= s.retries, l.probing && l.probes >= s.retries:
		c.noteCause(ErrTimedOut)
		c.mute = true
		s.reset(ErrTimedOut)
		return nil, true
	}
	switch {
	case s.state == SynSent, s.state == SynReceived:
		c.await(l.retries + 1)
		send = append(send, c.syn())
	case t.segments > 0, t.window == 0 && s.state <= CloseWait:
		l.recover = t.max - 1
		send = append(send, c.retransmit(false)...)
		l.recovering = false
		l.window = l.threshold
	case t.hasFIN && !t.finDone:
		c.await(l.retries + 1)
		send = append(send, control{flags: header.TCPFlagFin | header.TCPFlagAck, seq: t.fin, ack: c.receiver.receivedUpTo()})
	}
	return send, false
}

// owesAck tells that the peer does not know of everything that has come, or of
// the whole window.
func (c *connection) owesAck() bool {
	r := &c.receiver
	return c.ready && c.socket.state >= Established && r.started && (r.receivedUpTo() != r.acked || r.gain() > 0)
}

// waits tells that the timer has something to do for the connection. A closed
// window is probed only once a sender has found it closed.
func (c *connection) waits() bool {
	if c.release == nil || c.socket == nil || c.over {
		return false
	}
	l, t := c.release, &c.sender
	idle := l.timeout <= fastTicks && t.started && t.window == 0 && t.segments == 0 && !l.probing && !t.hasFIN &&
		c.socket.state >= Established
	return c.owesAck() || l.timeout > 0 && !idle
}

// await sets the time after which a retry is due.
func (c *connection) await(retry uint32) {
	l, s := c.release, c.socket
	l.retries = retry
	l.timeout = s.timeout << min(retry*s.shift, 20)
	if l.timeout > 0 {
		c.p.arm()
	}
}

// acknowledgement is an ACK of everything that has come.
func (c *connection) acknowledgement() control {
	return control{flags: header.TCPFlagAck, seq: c.sender.max, ack: c.receiver.receivedUpTo()}
}

// syn is our SYN, or SYN-ACK, with the options of the default build: the MSS
// and four bytes of nothing.
func (c *connection) syn() control {
	mss := c.receiver.mss
	syn := control{
		flags: header.TCPFlagSyn, seq: c.sender.initial,
		options: []byte{header.TCPOptionMSS, header.TCPOptionMSSLength, byte(mss >> 8), byte(mss), 0, 0, 0, 0},
	}
	if c.receiver.started {
		syn.flags |= header.TCPFlagAck
		syn.ack = c.receiver.receivedUpTo()
	}
	return syn
}

// probeSegment has a byte that the peer has acknowledged already. NetX Duo
// sends the first one that waits, which the peer might take.
func (c *connection) probeSegment() control {
	return control{
		flags: header.TCPFlagAck, seq: c.sender.una - 1, ack: c.receiver.receivedUpTo(), data: probeByte, probe: true,
	}
}

// unacknowledged is the segments on the transmit queue, the oldest first. The
// packets have the bytes, which is so with the release's timing alone.
func (t *sender) unacknowledged() iter.Seq[control] {
	return func(yield func(control) bool) {
		for _, m := range t.queue.all() {
			if m.writing {
				return
			}
			var data []byte
			for piece := range packetpool.Pieces(m.packet) {
				data = append(data, piece...)
			}
			from := m.end - uint32(len(data))
			for len(data) > 0 {
				n := min(len(data), int(max(t.mss, 1)))
				if before(t.una, from+uint32(n)) && !yield(control{seq: from, data: data[:n]}) {
					return
				}
				from, data = from+uint32(n), data[n:]
			}
		}
	}
}
