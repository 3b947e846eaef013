package parity

import (
	"slices"
	"strings"
)

// The rule SegmentCount: data of one direction, with the acknowledgements of
// the other, that is cut otherwise.

// runLength is how many events at the begin belong together: data of one
// direction and the acknowledgements on both sides, within a step. It is at
// least 1.
func runLength(events []Event) int {
	way := ""
	for i, e := range events {
		s := e.segment
		if s == nil || s.syn || s.fin || s.rst || e.Step != events[0].Step {
			return max(i, 1)
		}
		if s.data > 0 {
			if way == "" {
				way = wayOf(e)
			} else if wayOf(e) != way {
				return i
			}
		}
	}
	return max(len(events), 1)
}

// wayOf is "sends" or "gets".
func wayOf(e Event) string {
	way, _, _ := strings.Cut(e.What, " ")
	return way
}

// cutDifferently tells whether two runs carry the same bytes, cut into segments
// that are up to 20 bytes shorter over IPv6. Runs whose segments are the same,
// one by one, are not cut differently: what differs in them is something else.
func (c *comparison) cutDifferently(four, six []Event) bool {
	a, b := measure(four), measure(six)
	if a.way != b.way || len(a.data) == 0 || len(b.data) == 0 || a.longest < b.longest || a.longest > b.longest+20 {
		return false
	}
	if a.bytes != b.bytes && !inSegments(a.bytes, b.bytes, c.unit()) {
		return false
	}
	if len(a.data) == len(b.data) && c.segmentByte(a.data, b.data) {
		return false
	}
	// Not more than what 20 bytes a segment make, and one.
	more, most := len(b.data)-len(a.data), len(a.data)*20/max(b.longest, 1)+1
	if more < -1 || more > most {
		return false
	}
	// The rest of the run is as long, and takes as long.
	rest4, rest6 := len(four)-len(a.data), len(six)-len(b.data)
	took4, took6 := four[len(four)-1].Tick-four[0].Tick, six[len(six)-1].Tick-six[0].Tick
	if four[0].Tick != six[0].Tick && c.extra[four[0].Step] == 0 || apart(rest4, rest6) > apart(more, 0) || apart(took4, took6) > 2*(most+1) {
		return false
	}
	if a.odd != b.odd || a.again != b.again || apart(a.repeated, b.repeated) > 20*a.again || !inOrder(four) || !inOrder(six) {
		return false
	}
	c.more[a.way] += more
	c.extra[four[0].Step] += max(more, 0) + 1
	return true
}

// inOrder tells that no event of a run is before one that comes ahead of it.
func inOrder(run []Event) bool {
	return slices.IsSortedFunc(run, func(a, b Event) int { return a.Tick - b.Tick })
}

func apart(a, b int) int { return max(a-b, b-a) }

// segmentByte tells that segments are the same one by one, full ones 20 bytes
// apart.
func (c *comparison) segmentByte(four, six []int) bool {
	for i, n := range four {
		if n != six[i] && n-six[i] != 20 {
			return false
		}
	}
	return true
}

// takesLonger tells that an event comes later, or earlier, because the data of
// its step was cut differently: a round trip of two ticks for each segment that
// there is more, and one.
func (c *comparison) takesLonger(four, six Event) bool {
	extra := c.extra[four.Step]
	return extra > 0 && four.Lane != Wire && apart(four.Tick, six.Tick) <= 2*extra
}

type measured struct {
	way            string
	data           []int // bytes of each segment that has some
	bytes, longest int
	again          int // segments that were sent again, and their bytes
	repeated       int
	odd            string // what else is said of segments: closed windows, unknown words
}

func measure(events []Event) (m measured) {
	for _, e := range events {
		s := e.segment
		n, carries := e.number("data")
		if !carries {
			if what := strings.TrimPrefix(strings.TrimPrefix(e.What, "sends "), "gets "); what != "ACK" && what != "ACK with a closed window" {
				m.odd += what
			}
			continue
		}
		m.way = wayOf(e)
		m.data = append(m.data, n)
		m.longest = max(m.longest, n)
		if s.again {
			m.again++
			m.repeated += n
		} else {
			m.bytes += n
		}
		if what := strings.TrimPrefix(e.What, m.way+" "); what != "ACK" && what != "ACK again" {
			m.odd += what
		}
	}
	return m
}

// unit is the size of a full segment over IPv4: the MSS, or the chunk that a
// packet of the pool holds.
func (c *comparison) unit() int { return min(c.four.MSS, c.four.units.Chunk) }
