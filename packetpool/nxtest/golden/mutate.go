package golden

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// Mutations is the judge's own test: it changes one recorded field in each of n
// random cases of traces that agree, excused ones included, and looks whether
// the change is reported. Fewer than the given share fails the test.
//
// A number is changed by at least 11, because tick counts have a tolerance;
// when that makes no difference for a rule the change counts as missed.
func (j *Judge) Mutations(tb testing.TB, n int, share float64) {
	tb.Helper()
	if len(j.cases) == 0 {
		tb.Error("no trace agrees: nothing can be mutated")
		return
	}
	random := rand.New(rand.NewPCG(1, uint64(len(j.cases))))
	caught := 0
	var missed []string
	for range n {
		c := *j.cases[random.IntN(len(j.cases))]
		fields := leaves(c.Want, nil)
		if len(fields) == 0 {
			fields = [][]any{nil}
		}
		field := fields[random.IntN(len(fields))]
		c.Want = change(copied(c.Want), field, random)
		if len(j.judge(&c, map[string]bool{})) > 0 {
			caught++
		} else {
			missed = append(missed, fmt.Sprintf("%s %v: %s", c.Where, field, short(c.Want)))
		}
	}
	fmt.Printf("golden %s: %d of %d changed fields are reported\n", j.layer, caught, n)
	if float64(caught) < share*float64(n) {
		tb.Errorf("%d of %d changed fields are reported; not these: %q", caught, n, missed[:min(10, len(missed))])
	}
}

// leaves answers the ways to all fields of a value: keys and indexes.
func leaves(v any, way []any) [][]any {
	var out [][]any
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, leaves(v[k], append(slices.Clone(way), k))...)
		}
	case []any:
		for i := range v {
			out = append(out, leaves(v[i], append(slices.Clone(way), i))...)
		}
	default:
		out = append(out, way)
	}
	return out
}

// change answers v with the field at the end of the way changed.
func change(v any, way []any, random *rand.Rand) any {
	if len(way) > 0 {
		switch v := v.(type) {
		case map[string]any:
			k := way[0].(string)
			v[k] = change(v[k], way[1:], random)
		case []any:
			i := way[0].(int)
			v[i] = change(v[i], way[1:], random)
		}
		return v
	}
	switch v := v.(type) {
	case float64:
		return v + 11 + float64(random.IntN(1000))
	case string:
		return mangle(v, random)
	case bool:
		return !v
	default:
		return "changed"
	}
}

// mangle changes one character, or adds one.
func mangle(s string, random *rand.Rand) string {
	runes := []rune(s)
	if len(runes) == 0 {
		return "x"
	}
	i := random.IntN(len(runes))
	if random.IntN(4) == 0 {
		return string(slices.Insert(runes, i, 'x'))
	}
	runes[i] ^= 1
	return string(runes)
}

func copied(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		return v
	}
	return out
}
