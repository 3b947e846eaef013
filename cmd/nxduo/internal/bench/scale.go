package bench

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Whether cost grows linearly: the same work in more connections, in more
// bytes, through smaller pools. What counts is the cost per unit, which should
// stay the same down a column; where it does not, the kernel and bare gVisor at the
// same number tell whose it is. A machine that others use makes some rounds dearer
// and none cheaper, so the cost of several rounds is the least.

// ScaleOptions of `nxduo bench scale`. Zero fields are the default.
type ScaleOptions struct {
	Connections []int         // at once, ascending
	Sizes       []int         // bytes of a transfer, ascending
	Pools       []int         // bytes of memory of each pool
	Rounds      int           // of connections at once; zero: 5
	Duration    time.Duration // of one measurement of connections, at least; of transfers half of it

	Progress func(what string, done, of int)
}

func (o ScaleOptions) withDefaults() ScaleOptions {
	o.Connections = or(o.Connections, []int{1, 10, 100, 1000})
	o.Sizes = or(o.Sizes, []int{1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9})
	o.Pools = or(o.Pools, []int{512 << 10, 4 << 20, poolMemory})
	if o.Rounds == 0 {
		o.Rounds = defaultRounds
	}
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
	Machine     Machine    `json:"machine"`
	Connections []Measured `json:"connections"`
	Transfers   []Measured `json:"transfers"` // a connection is made, the bytes go, and it is closed
}

// Measured is one kind of work of one client at one number.
type Measured struct {
	Kind Kind `json:"kind"`
	Client
	Number  int     `json:"number"`                    // connections at once, or bytes of a transfer
	Rate    float64 `json:"rate"`                      // Gb/s, or operations a second
	Cost    float64 `json:"cost"`                      // CPU time: ns per KiB, or us per operation
	Frame   float64 `json:"bytes_per_frame,omitempty"` // of bytes that way
	Failure string  `json:"failure,omitempty"`

	// What follows; nil where there is nothing to compare with.
	ToBare  *float64 `json:"to_bare,omitempty"` // cost to that of bare gVisor at the same number
	Growth  *float64 `json:"growth,omitempty"`  // cost to that at the number before
	Verdict Verdict  `json:"verdict,omitempty"`
}

// Verdict is what the growth of a cost means.
type Verdict string

const (
	Linear    Verdict = "linear"     // the unit costs no more than at the number before
	AsBare    Verdict = "as bare"    // it does, and so it does without our part, or costs about the same without
	NotLinear Verdict = "NOT LINEAR" // it does, and our part is the reason
)

// tolerance is by how much a cost may grow from one number to the next, which is ten
// times as large by default: less says as much about the machine.
const tolerance = 1.25

// judge compares the measurements with each other.
func judge(all []Measured) {
	find := func(m *Measured, c Client, number int) *Measured {
		for i := range all {
			if o := &all[i]; o.Kind == m.Kind && o.Client == c && o.Number == number && o.Cost > 0 {
				return o
			}
		}
		return nil
	}
	before := func(m *Measured) (o *Measured) {
		for i := range all {
			if p := &all[i]; p.Kind == m.Kind && p.Client == m.Client && p.Number < m.Number && p.Cost > 0 && (o == nil || p.Number > o.Number) {
				o = p
			}
		}
		return o
	}
	bareClient := Client{Design: Bare, MTU: small}
	for i := range all {
		m := &all[i]
		if m.Cost == 0 {
			continue
		}
		if b := find(m, bareClient, m.Number); b != nil && m.Design == NXDuo {
			ratio := m.Cost / b.Cost
			m.ToBare = &ratio
		}
	}
	for i := range all {
		m := &all[i]
		p := before(m)
		if m.Cost == 0 || p == nil {
			continue
		}
		growth := m.Cost / p.Cost
		m.Growth = &growth
		switch {
		case m.Design != NXDuo:
		case growth <= tolerance:
			m.Verdict = Linear
		case m.ToBare != nil && p.ToBare != nil && *m.ToBare <= tolerance*max(*p.ToBare, 1):
			m.Verdict = AsBare
		default:
			m.Verdict = NotLinear
		}
	}
}

