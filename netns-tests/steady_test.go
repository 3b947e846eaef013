package parity

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
)

// What a flow has seen is what a map of single numbers would have, around the
// end of the sequence numbers too.
func TestFlow(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		first := seqnum.Value(0xffffffce) // the numbers begin anew after 50
		f, model := flow{first: first, next: first}, [150]bool{}
		for range 40 {
			from := random.IntN(len(model))
			to := min(len(model), from+random.IntN(20))
			fresh := 0
			for i := from; i < to; i++ {
				if !model[i] {
					model[i] = true
					fresh++
				}
			}
			require.Equal(t, fresh, f.see(first+seqnum.Value(from), first+seqnum.Value(to)))
		}
	}
}

// Losses, and segments that overtake others, are the weather of a way: what is
// kept of a real wire is the same with them and without.
func TestWireIsSteadyInAnyWeather(t *testing.T) {
	for _, name := range []string{"bulk-in-bytes", "long-messages", "receive-mss"} {
		s := find(t, name)
		for _, family := range families {
			clear, err := runTrace(s, place("ram"), family, Options{Seed: 1}, nil)
			require.NoError(t, err)
			want := steady(clear)
			overtaken := 0
			for seed := range uint64(8) {
				rough := *s
				rough.Settings.Faults = "loss=10%,reorder=20%,duplicate=5%"
				trace, err := runTrace(&rough, place("ram"), family, Options{Seed: seed}, nil)
				require.NoError(t, err)
				require.Empty(t, trace.Failures, "%s, IPv%d, seed %d", name, family, seed)
				got := steady(trace)
				for _, lane := range realLanes {
					assert.Equal(t, lines(want, lane), lines(got, lane), "%s, IPv%d, seed %d", name, family, seed)
				}
				overtaken += late(trace)
			}
			if name == "bulk-in-bytes" {
				assert.NotZero(t, overtaken, "no segment came behind a later one")
			}
		}
	}
}

// late counts segments with new data that came behind later ones.
func late(t *Trace) int {
	n, next := 0, map[string]seqnum.Value{}
	for _, e := range t.lane(Wire) {
		if e.segment == nil || e.segment.fresh == 0 {
			continue
		}
		s := e.segment
		if last, seen := next[s.flow]; seen && s.begin().LessThan(last) {
			n++
		} else {
			next[s.flow] = s.end()
		}
	}
	return n
}

func lines(t *Trace, lane Lane) (list []string) {
	for _, e := range t.lane(lane) {
		list = append(list, e.String())
	}
	return list
}
