package parity

import (
	"cmp"
	"slices"
	"strings"

	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

// Where time is real, two runs of the same scenario differ in ways that mean
// nothing: how the kernel cuts what it sends, when it acknowledges, whether a
// retransmission was quicker than an acknowledgement. steady takes that out, and
// keeps what both ends must agree about.

// Lanes of a real wire: what is sent and what is got have no order between
// them.
const (
	WireSent Lane = "wire, sent"
	WireGot  Lane = "wire, got"
)

var realLanes = []Lane{WireSent, WireGot}

// steady makes of a trace what is the same in each run:
//
//   - steps: as they are;
//   - states: by socket; the way from FIN_WAIT_1 to TIMED_WAIT or CLOSED is one step;
//   - wire: acknowledgements and whatever comes again are left out, the data of
//     one direction of a connection is one event between its SYN and its FIN or
//     RST, in whatever order it came, RSTs that follow each other are one, and
//     those behind a FIN none;
//   - drops: faults and their consequences, by how many there were at least
//     one;
//   - pools: what is free at the end;
//   - counts: left out.
func steady(t *Trace) *Trace {
	s := &Trace{Family: t.Family, MTU: t.MTU, MSS: t.MSS, Failures: t.Failures, units: t.units}
	wires := map[string]*quiet{}
	var order []*quiet
	drops := map[string]bool{}
	for _, e := range t.Events {
		e.Tick = -1
		switch e.Lane {
		case Steps, Mail:
			s.Events = append(s.Events, e)
		case States:
			if e, ok := steadyState(e); ok {
				s.Events = append(s.Events, e)
			}
		case Wire:
			if e.segment == nil {
				e.Lane, e.Step = laneOf(e.What), -1
				s.Events = append(s.Events, e)
				continue
			}
			q := wires[e.segment.flow]
			if q == nil {
				q = &quiet{lane: laneOf(e.What)}
				wires[e.segment.flow] = q
				order = append(order, q)
			}
			q.take(e)
		case Drops:
			if !drops[e.What] && strings.HasPrefix(e.What, "fault: ") {
				drops[e.What] = true
				e.Step = -1
				s.Events = append(s.Events, e)
			}
		}
	}
	for _, q := range order {
		s.Events = append(s.Events, q.end()...)
	}
	// Two sockets have no order between them, nor have two directions.
	slices.SortStableFunc(s.Events, func(a, b Event) int {
		return cmp.Or(strings.Compare(string(a.Lane), string(b.Lane)), strings.Compare(orderOf(a), orderOf(b)))
	})
	return s
}

// orderOf is what the events of a lane are ordered by; those with the same keep
// theirs.
func orderOf(e Event) string {
	switch e.Lane {
	case States:
		socket, _, _ := strings.Cut(e.What, ":")
		return socket
	case Drops:
		return e.What
	}
	return ""
}

func laneOf(what string) Lane {
	if strings.HasPrefix(what, "sends") {
		return WireSent
	}
	return WireGot
}

// steadyState takes the steps between the two FINs out: how many of them are
// seen is a matter of who looks when.
func steadyState(e Event) (Event, bool) {
	for _, between := range []string{"FIN_WAIT_2", "CLOSING"} {
		if strings.HasSuffix(e.What, " to "+between) {
			return e, false
		}
		e.What = strings.Replace(e.What, ": "+between+" to ", ": FIN_WAIT_1 to ", 1)
	}
	e.Step = -1
	return e, true
}

// quiet is one direction of a connection without what means nothing.
type quiet struct {
	lane   Lane
	events []Event
	last   string
	data   int          // bytes that no event tells of yet
	ended  bool         // its FIN has been seen
	fin    seqnum.Value // behind the last byte; data before it may come after it
}

func (q *quiet) take(e Event) {
	s := e.segment
	if s.again {
		return
	}
	if s.syn {
		q.flush()
		q.ended = false
		q.note(Event{What: q.way() + " SYN", Numbers: e.Numbers})
	}
	if q.ended && q.fin.LessThan(s.end()) { // nothing may come behind a FIN
		q.flush()
	}
	q.data += s.fresh
	if s.fin {
		q.ended, q.fin = true, s.end()
	}
	// A RST behind a FIN answers an acknowledgement that came when the connection
	// was over: whether there is such a one is a matter of who reads when.
	if s.rst && !q.ended {
		q.flush()
		q.note(Event{What: q.way() + " RST"})
	}
}

// flush makes the events of the data and the FIN that have been seen.
func (q *quiet) flush() {
	if q.data > 0 {
		q.note(Event{What: q.way() + " data", Numbers: []Number{{"data", q.data}}})
		q.data = 0
	}
	if q.ended {
		q.note(Event{What: q.way() + " FIN"})
	}
}

func (q *quiet) note(e Event) {
	if e.What == q.last {
		return
	}
	q.last = e.What
	e.Lane, e.Step, e.Tick = q.lane, -1, -1
	q.events = append(q.events, e)
}

func (q *quiet) way() string {
	if q.lane == WireSent {
		return "sends"
	}
	return "gets"
}

func (q *quiet) end() []Event {
	q.flush()
	return q.events
}
