package replay

import (
	"fmt"

	"gonetx/packetpool/nx"
)

// Trace is one recorded trace: calls in order, and what each of them answered.
// The fields are those of the recording.
type Trace struct {
	Name            string         `json:"name"`
	Group           string         `json:"group"`
	AF              int            `json:"af"`
	Config          map[string]any `json:"config"`
	Steps           []Step         `json:"steps"`
	Wire            []string       `json:"wire"`
	CompletionOrder []int          `json:"completion_order"`
	Hang            map[string]any `json:"hang"`
	Crash           map[string]any `json:"crash"`
}

// config answers a setting of the trace, or what it is when it is not given.
func (t *Trace) config(name string, otherwise int) int {
	if v, ok := t.Config[name].(float64); ok {
		return int(v)
	}
	return otherwise
}

// Step is one call with its arguments by name.
type Step map[string]any

// Op is the name of the call.
func (s Step) Op() string { return s.text("op") }

// Result is what was recorded for the call, nil when it did not return.
func (s Step) Result() map[string]any {
	r, _ := s["result"].(map[string]any)
	return r
}

// Worker is the number of the thread that makes the call; false for the
// controller.
func (s Step) Worker() (int, bool) {
	n, ok := s["async_worker"].(float64)
	return int(n), ok
}

func (s Step) text(name string) string {
	v, _ := s[name].(string)
	return v
}

// null tells that a pointer is NULL in the recorded call.
func (s Step) null(name string) bool {
	v, ok := s[name]
	return ok && v == nil
}

func (s Step) number(name string) int {
	v, _ := s[name].(float64)
	return int(v)
}

// fault is which argument of the call is bad; recordings have two names for it.
func (s Step) fault() int { return max(s.number("fault"), s.number("fault1")) }

func (s Step) wait() nx.Wait {
	if s.text("wait") == "forever" {
		return nx.WaitForever
	}
	return nx.Wait(s.number("wait"))
}

// Outcome is what a replay gave, in the shape of the recording.
type Outcome struct {
	Steps           []map[string]any // one for each step; nil for a call that did not return
	Blocked         []bool           // one for each step: a worker's call had not returned when the controller went on
	CompletionOrder []int            // indexes of the steps in the order in which they returned
	Wire            []string
	Unheard         []string // segments to addresses that nobody has, as Wire
}

// Title names a trace in reports: most traces exist for both families.
func (t *Trace) Title() string { return fmt.Sprintf("%s IPv%d", t.Name, t.AF) }
