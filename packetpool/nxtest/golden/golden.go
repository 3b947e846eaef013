// Package golden compares what this project does with what the original was
// recorded doing.
//
// A recording is a file of traces, one JSON object a line. A layer replays each
// trace and splits it into [Case]s, a recorded value and its own for each thing
// that can be compared; a [Judge] compares them field by field:
//
//	traces := golden.Load[Trace](t, "tcp_golden.jsonl")
//	judge := golden.NewJudge("tcp", rules)
//	for _, trace := range traces {
//		judge.Trace(trace.Name, cases(trace, replay(trace)))
//	}
//	judge.Close(t)                 // golden tcp: 1170 of 1177 agree, 60 by a named difference
//	judge.Mutations(t, 1000, 0.99) // a comparator that cannot fail is worth nothing
//
// A [Rule] is a difference that has a name and a reason. It excuses the fields
// that it names, where its predicate holds, and nothing else: the rest of the
// same case is still compared.
package golden

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Own is the folder of the project's own recordings, in each package.
const Own = "testdata"

// Folder is where recordings are read from: $NX_GOLDEN, or [Own] of the package
// under test.
func Folder() string {
	if dir := os.Getenv("NX_GOLDEN"); dir != "" {
		return dir
	}
	return Own
}

// Load reads the traces of a recording, "tcp_golden.jsonl", from [Folder]; the
// file may be gzipped and then has the suffix .gz. A recording that is not
// there fails the test.
func Load[T any](tb testing.TB, name string) []T {
	tb.Helper()
	data, err := read(filepath.Join(Folder(), name))
	require.NoError(tb, err)
	var traces []T
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var t T
		require.NoError(tb, json.Unmarshal(lines.Bytes(), &t), "%s, line %d", name, len(traces)+1)
		traces = append(traces, t)
	}
	require.NoError(tb, lines.Err())
	require.NotEmpty(tb, traces, "%s holds no trace", name)
	return traces
}

// Has tells whether [Folder] holds a recording.
func Has(name string) bool {
	_, err := os.Stat(filepath.Join(Folder(), name))
	_, errGz := os.Stat(filepath.Join(Folder(), name+".gz"))
	return err == nil || errGz == nil
}

func read(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		return data, nil
	}
	f, errGz := os.Open(path + ".gz")
	if errGz != nil {
		return nil, fmt.Errorf("%w, nor %s.gz", err, filepath.Base(path))
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// Case is one thing of a trace that is compared: a recorded value and the one
// of the replay, both as encoding/json decodes them into an any. The values of
// numbers are float64.
type Case struct {
	Where   string // "step 3 send", for reports
	Kind    string // what reports group by: "send"
	Want    any    // recorded
	Got     any    // replayed
	Context any    // what rules look at: the trace, the step
}

// Difference is one field in which a replay is not as recorded.
type Difference struct {
	Case      *Case
	Path      string // "info.tx_window", "chain[2]"; empty: the whole value
	Want, Got any    // Missing when one side does not have the field
}

// Missing stands for a field that is not there.
type Missing struct{}

func (Missing) String() string { return "(missing)" }

func (d Difference) String() string {
	return fmt.Sprintf("%s: %s: recorded %s, replayed %s", d.Case.Where, d.Path, short(d.Want), short(d.Got))
}

func short(v any) string {
	if m, ok := v.(Missing); ok {
		return m.String()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(b) > 160 {
		return string(b[:160]) + "…"
	}
	return string(b)
}

// Number answers the difference as numbers: recorded, replayed, and whether
// both are.
func (d Difference) Number() (want, got float64, ok bool) {
	w, okW := d.Want.(float64)
	g, okG := d.Got.(float64)
	return w, g, okW && okG
}

// differences compares a case field by field.
func differences(c *Case) []Difference {
	var out []Difference
	diff(c.Want, c.Got, "", func(path string, want, got any) {
		out = append(out, Difference{Case: c, Path: path, Want: want, Got: got})
	})
	return out
}

func diff(want, got any, path string, report func(string, any, any)) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			report(path, want, got)
			return
		}
		keys := slices.Collect(maps.Keys(w))
		for k := range g {
			if _, both := w[k]; !both {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			sub := strings.TrimPrefix(path+"."+k, ".")
			wv, okW := w[k]
			gv, okG := g[k]
			switch {
			case !okW:
				report(sub, Missing{}, gv)
			case !okG:
				report(sub, wv, Missing{})
			default:
				diff(wv, gv, sub, report)
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok {
			report(path, want, got)
			return
		}
		for i := range max(len(w), len(g)) {
			sub := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case i >= len(w):
				report(sub, Missing{}, g[i])
			case i >= len(g):
				report(sub, w[i], Missing{})
			default:
				diff(w[i], g[i], sub, report)
			}
		}
	case float64:
		if g, ok := got.(float64); !ok || g != w && !(math.IsNaN(g) && math.IsNaN(w)) {
			report(path, want, got)
		}
	case string, bool, nil:
		if got != want {
			report(path, want, got)
		}
	default:
		report(path, fmt.Sprintf("%T is not a JSON value", want), got)
	}
}
