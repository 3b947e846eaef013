package parity

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Difference shows what is wrong with a result: the failures of each family,
// and both traces side by side around the first event that differs. It is empty
// when nothing is.
func (x *Result) Difference() string {
	var b strings.Builder
	for _, f := range x.Failures() {
		fmt.Fprintf(&b, "  %s\n", f)
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

// WriteText writes the report as a table, IPv4 | IPv6 | same?, a line for each
// scenario, and after it what differs.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	width := len("scenario")
	for _, x := range r.Results {
		width = max(width, len(x.Scenario))
	}
	line := func(name, four, six, same, where string) {
		fmt.Fprintf(&b, "%-*s  %-6s  %-6s  %-9s  %s\n", width, name, four, six, same, where)
	}
	line("scenario", "IPv4", "IPv6", "same?", "where")
	for _, s := range r.byScenario() {
		line(s.name, s.four, s.six, s.same, strings.TrimSpace(s.where))
	}
	for i := range r.Results {
		x := &r.Results[i]
		if x.Verdict == Failed || x.Verdict == Different {
			fmt.Fprintf(&b, "\n%s at %s: %s\n  %s\n%s", x.Scenario, x.Place, x.Verdict, x.Shows, x.Difference())
		}
	}
	uses := map[string]int{}
	for _, x := range r.Results {
		for name, n := range x.Rules {
			uses[name] += n
		}
	}
	b.WriteString("\nWhat must differ, by rule:\n")
	for _, rule := range Rules {
		fmt.Fprintf(&b, "  %-16s %6d times  %s\n", rule.Name, uses[rule.Name], rule.What)
	}
	for _, why := range r.Missing() {
		fmt.Fprintf(&b, "\nNOT RUN, %s\n", why)
	}
	fmt.Fprintf(&b, "\n%s, in %.1f s, seed %d\n", r.Headline(), r.Took.Seconds(), r.Seed)
	_, err := io.WriteString(w, b.String())
	return err
}

// scenarioLine is a scenario at all its places.
type scenarioLine struct{ name, four, six, same, where string }

func (r *Report) byScenario() (list []scenarioLine) {
	at := map[string]int{}
	for i := range r.Results {
		x := &r.Results[i]
		n, seen := at[x.Scenario]
		if !seen {
			n = len(list)
			at[x.Scenario] = n
			list = append(list, scenarioLine{name: x.Scenario, four: "-", six: "-", same: "-"})
		}
		l := &list[n]
		if x.Verdict == NotRun || x.Verdict == Interrupted {
			l.where += " (" + x.Place + ")"
			continue
		}
		l.where += " " + x.Place
		for _, f := range []struct {
			trace *Trace
			text  *string
		}{{x.IPv4, &l.four}, {x.IPv6, &l.six}} {
			switch {
			case len(f.trace.Failures) > 0:
				*f.text = "fails"
			case *f.text == "-":
				*f.text = "ok"
			}
		}
		switch {
		case !x.Same:
			l.same = "NO"
		case l.same == "-":
			l.same = "yes"
		}
		if x.Verdict != Same {
			l.where += "!"
		}
	}
	return list
}
