package bench

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Whether cost grows linearly: the same work in more connections, in more
// bytes, through smaller pools. What counts is the cost per unit, which should
// stay the same down a column.

// ScaleOptions of `nxduo bench scale`. Zero fields are the default.
type ScaleOptions struct {
	Connections []int         // at once
	Sizes       []int         // bytes of a transfer
	Pools       []int         // bytes of memory of each pool
	Duration    time.Duration // of one measurement, at least

	Progress func(what string, done, of int)
}

func (o ScaleOptions) withDefaults() ScaleOptions {
	o.Connections = or(o.Connections, []int{1, 10, 100, 1000})
	o.Sizes = or(o.Sizes, []int{1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9})
	o.Pools = or(o.Pools, []int{512 << 10, 4 << 20, poolMemory})
	if o.Duration == 0 {
		o.Duration = 300 * time.Millisecond
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	return o
}

// ScaleReport is what was found.
type ScaleReport struct {
	Machine     Machine       `json:"machine"`
	Connections []Result      `json:"connections"`
	Transfers   []ScaledBytes `json:"transfers"`
}

// ScaledBytes is one size of transfers through one size of pools: a connection
// is made, the bytes go, and it is closed.
type ScaledBytes struct {
	Kind    Kind    `json:"kind"`
	Pool    int     `json:"pool"` // bytes of memory of each pool
	Size    int     `json:"size"` // bytes of a transfer
	Done    float64 `json:"done"` // transfers
	Each    float64 `json:"seconds_each"`
	CPU     float64 `json:"cpu_ns_per_kib"`
	Failure string  `json:"failure,omitempty"`
}

// Failed tells whether something could not be measured.
func (r *ScaleReport) Failed() bool {
	return slices.ContainsFunc(r.Connections, func(c Result) bool { return len(c.Failures) > 0 }) ||
		slices.ContainsFunc(r.Transfers, func(b ScaledBytes) bool { return b.Failure != "" })
}

// Table is the report for people.
func (r *ScaleReport) Table() string {
	w := &strings.Builder{}
	fmt.Fprintln(w, r.Machine)
	fmt.Fprintf(w, "\n%-22s %12s %16s\n", "connections at once", "rate", "CPU per unit")
	for i := range r.Connections {
		c := &r.Connections[i]
		if len(c.Failures) > 0 {
			fmt.Fprintf(w, "%-15s %6d %s\n", c.Kind, c.Lanes, strings.Join(c.Failures, "; "))
			continue
		}
		fmt.Fprintf(w, "%-15s %6d %7s %-4s %9s %s\n", c.Kind, c.Lanes, number(c.Rate), c.RateUnit, number(c.Cost), c.CostUnit)
	}
	fmt.Fprintf(w, "\n%-22s", "bytes of a transfer")
	var pools []int
	for i := range r.Transfers {
		if b := &r.Transfers[i]; !slices.Contains(pools, b.Pool) {
			pools = append(pools, b.Pool)
			fmt.Fprintf(w, " %24s", fmt.Sprintf("pools of %s", byteSize(b.Pool)))
		}
	}
	fmt.Fprintln(w)
	type row struct {
		kind Kind
		size int
	}
	var rows []row
	for i := range r.Transfers {
		if b := (row{r.Transfers[i].Kind, r.Transfers[i].Size}); !slices.Contains(rows, b) {
			rows = append(rows, b)
		}
	}
	for _, at := range rows {
		fmt.Fprintf(w, "%-9s %12d", at.kind, at.size)
		var failures []string
		for i := range r.Transfers {
			switch b := &r.Transfers[i]; {
			case b.Kind != at.kind || b.Size != at.size:
			case b.Failure != "":
				fmt.Fprintf(w, " %24s", "failed")
				failures = append(failures, b.Failure)
			default:
				each := time.Duration(b.Each * float64(time.Second))
				fmt.Fprintf(w, " %9v %8s ns/KiB", each.Round(each/1000+1), number(b.CPU))
			}
		}
		fmt.Fprintln(w, "", strings.Join(failures, "; "))
	}
	return w.String()
}

func byteSize(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// scale measures the transfers of one size of pools.
func scale(ctx context.Context, l lab, o ScaleOptions, pool int, r *ScaleReport, step func(string)) {
	c := Client{NXDuo, small}
	for _, kind := range []Kind{BulkOut, BulkIn} {
		for _, size := range o.Sizes {
			b := ScaledBytes{Kind: kind, Pool: pool, Size: size}
			port := kind.port()
			if kind == BulkIn {
				port = portSource
			}
			to := netip.AddrPortFrom(l.peer(c, 4), port)
			limit, cancel := context.WithTimeout(ctx, o.Duration+6*patience)
			a, err := ask(limit, l, c, order{Transfer: &transfer{Kind: kind, To: to, Size: size, For: o.Duration}})
			cancel()
			if b.Failure = text(err); err == nil && a.Units > 0 {
				b.Done = a.Units
				b.Each = a.Seconds / a.Units
				b.CPU = kind.cost(a.Units*float64(size), a.CPU)
			}
			r.Transfers = append(r.Transfers, b)
			step(fmt.Sprintf("%s of %d bytes, pools of %s", kind, size, byteSize(pool)))
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// transfer asks a client for transfers of so many bytes, for some time.
type transfer struct {
	Kind Kind           `json:"kind"`
	To   netip.AddrPort `json:"to"`
	Size int            `json:"size"`
	For  time.Duration  `json:"for"`
}

// ender is a connection that can be closed when all bytes are acknowledged.
type ender interface{ end() error }

// transfers makes the transfers.
func (c *client) transfers(t *transfer) (a answer, err error) {
	if err := c.transferOne(t); err != nil { // the first one opens what stays open
		return a, err
	}
	started, cpu := time.Now(), cpuTime()
	for a.Units == 0 || time.Since(started) < t.For {
		if err := c.transferOne(t); err != nil {
			return a, err
		}
		a.Units++
	}
	a.Seconds, a.CPU = time.Since(started).Seconds(), (cpuTime() - cpu).Seconds()
	return a, nil
}

func (c *client) transferOne(t *transfer) error {
	one, err := c.design.dial(t.To)
	if err != nil {
		return err
	}
	for left := t.Size; left > 0; {
		n := min(left, one.block())
		if t.Kind == BulkOut {
			err = one.send(n)
		} else {
			n, err = one.receive()
		}
		if err != nil {
			one.abort()
			return fmt.Errorf("%d bytes before the end: %w", left, err)
		}
		left -= n
	}
	if e, ok := one.(ender); ok && t.Kind == BulkOut {
		return e.end()
	}
	one.abort()
	return nil
}
