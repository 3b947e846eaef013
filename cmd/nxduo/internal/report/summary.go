package report

import (
	"fmt"
	"slices"
	"strings"

	"gonetx/cmd/nxduo/internal/trace"
)

// The run in a table: one column for each family.

// row is one line of it.
type row struct {
	Name   string
	Values []string
}

func summary(t *trace.Trace) []row {
	totals := make([]trace.Totals, len(t.Header.Families))
	took := make([]float64, len(totals))
	moved := make([]int64, len(totals))
	at := make(map[string]int)
	for i, f := range t.Header.Families {
		at[f.Family] = i
	}
	for i := range t.Events {
		e := &t.Events[i]
		n, ok := at[e.Family]
		if !ok {
			continue
		}
		totals[n].Add(e)
		took[n] = max(took[n], e.Time)
		if m, ok := e.Data.(*trace.Mark); ok {
			moved[n] = max(moved[n], m.Bytes)
			if e.Name == trace.WorkloadEnd {
				took[n] = e.Time
			}
		}
	}
	var rows []row
	add := func(name string, value func(n int) string) {
		r := row{Name: name}
		for n := range totals {
			r.Values = append(r.Values, value(n))
		}
		rows = append(rows, r)
	}
	families := t.Header.Families
	add("Addresses", func(n int) string { return families[n].Address + " to " + families[n].Peer })
	add("Link", func(n int) string { return linkWords(&families[n].Link) })
	add("Time of the workload", func(n int) string { return duration(took[n]) })
	if slices.ContainsFunc(moved, func(n int64) bool { return n > 0 }) {
		add("User data", func(n int) string {
			s := count(moved[n], "byte")
			if moved[n] > 0 && took[n] > 0 {
				s += fmt.Sprintf(", %.2f Mbit/s", float64(moved[n])*8/took[n]/1000)
			}
			return s
		})
	}
	add("Connections", func(n int) string { return group(totals[n].Connections) })
	add("Sent", func(n int) string { return segmentWords(&totals[n].Sent) })
	add("Received", func(n int) string { return segmentWords(&totals[n].Received) })
	add("Sent again", func(n int) string { return againWords(&totals[n].Sent) })
	add("Received again", func(n int) string { return againWords(&totals[n].Received) })
	add("Dropped segments", func(n int) string {
		return fmt.Sprintf("%s sent, %s received", group(totals[n].Sent.Dropped), group(totals[n].Received.Dropped))
	})
	for _, p := range poolNames(families) {
		add("Pool "+p, func(n int) string { return poolWords(&families[n], &totals[n], p) })
	}
	return rows
}

// comparison says how a second family did against the first; nothing of one
// alone.
func comparison(t *trace.Trace) string {
	if len(t.Header.Families) != 2 {
		return ""
	}
	var totals [2]trace.Totals
	var took [2]float64
	for i := range t.Events {
		e := &t.Events[i]
		for n, f := range t.Header.Families {
			if e.Family == f.Family {
				totals[n].Add(e)
				took[n] = max(took[n], e.Time)
			}
		}
	}
	if took[0] == 0 || took[1] == 0 {
		return ""
	}
	slow, fast := 1, 0
	if took[0] > took[1] {
		slow, fast = 0, 1
	}
	families := t.Header.Families
	text := "Both families took the same time, within a tenth"
	if ratio := took[slow] / took[fast]; ratio >= 1.1 {
		text = fmt.Sprintf("%s took %.1f times as long as %s", families[slow].Family, ratio, families[fast].Family)
	}
	lost := func(n int) int { return totals[n].Sent.Dropped + totals[n].Received.Dropped }
	again := func(n int) int { return totals[n].Sent.Again + totals[n].Received.Again }
	return fmt.Sprintf("%s. Segments lost: %s %s, %s %s; sent again by either side: %s %s, %s %s.", text,
		families[0].Family, group(lost(0)), families[1].Family, group(lost(1)),
		families[0].Family, group(again(0)), families[1].Family, group(again(1)))
}

func linkWords(l *trace.Link) string {
	s := fmt.Sprintf("%s (%s), MTU %d", l.Device, l.Kind, l.MTU)
	if l.Offload {
		s += ", offload: a segment here may be several on the wire"
	}
	if l.Peer != "" {
		s += ", to " + l.Peer
	}
	return s
}

func segmentWords(c *trace.Count) string {
	return fmt.Sprintf("%s, %s with data, %s", count(c.Segments, "segment"), group(c.Data), count(c.Bytes, "byte"))
}

func againWords(c *trace.Count) string {
	if c.Again == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s, %s of those with data", count(c.Again, "segment"), percent(float64(c.Again), float64(c.Data)))
}

// poolNames are those of all families, in their order.
func poolNames(families []trace.Family) []string {
	var names []string
	for _, f := range families {
		for _, p := range f.Pools {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	return names
}

func poolWords(f *trace.Family, t *trace.Totals, name string) string {
	i := slices.IndexFunc(f.Pools, func(p trace.Pool) bool { return p.Name == name })
	if i < 0 {
		return "none"
	}
	p := f.Pools[i]
	words := []string{fmt.Sprintf("%d packets of %d bytes", p.Packets, p.Payload)}
	if low, seen := t.Lowest[name]; seen {
		words = append(words, fmt.Sprintf("%d free at least", low))
	}
	if n := t.Empty[name]; n > 0 {
		words = append(words, fmt.Sprintf("empty for %s", count(n, "request")))
	}
	return strings.Join(words, ", ")
}
