package trace

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The samples that other packages test with conform.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		f, err := os.Open(path)
		require.NoError(t, err)
		c, err := Check(f, 10)
		require.NoError(t, err)
		assert.Empty(t, c.Problems, path)
		assert.NotZero(t, c.Events)
		require.NoError(t, f.Close())
	}
}

// What an older program has written under this version is valid and read. This
// program writes none of it.
func TestOlderTrace(t *testing.T) {
	older, err := os.ReadFile("testdata/older.jsonl")
	require.NoError(t, err)
	tr, err := Read(bytes.NewReader(older))
	require.NoError(t, err)
	assert.Equal(t, Version, tr.Header.Version)
	var totals Totals
	for i := range tr.Events {
		totals.Add(&tr.Events[i])
	}
	assert.Equal(t, map[Cause]int{CauseTailProbe: 1, CauseStandstill: 1}, totals.Causes)
	assert.Equal(t, "1 --> [PA] seq 1461 ack 1 len 540 win 8760, again: tail probe after 42.7 ms", tr.Events[9].Words())
	for _, c := range []Cause{CauseTailProbe, CauseStandstill} {
		wrong := bytes.Replace(older, []byte(c), []byte("boredom"), 1)
		checked, err := Check(bytes.NewReader(wrong), 10)
		require.NoError(t, err)
		assert.Len(t, checked.Problems, 1, "the schema has still an eye on it")
	}
	for _, name := range []string{"mail", "in", "out"} { // as this program makes them, with losses
		for _, line := range sample(t, name) {
			assert.NotContains(t, line, CauseTailProbe)
			assert.NotContains(t, line, CauseStandstill)
		}
	}
}

// The causes of the schema, those that are deprecated among them, are those that
// the types have.
func TestSchemaHasTheCauses(t *testing.T) {
	var document struct {
		Defs map[string]struct {
			Properties struct {
				Cause struct {
					AnyOf []struct {
						Enum       []Cause `json:"enum"`
						Deprecated bool    `json:"deprecated"`
					} `json:"anyOf"`
				} `json:"cause"`
			} `json:"properties"`
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(Schema(), &document))
	causes := document.Defs["data.segment"].Properties.Cause.AnyOf
	require.Len(t, causes, 2)
	assert.False(t, causes[0].Deprecated)
	assert.ElementsMatch(t, []Cause{CauseTimeout, CauseAfterTimeout, CauseFast, CauseHandshake, CauseWindowProbe, CauseKeepalive,
		CauseLost, CauseDuplicate, CauseUnneeded, CauseUnknown}, causes[0].Enum)
	assert.True(t, causes[1].Deprecated)
	assert.ElementsMatch(t, []Cause{CauseTailProbe, CauseStandstill}, causes[1].Enum)
}
