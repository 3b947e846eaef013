package trace

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sample is the lines of a trace that is as it should be.
func sample(t *testing.T, name string) []string {
	b, err := os.ReadFile("testdata/" + name + ".jsonl")
	require.NoError(t, err)
	lines := strings.SplitAfter(string(b), "\n")
	return lines[:len(lines)-1]
}

// What is wrong with a file is said, with its line, by Check and by Read.
func TestBadFiles(t *testing.T) {
	good := sample(t, "mail")
	n := len(good)
	segment := slices.IndexFunc(good, func(l string) bool { return strings.Contains(l, SegmentSent) })
	replace := func(line int, with string) string {
		lines := slices.Clone(good)
		lines[line-1] = with
		return strings.Join(lines, "")
	}
	swap := func(a, b int) string {
		lines := slices.Clone(good)
		lines[a], lines[b] = lines[b], lines[a]
		return strings.Join(lines, "")
	}
	s := good[segment]
	for _, c := range []struct {
		name, file string
		line       int
		is         error  // nil: of no kind
		says       string // Check
		reads      bool   // Read takes it all the same: it holds against the types only
	}{
		{"empty", "", 1, ErrForeign, "empty", false},
		{"another file", "root:x:0:0\nbin:x:1\n", 1, ErrForeign, "no trace", false},
		{"binary", "\x0a\x0d\x0d\x0a\xff\xfe", 1, ErrForeign, "no trace", false},
		{"other JSON", `{"qlog_version":"0.4"}` + "\n", 1, ErrForeign, "no trace", false},
		{"other version", strings.Replace(strings.Join(good, ""), `"version":1`, `"version":7`, 1), 1, ErrVersion, "7, it knows 1", false},
		{"cut in a line", strings.Join(good, "")[:len(strings.Join(good[:40], ""))+30], 41, ErrTruncated, "middle of this line", false},
		{"cut between lines", strings.Join(good[:40], ""), 40, ErrTruncated, "no trace:end", false},
		{"two joined", strings.Join(good, "") + good[1], n + 1, ErrOrder, "behind trace:end", false},
		{"no JSON", replace(10, "what?\n"), 10, nil, "not JSON", false},
		{"unknown event", replace(segment+1, strings.Replace(s, SegmentSent, "segment:eaten", 1)), segment + 1, ErrUnknown, `"segment:eaten"`, false},
		{"unknown field", replace(segment+1, strings.Replace(s, `"length"`, `"lenght":0,"length"`, 1)), segment + 1, nil, "lenght", false},
		{"wrong type", replace(segment+1, strings.Replace(s, `"connection":`, `"connection":"one","x":`, 1)), segment + 1, nil, "", false},
		{"negative time", replace(segment+1, strings.Replace(s, `{"time":`, `{"time":-`, 1)), segment + 1, nil, "time", false},
		{"bad flags", replace(segment+1, strings.Replace(s, `"flags":"`, `"flags":"AS`, 1)), segment + 1, nil, "flags", true},
		{"unknown family", replace(segment+1, strings.Replace(s, `"IPv4"`, `"IPv5"`, 1)), segment + 1, nil, "family", false},
		{"unknown connection", replace(segment+1, strings.Replace(s, `"connection":1`, `"connection":77`, 1)), segment + 1, ErrOrder, "connection 77", false},
		{"out of order", swap(segment+3, segment+60), segment + 5, ErrOrder, "ms after", false},
		{"a line is missing", strings.Join(slices.Delete(slices.Clone(good), 50, 51), ""), n - 1, ErrOrder, "there are", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			checked, err := Check(strings.NewReader(c.file), 5)
			require.NoError(t, err)
			require.NotEmpty(t, checked.Problems)
			first := checked.Problems[0]
			var line *LineError
			require.ErrorAs(t, first, &line)
			assert.Equal(t, c.line, line.Line, first.Error())
			assert.ErrorContains(t, first, c.says)
			if c.is != nil {
				assert.ErrorIs(t, first, c.is)
			}
			_, err = Read(strings.NewReader(c.file))
			if c.reads {
				assert.NoError(t, err)
				return
			}
			if assert.ErrorAs(t, err, &line) {
				assert.Equal(t, c.line, line.Line, err.Error())
			}
		})
	}
}

// Of a trace that is cut off there is what there is.
func TestTruncatedIsRead(t *testing.T) {
	good := sample(t, "out")
	tr, err := Read(strings.NewReader(strings.Join(good[:100], "")))
	require.ErrorIs(t, err, ErrTruncated)
	assert.Len(t, tr.Events, 99)
	assert.Equal(t, Format, tr.Header.Format)
}

// A trace that is written as it was read is the same.
func TestReadAndWrite(t *testing.T) {
	for _, name := range []string{"mail", "in", "out"} {
		whole := strings.Join(sample(t, name), "")
		tr, err := Read(strings.NewReader(whole))
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, tr.Write(&b))
		again, err := Read(&b)
		require.NoError(t, err)
		assert.Equal(t, tr, again)
	}
}

// The schema and the types have the same fields.
func TestSchemaHasTheTypes(t *testing.T) {
	var document struct {
		Defs map[string]struct {
			Properties map[string]json.RawMessage `json:"properties"`
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(Schema(), &document))
	compare := func(def string, v any) {
		want := fields(reflect.TypeOf(v))
		var got []string
		for name := range document.Defs[def].Properties {
			got = append(got, name)
		}
		assert.ElementsMatch(t, want, got, def)
	}
	compare("header", Header{})
	compare("family", Family{})
	compare("link", Link{})
	compare("pool", Pool{})
	compare("segmentName", SegmentName{})
	for name, data := range dataOf {
		compare(name, Event{})
		var event struct {
			Data struct {
				Ref string `json:"$ref"`
			} `json:"data"`
		}
		properties, err := json.Marshal(document.Defs[name].Properties)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(properties, &event))
		compare(strings.TrimPrefix(event.Data.Ref, "#/$defs/"), reflect.ValueOf(data()).Elem().Interface())
	}
}

func fields(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// Nothing that a file holds makes the reader panic, and what Check takes Read
// takes.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"mail", "out"} {
		b, err := os.ReadFile("testdata/" + name + ".jsonl")
		require.NoError(f, err)
		lines := bytes.SplitAfter(b, []byte("\n"))
		f.Add(bytes.Join(lines[:min(30, len(lines))], nil))
		f.Add(bytes.Join([][]byte{lines[0], lines[len(lines)-2]}, nil))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		checked, err := Check(bytes.NewReader(file), 10)
		require.NoError(t, err)
		tr, err := Read(bytes.NewReader(file))
		if len(checked.Problems) == 0 && err != nil {
			t.Errorf("Check takes what Read does not: %v", err)
		}
		if err != nil && tr != nil && !errors.Is(err, ErrTruncated) && tr.Header.Format != Format {
			t.Errorf("a header out of nothing: %v", err)
		}
		if tr != nil {
			for i := range tr.Events {
				_ = tr.Events[i].Words()
			}
			Diff(tr, tr)
		}
	})
}
