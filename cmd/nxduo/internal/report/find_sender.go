package report

import (
	"fmt"

	"gonetx/cmd/nxduo/internal/trace"
)

// What the instance does as a sender.

// handshake looks for SYNs that had to be repeated, and for how long it took
// until data could flow.
type handshake struct {
	again  int
	first  float64
	waited float64
	peer   int
	peerAt float64
	answer bool // of the peer's, a SYN-ACK
}

func (r *handshake) see(e *trace.Event) {
	s, sent := segment(e)
	if s == nil || !has(s, "S") || !s.Again {
		return
	}
	if !sent {
		if r.peer++; r.peer == 1 {
			r.peerAt, r.answer = e.Time, has(s, "A")
		}
		return
	}
	if r.again++; r.again == 1 {
		r.first = e.Time
	}
	if s.Waited != nil {
		r.waited += *s.Waited
	}
}

func (r *handshake) tell(found func(Finding)) {
	if r.again > 0 {
		found(Finding{Level: Problem, At: r.first,
			Text:      fmt.Sprintf("%s sent again, the first at %s: the connection came up %s later for it.", count(r.again, "SYN"), duration(r.first), duration(r.waited)),
			Reference: "RFC 6298 section 2.1 and 5.7: the first timeout is 1 s, and it doubles"})
	}
	if r.peer > 0 {
		what := "SYN"
		if r.answer {
			what = "SYN-ACK"
		}
		found(Finding{Level: Notice, At: r.peerAt,
			Text:      fmt.Sprintf("The peer sent its %s again, %s, first at %s.", what, times(r.peer), duration(r.peerAt)),
			Reference: "RFC 6298 section 2.1 and 5.7"})
	}
}

// options tells what both sides of the first connection said of themselves.
type options struct {
	offer, answer *trace.Segment
	connection    int
	at            float64
}

func (r *options) see(e *trace.Event) {
	s, _ := segment(e)
	switch {
	case s == nil || !has(s, "S") || r.answer != nil:
	case !has(s, "A") && r.offer == nil:
		r.offer, r.connection, r.at = s, s.Connection, e.Time
	case has(s, "A") && r.offer != nil && s.Connection == r.connection:
		r.answer = s
	}
}

func (r *options) tell(found func(Finding)) {
	if r.answer == nil {
		return
	}
	yes := func(is bool, word string) string {
		if is {
			return word
		}
		return "no " + word
	}
	found(Finding{Level: Fine, Connection: r.connection, At: r.at,
		Text: fmt.Sprintf("The SYNs agreed on segments of %s and %s, %s, %s.", count(r.offer.MSS, "byte"), count(r.answer.MSS, "byte"),
			yes(r.offer.Selective && r.answer.Selective, "selective acknowledgements"), yes(r.offer.Scale != nil && r.answer.Scale != nil, "window scaling")),
		Reference: "RFC 9293 section 3.7.1, RFC 2018, RFC 7323"})
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return group(n) + " times"
}

// references tell for each cause of a retransmission where it is described.
var references = map[trace.Cause]string{
	trace.CauseTimeout:      "RFC 6298 section 5.4: when the timer expires, the earliest segment is sent again",
	trace.CauseAfterTimeout: "RFC 6298 section 5.4 to 5.6, RFC 5681 section 3.1",
	trace.CauseFast:         "RFC 5681 section 3.2, RFC 6675 section 4: duplicate or selective acknowledgements tell of the loss",
	trace.CauseWindowProbe:  "RFC 9293 section 3.8.6.1: a closed window is probed",
	trace.CauseKeepalive:    "RFC 9293 section 3.8.4",
	trace.CauseTailProbe:    "RFC 8985 section 7: a probe asks for the end that nobody acknowledges",
	trace.CauseStandstill:   "of an older program: gVisor had forgotten what was on its way",
	trace.CauseUnknown:      "RFC 9293 section 3.8.1",
}

var causeWords = map[trace.Cause]string{
	trace.CauseTimeout:      "after the retransmission timer",
	trace.CauseAfterTimeout: "that had been on their way when the timer expired",
	trace.CauseFast:         "by fast retransmit",
	trace.CauseWindowProbe:  "to probe a closed window",
	trace.CauseKeepalive:    "to keep the connection alive",
	trace.CauseTailProbe:    "to probe for a lost tail",
	trace.CauseStandstill:   "because the connection stood still",
	trace.CauseUnknown:      "for a reason that the trace does not show",
}

