package replay

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gonetx/packetpool/nxtest/golden"
)

// Context is what rules look at: the trace, what the replay gave, and the step
// that a case is about; Step is -1 for a case about the whole trace.
type Context struct {
	Trace   *Trace
	Outcome *Outcome
	Step    int
}

// Call is the step that a difference is about, nil for the whole trace.
func Call(d golden.Difference) Step {
	c := d.Case.Context.(Context)
	if c.Step < 0 {
		return nil
	}
	return c.Trace.Steps[c.Step]
}

// Kinds of cases that are not about the answer of one call.
const (
	KindOrder   = "completion order"
	KindWire    = "segments"
	KindUnheard = "segments to nobody"
	KindBlocked = "blocked at start"
	KindReturns = "returns"
)

// Cases splits a trace into what can be compared: the answer of each call that
// returned when it was recorded, whether each worker's call blocked, the order
// in which calls returned, and the segments. The recording's wire has none to
// an address that nobody has.
func Cases(t *Trace, o *Outcome) []golden.Case {
	var cases []golden.Case
	add := func(step int, kind string, want, got any) {
		where := kind
		if step >= 0 {
			where = fmt.Sprintf("step %d %s", step, t.Steps[step].Op())
		}
		cases = append(cases, golden.Case{Where: where, Kind: kind, Want: want, Got: got, Context: Context{t, o, step}})
	}
	answered := map[int]bool{}
	stuck := false
	for i, s := range t.Steps {
		_, async := s.Worker()
		if async {
			add(i, KindBlocked, s["blocked_at_start"] == true, o.Blocked[i])
		}
		recorded := s.Result()
		switch {
		case recorded != nil:
			answered[i] = true
			add(i, s.Op(), compared(recorded), comparedOf(o.Steps[i]))
		case !async && s.Op() != "join" && (t.Hang != nil || t.Crash != nil) && !stuck:
			// The first call that did not return when it was recorded.
			stuck = true
			add(i, KindReturns, map[string]any{"returned": false}, returned(o.Steps[i]))
		}
	}
	add(-1, KindOrder, anys(recordedOrder(t, answered)), anys(replayedOrder(o, answered)))
	add(-1, KindWire, anys(segments(t.Wire)), anys(segments(o.Wire)))
	add(-1, KindUnheard, []any{}, anys(segments(o.Unheard)))
	return cases
}

// compared drops the fields that say the status again.
func compared(result map[string]any) map[string]any {
	out := maps.Clone(result)
	delete(out, "status_hex")
	delete(out, "status_name")
	return out
}

func comparedOf(result map[string]any) any {
	if result == nil {
		return nil
	}
	out := maps.Clone(result)
	delete(out, Inexpressible)
	return out
}

func returned(result map[string]any) map[string]any {
	if result == nil {
		return map[string]any{"returned": false}
	}
	return map[string]any{"returned": true, "status": result["status"]}
}

func recordedOrder(t *Trace, answered map[int]bool) []float64 {
	var order []float64
	if t.CompletionOrder == nil {
		for _, i := range slices.Sorted(maps.Keys(answered)) {
			order = append(order, float64(i))
		}
		return order
	}
	for _, i := range t.CompletionOrder {
		order = append(order, float64(i))
	}
	return order
}

func replayedOrder(o *Outcome, answered map[int]bool) []float64 {
	var order []float64
	for _, i := range o.CompletionOrder {
		if answered[i] {
			order = append(order, float64(i))
		}
	}
	return order
}

// segments reduces the list of segments to what is compared: all but the ticks,
// which belong to the calls.
func segments(list []string) []string {
	out := make([]string, len(list))
	for i, line := range list {
		f := strings.Fields(line)
		if len(f) < 7 {
			out[i] = line
			continue
		}
		f[3], f[4] = relative(f[3]), relative(f[4])
		out[i] = strings.Join(f[1:], " ")
	}
	return out
}

// relative is a number of a segment, which the recording counts from the latest
// SYN of its side. One of a connection before that is anywhere, because initial
// sequence numbers are random; hardly ever is it as near as what a trace sends.
func relative(number string) string {
	const far = 1 << 17
	if n, err := strconv.ParseUint(number, 10, 32); err == nil && n > far {
		return "of-another-connection"
	}
	return number
}
