package golden

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func object(fields ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(fields); i += 2 {
		m[fields[i].(string)] = fields[i+1]
	}
	return m
}

func TestLoad(t *testing.T) {
	type trace struct {
		Name string
		N    int
	}
	dir := t.TempDir()
	t.Setenv("NX_GOLDEN", dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plain.jsonl"), []byte("{\"name\":\"a\",\"n\":1}\n\n{\"name\":\"é\"}\n"), 0o600))
	f, err := os.Create(filepath.Join(dir, "zipped.jsonl.gz"))
	require.NoError(t, err)
	z := gzip.NewWriter(f)
	_, err = z.Write([]byte("{\"name\":\"b\",\"n\":2}"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, f.Close())
	assert.Equal(t, []trace{{"a", 1}, {"é", 0}}, Load[trace](t, "plain.jsonl"))
	assert.Equal(t, []trace{{"b", 2}}, Load[trace](t, "zipped.jsonl"))
	_, err = read(filepath.Join(dir, "none.jsonl"))
	assert.ErrorContains(t, err, "none.jsonl.gz")
}

func TestDifferences(t *testing.T) {
	want := object("status", 0.0, "info", object("a", 1.0, "b", "x"), "list", []any{1.0, 2.0}, "gone", nil, "flag", true)
	got := object("status", 7.0, "info", object("a", 1.0, "b", "y", "c", 2.0), "list", []any{1.0}, "flag", "true")
	c := Case{Where: "step 1", Want: want, Got: got}
	var lines []string
	for _, d := range differences(&c) {
		lines = append(lines, d.String())
	}
	assert.Equal(t, []string{
		`step 1: flag: recorded true, replayed "true"`,
		`step 1: gone: recorded null, replayed (missing)`,
		`step 1: info.b: recorded "x", replayed "y"`,
		`step 1: info.c: recorded (missing), replayed 2`,
		`step 1: list[1]: recorded 2, replayed (missing)`,
		`step 1: status: recorded 0, replayed 7`,
	}, lines)
	assert.Empty(t, differences(&Case{Want: want, Got: copied(want)}))
	assert.Len(t, differences(&Case{Want: want, Got: nil}), 1)
	assert.Len(t, differences(&Case{Want: 3, Got: 3}), 1, "an int is a mistake of the layer")
}

// A rule excuses what it names, where it holds, and nothing else.
func TestRules(t *testing.T) {
	rules := []Rule{
		{Name: "Near", Why: "clocks differ", Fields: []string{"ticks", "steps/*/ticks"}, When: func(d Difference) bool {
			want, got, ok := d.Number()
			return ok && got-want <= 3 && want-got <= 3
		}},
		{Name: "Never", Why: "nothing", Fields: []string{"*"}, When: func(Difference) bool { return false }},
	}
	j := NewJudge("test", rules)
	assert.Empty(t, j.Trace("same", []Case{{Want: object("ticks", 5.0), Got: object("ticks", 5.0)}}))
	assert.Empty(t, j.Trace("near", []Case{
		{Want: object("ticks", 5.0), Got: object("ticks", 7.0)},
		{Want: object("steps", []any{object("ticks", 1.0)}), Got: object("steps", []any{object("ticks", 2.0)})},
	}))
	assert.Len(t, j.Trace("far", []Case{{Where: "step 2", Kind: "send", Want: object("ticks", 5.0), Got: object("ticks", 9.0)}}), 1)
	assert.Len(t, j.Trace("other", []Case{{Kind: "send", Want: object("ticks", 5.0, "status", 0.0), Got: object("ticks", 6.0, "status", 1.0)}}), 1)
	assert.Equal(t, "golden test: 2 of 4 agree, 1 by a named difference", j.Summary())
	assert.Equal(t, map[string]int{"Near": 2}, j.uses, "traces, not fields")
	assert.Contains(t, j.groups(), "far, step 2: ticks: recorded 5, replayed 9")
}

// The self-test must notice a rule that excuses too much.
func TestMutationsNoticeALenientRule(t *testing.T) {
	cases := func() []Case {
		value := object("status", 0.0, "name", "x", "states", object("S0", "CLOSED"))
		return []Case{{Where: "step", Want: value, Got: copied(value)}}
	}
	strict := NewJudge("test", nil)
	strict.Trace("a", cases())
	strict.Mutations(t, 200, 1)

	lenient := NewJudge("test", []Rule{{Name: "All", Fields: []string{"states/*"}, When: func(Difference) bool { return true }}})
	lenient.Trace("a", cases())
	probe := &testing.T{}
	lenient.Mutations(probe, 200, 0.99)
	assert.True(t, probe.Failed())
}
