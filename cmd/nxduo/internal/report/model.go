package report

import (
	"slices"

	"gonetx/cmd/nxduo/internal/trace"
)

// What the page's program draws, as it gets it: by columns, because a hundred
// thousand segments as objects would be four times as many bytes.

// drawing is all of it.
type drawing struct {
	Families []*family `json:"families"`
	Findings []Finding `json:"findings"`
}

// family is the run over one family.
type family struct {
	Family      string        `json:"family"`
	End         float64       `json:"end"` // milliseconds
	Connections []*connection `json:"connections"`
	Pools       []*pool       `json:"pools"`
	Dialogue    []line        `json:"dialogue"`

	byID   map[int]*connection
	byPool map[string]*pool
}

// connection is one of TCP.
type connection struct {
	ID       int         `json:"id"`
	Local    string      `json:"local"`
	Remote   string      `json:"remote"`
	Role     string      `json:"role"`
	Segments segments    `json:"segments"`
	Lost     lost        `json:"lost"`
	Window   windows     `json:"window"`
	More     map[int]any `json:"more"` // what only some segments have, by their place
	bytes    [2]int64
	Most     int `json:"most"` // the direction with more data: 0 sent, 1 received
}

// segments are columns: time, direction (0 sent, 1 received), flags, numbers,
// bytes, window.
type segments struct {
	T []float64 `json:"t"`
	D []int     `json:"d"`
	F []string  `json:"f"`
	S []int64   `json:"s"`
	A []int64   `json:"a"`
	L []int     `json:"l"`
	W []int64   `json:"w"`
}

// more is what only some segments have.
type more struct {
	SACK       [][2]int64  `json:"sack,omitempty"`
	MSS        int         `json:"mss,omitempty"`
	Scale      *int        `json:"scale,omitempty"`
	Selective  bool        `json:"selective,omitempty"`
	OutOfOrder bool        `json:"late,omitempty"`
	Again      bool        `json:"again,omitempty"`
	Cause      trace.Cause `json:"cause,omitempty"`
	Waited     *float64    `json:"waited,omitempty"`
	Earlier    string      `json:"earlier,omitempty"`
	Segments   int         `json:"n,omitempty"` // on the wire, with offload
}

// lost are the segments that were dropped.
type lost struct {
	T []float64 `json:"t"`
	D []int     `json:"d"`
	F []string  `json:"f"`
	S []int64   `json:"s"`
	L []int     `json:"l"`
	R []string  `json:"r"` // reason
}

// windows are the states of the sender.
type windows struct {
	T  []float64  `json:"t"`
	C  []int64    `json:"c"`  // congestion window, bytes
	H  []*int64   `json:"h"`  // ssthresh
	I  []int64    `json:"i"`  // in flight
	R  []*float64 `json:"r"`  // smoothed round trip
	V  []*float64 `json:"v"`  // its variation
	O  []float64  `json:"o"`  // timeout
	St []string   `json:"st"` // state
}

// pool is a packet pool: who has how many of its packets, by kind of place.
type pool struct {
	Name    string    `json:"name"`
	Packets int       `json:"packets"`
	Payload int       `json:"payload"`
	T       []float64 `json:"t"`
	Free    []int     `json:"free"`
	Lowest  []int     `json:"low"`
	Kinds   []string  `json:"kinds"`
	Held    [][]int   `json:"held"` // one column for each kind
	Empty   []empty   `json:"empty"`
}

type empty struct {
	T      float64 `json:"t"`
	Waited float64 `json:"w"`
	Served bool    `json:"served"`
}

// line is one of the SMTP dialogue.
type line struct {
	T     float64 `json:"t"`
	D     int     `json:"d"` // 0: command, 1: reply
	Phase string  `json:"p"`
	Text  string  `json:"x"`
	Bytes int     `json:"b"`
	Code  int     `json:"c,omitempty"`
}

// kinds of places, in the order in which they are stacked.
var kinds = []string{"application", "transmit queue", "receive queue", "driver"}

func draw(t *trace.Trace) *drawing {
	d := &drawing{Families: []*family{}, Findings: Findings(t)}
	by := make(map[string]*family)
	for _, h := range t.Header.Families {
		f := &family{
			Family: h.Family, Connections: []*connection{}, Pools: []*pool{}, Dialogue: []line{},
			byID: make(map[int]*connection), byPool: make(map[string]*pool),
		}
		for _, p := range h.Pools {
			f.byPool[p.Name] = &pool{
				Name: p.Name, Packets: p.Packets, Payload: p.Payload, Kinds: kinds, Held: make([][]int, len(kinds)),
				T: []float64{}, Free: []int{}, Lowest: []int{}, Empty: []empty{},
			}
			f.Pools = append(f.Pools, f.byPool[p.Name])
		}
		by[h.Family] = f
		d.Families = append(d.Families, f)
	}
	for i := range t.Events {
		if f := by[t.Events[i].Family]; f != nil {
			f.add(&t.Events[i])
		}
	}
	for _, f := range d.Families {
		for _, c := range f.Connections {
			if c.bytes[1] > c.bytes[0] {
				c.Most = 1
			}
		}
	}
	if d.Findings == nil {
		d.Findings = []Finding{}
	}
	return d
}

