package parity

import (
	"fmt"
	"slices"
)

// Row is a pair of events that are compared: the same place in the same lane.
type Row struct {
	Lane Lane   `json:"lane"`
	IPv4 *Event `json:"ipv4"` // nil: IPv6 has more events
	IPv6 *Event `json:"ipv6"`
	Same bool   `json:"same"`

	// Rules are the names of the rules that explain what differs.
	Rules []string `json:"rules,omitempty"`

	// Why is what differs and no rule explains.
	Why string `json:"why,omitempty"`
}

// Comparison is two traces of one scenario, event by event.
type Comparison struct {
	Rows  []Row          `json:"rows,omitempty"`
	Rules map[string]int `json:"rules"` // how often each was needed
	Same  bool           `json:"same"`
}

// First is the first row that differs; nil: there is none.
func (c *Comparison) First() *Row {
	for i := range c.Rows {
		if !c.Rows[i].Same {
			return &c.Rows[i]
		}
	}
	return nil
}

// Compare compares the traces of a scenario over IPv4 and over IPv6. They are
// the same when all their events are, or differ only as a rule allows. Nothing
// but the rules is excused, and a rule looks at one number or one text.
func Compare(v4, v6 *Trace) Comparison {
	c := comparison{four: v4, six: v6, more: map[string]int{}, extra: map[int]int{}}
	c.Rules, c.Same = map[string]int{}, true
	a, b := v4, v6
	if !v4.driven {
		a, b = steady(v4), steady(v6)
	}
	// The wire comes first: what it shows explains numbers of the other lanes.
	c.lane(Wire, a.lane(Wire), b.lane(Wire))
	wire := c.Rows
	c.Rows = nil
	for _, lane := range slices.Concat(lanes, realLanes) {
		if lane == Wire {
			c.Rows = append(c.Rows, wire...)
			continue
		}
		c.lane(lane, a.lane(lane), b.lane(lane))
	}
	return c.Comparison
}

type comparison struct {
	Comparison
	four, six *Trace

	// more is how many segments more IPv6 has, by direction, where the rule
	// SegmentCount was needed.
	more map[string]int

	// extra is the same by step, both directions together.
	extra map[int]int
}

func (c *comparison) lane(lane Lane, four, six []Event) {
	for len(four) > 0 || len(six) > 0 {
		n4, n6 := 1, 1
		if lane == Wire {
			n4, n6 = runLength(four), runLength(six)
		}
		n4, n6 = min(n4, len(four)), min(n6, len(six))
		c.run(lane, four[:n4], six[:n6])
		four, six = four[n4:], six[n6:]
	}
}

// run compares events that belong together, one by one, and if that fails, as
// the same bytes that were cut otherwise.
func (c *comparison) run(lane Lane, four, six []Event) {
	var rows []Row
	same := true
	for i := range max(len(four), len(six)) {
		row := Row{Lane: lane, Why: "only one family has it"}
		switch {
		case i < len(four) && i < len(six):
			row = c.pair(four[i], six[i])
		case i < len(four):
			row.IPv4 = &four[i]
		default:
			row.IPv6 = &six[i]
		}
		same = same && row.Same
		rows = append(rows, row)
	}
	if !same && lane == Wire && c.cutDifferently(four, six) {
		for i := range rows {
			rows[i].Same, rows[i].Why, rows[i].Rules = true, "", nil
		}
		rows[0].Rules = []string{segmentCount}
	}
	for _, row := range rows {
		c.add(row)
	}
}

func (c *comparison) add(row Row) {
	for _, name := range row.Rules {
		c.Rules[name]++
	}
	c.Same = c.Same && row.Same
	c.Rows = append(c.Rows, row)
}

// pair compares two events.
func (c *comparison) pair(four, six Event) Row {
	row := Row{Lane: four.Lane, IPv4: &four, IPv6: &six}
	differ := func(format string, values ...any) Row {
		row.Why = fmt.Sprintf(format, values...)
		return row
	}
	if four.Step != six.Step {
		return differ("in step %d and in step %d", four.Step+1, six.Step+1)
	}
	if four.What != six.What {
		name := c.text(four, six)
		if name == "" {
			return differ("%q and %q", four.What, six.What)
		}
		row.Rules = append(row.Rules, name)
	}
	if four.Tick != six.Tick {
		if !c.takesLonger(four, six) {
			return differ("%d ticks into the step, and %d", four.Tick, six.Tick)
		}
		row.Rules = append(row.Rules, segmentCount)
	}
	if len(four.Numbers) != len(six.Numbers) {
		return differ("%d numbers and %d", len(four.Numbers), len(six.Numbers))
	}
	for i, n := range four.Numbers {
		m := six.Numbers[i]
		if n.Name != m.Name {
			return differ("%s and %s", n.Name, m.Name)
		}
		if n.Value == m.Value && !(mustDiffer(n.Name) && c.four.Family != c.six.Family) {
			continue
		}
		name := c.number(four, six, n.Name, n.Value, m.Value)
		if name == "" {
			return differ("%s is %d over IPv4 and %d over IPv6", n.Name, n.Value, m.Value)
		}
		row.Rules = append(row.Rules, name)
	}
	row.Same = true
	return row
}
