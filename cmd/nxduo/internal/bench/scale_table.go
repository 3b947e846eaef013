package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Table is the report for people.
func (r *ScaleReport) Table() string {
	w := &strings.Builder{}
	fmt.Fprintf(w, "%v; CPU time of the client per unit, of several rounds the least\n", r.Machine)
	fmt.Fprintf(w, "b: to bare gVisor. x: to the row before; %s where it is no more than %.2f, %s where it is no more than %.2f beside what bare grows by, or b is no more\n",
		Linear, tolerance, AsBare, tolerance)

	fmt.Fprintf(w, "\n%-10s %11s %9s %9s %9s %-6s %6s %6s %9s  %s\n", "", "connections", "kernel", "bare", "nxduo", "", "b", "x", "B/frame", "")
	kinds := kindsOf(r.Connections)
	for _, kind := range kinds {
		for _, n := range numbersOf(r.Connections, kind) {
			r.row(w, kind, n)
		}
	}

	clients := clientsOf(r.Transfers)
	fmt.Fprintf(w, "\n%-10s %11s %9s %9s", "", "bytes each", "kernel", "bare")
	for _, c := range clients {
		fmt.Fprintf(w, "  | %-18s", "pools of "+byteSize(int(c.Pool)))
	}
	fmt.Fprintln(w)
	for _, kind := range kindsOf(r.Transfers) {
		for _, n := range numbersOf(r.Transfers, kind) {
			r.transfer(w, kind, n, clients)
		}
	}
	fmt.Fprintln(w)
	switch steps := r.Steps(); {
	case steps > 0:
		fmt.Fprintf(w, "%d not linear (!)\n", steps)
	case r.count(func(m *Measured) bool { return m.Design == NXDuo && m.Cost > 0 }) == 0:
		fmt.Fprintln(w, "nothing could be measured")
	case r.Failed():
		fmt.Fprintln(w, "what was measured is linear, or grows as bare gVisor does; not everything was")
	default:
		fmt.Fprintln(w, "everything is linear, or grows as bare gVisor does")
	}
	return w.String()
}

// row is one number of connections at once.
func (r *ScaleReport) row(w io.Writer, kind Kind, n int) {
	at := func(d Name) *Measured {
		return find(r.Connections, kind, n, func(c Client) bool { return c.Design == d })
	}
	m := at(NXDuo)
	fmt.Fprintf(w, "%-10s %11d %9s %9s %9s %-6s %6s %6s %9s  %s", kind, n, cost(at(Kernel)), cost(at(Bare)), cost(m), kind.costUnit(),
		ratio(m.ToBare), ratio(m.Growth), size(m.Frame), m.Verdict)
	if m.Verdict == NotLinear {
		fmt.Fprint(w, " !")
	}
	fmt.Fprintln(w)
	for _, d := range []Name{Kernel, Bare, NXDuo} {
		if f := at(d); f != nil && f.Failure != "" {
			fmt.Fprintf(w, "    %s: %s\n", d, f.Failure)
		}
	}
}

// transfer is one size of transfers.
func (r *ScaleReport) transfer(w io.Writer, kind Kind, n int, clients []Client) {
	at := func(d Name) *Measured {
		return find(r.Transfers, kind, n, func(c Client) bool { return c.Design == d })
	}
	fmt.Fprintf(w, "%-10s %11d %9s %9s", kind, n, cost(at(Kernel)), cost(at(Bare)))
	var failures []string
	for _, c := range clients {
		m := find(r.Transfers, kind, n, func(o Client) bool { return o == c })
		mark := ""
		if m.Verdict == NotLinear {
			mark = "!"
		}
		fmt.Fprintf(w, "  | %7s %6s %-3s", cost(m), suffix(ratio(m.ToBare), "b"), mark)
		if m.Failure != "" {
			failures = append(failures, fmt.Sprintf("    %s: %s\n", c, m.Failure))
		}
	}
	fmt.Fprintf(w, "  %s\n", kind.costUnit())
	for _, d := range []Name{Kernel, Bare} {
		if f := at(d); f != nil && f.Failure != "" {
			failures = append(failures, fmt.Sprintf("    %s: %s\n", d, f.Failure))
		}
	}
	fmt.Fprint(w, strings.Join(failures, ""))
}

func find(list []Measured, kind Kind, number int, which func(Client) bool) *Measured {
	for i := range list {
		if m := &list[i]; m.Kind == kind && m.Number == number && which(m.Client) {
			return m
		}
	}
	return nil
}

func cost(m *Measured) string {
	switch {
	case m == nil:
		return ""
	case m.Cost == 0:
		return "failed"
	}
	return number(m.Cost)
}

func size(bytes float64) string {
	if bytes == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", bytes)
}

func suffix(s, with string) string {
	if s == "" {
		return ""
	}
	return s + with
}

func kindsOf(list []Measured) (kinds []Kind) {
	for i := range list {
		if !slices.Contains(kinds, list[i].Kind) {
			kinds = append(kinds, list[i].Kind)
		}
	}
	return kinds
}

func numbersOf(list []Measured, kind Kind) (numbers []int) {
	for i := range list {
		if m := &list[i]; m.Kind == kind && !slices.Contains(numbers, m.Number) {
			numbers = append(numbers, m.Number)
		}
	}
	return numbers
}

// clientsOf are those with pools.
func clientsOf(list []Measured) (clients []Client) {
	for i := range list {
		if c := list[i].Client; c.Design == NXDuo && !slices.Contains(clients, c) {
			clients = append(clients, c)
		}
	}
	return clients
}

func byteSize(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