// retransmissions counts what was sent again, by cause, and tells the first.
type retransmissions struct {
	first    *trace.Segment
	at       float64
	segments int
	bytes    int64
	all      int64 // bytes sent, each time that they were
	causes   map[trace.Cause]int
	begin    map[trace.Cause]float64
}

func (r *retransmissions) see(e *trace.Event) {
	s, sent := segment(e)
	if s == nil || !sent {
		return
	}
	r.all += int64(s.Length)
	if !s.Again || s.Cause == trace.CauseHandshake {
		return
	}
	if r.first == nil {
		r.first, r.at = s, e.Time
		r.causes, r.begin = make(map[trace.Cause]int), make(map[trace.Cause]float64)
	}
	if r.causes[s.Cause] == 0 {
		r.begin[s.Cause] = e.Time
	}
	r.segments += s.Segments
	r.bytes += int64(s.Length)
	r.causes[s.Cause] += s.Segments
}

func (r *retransmissions) tell(found func(Finding)) {
	if r.first == nil {
		if r.all > 0 {
			found(Finding{Level: Fine, At: -1, Text: fmt.Sprintf("No retransmission: %s of data went out, each once.", count(r.all, "byte"))})
		}
		return
	}
	s := r.first
	text := fmt.Sprintf("First retransmission at %s: ", duration(r.at))
	if s.Length > 0 {
		text += fmt.Sprintf("%s from number %s", count(s.Length, "byte"), group(s.Seq))
	} else {
		text += "a FIN"
	}
	text += ", " + causeWords[s.Cause]
	if s.Waited != nil {
		text += fmt.Sprintf(", %s after the time before", duration(*s.Waited))
	}
	if s.Earlier != "" {
		text += fmt.Sprintf(" (%s)", s.Earlier)
	}
	text += fmt.Sprintf(". In all %s, %s of the data sent.", count(r.segments, "segment"), percent(float64(r.bytes), float64(r.all)))
	found(Finding{Level: Notice, Connection: s.Connection, At: r.at, Text: text, Reference: references[s.Cause]})
	for cause, n := range r.causes {
		if cause == s.Cause && n == r.segments {
			continue // it is the only one, and told
		}
		found(Finding{Level: Notice, At: r.begin[cause],
			Text:      fmt.Sprintf("%s sent again %s, the first at %s.", count(n, "segment"), causeWords[cause], duration(r.begin[cause])),
			Reference: references[cause]})
	}
}

// backoff looks for a timer that expires again and again for the same bytes.
type backoff struct {
	now     map[int]*chain // by connection
	longest *chain
}

// chain is one such row.
type chain struct {
	connection int
	seq        int64
	at, until  float64
	waits      []float64
}

func (r *backoff) see(e *trace.Event) {
	s, sent := segment(e)
	if s == nil || !sent || !s.Again || s.Cause != trace.CauseTimeout && s.Cause != trace.CauseHandshake {
		return
	}
	if r.now == nil {
		r.now = make(map[int]*chain)
	}
	c := r.now[s.Connection]
	if c == nil || c.seq != s.Seq {
		c = &chain{connection: s.Connection, seq: s.Seq, at: e.Time}
		r.now[s.Connection] = c
	}
	c.until = e.Time
	if s.Waited != nil {
		c.waits = append(c.waits, *s.Waited)
	}
	if len(c.waits) > 1 && (r.longest == nil || len(c.waits) >= len(r.longest.waits)) {
		r.longest = c
	}
}

func (r *backoff) tell(found func(Finding)) {
	c := r.longest
	if c == nil {
		return
	}
	text := "The retransmission timer backed off: the same bytes were sent again after"
	for i, w := range c.waits {
		if i == 8 {
			text += " …"
			break
		}
		if i > 0 {
			text += ","
		}
		text += " " + duration(w)
	}
	found(Finding{Level: Problem, Connection: c.connection, At: c.at, Until: c.until, Text: text + ".",
		Reference: "RFC 6298 section 5.5: the timeout doubles each time"})
}

