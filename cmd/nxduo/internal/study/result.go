package study

import (
	"time"

	"gonetx/cmd/nxduo/internal/trace"
)

// Result is what came of a run, as --json prints it.
type Result struct {
	OK          bool           `json:"ok"`
	Error       string         `json:"error,omitempty"`
	Interrupted bool           `json:"interrupted"`
	Title       string         `json:"title"`
	Workload    string         `json:"workload"`
	Link        string         `json:"link"`
	Faults      string         `json:"faults"`
	Folder      string         `json:"folder,omitempty"`
	Runs        []FamilyResult `json:"runs"`
}

// FamilyResult is the part of one family.
type FamilyResult struct {
	Family  string        `json:"family"`
	Took    time.Duration `json:"took_ns"`
	Bytes   int64         `json:"bytes"` // of user data that the instance moved
	Missing int           `json:"packets_missing"`
	Error   string        `json:"error,omitempty"`
	trace.Totals
	Stack StackCounts `json:"stack"`

	err error
}

// StackCounts are what gVisor's TCP has counted itself, to hold the reading of
// the trace against.
type StackCounts struct {
	Retransmits    uint64 `json:"retransmits"` // of segments of established connections
	Timeouts       uint64 `json:"timeouts"`
	FastRecoveries uint64 `json:"fast_recoveries"` // with and without selective acknowledgements
}

// Rate is bytes a second.
func (r *FamilyResult) Rate() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Bytes) / r.Took.Seconds()
}

func (r *Result) conclude(err error) {
	r.OK = err == nil
	if err != nil {
		r.Error = err.Error()
	}
	for i := range r.Runs {
		if run := &r.Runs[i]; run.err != nil {
			run.Error = run.err.Error()
		}
	}
}

// counter counts the events of a run, by family.
type counter map[string]*trace.Totals

func newCounter() counter { return make(counter) }

func (c counter) add(e *trace.Event) {
	if e.Family == "" {
		return
	}
	t := c[e.Family]
	if t == nil {
		t = &trace.Totals{}
		c[e.Family] = t
	}
	t.Add(e)
}

func (c counter) fill(r *FamilyResult) {
	if t := c[r.Family]; t != nil {
		r.Totals = *t
	}
}
