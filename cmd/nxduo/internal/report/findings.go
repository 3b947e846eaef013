package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonetx/cmd/nxduo/internal/trace"
)

// Level tells how much a finding matters.
type Level string

const (
	Problem Level = "problem" // something was lost, refused or waited for in vain
	Notice  Level = "notice"  // what cost time, or is worth a look
	Fine    Level = "fine"    // as it should be
)

// Finding is one thing that a trace shows, in words.
type Finding struct {
	Family     string  `json:"family"`
	Level      Level   `json:"level"`
	Connection int     `json:"connection,omitempty"` // that it is about; 0: no single one
	At         float64 `json:"at"`                   // where it begins, milliseconds; -1: nowhere
	Until      float64 `json:"until,omitempty"`      // where it ends; 0: it is a moment
	Text       string  `json:"text"`
	Reference  string  `json:"reference,omitempty"` // the passage that says how it should be
}

// rule looks for one kind of thing in the events of one family.
type rule interface {
	see(e *trace.Event)
	tell(found func(Finding))
}

// Findings looks for everything that there is a rule for, family by family: what
// went wrong first, in the order of time, and what went well last.
func Findings(t *trace.Trace) []Finding {
	var all []Finding
	for i := range t.Header.Families {
		f := &t.Header.Families[i]
		rules := []rule{
			&handshake{}, &options{}, &retransmissions{}, &backoff{}, &duplicates{}, &congestion{}, &roundTrip{}, &limits{},
			&pauses{}, &smallSegments{mss: f.MSS},
			&acknowledging{}, &peerAcknowledging{}, &closedWindow{}, &order{},
			&pools{header: f.Pools}, &losses{}, &calls{}, &sockets{}, &dialogue{}, &run{},
		}
		for j := range t.Events {
			e := &t.Events[j]
			if e.Family != f.Family {
				continue
			}
			for _, r := range rules {
				r.see(e)
			}
		}
		var found []Finding
		for _, r := range rules {
			r.tell(func(one Finding) {
				one.Family = f.Family
				found = append(found, one)
			})
		}
		slices.SortStableFunc(found, func(a, b Finding) int {
			return cmp.Or(cmp.Compare(rank(a.Level), rank(b.Level)), cmp.Compare(a.when(), b.when()))
		})
		all = append(all, found...)
	}
	return all
}

// when is the place of a finding in the order of time; what is of the whole run
// comes last.
func (f *Finding) when() float64 {
	if f.At < 0 {
		return math.Inf(1)
	}
	return f.At
}

func rank(l Level) int { return slices.Index([]Level{Problem, Notice, Fine}, l) }

// events that rules tell apart.

func segment(e *trace.Event) (s *trace.Segment, sent bool) {
	s, _ = e.Data.(*trace.Segment)
	return s, e.Name == trace.SegmentSent
}

func has(s *trace.Segment, flag string) bool { return strings.Contains(s.Flags, flag) }

// plain tells that a segment is nothing but an acknowledgement.
func plain(s *trace.Segment) bool { return s.Length == 0 && s.Flags == "A" }

// The words and numbers of findings.

// duration writes milliseconds as people read them. No line breaks before the
// unit.
func duration(ms float64) string {
	switch {
	case ms == 0:
		return "0\u00a0ms"
	case ms >= 10_000:
		return fmt.Sprintf("%.1f\u00a0s", ms/1000)
	case ms >= 1000:
		return fmt.Sprintf("%.2f\u00a0s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f\u00a0ms", ms)
	case ms >= 1:
		return fmt.Sprintf("%.1f\u00a0ms", ms)
	}
	return fmt.Sprintf("%.0f\u00a0µs", ms*1000)
}

// group writes a number with narrow spaces between its thousands.
func group[N int | int64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// count writes "1 segment", "3 segments".
func count[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return group(n) + " " + what + "s"
}

// tally writes the parts of a sum, the largest first: "3 fast, 1 timeout".
func tally[K ~string](parts map[K]int) string {
	var names []K
	for name := range parts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b K) int { return cmp.Or(cmp.Compare(parts[b], parts[a]), cmp.Compare(a, b)) })
	var words []string
	for _, name := range names {
		words = append(words, fmt.Sprintf("%s %s", group(parts[name]), name))
	}
	return strings.Join(words, ", ")
}

// percent writes a share of a whole.
func percent(part, whole float64) string {
	if whole <= 0 {
		return "0\u00a0%"
	}
	share := 100 * part / whole
	if share > 0 && share < 1 {
		return fmt.Sprintf("%.1f\u00a0%%", share)
	}
	return fmt.Sprintf("%.0f\u00a0%%", share)
}

// median of some numbers; 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
