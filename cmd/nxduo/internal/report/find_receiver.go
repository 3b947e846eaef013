package report

import (
	"fmt"

	"gonetx/cmd/nxduo/internal/trace"
)

// What the instance does as a receiver, and what the peer does as one.

// acknowledging measures how long the instance takes to acknowledge data. The
// time is exact: both ends of it are on this side of the link.
type acknowledging struct {
	conns  map[int]*dataRow
	data   int // segments received
	acks   int // that acknowledged some
	delays []float64
	worst  float64
	at     float64
}

type dataRow struct {
	since float64 // the oldest data that is not acknowledged came then
	upTo  int64   // behind the last byte in order
	acked int64
	wants bool
}

func (r *acknowledging) see(e *trace.Event) {
	s, sent := segment(e)
	if s == nil {
		return
	}
	if r.conns == nil {
		r.conns = make(map[int]*dataRow)
	}
	c := r.conns[s.Connection]
	if c == nil {
		c = &dataRow{}
		r.conns[s.Connection] = c
	}
	switch {
	case !sent && s.Length > 0 && !s.Again && !s.OutOfOrder:
		r.data += s.Segments
		c.upTo = max(c.upTo, s.Seq+int64(s.Length))
		if !c.wants {
			c.wants, c.since = true, e.Time
		}
	case sent && has(s, "A") && s.Ack > c.acked:
		c.acked = s.Ack
		if c.wants {
			r.acks++
			wait := e.Time - c.since
			r.delays = append(r.delays, wait)
			if wait > r.worst {
				r.worst, r.at = wait, c.since
			}
			c.wants = false
		}
	}
}

// delayed is from when on an acknowledgement counts as one that waited, in
// milliseconds: the shortest that stacks use is 40.
const delayed = 20

func (r *acknowledging) tell(found func(Finding)) {
	if r.data < 3 || r.acks == 0 {
		return
	}
	slow := 0
	for _, d := range r.delays {
		if d >= delayed {
			slow++
		}
	}
	f := Finding{Level: Fine, At: -1, Reference: "RFC 9293 section 3.8.6.3: less than 0.5 s, and for every second full segment at least"}
	ratio := fmt.Sprintf("%s of the peer's got %s", count(r.data, "data segment"), count(r.acks, "acknowledgement"))
	if slow == 0 {
		f.Text = fmt.Sprintf("No delayed ACK here: %s, %s after they came in the middle, %s at most.", ratio, duration(median(r.delays)), duration(r.worst))
	} else {
		f.At = r.at
		f.Text = fmt.Sprintf("Delayed ACK here: %s; %s waited for %s or more, the longest %s from %s on.", ratio, group(slow), duration(delayed), duration(r.worst), duration(r.at))
		if r.worst >= 500 {
			f.Level = Notice
		}
	}
	found(f)
}

// peerAcknowledging measures the same of the peer, as far as it shows from here:
// single segments whose acknowledgement comes much later than the fastest did.
type peerAcknowledging struct {
	conns   map[int]*flight
	data    int
	acks    int
	singles []single
	lost    float64 // when the link last lost something: no delay tells anything then
}

type flight struct {
	acked int64
	sent  []sentAt // not acknowledged, ascending
	again bool     // something in it was sent again
}

type sentAt struct {
	to int64
	at float64
}

type single struct{ at, took float64 }

func (r *peerAcknowledging) see(e *trace.Event) {
	if _, ok := e.Data.(*trace.Dropped); ok {
		r.lost = e.Time
	}
	s, sent := segment(e)
	if s == nil {
		return
	}
	if r.conns == nil {
		r.conns = make(map[int]*flight)
	}
	c := r.conns[s.Connection]
	if c == nil {
		c = &flight{}
		r.conns[s.Connection] = c
	}
	switch {
	case sent && s.Again:
		c.again = true
	case sent && s.Length > 0:
		r.data += s.Segments
		c.sent = append(c.sent, sentAt{s.Seq + int64(s.Length), e.Time})
	case !sent && has(s, "A") && s.Ack > c.acked:
		c.acked = s.Ack
		n := 0
		for n < len(c.sent) && c.sent[n].to <= s.Ack {
			n++
		}
		if n > 0 {
			r.acks++
		}
		if n == 1 && len(c.sent) == 1 && !c.again && (r.lost == 0 || r.lost < c.sent[0].at) {
			r.singles = append(r.singles, single{c.sent[0].at, e.Time - c.sent[0].at})
		}
		if c.sent = c.sent[n:]; len(c.sent) == 0 {
			c.again = false
		}
	}
}

