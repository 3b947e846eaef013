package study

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Sweep describes runs over all pairs of a loss and a pool size.
type Sweep struct {
	Options Options   // of every run; its loss and its pool are those of the pair
	Losses  []float64 // from 0 to 1, in both directions
	Packets []uint32  // of the pool that the workload fills
	Repeat  int       // runs of each pair, of which the median counts
}

// Cell is what a pair came to over one family.
type Cell struct {
	Loss    float64       `json:"loss"`
	Packets uint32        `json:"packets"`
	Rate    float64       `json:"bytes_per_second"` // the median
	Took    time.Duration `json:"took_ns"`          // of the median's run
	Again   int           `json:"retransmissions"`  // of the median's run, both directions
	Empty   int           `json:"found_empty"`      // the same
	Error   string        `json:"error,omitempty"`  // of a run; its rate counts as far as it got
}

// Enough is the smallest pool with which a loss costs no more than it must.
type Enough struct {
	Loss    float64 `json:"loss"`
	Best    float64 `json:"best_bytes_per_second"` // with any pool
	Packets uint32  `json:"packets"`               // reach nine tenths of it
}

// SweepFamily is the table of one family.
type SweepFamily struct {
	Family string   `json:"family"`
	Cells  []Cell   `json:"cells"` // a row for each loss, in the order of the sweep
	Enough []Enough `json:"enough"`
}

// SweepResult is what a sweep came to, as --json prints it.
type SweepResult struct {
	Workload    string        `json:"workload"`
	Link        string        `json:"link"`
	Faults      string        `json:"faults"` // besides the loss
	Pool        string        `json:"pool"`   // which one
	Payload     uint32        `json:"payload"`
	Bytes       int64         `json:"bytes"`
	Repeat      int           `json:"repeat"`
	Losses      []float64     `json:"losses"`
	Packets     []uint32      `json:"packets"`
	Interrupted bool          `json:"interrupted"`
	Families    []SweepFamily `json:"families"`
	Command     []string      `json:"command"`
	Notes       []string      `json:"notes,omitempty"`
}

// share is how much of the best speed is enough.
const share = 0.9

// Run runs all pairs. progress is told before each run. When ctx ends, what has
// been measured is answered, with the error.
func (s *Sweep) Run(ctx context.Context, progress func(done, of int, loss float64, packets uint32)) (*SweepResult, error) {
	o := &s.Options
	result := &SweepResult{
		Workload: o.Workload.Name, Link: o.Link, Pool: "send pool", Payload: o.Pool.Payload, Bytes: o.Bytes,
		Repeat: s.Repeat, Losses: s.Losses, Packets: s.Packets, Command: o.Command, Notes: o.Notes,
	}
	if o.Workload.Inbound {
		result.Pool, result.Payload = "IP pool", o.IPPool.Payload
	}
	if result.Bytes == 0 {
		result.Bytes = o.Workload.Bytes
	}
	others := o.Faults
	others.In.Drop, others.Out.Drop = 0, 0
	result.Faults = others.String()
	for _, f := range o.Families {
		result.Families = append(result.Families, SweepFamily{Family: f, Cells: []Cell{}})
	}
	of := len(s.Losses) * len(s.Packets) * s.Repeat
	done := 0
	for _, loss := range s.Losses {
		for _, packets := range s.Packets {
			var runs []*Result
			for range s.Repeat {
				progress(done, of, loss, packets)
				r, err := s.once(ctx, loss, packets)
				switch {
				case ctx.Err() != nil:
					result.Interrupted = true
					result.conclude()
					return result, context.Cause(ctx)
				case len(r.Runs) == 0:
					return result, err
				}
				runs = append(runs, r)
				done++
			}
			for i := range result.Families {
				f := &result.Families[i]
				f.Cells = append(f.Cells, cell(runs, i, loss, packets))
			}
		}
	}
	result.conclude()
	return result, nil
}

// once runs one pair.
func (s *Sweep) once(ctx context.Context, loss float64, packets uint32) (*Result, error) {
	o := s.Options
	o.Faults.In.Drop, o.Faults.Out.Drop = loss, loss
	if o.Workload.Inbound {
		o.IPPool.Packets = packets
	} else {
		o.Pool.Packets = packets
	}
	r, err := Run(ctx, o, Outputs{})
	if errors.Is(err, ErrLimit) {
		err = nil // it counts as far as it got
	}
	return r, err
}

// cell takes the median of the runs.
func cell(runs []*Result, family int, loss float64, packets uint32) Cell {
	slices.SortFunc(runs, func(a, b *Result) int {
		return int(a.Runs[family].Rate() - b.Runs[family].Rate())
	})
	r := &runs[len(runs)/2].Runs[family]
	c := Cell{Loss: loss, Packets: packets, Rate: r.Rate(), Took: r.Took, Again: r.Sent.Again + r.Received.Again}
	for _, n := range r.Empty {
		c.Empty += n
	}
	for _, run := range runs {
		if e := run.Runs[family].Error; e != "" {
			c.Error = e
		}
	}
	return c
}

// conclude finds the smallest pools.
func (r *SweepResult) conclude() {
	for i := range r.Families {
		f := &r.Families[i]
		f.Enough = []Enough{}
		for _, loss := range r.Losses {
			row := f.Row(loss)
			if len(row) < len(r.Packets) {
				continue // not measured to its end
			}
			best := slices.MaxFunc(row, func(a, b Cell) int { return int(a.Rate - b.Rate) }).Rate
			e := Enough{Loss: loss, Best: best}
			for _, c := range row {
				if c.Rate >= share*best && (e.Packets == 0 || c.Packets < e.Packets) {
					e.Packets = c.Packets
				}
			}
			f.Enough = append(f.Enough, e)
		}
	}
}

// Row answers the cells of a loss, in the order of the packets.
func (f *SweepFamily) Row(loss float64) (row []Cell) {
	for _, c := range f.Cells {
		if c.Loss == loss {
			row = append(row, c)
		}
	}
	return row
}

// Best is the highest rate of a family.
func (f *SweepFamily) Best() (best float64) {
	for _, c := range f.Cells {
		best = max(best, c.Rate)
	}
	return best
}