// duplicates looks for acknowledgements that repeat the one before while
// something is on its way: RFC 5681 section 2.
type duplicates struct {
	conns map[int]*ackRow
	count int
	first float64
	most  int
}

type ackRow struct {
	ack, window, sent int64
	run               int
}

func (r *duplicates) see(e *trace.Event) {
	s, sent := segment(e)
	if s == nil {
		return
	}
	if r.conns == nil {
		r.conns = make(map[int]*ackRow)
	}
	c := r.conns[s.Connection]
	if c == nil {
		c = &ackRow{ack: -1}
		r.conns[s.Connection] = c
	}
	switch {
	case sent:
		c.sent = max(c.sent, s.Seq+int64(s.Length))
	case !has(s, "A"):
	case s.Ack != c.ack:
		c.ack, c.window, c.run = s.Ack, s.Window, 0
	case plain(s) && (s.Window == c.window || len(s.SACK) > 0) && c.ack < c.sent:
		if r.count++; r.count == 1 {
			r.first = e.Time
		}
		c.run++
		r.most = max(r.most, c.run)
		c.window = s.Window
	default:
		c.window = s.Window
	}
}

func (r *duplicates) tell(found func(Finding)) {
	if r.count == 0 {
		return
	}
	text := fmt.Sprintf("%s came in, the first at %s, at most %d in a row", count(r.count, "duplicate acknowledgement"), duration(r.first), r.most)
	if r.most < 3 {
		text += ": too few for a fast retransmit by number alone"
	}
	found(Finding{Level: Notice, At: r.first, Text: text + ".", Reference: "RFC 5681 section 2 and 3.2: three are taken for a loss"})
}

// pauses looks for the longest time in which nothing moved although data was
// not acknowledged.
type pauses struct {
	conns map[int]*pauseRow
	worst Finding
	took  float64
}

type pauseRow struct {
	acked, sent int64
	started     bool
	last        float64
}

// aPause is what counts as one, in milliseconds.
const aPause = 150

func (r *pauses) see(e *trace.Event) {
	s, sent := segment(e)
	if s == nil {
		return
	}
	if r.conns == nil {
		r.conns = make(map[int]*pauseRow)
	}
	c := r.conns[s.Connection]
	if c == nil {
		c = &pauseRow{}
		r.conns[s.Connection] = c
	}
	if gap := e.Time - c.last; c.sent > c.acked && gap > aPause && gap > r.took {
		ended := "something came in"
		switch {
		case sent && s.Again:
			ended = fmt.Sprintf("a retransmission (%s)", s.Cause)
			if s.Cause == trace.CauseHandshake {
				ended = "a repeated SYN"
			}
		case sent:
			ended = "a segment"
		}
		r.took = gap
		r.worst = Finding{Level: Notice, Connection: s.Connection, At: c.last, Until: e.Time,
			Text:      fmt.Sprintf("Nothing moved for %s from %s on, with %s not acknowledged; %s ended it.", duration(gap), duration(c.last), count(c.sent-c.acked, "byte"), ended),
			Reference: "RFC 6298 section 5"}
	}
	c.last = e.Time
	if sent && !c.started {
		c.started, c.acked = true, s.Seq
	}
	if sent {
		c.sent = max(c.sent, s.Seq+int64(s.Length))
	} else if has(s, "A") {
		c.acked = max(c.acked, s.Ack)
	}
}

func (r *pauses) tell(found func(Finding)) {
	if r.took > 0 {
		found(r.worst)
	}
}

// smallSegments looks for data that leaves in pieces: a message is a segment,
// so that short messages are short segments.
type smallSegments struct {
	mss         int
	data, short int
}

func (r *smallSegments) see(e *trace.Event) {
	if s, sent := segment(e); s != nil && sent && s.Length > 0 && !s.Again {
		r.data += s.Segments
		if s.Length < r.mss/2 {
			r.short++
		}
	}
}

func (r *smallSegments) tell(found func(Finding)) {
	if r.data >= 10 && r.short*2 > r.data {
		found(Finding{Level: Notice, At: -1,
			Text:      fmt.Sprintf("%s of %s of data carry less than half of the %s that one may: each message is a segment of its own.", group(r.short), count(r.data, "segment"), count(r.mss, "byte")),
			Reference: "RFC 9293 section 3.7.4: the Nagle algorithm, which is off here"})
	}
}
