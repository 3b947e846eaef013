package parity

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options choose what [Run] runs.
type Options struct {
	Scenarios []Scenario // nil: [Table]
	Places    []string   // names; nil: all
	Seed      uint64     // of faults by chance; 0: 1
	Wrong     Wrong      // what is made wrong on purpose

	// Progress is told of each result. Nil: nobody is.
	Progress func(Result)
}

// Verdict is the answer to one scenario at one place.
type Verdict string

const (
	Same        Verdict = "same"        // both families do what the scenario says, and the same
	Different   Verdict = "different"   // they do what it says, and not the same
	Failed      Verdict = "failed"      // a step did not end as the scenario says, or something was lost
	NotRun      Verdict = "not run"     // the machine does not have the place
	Interrupted Verdict = "interrupted" // the context ended
)

// Result is one scenario at one place.
type Result struct {
	Scenario string  `json:"scenario"`
	Shows    string  `json:"shows"`
	Place    string  `json:"place"`
	Verdict  Verdict `json:"verdict"`
	Why      string  `json:"why,omitempty"` // when it was not run

	IPv4 *Trace `json:"ipv4,omitempty"`
	IPv6 *Trace `json:"ipv6,omitempty"`
	Comparison

	Took time.Duration `json:"took_ns"`
}

// Report is what [Run] answers.
type Report struct {
	Seed    uint64        `json:"seed"`
	Results []Result      `json:"results"`
	Took    time.Duration `json:"took_ns"`
}

// Agrees tells that every scenario that was run is the same in both families,
// and that at least one was.
func (r *Report) Agrees() bool {
	ran := 0
	for _, x := range r.Results {
		switch x.Verdict {
		case Same:
			ran++
		case NotRun:
		default:
			return false
		}
	}
	return ran > 0
}

// Headline says it in a line: "552 of 552 are the same".
func (r *Report) Headline() string {
	ran, same := 0, 0
	for _, x := range r.Results {
		if x.Verdict == NotRun {
			continue
		}
		ran++
		if x.Verdict == Same {
			same++
		}
	}
	s := fmt.Sprintf("%d of %d are the same", same, ran)
	if left := len(r.Results) - ran; left > 0 {
		s += fmt.Sprintf(", %d were not run", left)
	}
	return s
}

// Failures are what went wrong in the families, each with its name.
func (x *Result) Failures() (list []string) {
	for _, t := range []*Trace{x.IPv4, x.IPv6} {
		if t == nil {
			continue
		}
		for _, f := range t.Failures {
			list = append(list, fmt.Sprintf("IPv%d: %s", t.Family, f))
		}
	}
	return list
}

// WithoutTraces is the result without its traces and the rows that are the
// same: what is left is small, and enough to see what differs.
func (x Result) WithoutTraces() Result {
	x.Rows = slices.DeleteFunc(slices.Clone(x.Rows), func(r Row) bool { return r.Same })
	for _, t := range []**Trace{&x.IPv4, &x.IPv6} {
		if *t != nil {
			small := **t
			small.Events = nil
			*t = &small
		}
	}
	return x
}

// Missing are the places that the machine does not have, with the reason.
func (r *Report) Missing() (list []string) {
	seen := map[string]bool{}
	for _, x := range r.Results {
		if x.Verdict == NotRun && !seen[x.Place] {
			seen[x.Place] = true
			list = append(list, x.Place+": "+x.Why)
		}
	}
	return list
}

// Run runs scenarios at places, over IPv4 and over IPv6, and compares. It must
// run alone in its process: in driven time it looks at all goroutines. The
// places with devices want netns.Enter before it.
func Run(ctx context.Context, o Options) *Report {
	if o.Scenarios == nil {
		o.Scenarios = Table()
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	report := &Report{Seed: o.Seed}
	started := time.Now()
	for _, p := range Places() {
		if len(o.Places) == 0 || slices.Contains(o.Places, p.Name) {
			report.visit(ctx, p, o)
		}
	}
	report.Took = time.Since(started)
	return report
}

// visit runs the scenarios of a place. Where time is real, most of it is spent
// waiting, so several run at once; the results keep their order.
func (r *Report) visit(ctx context.Context, p Place, o Options) {
	var list []*Scenario
	for i := range o.Scenarios {
		if o.Scenarios[i].Runs(p.Name) {
			list = append(list, &o.Scenarios[i])
		}
	}
	workers := 1
	if !p.Driven {
		workers = 4
	}
	results := make([]Result, len(list))
	var next atomic.Int64
	var missing atomic.Pointer[string]
	var telling sync.Mutex // one call of Progress at a time
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			kept := [2]keeper{{map[string]io.Closer{}}, {map[string]io.Closer{}}}
			for i := int(next.Add(1)) - 1; i < len(list); i = int(next.Add(1)) - 1 {
				x := Result{Scenario: list[i].Name, Shows: list[i].Shows, Place: p.Name, Verdict: NotRun}
				switch why := missing.Load(); {
				case ctx.Err() != nil:
					x.Verdict = Interrupted
				case why != nil:
					x.Why = *why
				default:
					x.run(list[i], p, o, &kept)
					if x.Verdict == NotRun {
						missing.Store(&x.Why)
					}
				}
				results[i] = x
				telling.Lock()
				if o.Progress != nil && x.Verdict != Interrupted {
					o.Progress(x)
				}
				telling.Unlock()
			}
			for i := range kept {
				_ = kept[i].close() // namespaces go with their last descriptor
			}
		})
	}
	wait.Wait()
	r.Results = append(r.Results, results...)
}

// run runs a scenario at a place, in both families.
func (x *Result) run(s *Scenario, p Place, o Options, kept *[2]keeper) {
	started := time.Now()
	var traces [2]*Trace
	var errs [2]error
	each := func(i int) { traces[i], errs[i] = runTrace(s, p, families[i], o, &kept[i]) }
	if p.Driven {
		each(0)
		each(1)
	} else {
		var wait sync.WaitGroup
		for i := range families {
			wait.Go(func() { each(i) })
		}
		wait.Wait()
	}
	for i, err := range errs {
		switch {
		case Unavailable(err):
			x.Why = err.Error()
			return
		case err != nil:
			traces[i] = &Trace{Family: families[i], Failures: []string{fmt.Sprintf("cannot be set up: %v", err)}}
		}
	}
	x.IPv4, x.IPv6 = traces[0], traces[1]
	x.Comparison = Compare(x.IPv4, x.IPv6)
	switch {
	case len(x.IPv4.Failures)+len(x.IPv6.Failures) > 0:
		x.Verdict = Failed
	case x.Same:
		x.Verdict = Same
	default:
		x.Verdict = Different
	}
	x.Took = time.Since(started)
}
