package trace

import (
	"net/netip"
	"time"

	"gonetx/packetpool/nx"
)

// TCP flags.
const (
	fin = 1
	syn = 2
	rst = 4
	psh = 8
	ack = 16
	urg = 32
)

// letters writes flags as Segment has them.
func letters(flags uint8) string {
	b := make([]byte, 0, 6)
	for _, f := range []struct {
		bit    uint8
		letter byte
	}{{syn, 'S'}, {fin, 'F'}, {rst, 'R'}, {psh, 'P'}, {ack, 'A'}, {urg, 'U'}} {
		if flags&f.bit != 0 {
			b = append(b, f.letter)
		}
	}
	return string(b)
}

// flow names a connection.
type flow struct{ local, remote netip.AddrPort }

// conn is what is remembered of a connection, to tell why bytes come again.
type conn struct {
	id     int
	role   string
	sent   way
	got    way
	copied map[uint32]bool // segments of the peer's that the link makes two of, by their number
	closed bool            // the peer's window, as last told

	// Of the sender, from the segments and states that came in.
	una     uint32        // the oldest byte that is not acknowledged
	moved   time.Duration // when una moved last, or when a timer sent something
	heard   time.Duration // when the last acknowledgement came
	dup     int           // acknowledgements that did not move it, since
	sackTop uint32        // behind the highest byte that was selectively acknowledged
	state   nx.CongestionEvent
	timeout uint32 // behind the last byte that was on its way when the timer went off
	expired bool   // timeout means something
}

// way is one direction of a connection.
type way struct {
	started bool
	initial uint32 // sequence number of the SYN
	next    uint32 // behind the last byte seen
	seen    []span // in the order of their numbers, as far as they are not acknowledged
	done    uint32 // everything before it is acknowledged, and not in seen any more
}

// span is bytes that were on their way.
type span struct {
	from, to uint32
	at       time.Duration
	fate     string // what happened to them
}

func before(a, b uint32) bool { return int32(a-b) < 0 }

// relative is a number as Wireshark shows it.
func (w *way) relative(seq uint32) int64 {
	if !w.started {
		return 0
	}
	return int64(int32(seq - w.initial))
}

// begin makes sense of the first number of a direction.
func (w *way) begin(seq uint32, flags uint8) {
	if w.started && flags&syn == 0 {
		return
	}
	if w.started && w.initial == seq {
		return
	}
	if flags&syn == 0 {
		seq-- // the SYN was before our time
	}
	*w = way{started: true, initial: seq, next: seq, done: seq}
}

// find is the span that holds seq; nil: none.
func (w *way) find(seq uint32) *span {
	for i := range w.seen {
		if s := &w.seen[i]; !before(seq, s.from) && before(seq, s.to) {
			return s
		}
	}
	return nil
}

// note takes in that from .. to are on their way. It answers whether any of it
// was before, the span that was, and whether it comes behind later bytes.
func (w *way) note(from, to uint32, at time.Duration) (again bool, earlier span, late bool) {
	if before(from, w.done) {
		again = true
	}
	if s := w.find(from); s != nil {
		again, earlier = true, *s
	}
	late = !again && before(from, w.next)
	if before(w.next, to) {
		w.next = to
	}
	// The new span takes the place of those that it covers, and cuts the others.
	kept := w.seen[:0:0]
	placed := false
	for _, s := range w.seen {
		switch {
		case !before(from, s.to): // before it
			kept = append(kept, s)
		case !before(s.from, to): // behind it
			if !placed {
				kept, placed = append(kept, span{from: from, to: to, at: at}), true
			}
			kept = append(kept, s)
		default:
			if before(s.from, from) {
				head := s
				head.to = from
				kept = append(kept, head)
			}
			if !placed {
				kept, placed = append(kept, span{from: from, to: to, at: at}), true
			}
			if before(to, s.to) {
				s.from = to
				kept = append(kept, s)
			}
		}
	}
	if !placed {
		kept = append(kept, span{from: from, to: to, at: at})
	}
	w.seen = kept
	return again, earlier, late
}

// acknowledged forgets what is before a number.
func (w *way) acknowledged(ack uint32) {
	if !w.started || !before(w.done, ack) || before(w.next, ack) {
		return
	}
	w.done = ack
	n := 0
	for n < len(w.seen) && !before(ack, w.seen[n].to) {
		n++
	}
	w.seen = append(w.seen[:0], w.seen[n:]...)
}

// reach is the numbers that a segment takes: its data, and SYN and FIN.
func reach(e *nx.SegmentEvent) (from, to uint32) {
	to = e.Sequence + uint32(e.Length)
	if e.Flags&syn != 0 {
		to++
	}
	if e.Flags&fin != 0 {
		to++
	}
	return e.Sequence, to
}

