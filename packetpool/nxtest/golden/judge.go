package golden

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// Rule is a difference with a name. It excuses a field of a case when a pattern
// of Fields matches its path and When says so.
type Rule struct {
	Name   string   // "DelayedAck"
	Why    string   // what differs and why, with the passage of the spec, RFC or source that says so
	Fields []string // patterns of path.Match for paths with "/" for "." and "[": "info/tx_window", "states/*"; "" is the whole value
	When   func(Difference) bool
}

func (r *Rule) excuses(d Difference) bool {
	p := strings.TrimPrefix(strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(d.Path), "/")
	return slices.ContainsFunc(r.Fields, func(pattern string) bool {
		ok, err := path.Match(pattern, p)
		return err == nil && ok
	}) && r.When(d)
}

// Judge compares traces and keeps the count.
type Judge struct {
	layer string
	rules []Rule

	traces    int
	agree     int // also those that agree by a rule
	byRule    int
	uses      map[string]int
	cases     []*Case // those of traces that agree, for the self-test
	disagree  []Difference
	disagreed []string // names of traces
}

// NewJudge makes a judge for a layer, "tcp". Rules are tried in order.
func NewJudge(layer string, rules []Rule) *Judge {
	return &Judge{layer: layer, rules: rules, uses: map[string]int{}}
}

// Trace compares the cases of one trace, and answers the differences that no
// rule excuses.
func (j *Judge) Trace(name string, cases []Case) []Difference {
	var left []Difference
	used := map[string]bool{}
	for i := range cases {
		left = append(left, j.judge(&cases[i], used)...)
	}
	j.traces++
	for rule := range used {
		j.uses[rule]++
	}
	if len(left) > 0 {
		j.disagreed = append(j.disagreed, name)
		for i := range left {
			c := *left[i].Case
			c.Where = name + ", " + c.Where
			left[i].Case = &c
		}
		j.disagree = append(j.disagree, left...)
		return left
	}
	j.agree++
	if len(used) > 0 {
		j.byRule++
	}
	for i := range cases {
		j.cases = append(j.cases, &cases[i])
	}
	return nil
}

// Agrees tells whether the cases of a trace agree, named differences included.
// Nothing is counted.
func (j *Judge) Agrees(cases []Case) bool {
	used := map[string]bool{}
	return !slices.ContainsFunc(cases, func(c Case) bool { return len(j.judge(&c, used)) > 0 })
}

// judge answers the differences of a case that no rule excuses.
func (j *Judge) judge(c *Case, used map[string]bool) []Difference {
	var left []Difference
	for _, d := range differences(c) {
		i := slices.IndexFunc(j.rules, func(r Rule) bool { return r.excuses(d) })
		if i < 0 {
			left = append(left, d)
			continue
		}
		used[j.rules[i].Name] = true
	}
	return left
}

// Summary is the closing line.
func (j *Judge) Summary() string {
	return fmt.Sprintf("golden %s: %d of %d agree, %d by a named difference", j.layer, j.agree, j.traces, j.byRule)
}

// Close fails the test when a trace disagrees, with every difference that no
// rule excuses, and prints what each rule was used for and the closing line.
func (j *Judge) Close(tb testing.TB) {
	tb.Helper()
	if len(j.disagreed) > 0 {
		tb.Errorf("%d traces disagree; differences by kind and field:\n%s", len(j.disagreed), j.groups())
	}
	for i, r := range j.rules {
		if slices.IndexFunc(j.rules, func(o Rule) bool { return o.Name == r.Name }) == i {
			fmt.Printf("golden %s: %d traces by %s: %s\n", j.layer, j.uses[r.Name], r.Name, r.Why)
		}
	}
	fmt.Println(j.Summary())
}

// Unseen is how many traces in a thousand agree at least of recordings in
// another folder than [Own].
const Unseen = 950

// CloseAt is Close for a layer that does not agree everywhere yet: it fails the
// test only when fewer than so many traces in a thousand agree. What disagrees is
// shown with -v. Of recordings other than the project's own, which nobody has
// seen, [Unseen] may be enough.
func (j *Judge) CloseAt(tb testing.TB, perMille int) {
	tb.Helper()
	if Folder() != Own {
		perMille = min(perMille, Unseen)
	}
	if 1000*j.agree < perMille*j.traces {
		j.Close(tb)
		return
	}
	if len(j.disagreed) > 0 {
		tb.Logf("%d traces disagree; differences by kind and field:\n%s", len(j.disagreed), j.groups())
	}
	j.disagreed = nil
	j.Close(tb)
}

// groups lists all differences that no rule excuses by kind and field, the most
// frequent first: trace, step, field, and both values.
func (j *Judge) groups() string {
	groups := map[string][]Difference{}
	for _, d := range j.disagree {
		k := d.Case.Kind + " " + d.Path
		groups[k] = append(groups[k], d)
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		return cmp.Or(-cmp.Compare(len(groups[a]), len(groups[b])), cmp.Compare(a, b))
	})
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%5d %s\n", len(groups[k]), k)
		for _, d := range groups[k] {
			fmt.Fprintf(&b, "        %s\n", d)
		}
	}
	return b.String()
}
