package report

import (
	"fmt"
	"math"

	"gonetx/cmd/nxduo/internal/trace"
)

// What holds the sender back.

// congestion follows the congestion window of each connection.
type congestion struct {
	conns    map[int]*windowRow
	first    int // segments, of the first connection
	most     int64
	mostAt   float64
	slowEnd  *Finding
	recovery int
	began    float64
	fell     *Finding // the window fell most
	by       int64
}

type windowRow struct {
	window    int64
	threshold int64
	state     string
}

func (r *congestion) see(e *trace.Event) {
	d, ok := e.Data.(*trace.Congestion)
	if !ok {
		return
	}
	if r.conns == nil {
		r.conns = make(map[int]*windowRow)
	}
	c := r.conns[d.Connection]
	if c == nil {
		c = &windowRow{window: d.WindowBytes, state: "open"}
		r.conns[d.Connection] = c
		if r.first == 0 {
			r.first = d.Window
		}
	}
	if d.WindowBytes > r.most {
		r.most, r.mostAt = d.WindowBytes, e.Time
	}
	if d.Threshold != nil && c.threshold == 0 && r.slowEnd == nil {
		r.slowEnd = &Finding{Level: Notice, Connection: d.Connection, At: e.Time,
			Text:      fmt.Sprintf("Slow start ended at %s: ssthresh became %s bytes, where the congestion window had been %s.", duration(e.Time), group(*d.Threshold), group(c.window)),
			Reference: "RFC 5681 section 3.1, equation 4"}
	}
	if d.Threshold != nil {
		c.threshold = *d.Threshold
	}
	if down := c.window - d.WindowBytes; down > r.by && down > 0 {
		r.by = down
		r.fell = &Finding{Level: Notice, Connection: d.Connection, At: e.Time,
			Text:      fmt.Sprintf("The congestion window fell most at %s, from %s to %s bytes.", duration(e.Time), group(c.window), group(d.WindowBytes)),
			Reference: "RFC 5681 section 3.1 and 3.2, RFC 6937"}
	}
	if recovering(d.State) && !recovering(c.state) {
		if r.recovery++; r.recovery == 1 {
			r.began = e.Time
		}
	}
	c.window, c.state = d.WindowBytes, d.State
}

func recovering(state string) bool { return state != "open" && state != "disorder" && state != "" }

func (r *congestion) tell(found func(Finding)) {
	if len(r.conns) == 0 {
		return
	}
	if r.slowEnd != nil {
		found(*r.slowEnd)
	}
	if r.fell != nil && (r.slowEnd == nil || r.fell.At != r.slowEnd.At) {
		found(*r.fell)
	}
	if r.recovery > 0 {
		found(Finding{Level: Notice, At: r.began,
			Text:      fmt.Sprintf("Loss recovery was entered %s, the first time at %s.", times(r.recovery), duration(r.began)),
			Reference: "RFC 6675 section 5"})
	}
	found(Finding{Level: Fine, At: r.mostAt,
		Text:      fmt.Sprintf("The congestion window was %s when the first answer came, and reached %s bytes.", count(r.first, "segment"), group(r.most)),
		Reference: "RFC 6928: ten segments at first; RFC 5681 section 3.1"})
}

// roundTrip tells the times that the sender measured.
type roundTrip struct {
	srtt         []float64
	least, most  float64
	lowRTO, high float64
}

func (r *roundTrip) see(e *trace.Event) {
	d, ok := e.Data.(*trace.Congestion)
	if !ok || d.SRTT == nil {
		return
	}
	if len(r.srtt) == 0 {
		r.least, r.lowRTO = math.Inf(1), math.Inf(1)
	}
	r.srtt = append(r.srtt, *d.SRTT)
	r.least, r.most = min(r.least, *d.SRTT), max(r.most, *d.SRTT)
	r.lowRTO, r.high = min(r.lowRTO, d.RTO), max(r.high, d.RTO)
}

func (r *roundTrip) tell(found func(Finding)) {
	if len(r.srtt) == 0 {
		return
	}
	text := fmt.Sprintf("The smoothed round trip was %s in the middle (%s to %s), the retransmission timeout %s", duration(median(r.srtt)), duration(r.least), duration(r.most), duration(r.lowRTO))
	if r.high > r.lowRTO {
		text += " to " + duration(r.high)
	}
	found(Finding{Level: Fine, At: -1, Text: text + ".", Reference: "RFC 6298 section 2; it asks for 1 s at least, gVisor as Linux takes 200 ms"})
}

// limits shares the time in which data was on its way among what held the
// sender back: the congestion window, the peer's window, or the program, which
// had no more (or no packet for it).
type limits struct {
	conns map[int]*limitRow
	held  [3]float64 // milliseconds
	total float64
}

type limitRow struct {
	at    float64
	by    int   // -1: idle
	right int64 // edge that the peer allows
	sent  int64
	mss   int
}

const (
	byCongestion = iota
	byPeer
	byProgram
)

func (r *limits) row(n int) *limitRow {
	if r.conns == nil {
		r.conns = make(map[int]*limitRow)
	}
	c := r.conns[n]
	if c == nil {
		c = &limitRow{by: -1, mss: 536}
		r.conns[n] = c
	}
	return c
}

func (r *limits) see(e *trace.Event) {
	switch d := e.Data.(type) {
	case *trace.Segment:
		c := r.row(d.Connection)
		if e.Name == trace.SegmentSent {
			c.sent = max(c.sent, d.Seq+int64(d.Length))
			c.mss = max(c.mss, min(d.Length, 1460))
		} else if has(d, "A") {
			c.right = max(c.right, d.Ack+d.Window)
		}
	case *trace.Congestion:
		c := r.row(d.Connection)
		if c.by >= 0 {
			r.held[c.by] += e.Time - c.at
			r.total += e.Time - c.at
		}
		c.at = e.Time
		switch {
		case d.InFlight == 0:
			c.by = -1
		case d.InFlight+int64(c.mss) > d.WindowBytes:
			c.by = byCongestion
		case c.right-c.sent < int64(c.mss):
			c.by = byPeer
		default:
			c.by = byProgram
		}
	}
}

func (r *limits) tell(found func(Finding)) {
	if r.total < 1 {
		return
	}
	found(Finding{Level: Fine, At: -1,
		Text: fmt.Sprintf("While data was on its way, the sender was held back by the congestion window for %s of the time, by the peer's window for %s, and for %s by nothing but the program and its pool.",
			percent(r.held[byCongestion], r.total), percent(r.held[byPeer], r.total), percent(r.held[byProgram], r.total)),
		Reference: "RFC 5681 section 3.1, RFC 9293 section 3.8.6"})
}
