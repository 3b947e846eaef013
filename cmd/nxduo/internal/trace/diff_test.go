package trace

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, lines []string) *Trace {
	tr, err := Read(strings.NewReader(strings.Join(lines, "")))
	require.NoError(t, err)
	return tr
}

func TestDiff(t *testing.T) {
	a, b := read(t, sample(t, "out")), read(t, sample(t, "out"))
	d := Diff(a, b)
	assert.True(t, d.None(), d)

	// Times and what came in are no difference of events.
	for i := range b.Events {
		b.Events[i].Time += 1
	}
	d = Diff(a, b)
	assert.True(t, d.None(), d)

	// One segment more, another pool, and a workload that fails.
	b.Header.Families[0].Pools[0].Packets = 99
	at := 0
	for i := range b.Events {
		e := &b.Events[i]
		if s, ok := e.Data.(*Segment); ok && e.Family == "IPv4" && e.Name == SegmentSent && s.Length > 0 {
			at = i
			break
		}
	}
	extra := *b.Events[at].Data.(*Segment)
	extra.Again, extra.Cause = true, CauseTimeout
	b.Events = append(b.Events[:at+1], append([]Event{{b.Events[at].Time, "IPv4", SegmentSent, &extra}}, b.Events[at+1:]...)...)
	for i := range b.Events {
		if m, ok := b.Events[i].Data.(*Mark); ok && b.Events[i].Family == "IPv4" && b.Events[i].Name == WorkloadEnd {
			*m = Mark{Text: "no answer", Failed: true}
		}
	}
	d = Diff(a, b)
	assert.Equal(t, []Difference{{"IPv4", "send pool", "8 x 800", "99 x 800"}}, d.Setup)
	require.Len(t, d.Partings, 1)
	assert.Contains(t, d.Partings[0].B, "again: timeout")
	assert.NotEqual(t, d.Partings[0].A, d.Partings[0].B)
	words := strings.Join(d.Findings, "\n")
	assert.Contains(t, words, "IPv4: only B failed: no answer")
	assert.Contains(t, words, "the retransmission timer went off")
	found := false
	for _, x := range d.Outcome {
		assert.Equal(t, "IPv4", x.Family)
		found = found || x.What == "sent again"
	}
	assert.True(t, found, d.Outcome)
}
