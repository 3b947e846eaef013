package tcp

import (
	"cmp"
	"slices"
	"time"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// The watch at the gate sees to it that what is not acknowledged is sent again. gVisor
// has its own timers for that, and two ways to let a connection down:
//
//   - It can forget what it has sent. It takes segments that it counts as lost off
//     what is outstanding (snd.go, SetPipe), takes them off once more when they are
//     acknowledged (handleRcvdSegment), and never counts the FIN during a recovery.
//     When that comes to nothing while something is on its way, the tail loss probe
//     is the last that it sends: it sets no timer for what is not outstanding
//     (postXmit), and the connection stands still for good.
//   - It can crawl. When most of a window is lost, but its end is known to have come,
//     it counts what is lost as on its way (SetPipe), and sends two segments for each
//     time-out. The time-out doubles in spite of progress: it falls only with a new
//     measurement, and what is sent again gives none (RFC 6298 sections 3 and 5).
//     Twenty segments take a minute.
//
// The gate has the numbers and the packets. So once a connection has been silent for
// longer than gVisor is when all is well, the watch sends the oldest segment that is not
// acknowledged. From then on it mends: each acknowledgement brings the next one, up to
// what had been sent when it began, or until gVisor sends something further on by
// itself. A connection that moves is never touched. The release's timing needs no
// watch, it has a timer for everything.

// watchEvery is how often the watch looks, while something is not acknowledged.
const watchEvery = 500 * time.Millisecond

// minRTO is gVisor's (snd.go, MinRTO).
const minRTO = 200 * time.Millisecond

// standstill is what the watch knows of a connection. It is guarded by the
// protocol's lock.
type standstill struct {
	// Whether it is silent.
	passed uint32        // segments that passed the gate, either way, but the watch's own
	seen   uint32        // passed, when the watch looked last
	since  time.Duration // when it saw a change last, or sent something
	tries  uint32        // segments it sent since something was acknowledged

	// What the watch sends again.
	mending bool
	end     uint32 // up to here
	sent    uint32 // the last segment that it sent

	// What gVisor has sent again last: see slow.
	resent   bool   // something, and not all that was on its way then is acknowledged
	upTo     uint32 // what was on its way then
	progress bool   // something was acknowledged since

	moved time.Duration // for outlived: when the peer acknowledged something last, or began to have something to acknowledge
}

// watch is the timer of all connections. It is guarded by the protocol's lock.
type watch struct {
	set bool
	off bool // for a test that shows what it is for
}

// keepWatch sets the timer of the watch. The caller holds the protocol's lock.
func (p *protocol) keepWatch() {
	if !p.watch.set && !p.watch.off {
		p.watch.set = true
		p.clock.AfterFunc(watchEvery, p.lookRound)
	}
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
		quiet = 2 * max(sees.RTT+4*sees.RTTVar, minRTO) // of a time-out that has not doubled
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
	w.resent, w.progress, w.upTo = true, false, c.sender.max
	if before(w.sent, seq) {
		w.mending = false // gVisor sees to it again
	}
}

// slow tells that gVisor crawls, or is about to: it has sent something again, the peer
// has acknowledged something since, and the rest is still not acknowledged. Where
// that is followed by silence, only gVisor's time-out is left.
func (w *standstill) slow() bool { return w.resent && w.progress }

// oldest is the first segment that is not acknowledged.
func (c *connection) oldest() control {
	t := &c.sender
	again, ok := t.missing()
	if again.flags = header.TCPFlagPsh; !ok {
		again.seq, again.flags = t.fin, header.TCPFlagFin
	}
	again.flags |= header.TCPFlagAck
	again.ack, again.cause = c.receiver.acked, nx.CauseStandstill
	c.still.sent = again.seq
	return again
}

// mend goes on with what is missing when the peer has acknowledged something.
func (c *connection) mend() []control {
	t, w := &c.sender, &c.still
	w.tries, w.moved, w.progress = 0, c.p.clock.Now(), true
	w.resent = w.resent && before(t.una, w.upTo)
	if w.mending = w.mending && c.awaits() && before(t.una, w.end); !w.mending {
		return nil
	}
	return []control{c.oldest()}
}
