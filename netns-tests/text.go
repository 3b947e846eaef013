package parity

import (
	"fmt"
	"slices"
	"strings"
)

// Difference shows what is wrong with a result: the failures of each family,
// and both traces side by side around the first event that differs. It is empty
// when nothing is.
func (x *Result) Difference() string {
	var b strings.Builder
	for _, t := range []*Trace{x.IPv4, x.IPv6} {
		if t == nil {
			continue
		}
		for _, f := range t.Failures {
			fmt.Fprintf(&b, "  IPv%d: %s\n", t.Family, f)
		}
	}
	first := slices.IndexFunc(x.Rows, func(r Row) bool { return !r.Same })
	if first < 0 {
		return b.String()
	}
	lane := x.Rows[first].Lane
	fmt.Fprintf(&b, "  first difference, %s: %s\n", lane, x.Rows[first].Why)
	fmt.Fprintf(&b, "      %-56s | %s\n", "IPv4", "IPv6")
	for i := max(first-4, 0); i < min(first+5, len(x.Rows)); i++ {
		row := x.Rows[i]
		if row.Lane != lane {
			continue
		}
		mark := " "
		if !row.Same {
			mark = ">"
		}
		fmt.Fprintf(&b, "    %s %-56s | %s\n", mark, cell(row.IPv4), cell(row.IPv6))
	}
	return b.String()
}

// cell is an event with its place in the run.
func cell(e *Event) string {
	if e == nil {
		return "-"
	}
	s := e.String()
	switch {
	case e.Tick >= 0:
		s = fmt.Sprintf("%d.%02d %s", e.Step+1, e.Tick, s)
	case e.Step >= 0:
		s = fmt.Sprintf("%d %s", e.Step+1, s)
	}
	return s
}
