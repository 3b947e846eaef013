package bench

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Table is the report for people: one block for each workload, ratios
// to the kernel (v) and to the naive design (n), the spread of the rates, and
// CPU time of the client's process.
func (r *Report) Table() string {
	w := &strings.Builder{}
	fmt.Fprintf(w, "%v; %d rounds of %v in turns, medians; took %v\n",
		r.Machine, r.Rounds, r.Duration, r.Took.Round(time.Second))
	for _, c := range all(r.cells()) {
		fmt.Fprintf(w, "  %-12s %s\n", c, r.Clients[c.String()].Text)
	}
	fmt.Fprintln(w, "v: to the kernel, n: to the naive design; goal in brackets, ! where it is missed")

	var last Workload
	for i := range r.Results {
		c := &r.Results[i]
		if c.Workload != last {
			fmt.Fprintf(w, "\n%-20s %9s %-4s %6s %-7s %6s %-6s %7s %8s\n", c.Workload, "rate", "", "v", "", "n", "", "spread", "CPU")
			last = c.Workload
		}
		c.row(w)
	}
	r.writeExtras(w)
	return w.String()
}

func (r *Report) cells() []Cell {
	var cells []Cell
	for i := range r.Results {
		cells = append(cells, r.Results[i].Cell)
	}
	return cells
}

func (c *Result) row(w io.Writer) {
	if len(c.Samples) == 0 {
		fmt.Fprintf(w, "  %-18s %9s\n", c.Client, "failed")
	} else {
		line := fmt.Sprintf("  %-18s %9s %-4s %6s %-7s %6s %-6s %7s %8s %s", c.Client,
			number(c.Rate), c.RateUnit,
			ratio(c.ToKernel), mark(c.ToKernel, c.GoalKernel),
			ratio(c.ToNaive), mark(c.ToNaive, c.GoalNaive),
			c.spread(), number(c.Cost), c.CostUnit)
		fmt.Fprintln(w, line)
	}
	for _, f := range c.Failures {
		fmt.Fprintf(w, "    %s\n", f)
	}
}

// spread is how far the rates lie apart, in percent of the median.
func (c *Result) spread() string {
	low, high := c.Samples[0].Rate, c.Samples[0].Rate
	for _, s := range c.Samples {
		low, high = min(low, s.Rate), max(high, s.Rate)
	}
	return fmt.Sprintf("%.0f%%", 100*(high-low)/c.Rate)
}

func ratio(r *float64) string {
	switch {
	case r == nil:
		return ""
	case *r < 10:
		return fmt.Sprintf("%.2f", *r)
	}
	return fmt.Sprintf("%.1f", *r)
}

func mark(r *float64, goal float64) string {
	switch {
	case r == nil || goal == 0:
		return ""
	case *r < goal:
		return fmt.Sprintf("(%g)!", goal)
	}
	return fmt.Sprintf("(%g)", goal)
}

// number has three digits or more.
func number(f float64) string {
	switch {
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

func (r *Report) writeExtras(w io.Writer) {
	if len(r.Memory) > 0 {
		fmt.Fprintf(w, "\n%-20s %9s %12s\n", "idle connection", "bytes", "goroutines")
	}
	for _, m := range r.Memory {
		if m.Failure != "" {
			fmt.Fprintf(w, "  %-18s %9s\n    %s\n", m.Client, "failed", m.Failure)
			continue
		}
		fmt.Fprintf(w, "  %-18s %9.0f %12.2f\n", m.Client, m.Bytes, m.Goroutines)
	}
	if len(r.Instances) > 0 {
		fmt.Fprintf(w, "\n%-20s %9s %12s\n", "instance", "create", "delete")
	}
	for _, i := range r.Instances {
		if i.Failure != "" {
			fmt.Fprintf(w, "  %-18s %9s\n    %s\n", i.Client, "failed", i.Failure)
			continue
		}
		fmt.Fprintf(w, "  %-18s %9v %12v\n", i.Client, i.Create.Round(10*time.Microsecond), i.Delete.Round(10*time.Microsecond))
	}
}
