package parity

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
		if len(o.Places) > 0 && !slices.Contains(o.Places, p.Name) {
			continue
		}
		var missing error
		for i := range o.Scenarios {
			s := &o.Scenarios[i]
			if !s.runs(p.Name) {
				continue
			}
			if ctx.Err() != nil {
				report.add(o, Result{Scenario: s.Name, Shows: s.Shows, Place: p.Name, Verdict: Interrupted})
				report.Took = time.Since(started)
				return report
			}
			x := Result{Scenario: s.Name, Shows: s.Shows, Place: p.Name, Verdict: NotRun}
			if missing == nil {
				x, missing = runOne(s, p, o)
			}
			if missing != nil {
				x.Why = missing.Error()
			}
			report.add(o, x)
		}
	}
	report.Took = time.Since(started)
	return report
}

func (r *Report) add(o Options, x Result) {
	r.Results = append(r.Results, x)
	if o.Progress != nil {
		o.Progress(x)
	}
}

// runOne runs a scenario at a place. The error is why there is no such place.
func runOne(s *Scenario, p Place, o Options) (x Result, missing error) {
	started := time.Now()
	x = Result{Scenario: s.Name, Shows: s.Shows, Place: p.Name, Verdict: NotRun}
	var traces [2]*Trace
	for i, family := range families {
		t, err := runTrace(s, p, family, o.Seed, o.Wrong)
		var u *unavailable
		switch {
		case errors.As(err, &u):
			return x, err
		case err != nil:
			t = &Trace{Family: family, Failures: []string{fmt.Sprintf("cannot be set up: %v", err)}}
		}
		traces[i] = t
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
	return x, nil
}
