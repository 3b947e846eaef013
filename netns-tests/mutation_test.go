package parity

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A comparison that cannot fail is worth nothing: one change in the events of
// one family is seen, whatever it is.
func TestChangedEventsAreSeen(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	table := slices.DeleteFunc(Table(), func(s Scenario) bool { return !s.Runs("ram") })
	type pair struct {
		name      string
		four, six *Trace
	}
	var pairs []pair
	for i := range table {
		if i%3 != 0 {
			continue
		}
		var p pair
		p.name = table[i].Name
		for _, at := range []struct {
			family int
			trace  **Trace
		}{{4, &p.four}, {6, &p.six}} {
			trace, err := runTrace(&table[i], place("ram"), at.family, Options{Seed: 1}, nil)
			require.NoError(t, err)
			*at.trace = trace
		}
		before := Compare(p.four, p.six)
		require.True(t, before.Same, "%s: %s", p.name, side(before.First()))
		pairs = append(pairs, p)
	}
	const changes = 1000
	seen, kinds := 0, map[string][2]int{}
	for range changes {
		p := pairs[random.IntN(len(pairs))]
		four, six := *p.four, *p.six
		changed := &four
		if random.IntN(2) == 1 {
			changed = &six
		}
		changed.Events = slices.Clone(changed.Events)
		kind := change(random, changed)
		after := Compare(&four, &six)
		n := kinds[kind]
		n[1]++
		if after.Same {
			t.Logf("not seen: %s, %s", p.name, kind)
		} else {
			seen++
			n[0]++
		}
		kinds[kind] = n
	}
	for _, kind := range sorted(kinds) {
		t.Logf("%-22s %d of %d are seen", kind, kinds[kind][0], kinds[kind][1])
	}
	t.Logf("%d of %d changes are seen", seen, changes)
	assert.GreaterOrEqual(t, seen, changes*99/100)
}

// change makes one change, and answers of which kind it was.
func change(random *rand.Rand, t *Trace) string {
	at := random.IntN(len(t.Events))
	e := &t.Events[at]
	switch kind := random.IntN(7); {
	case kind == 0:
		t.Events = slices.Delete(t.Events, at, at+1)
		return "an event is missing"
	case kind == 1:
		t.Events = slices.Insert(t.Events, at, *e)
		return "an event comes twice"
	case kind == 2:
		e.Tick += 30 + random.IntN(100)
		return "an event comes later"
	case kind == 3:
		e.Step++
		return "an event in a later step"
	case kind == 4 && len(e.Numbers) > 0:
		e.Numbers = slices.Clone(e.Numbers)
		n := &e.Numbers[random.IntN(len(e.Numbers))]
		if strings.HasSuffix(n.Name, "-lowest") && n.Name[0] == 'p' {
			n.Value -= 3 // the rule CopyOnReceive allows a frame
		}
		n.Value += []int{-41, -7, 7, 41}[random.IntN(4)]
		return "another number"
	case kind == 5:
		e.What = strings.Replace(e.What, " ACK", " RST", 1) + "?"
		return "another text"
	default:
		// Swapped with another one of its lane that is not equal.
		for i := at + 1; i < len(t.Events); i++ {
			if o := &t.Events[i]; o.Lane == e.Lane && fmt.Sprint(*o) != fmt.Sprint(*e) && o.String() != e.String() {
				*o, *e = *e, *o
				return "two events are swapped"
			}
		}
		e.What += "!"
		return "another text"
	}
}