// Failed tells whether something could not be measured.
func (r *ScaleReport) Failed() bool {
	return r.count(func(m *Measured) bool { return m.Failure != "" }) > 0
}

// Steps is how many costs grow without a reason outside of the stack.
func (r *ScaleReport) Steps() int {
	return r.count(func(m *Measured) bool { return m.Verdict == NotLinear })
}

func (r *ScaleReport) count(which func(*Measured) bool) (n int) {
	for _, list := range [][]Measured{r.Connections, r.Transfers} {
		for i := range list {
			if which(&list[i]) {
				n++
			}
		}
	}
	return n
}

// atOnce makes the measurements of a report of connections at once.
func atOnce(many *Report) (list []Measured) {
	for i := range many.Results {
		c := &many.Results[i]
		m := Measured{Kind: c.Kind, Client: c.Client, Number: c.Lanes, Rate: c.Rate}
		if len(c.Failures) > 0 {
			m.Failure = c.Failures[0]
		}
		var units, frames float64
		for i, s := range c.Samples {
			if i == 0 || s.Cost < m.Cost {
				m.Cost = s.Cost
			}
			units, frames = units+s.Units, frames+s.Frames.In
			if c.Kind == BulkOut {
				frames += s.Frames.Out - s.Frames.In
			}
		}
		if c.Kind.bulk() && frames > 0 {
			m.Frame = units / frames
		}
		list = append(list, m)
	}
	return list
}

// transferRounds is how often transfers of one size are measured.
const transferRounds = 3

// scale measures the transfers, those of one size in turns.
func scale(ctx context.Context, l lab, o ScaleOptions, clients []Client, r *ScaleReport, step func(string)) {
	for _, kind := range []Kind{BulkOut, BulkIn} {
		for _, size := range o.Sizes {
			rates, costs, failures := map[Client][]float64{}, map[Client][]float64{}, map[Client]string{}
			for range transferRounds {
				for _, c := range clients {
					a, err := transferOf(ctx, l, c, kind, size, o.Duration/2)
					if err != nil {
						failures[c] = err.Error()
					} else {
						rates[c] = append(rates[c], kind.rate(a.Units*float64(size), a.Seconds))
						costs[c] = append(costs[c], kind.cost(a.Units*float64(size), a.CPU))
					}
					step(fmt.Sprintf("%s of %d bytes, %s", kind, size, c))
					if ctx.Err() != nil {
						return
					}
				}
			}
			for _, c := range clients {
				m := Measured{Kind: kind, Client: c, Number: size, Failure: failures[c]}
				if m.Failure == "" {
					m.Rate, m.Cost = median(rates[c]), slices.Min(costs[c])
				}
				r.Transfers = append(r.Transfers, m)
			}
		}
	}
}

// transferOf has a client make transfers, for so long at least.
func transferOf(ctx context.Context, l lab, c Client, kind Kind, size int, at time.Duration) (answer, error) {
	port := kind.port()
	if kind == BulkIn {
		port = portSource // a cue would be a part of each transfer
	}
	to := netip.AddrPortFrom(l.peer(c, 4), port)
	limit, cancel := context.WithTimeout(ctx, at+longPatience)
	defer cancel()
	return ask(limit, l, c, order{Transfer: &transfer{Kind: kind, To: to, Size: size, For: at}})
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

// lender is a connection that works with memory of the caller's: transfers come one
// after the other, and a connection needs none of its own.
type lender interface{ lend([]byte) }

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
	if s, ok := one.(lender); ok {
		if c.lent == nil {
			c.lent = make([]byte, streamBlock)
		}
		s.lend(c.lent)
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
