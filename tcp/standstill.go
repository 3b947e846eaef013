package tcp

import (
	"cmp"
	"slices"
	"time"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// gVisor can forget what it has sent. It takes segments that it counts as lost
// off what is outstanding (snd.go, SetPipe), takes them off once more when they
// are acknowledged (handleRcvdSegment), and never counts the FIN during a
// recovery. When that comes to nothing while something is on its way, the tail
// loss probe is the last that it sends: it sets no timer for what is not
// outstanding (postXmit), and the connection stands still for good.
//
// So the gate watches over what is not acknowledged. It has the numbers and the
// packets, and sends the oldest segment again once gVisor has been silent for
// longer than it is while it has a timer. The acknowledgement of that sets gVisor
// going, or asks for the next segment. The release's timing needs no watch: it
// sends again by itself. The same goes on for a connection that gVisor would only
// recover by time-outs, see slow.

// The watch is patient as NetX Duo is, too: it gives a connection up when the
// peer has acknowledged nothing for the time of all retries. gVisor's user timeout
// counts from the first retransmission until everything is acknowledged, so that
// it ends connections that move slowly, and what has come out of order stays in
// gVisor for ever then, with its packets (snd.go, retransmitTimerExpired).

// watchEvery is how often the watch looks, while something is not acknowledged.
const watchEvery = 500 * time.Millisecond

// minRTO is gVisor's (snd.go, MinRTO).
const minRTO = 200 * time.Millisecond

// standstill is what the watch knows of a connection. It is guarded by the
// protocol's lock.
type standstill struct {
	passed uint32        // segments that passed the gate, either way, but the watch's own
	seen   uint32        // passed, when the watch looked last
	since  time.Duration // when it saw a change last, or did something
	moved  time.Duration // when the peer acknowledged something last, or there was something to be acknowledged again
	tries  uint32        // of the watch, since something was acknowledged

	mending bool   // what is missing up to end is sent, one segment for each acknowledgement
	end     uint32 // sequence number
	sent    uint32 // the last one that was

	again  bool   // gVisor has sent something again, and not all before point is acknowledged
	moving bool   // something was acknowledged since
	point  uint32 // sequence number
}

// watch is guarded by the protocol's lock.
type watch struct {
	set bool // its timer
	off bool // for a test that shows what it is for
}

// keepWatch sets the timer of the watch. The caller holds the protocol's lock.
func (p *protocol) keepWatch() {
	if !p.watch.set && !p.watch.off {
		p.watch.set = true
		p.clock.AfterFunc(watchEvery, p.lookRound)
	}
}

// reach notes how far has been sent. The patience with the peer begins with what
// is sent when nothing else is on its way.
func (c *connection) reach(to uint32) {
	t := &c.sender
	if !before(t.max, to) {
		return
	}
	if t.una == t.max && c.release == nil {
		c.still.moved = c.p.clock.Now()
	}
	t.max = to
}

// left is how long the connection may go on without an acknowledgement; nothing,
// or less, when its time is over.
func (c *connection) left(now time.Duration) time.Duration {
	patience := c.socket.patience()
	if patience == 0 {
		return watchEvery
	}
	return c.still.moved + patience - now
}

// awaits tells that something was sent that is not acknowledged, and that gVisor
// is to see to it.
func (c *connection) awaits() bool {
	t := &c.sender
	return c.release == nil && c.socket != nil && c.ready && !c.over && !c.mute && before(t.una, t.max) && !t.finDone
}

// lookRound is the timer of the watch.
func (p *protocol) lookRound() {
	p.mu.Lock()
	p.watch.set = false
	now := p.clock.Now()
	var silent []*connection
	next := time.Duration(0) // zero: there is nothing to watch
	for _, c := range p.connections {
		if !c.awaits() {
			continue
		}
		left := c.left(now)
		if left > 0 {
			next = min(cmp.Or(next, watchEvery), left)
		}
		if w := &c.still; left <= 0 {
			silent = append(silent, c)
		} else if w.passed != w.seen {
			w.seen, w.since = w.passed, now
		} else {
			silent = append(silent, c)
		}
	}
	if next > 0 && !p.watch.off {
		p.watch.set = true
		p.clock.AfterFunc(next, p.lookRound)
	}
	slices.SortFunc(silent, func(a, b *connection) int { return cmp.Compare(a.socket.serial, b.socket.serial) })
	p.mu.Unlock()
	for _, c := range silent {
		if !c.outlived(now) {
			c.standsStill(now)
		}
	}
}

// outlived gives the connection up when its time is over. The peer hears
// nothing, as in the original. It is called without the protocol's lock.
func (c *connection) outlived(now time.Duration) bool {
	p := c.p
	p.mu.Lock()
	if !c.awaits() || c.left(now) > 0 {
		p.mu.Unlock()
		return false
	}
	c.noteCause(ErrTimedOut)
	c.mute = true
	c.socket.reset(ErrTimedOut)
	p.mu.Unlock()
	c.end()
	return true
}

// silence is how long gVisor sends nothing at most while it has a timer: the one
// for the tail loss probe, of two round trips and a delayed acknowledgement, or
// a second (rack.go, schedulePTO), which may send nothing and set the other, of
// one RTO. No round trip is longer than the RTO.
func silence(rto time.Duration) time.Duration {
	if rto == 0 {
		rto = time.Second // RFC 6298 section 2.1
	}
	return 3*rto + time.Second
}

// standsStill looks at a connection on which nothing has passed since the last
// time. It is called without the protocol's lock: gVisor is asked for its RTO.
func (c *connection) standsStill(now time.Duration) {
	p, w := c.p, &c.still
	sees := c.endpoint.congestion()
	p.mu.Lock()
	quiet := silence(sees.RTO) << min(w.tries, 6)
	if w.slow() {
		quiet = 2 * max(sees.RTT+4*sees.RTTVar, minRTO)
	}
	if !c.awaits() || w.passed != w.seen || now-w.since < quiet {
		p.mu.Unlock()
		return
	}
	w.tries++
	w.since = now
	w.mending, w.end = true, c.sender.max
	again := c.oldest()
	p.mu.Unlock()
	c.send([]control{again})
}

// sentAgain notes a segment from seq on that gVisor sends again.
func (c *connection) sentAgain(seq uint32) {
	w := &c.still
	w.again, w.moving, w.point = true, false, c.sender.max
	if before(w.sent, seq) {
		w.mending = false // gVisor sees to it again
	}
}

// slow tells that gVisor is about to recover by time-outs alone. When most of a
// window is lost, but its end is known to have come, gVisor counts what is lost as
// on its way (SetPipe), and sends two segments for each time-out. The time-out
// doubles in spite of progress: it falls only with a new measurement, and what is
// sent again gives none (RFC 6298 sections 3 and 5).
func (w *standstill) slow() bool { return w.again && w.moving }

// oldest is the first segment that is not acknowledged.
func (c *connection) oldest() control {
	t := &c.sender
	again := control{flags: header.TCPFlagFin, seq: t.fin}
	for segment := range t.unacknowledged() {
		if before(segment.seq, t.max) {
			again = segment
			again.flags = header.TCPFlagPsh
		}
		break
	}
	again.flags |= header.TCPFlagAck
	again.ack, again.cause = c.receiver.acked, nx.CauseStandstill
	c.still.sent = again.seq
	return again
}

// mend goes on with what is missing when the peer has acknowledged something.
func (c *connection) mend() []control {
	t, w := &c.sender, &c.still
	w.tries, w.moved, w.moving = 0, c.p.clock.Now(), true
	w.again = w.again && before(t.una, w.point)
	if w.mending = w.mending && c.awaits() && before(t.una, w.end); !w.mending {
		return nil
	}
	return []control{c.oldest()}
}
