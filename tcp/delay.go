package tcp

import (
	"time"

	"gonetx/ip"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// An acknowledgement waits for data that it can ride on, as RFC 9293 section
// 3.8.6.3 wants it and as NetX Duo does (NX_TCP_ACK_TIMER_RATE, 200 ms). gVisor
// acknowledges whatever it has processed (connect.go, handleSegmentsLocked), so a
// request and its answer would be four segments instead of two, and the peer
// would be woken for nothing. The gate keeps back what may wait.
//
// At once goes: every second segment, and a super-segment of two; what says that
// something is missing, or is asked for again, and the one that follows it, for the
// peer repairs a loss (RFC 5681 section 4.2); what opens a window that is
// nearly closed; the last one, behind which nothing is sent. A program that lets
// one run out of time does not answer what it receives. Until it does, none waits.
//
// The release's timing has its own, with NetX Duo's times.

// ackDelay is how long one waits at most. It is well below the least time after
// which a peer sends again, 200 ms with Linux and gVisor.
const ackDelay = 40 * time.Millisecond

// delay is what an acknowledgement of a connection waits for. It is guarded by
// the protocol's lock.
type delay struct {
	waiting    bool   // one was kept back, and nothing has carried it since
	number     uint32 // the acknowledgement number
	segments   int    // with new data that came since the last one left
	missing    bool   // the last bare one said that something is missing
	unanswered bool   // the program was too late for the last one that waited
	listed     bool   // in delays.waiting
}

// delays are the connections with an acknowledgement that may wait. They are
// guarded by the protocol's lock.
type delays struct {
	waiting []*connection // the timer is set while there are some
	off     bool          // for tests of senders
}

// bare tells that a segment which gVisor sends is an acknowledgement and nothing else,
// and could wait for data. That of a SYN-ACK ends the handshake.
func (c *connection) bare(seg *ip.Segment) bool {
	h, r := seg.TCP, &c.receiver
	if c.release != nil || c.p.delays.off || seg.Payload > 0 || h.Flags() != header.TCPFlagAck || c.sender.hasFIN {
		return false
	}
	return h.AckNumber() != r.first || len(r.ahead) > 0
}

// missing tells that a bare acknowledgement says that something is missing: it is said
// again, also while the first one waits, or with what came ahead (SACK).
func (c *connection) missing(h header.TCP) bool {
	d, ack := &c.delay, h.AckNumber()
	return !before(c.receiver.acked, ack) || d.waiting && ack == d.number || len(h) > header.TCPMinimumSize
}

// mayWait tells whether a bare acknowledgement may wait that says no such thing.
func (c *connection) mayWait(ack uint32) bool {
	r, d := &c.receiver, &c.delay
	return !d.missing && len(r.ahead) == 0 && !d.unanswered &&
		d.segments < 2 && ack-r.acked < 2*r.mss && !before(r.edge, ack+r.low())
}

// wait keeps an acknowledgement back. The caller holds the protocol's lock.
func (c *connection) wait(ack uint32) {
	d, all := &c.delay, &c.p.delays
	d.waiting, d.number = true, ack
	if d.listed {
		return
	}
	d.listed = true
	if all.waiting = append(all.waiting, c); len(all.waiting) == 1 {
		c.p.clock.AfterFunc(ackDelay, c.p.sendDelayed)
	}
}

// acknowledges notes that a segment leaves that acknowledges everything up to ack.
func (d *delay) acknowledges(ack uint32, data bool) {
	if data {
		d.unanswered = false
	}
	if d.waiting && before(ack, d.number) {
		return
	}
	d.waiting, d.segments = false, 0
}

// sendDelayed is the timer.
func (p *protocol) sendDelayed() {
	p.mu.Lock()
	listed := p.delays.waiting
	p.delays.waiting = nil
	late := listed[:0]
	for _, c := range listed {
		d := &c.delay
		d.listed = false
		if d.waiting && c.socket != nil && !c.over && !c.mute {
			d.unanswered = true
			late = append(late, c)
		}
	}
	p.mu.Unlock()
	for _, c := range late {
		c.sendWaiting()
	}
}

// sendWaiting sends the acknowledgement that waits. It is called without the
// protocol's lock.
func (c *connection) sendWaiting() {
	c.p.mu.Lock()
	ack := control{flags: header.TCPFlagAck, seq: c.sender.max, ack: c.delay.number}
	waits := c.delay.waiting && !c.over
	c.p.mu.Unlock()
	if waits {
		c.send([]control{ack})
	}
}