func (f *family) add(e *trace.Event) {
	f.End = max(f.End, e.Time)
	switch d := e.Data.(type) {
	case *trace.Connection:
		c := &connection{
			ID: d.Connection, Local: d.Local, Remote: d.Remote, Role: d.Role, More: make(map[int]any),
			Segments: segments{T: []float64{}, D: []int{}, F: []string{}, S: []int64{}, A: []int64{}, L: []int{}, W: []int64{}},
			Lost:     lost{T: []float64{}, D: []int{}, F: []string{}, S: []int64{}, L: []int{}, R: []string{}},
			Window:   windows{T: []float64{}, C: []int64{}, H: []*int64{}, I: []int64{}, R: []*float64{}, V: []*float64{}, O: []float64{}, St: []string{}},
		}
		f.byID[d.Connection] = c
		f.Connections = append(f.Connections, c)
	case *trace.Segment:
		if c := f.byID[d.Connection]; c != nil {
			c.segment(e, d)
		}
	case *trace.Dropped:
		if d.Segment == nil {
			return
		}
		if c := f.byID[d.Segment.Connection]; c != nil {
			l, s := &c.Lost, d.Segment
			l.T, l.D, l.F = append(l.T, e.Time), append(l.D, way(d.Direction == "received")), append(l.F, s.Flags)
			l.S, l.L, l.R = append(l.S, s.Seq), append(l.L, s.Length), append(l.R, d.Reason)
		}
	case *trace.Congestion:
		if c := f.byID[d.Connection]; c != nil {
			w := &c.Window
			w.T, w.C, w.H, w.I = append(w.T, e.Time), append(w.C, d.WindowBytes), append(w.H, d.Threshold), append(w.I, d.InFlight)
			w.R, w.V, w.O, w.St = append(w.R, d.SRTT), append(w.V, d.RTTVar), append(w.O, d.RTO), append(w.St, d.State)
		}
	case *trace.Occupancy:
		if p := f.byPool[d.Pool]; p != nil {
			p.add(e.Time, d)
		}
	case *trace.Empty:
		if p := f.byPool[d.Pool]; p != nil {
			p.Empty = append(p.Empty, empty{e.Time, d.Waited, d.Served})
		}
	case *trace.Dialogue:
		f.Dialogue = append(f.Dialogue, line{e.Time, way(e.Name == trace.SMTPReply), d.Phase, d.Text, d.Bytes, d.Code})
	}
}

func way(received bool) int {
	if received {
		return 1
	}
	return 0
}

func (c *connection) segment(e *trace.Event, d *trace.Segment) {
	s, direction := &c.Segments, way(e.Name == trace.SegmentReceived)
	c.bytes[direction] += int64(d.Length)
	m := more{
		SACK: d.SACK, MSS: d.MSS, Scale: d.Scale, Selective: d.Selective, OutOfOrder: d.OutOfOrder,
		Again: d.Again, Cause: d.Cause, Waited: d.Waited, Earlier: d.Earlier,
	}
	if d.Segments > 1 {
		m.Segments = d.Segments
	}
	if len(m.SACK) > 0 || m.MSS != 0 || m.OutOfOrder || m.Again || m.Segments > 1 {
		c.More[len(s.T)] = m
	}
	s.T, s.D, s.F = append(s.T, e.Time), append(s.D, direction), append(s.F, d.Flags)
	s.S, s.A, s.L, s.W = append(s.S, d.Seq), append(s.A, d.Ack), append(s.L, d.Length), append(s.W, d.Window)
}

func (p *pool) add(at float64, d *trace.Occupancy) {
	p.T, p.Free, p.Lowest = append(p.T, at), append(p.Free, d.Free), append(p.Lowest, d.Lowest)
	for i := range kinds {
		p.Held[i] = append(p.Held[i], 0)
	}
	for _, h := range d.Holders {
		i := max(0, slices.Index(kinds, h.Kind)) // a kind that is new here is with the program
		p.Held[i][len(p.T)-1] += h.Packets
	}
}