// segmentSent takes in a segment of the instance's, and says of one that was
// sent before why it is sent again.
func (c *conn) segmentSent(e *nx.SegmentEvent, at time.Duration) (s verdict) {
	if !c.sent.started {
		c.una, c.sackTop = e.Sequence, e.Sequence
	}
	c.sent.begin(e.Sequence, e.Flags)
	if e.Flags&ack != 0 {
		c.got.acknowledged(e.Ack)
	}
	from, to := reach(e)
	if from == to {
		return s
	}
	first := len(c.sent.seen) == 0
	again, earlier, _ := c.sent.note(from, to, at)
	if !again {
		if first {
			c.moved = at // the timer is started
		}
		return s
	}
	s.again, s.earlier = true, earlier
	s.cause = c.why(e, at)
	switch s.cause {
	case CauseTimeout:
		c.timeout, c.expired, c.moved = c.sent.next, true, at
	case CauseWindowProbe:
		c.moved = at
	}
	if earlier.to != earlier.from {
		s.waited, s.known = at-earlier.at, true
	}
	return s
}

// verdict is what the history says of a segment.
type verdict struct {
	again   bool
	late    bool
	cause   Cause
	earlier span
	waited  time.Duration
	known   bool // waited means something
}

// aMoment is how long after an acknowledgement something is sent because of it.
const aMoment = 2 * time.Millisecond

// why is the reason of a retransmission. gVisor does not tell; what it has seen
// and how long it has waited do.
func (c *conn) why(e *nx.SegmentEvent, at time.Duration) Cause {
	from, _ := reach(e)
	rto := c.state.RTO
	if rto == 0 {
		rto = time.Second // RFC 6298 section 2.1
	}
	waited := at - c.moved // since the timer was started: it goes on when something is sent again (snd.go, sendSegment)
	switch {
	case e.Flags&syn != 0:
		return CauseHandshake
	case before(from, c.una) && e.Length <= 1:
		return CauseKeepalive
	case c.closed && e.Length <= 1:
		return CauseWindowProbe
	case c.expired && before(from, c.timeout) && waited < rto*9/10:
		return CauseAfterTimeout
	case c.missing(from) && at-c.heard <= aMoment:
		return CauseFast
	case from == c.una && waited >= rto*9/10:
		return CauseTimeout
	case c.missing(from):
		return CauseFast
	}
	return CauseUnknown
}

// missing tells whether acknowledgements say that the byte got lost, or that recovery
// goes on (RFC 6675 sections 4 and 5).
func (c *conn) missing(from uint32) bool {
	return before(from, c.sackTop) || c.dup >= 3 && from == c.una || c.state.State == "recovery"
}

// segmentReceived takes in a segment of the peer's.
func (c *conn) segmentReceived(e *nx.SegmentEvent, at time.Duration) (s verdict) {
	c.got.begin(e.Sequence, e.Flags)
	if e.Flags&ack != 0 {
		c.ackReceived(e, at)
	}
	from, to := reach(e)
	if from == to {
		return s
	}
	s.again, s.earlier, s.late = c.got.note(from, to, at)
	if !s.again {
		return s
	}
	if s.earlier.to != s.earlier.from {
		s.waited, s.known = at-s.earlier.at, true
	}
	switch {
	case s.earlier.fate != "":
		s.cause = CauseLost
	case c.copied[from]:
		s.cause = CauseDuplicate
		delete(c.copied, from)
	default:
		s.cause = CauseUnneeded
	}
	return s
}

func (c *conn) ackReceived(e *nx.SegmentEvent, at time.Duration) {
	if !c.sent.started {
		return
	}
	if e.Flags&(syn|rst) == 0 {
		c.closed = e.Scaled == 0
	}
	c.heard = at
	switch {
	case before(c.una, e.Ack) && !before(c.sent.next, e.Ack):
		c.una, c.moved, c.dup = e.Ack, at, 0
		c.sent.acknowledged(e.Ack)
		if c.expired && !before(e.Ack, c.timeout) {
			c.expired = false
		}
	case e.Ack == c.una && e.Length == 0 && e.Flags&(syn|fin) == 0:
		c.dup++
	}
	for _, b := range e.SACK {
		if before(c.una, b.Right) && (before(c.sackTop, b.Right) || before(c.sackTop, c.una)) {
			c.sackTop = b.Right
		}
	}
}

// fate notes what happened to bytes on their way.
func (w *way) fate(from, to uint32, fate string) {
	for i := range w.seen {
		if s := &w.seen[i]; !before(s.from, from) && !before(to, s.to) {
			s.fate = fate
		}
	}
}
