package bench

import (
	"fmt"
	"time"
)

// Report is what a run has found. As JSON it is what --json prints.
type Report struct {
	Machine   Machine          `json:"machine"`
	Rounds    int              `json:"rounds"`
	Duration  time.Duration    `json:"duration_ns"` // of one measurement
	Took      time.Duration    `json:"took_ns"`
	Clients   map[string]About `json:"clients"`
	Results   []Result         `json:"results"`
	Memory    []Memory         `json:"memory,omitempty"`
	Instances []Instances      `json:"instances,omitempty"`
}

// Machine is what the rates depend on.
type Machine struct {
	CPUs   int    `json:"cpus"`
	Procs  int    `json:"procs"` // GOMAXPROCS of each process
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

func (m Machine) String() string {
	return fmt.Sprintf("%d CPUs, GOMAXPROCS %d in each process, Linux %s, %s", m.CPUs, m.Procs, m.Kernel, m.Go)
}

// About describes a client.
type About struct {
	Client
	Text string `json:"text"`
}

// Sample is one measurement.
type Sample struct {
	Round int     `json:"round"`
	Rate  float64 `json:"rate"`
	Cost  float64 `json:"cost"`

	Units   float64 `json:"units"`
	Seconds float64 `json:"seconds"`
	Frames  Frames  `json:"frames,omitzero"`
}

// Result is one field of the table.
type Result struct {
	Cell
	RateUnit string   `json:"rate_unit"`
	CostUnit string   `json:"cost_unit"`
	Samples  []Sample `json:"samples"`
	Failures []string `json:"failures,omitempty"`

	// Medians. The ratios are medians over the rounds of the ratio in each
	// round; nil when the yardstick was not measured.
	Rate     float64  `json:"rate"`
	Cost     float64  `json:"cost"` // CPU time of the client's process
	ToKernel *float64 `json:"to_kernel,omitempty"`
	ToNaive  *float64 `json:"to_naive,omitempty"`

	GoalKernel float64 `json:"goal_to_kernel,omitempty"` // zero: no goal
	GoalNaive  float64 `json:"goal_to_naive,omitempty"`
}

// Memory is what an idle connection takes of a client's heap and stacks.
type Memory struct {
	Client
	Family     int     `json:"family"`
	Conns      int     `json:"conns"`
	Bytes      float64 `json:"bytes_per_conn"`
	Goroutines float64 `json:"goroutines_per_conn"`
	Failure    string  `json:"failure,omitempty"`
}

// Instances is how long it takes to make and unmake an instance.
type Instances struct {
	Client
	Times   int           `json:"times"`
	Create  time.Duration `json:"create_ns"`
	Delete  time.Duration `json:"delete_ns"`
	Failure string        `json:"failure,omitempty"`
}

// Missed tells whether the result falls short of a goal.
func (r *Result) Missed() bool {
	short := func(ratio *float64, goal float64) bool { return goal > 0 && ratio != nil && *ratio < goal }
	return short(r.ToKernel, r.GoalKernel) || short(r.ToNaive, r.GoalNaive)
}

// Failed tells whether something could not be measured.
func (r *Report) Failed() bool {
	for i := range r.Results {
		if len(r.Results[i].Failures) > 0 {
			return true
		}
	}
	for _, m := range r.Memory {
		if m.Failure != "" {
			return true
		}
	}
	for _, i := range r.Instances {
		if i.Failure != "" {
			return true
		}
	}
	return false
}

// goal is what a stack with its pool in force should reach, as ratios to the
// yardsticks on two cores.
func goal(c Cell) (kernel, naive float64) {
	if c.Design != NXDuo {
		return 0, 0
	}
	switch {
	case c.Kind == BulkOut && c.Lanes == 1:
		return 0.9, 20
	case c.Kind == BulkIn && c.Lanes == 1 && c.MTU > 9000:
		return 0.95, 6
	case c.Kind == BulkIn && c.Lanes == 1:
		return 0.7, 6
	case c.Kind == Connect && c.Lanes == 1:
		return 0.85, 0
	case c.Kind == Mails && c.Lanes == 1:
		return 0.9, 0
	case c.Kind == Mails:
		return 0.8, 0
	}
	return 0, 0
}

// finish calculates what follows from the samples.
func (r *Report) finish() {
	for i := range r.Results {
		c := &r.Results[i]
		c.RateUnit, c.CostUnit = c.Kind.rateUnit(), c.Kind.costUnit()
		c.GoalKernel, c.GoalNaive = goal(c.Cell)
		if len(c.Samples) == 0 {
			continue
		}
		var rates, costs []float64
		for _, s := range c.Samples {
			rates, costs = append(rates, s.Rate), append(costs, s.Cost)
		}
		c.Rate, c.Cost = median(rates), median(costs)
		c.ToKernel = c.ratio(r.find(c.Workload, Kernel))
		c.ToNaive = c.ratio(r.find(c.Workload, Naive))
	}
}

// find answers the result of a workload by a yardstick, nil when there is none.
func (r *Report) find(w Workload, d Name) *Result {
	for i := range r.Results {
		if r.Results[i].Workload == w && r.Results[i].Design == d {
			return &r.Results[i]
		}
	}
	return nil
}

// ratio compares with a yardstick round by round, so that what slows the
// machine down for a while slows both.
func (r *Result) ratio(yardstick *Result) *float64 {
	if yardstick == nil {
		return nil
	}
	var ratios []float64
	for _, s := range r.Samples {
		for _, y := range yardstick.Samples {
			if s.Round == y.Round {
				ratios = append(ratios, s.Rate/y.Rate)
			}
		}
	}
	if len(ratios) == 0 {
		return nil
	}
	m := median(ratios)
	return &m
}