func (r *peerAcknowledging) tell(found func(Finding)) {
	if r.data < 3 || r.acks == 0 {
		return
	}
	reference := "RFC 9293 section 3.8.6.3"
	fastest := 0.0
	for i, s := range r.singles {
		if i == 0 || s.took < fastest {
			fastest = s.took
		}
	}
	slow, worst, at := 0, 0.0, 0.0
	for _, s := range r.singles {
		if s.took-fastest >= delayed {
			slow++
			if s.took > worst {
				worst, at = s.took, s.at
			}
		}
	}
	if slow > 0 {
		found(Finding{Level: Notice, At: at, Until: at + worst,
			Text: fmt.Sprintf("Delayed ACK of the peer, it seems: %s of %s on their own was acknowledged %s later than the fastest or more, the slowest %s after it was sent at %s.",
				group(slow), count(len(r.singles), "segment"), duration(delayed), duration(worst), duration(at)),
			Reference: reference})
		return
	}
	found(Finding{Level: Fine, At: -1,
		Text: fmt.Sprintf("The peer acknowledged %s with %s: %.1f each.", count(r.data, "data segment"), count(r.acks, "acknowledgement"), float64(r.data)/float64(r.acks)), Reference: reference})
}

// closedWindow looks for windows of zero, on both sides.
type closedWindow struct {
	sides map[side]*shut
	tally [2]struct {
		times     int
		took      float64
		at, until float64 // of the longest
	}
	last float64
}

type side struct {
	connection int
	peer       bool
}

type shut struct {
	is    bool
	since float64
}

func (r *closedWindow) see(e *trace.Event) {
	r.last = e.Time
	s, sent := segment(e)
	if s == nil || !has(s, "A") || has(s, "S") || has(s, "R") {
		return
	}
	if r.sides == nil {
		r.sides = make(map[side]*shut)
	}
	key := side{s.Connection, !sent}
	w := r.sides[key]
	if w == nil {
		w = &shut{}
		r.sides[key] = w
	}
	switch {
	case s.Window == 0 && !w.is:
		w.is, w.since = true, e.Time
	case s.Window > 0 && w.is:
		r.ended(key, w, e.Time)
	}
}

func (r *closedWindow) ended(key side, w *shut, at float64) {
	t := &r.tally[0]
	if key.peer {
		t = &r.tally[1]
	}
	w.is = false
	t.times++
	took := at - w.since
	t.took += took
	if took >= t.until-t.at {
		t.at, t.until = w.since, at
	}
}

func (r *closedWindow) tell(found func(Finding)) {
	for key, w := range r.sides {
		if w.is {
			r.ended(key, w, r.last)
		}
	}
	for i, who := range []string{"The instance", "The peer"} {
		if t := r.tally[i]; t.times > 0 {
			found(Finding{Level: Notice, At: t.at, Until: t.until,
				Text:      fmt.Sprintf("%s closed its window %s, for %s together, the longest from %s to %s.", who, times(t.times), duration(t.took), duration(t.at), duration(t.until)),
				Reference: "RFC 9293 section 3.8.6.1: the other side probes it"})
		}
	}
}

// order counts what came in out of order, and what need not have come again.
type order struct {
	late     int
	first    float64
	again    map[trace.Cause]int
	againAt  float64
	received int
}

func (r *order) see(e *trace.Event) {
	s, sent := segment(e)
	if s == nil || sent {
		return
	}
	r.received += s.Segments
	if s.OutOfOrder {
		if r.late == 0 {
			r.first = e.Time
		}
		r.late += s.Segments
	}
	if s.Again && s.Length > 0 {
		if r.again == nil {
			r.again, r.againAt = make(map[trace.Cause]int), e.Time
		}
		r.again[s.Cause] += s.Segments
	}
}

func (r *order) tell(found func(Finding)) {
	if r.late > 0 {
		found(Finding{Level: Notice, At: r.first,
			Text:      fmt.Sprintf("%s came in behind bytes that follow, the first at %s.", count(r.late, "segment"), duration(r.first)),
			Reference: "RFC 5681 section 4.2: each is answered at once, with a duplicate acknowledgement"})
	}
	if len(r.again) > 0 {
		total := 0
		words := make(map[string]int)
		for cause, n := range r.again {
			total += n
			words[receivedWords(cause)] += n
		}
		found(Finding{Level: Notice, At: r.againAt,
			Text:      fmt.Sprintf("The peer sent %s again, the first at %s: %s.", count(total, "segment"), duration(r.againAt), tally(words)),
			Reference: "RFC 9293 section 3.8.1"})
	}
}

func receivedWords(c trace.Cause) string {
	switch c {
	case trace.CauseLost:
		return "lost on the way"
	case trace.CauseDuplicate:
		return "doubled by the link"
	case trace.CauseUnneeded:
		return "in vain"
	}
	return string(c)
}
