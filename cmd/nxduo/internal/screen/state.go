package screen

import (
	"cmp"
	"slices"

	"gonetx/cmd/nxduo/internal/trace"
)

// state is what the events of one family come to, up to a moment.
type state struct {
	now    float64
	ending *trace.Mark // of the workload
	conns  []*conn
	pools  []*pool
	rows   []row
	totals trace.Totals
}

// conn is a connection.
type conn struct {
	trace.Connection
	state  string // of its socket
	out    way
	in     way
	window int64 // that the peer told last
	cong   *trace.Congestion
	cwnd   []sample
	rtt    []sample
}

// way is one direction of a connection.
type way struct {
	next, acked int64
	bytes       int64
	again       int
	points      []point
}

type sample struct{ at, value float64 }

// point is something in a time-sequence graph.
type point struct {
	at   float64
	seq  int64
	kind kind
}

type kind uint8

// The kinds, by what covers what.
const (
	acked kind = iota + 1
	sent
	lost
	again
)

// pool is a packet pool.
type pool struct {
	trace.Pool
	free, lowest int
	holders      []trace.Holder
	empty        int
}

// row is a line of the list.
type row struct {
	event   *trace.Event
	notable bool
	smtp    bool
}

func newState(f *trace.Family) *state {
	s := &state{}
	for _, p := range f.Pools {
		s.pools = append(s.pools, &pool{Pool: p, free: p.Packets, lowest: p.Packets})
	}
	return s
}

// add takes in an event.
func (s *state) add(e *trace.Event) {
	s.now = e.Time
	s.totals.Add(e)
	smtp := e.Name == trace.SMTPCommand || e.Name == trace.SMTPReply
	s.rows = append(s.rows, row{e, e.Notable(), smtp})
	switch d := e.Data.(type) {
	case *trace.Connection:
		s.conns = append(s.conns, &conn{Connection: *d})
	case *trace.Segment:
		if c := s.conn(d.Connection); c != nil {
			c.segment(e.Time, d, e.Name == trace.SegmentSent)
		}
	case *trace.Dropped:
		if d.Segment == nil || d.Segment.Length == 0 {
			return
		}
		if c := s.conn(d.Segment.Connection); c != nil {
			w := &c.out
			if d.Direction == "received" {
				w = &c.in
			}
			w.points = append(w.points, point{e.Time, d.Segment.Seq, lost})
		}
	case *trace.Congestion:
		if c := s.conn(d.Connection); c != nil {
			c.cong = d
			c.cwnd = append(c.cwnd, sample{e.Time, float64(d.WindowBytes)})
			if d.SRTT != nil {
				c.rtt = append(c.rtt, sample{e.Time, *d.SRTT})
			}
		}
	case *trace.Occupancy:
		if p := s.pool(d.Pool); p != nil {
			p.free, p.lowest, p.holders = d.Free, min(p.lowest, d.Lowest), d.Holders
		}
	case *trace.Empty:
		if p := s.pool(d.Pool); p != nil {
			p.empty++
		}
	case *trace.Socket:
		for _, c := range s.conns {
			if c.Local == d.Local && (d.Remote == "" || c.Remote == d.Remote) {
				c.state = d.To
			}
		}
	case *trace.Mark:
		if e.Name == trace.WorkloadEnd {
			s.ending = d
		}
	}
}

func (s *state) conn(n int) *conn {
	i := slices.IndexFunc(s.conns, func(c *conn) bool { return c.Connection.Connection == n })
	if i < 0 {
		return nil
	}
	return s.conns[i]
}

func (s *state) pool(name string) *pool {
	i := slices.IndexFunc(s.pools, func(p *pool) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return s.pools[i]
}

// busiest is the connection that is shown: the one that moved most of those that
// are open, or of all.
func (s *state) busiest() *conn {
	open := slices.DeleteFunc(slices.Clone(s.conns), func(c *conn) bool { return c.state == "CLOSED" })
	if len(open) == 0 {
		open = s.conns
	}
	if len(open) == 0 {
		return nil
	}
	return slices.MaxFunc(open, func(a, b *conn) int { return cmp.Compare(a.out.bytes+a.in.bytes, b.out.bytes+b.in.bytes) })
}

func (c *conn) segment(at float64, d *trace.Segment, out bool) {
	own, other := &c.out, &c.in
	if !out {
		own, other = other, own
		c.window = d.Window
	}
	if d.Length > 0 {
		k := sent
		if d.Again {
			k = again
			own.again += d.Segments
		}
		own.points = append(own.points, point{at, d.Seq, k})
		own.bytes += int64(d.Length)
		own.next = max(own.next, d.Seq+int64(d.Length))
	}
	if d.Ack > other.acked {
		other.acked = d.Ack
		other.points = append(other.points, point{at, d.Ack, acked})
	}
}

// main is the direction that moved more.
func (c *conn) main() *way {
	if c.in.bytes > c.out.bytes {
		return &c.in
	}
	return &c.out
}
