package parity

import "strings"

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
// that are up to 20 bytes shorter over IPv6.
func (c *comparison) cutDifferently(four, six []Event) bool {
	a, b := measure(four), measure(six)
	if a.way != b.way || a.segments == 0 || b.segments == 0 || a.longest < b.longest || a.longest > b.longest+20 {
		return false
	}
	if a.bytes != b.bytes && !inSegments(a.bytes, b.bytes, c.unit()) {
		return false
	}
	// Not more than what 20 bytes a segment make, and one.
	most := a.segments*20/max(b.longest, 1) + 1
	if b.segments < a.segments-1 || b.segments > a.segments+most {
		return false
	}
	c.more[a.way] += b.segments - a.segments
	c.extra[four[0].Step] += max(b.segments-a.segments, 0) + 1
	return true
}

// takesLonger tells that an event comes later, or earlier, because the data of
// its step was cut differently: a round trip of two ticks for each segment that
// there is more, and one.
func (c *comparison) takesLonger(four, six Event) bool {
	extra := c.extra[four.Step]
	return extra > 0 && four.Lane != Wire && max(four.Tick-six.Tick, six.Tick-four.Tick) <= 2*extra
}

type measured struct {
	way                      string
	bytes, segments, longest int
}

func measure(events []Event) (m measured) {
	for _, e := range events {
		s := e.segment
		if s == nil || s.data == 0 {
			continue
		}
		m.way = wayOf(e)
		m.segments++
		m.longest = max(m.longest, s.data)
		if !s.again {
			m.bytes += s.data
		}
	}
	return m
}

// unit is the size of a full segment over IPv4: the MSS, or the chunk that a
// packet of the pool holds.
func (c *comparison) unit() int { return min(c.four.MSS, c.four.units.Chunk) }
