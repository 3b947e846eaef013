package parity

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTable is what nxduo parity runs: every scenario at every place.
func TestTable(t *testing.T) {
	uses, table := map[string]int{}, Table()
	all := 0
	if testing.Short() { // for the race detector, which is slow
		table = slices.DeleteFunc(table, func(s Scenario) bool { return len(s.Name)%4 != 0 })
	}
	for _, p := range Places() {
		t.Run(p.Name, func(t *testing.T) {
			report := Run(t.Context(), Options{Scenarios: table, Places: []string{p.Name}})
			for _, why := range report.Missing() {
				if os.Getenv("CI") == "true" {
					t.Errorf("not run: %s", why)
				} else {
					t.Skipf("SKIP: %s", why)
				}
			}
			all++
			for _, x := range report.Results {
				for rule, n := range x.Rules {
					uses[rule] += n
				}
				if x.Verdict != Same {
					t.Errorf("%s: %s\n%s", x.Scenario, x.Verdict, x.Difference())
				}
			}
			t.Logf("%s: %d scenarios in %v", p.Name, len(report.Results), report.Took.Round(1e6))
		})
	}
	for _, r := range Rules {
		t.Logf("rule %s: %d times", r.Name, uses[r.Name])
		if r.Name != copyOnReceive && !testing.Short() && all == len(Places()) { // that one is a matter of who is faster
			assert.NotZero(t, uses[r.Name], "the rule %s excuses nothing: the table does not need it", r.Name)
		}
	}
}

// In driven time two runs of a scenario are the same, event by event and tick by
// tick.
func TestDrivenTimeIsSteady(t *testing.T) {
	table := Table()
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for i := range table {
		s := &table[i]
		if !s.Runs("ram") || i%4 != 0 {
			continue
		}
		first, err := runTrace(s, place("ram"), 6, Options{Seed: 1}, nil)
		require.NoError(t, err)
		for range rounds {
			again, err := runTrace(s, place("ram"), 6, Options{Seed: 1}, nil)
			require.NoError(t, err)
			c := Compare(first, again)
			require.True(t, c.Same, "%s: %s", s.Name, side(c.First()))
			require.Empty(t, c.Rules, s.Name)
		}
	}
}

// side shows a row.
func side(r *Row) string {
	if r == nil {
		return "nothing"
	}
	return fmt.Sprintf("%v | %v: %s", r.IPv4, r.IPv6, r.Why)
}

func find(t *testing.T, name string) *Scenario {
	t.Helper()
	for _, s := range Table() {
		if s.Name == name {
			return &s
		}
	}
	require.FailNow(t, "no scenario "+name)
	return nil
}

// A fault in one family only is seen, whatever kind it is and whichever family.
func TestComparisonSeesWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, scenario string
		wrong          Wrong
	}{
		{"header room", "send-mss", Wrong{Room: true}},
		{"an MTU of 20 bytes less", "send-mss", Wrong{MTU: 20}},
		{"an MTU of one byte less", "connect", Wrong{MTU: 1}},
		{"a reset that is dropped", "reset-by-peer", Wrong{Faults: "drop(in rst)"}},
		{"a reset of our own that is dropped", "reset-by-stack", Wrong{Faults: "drop(out rst)"}},
		{"a reset that comes twice", "reset-in-close-wait", Wrong{Faults: "duplicate(out rst)"}},
		{"a late end", "connect", Wrong{Faults: "delay(30ms, in fin)"}},
		{"a late segment", "send-bulk", Wrong{Faults: "delay(10ms, out data 7)"}},
		{"a segment that comes twice", "send-small", Wrong{Faults: "duplicate(out data 2)"}},
		{"a segment that is lost", "echo", Wrong{Faults: "drop(in data 1)"}},
		{"segments out of order", "receive-bulk", Wrong{Faults: "reorder(in data 3)"}},
		{"a segment that is split", "receive-mss", Wrong{Faults: "split(5, in data 1)"}},
		{"a damaged segment", "send-small", Wrong{Faults: "corrupt(in ack 2)"}},
		{"a packet that is never released", "connect", Wrong{Loss: 1}},
		{"a lost echo reply", "ping", Wrong{Faults: "drop(in icmp 1)"}},
	} {
		for _, family := range families {
			t.Run(fmt.Sprintf("%s, IPv%d", c.name, family), func(t *testing.T) {
				c.wrong.Family = family
				report := Run(t.Context(), Options{Scenarios: []Scenario{*find(t, c.scenario)}, Places: []string{"ram"}, Wrong: c.wrong})
				require.Len(t, report.Results, 1)
				x := report.Results[0]
				assert.Contains(t, []Verdict{Failed, Different}, x.Verdict)
				assert.False(t, report.Agrees())
				assert.NotEmpty(t, x.Difference())
				t.Log(x.Verdict, strings.TrimSpace(x.Difference()))
			})
		}
	}
}
