package fault_test

import (
	"testing"
	"time"

	"gonetx/ip/link/fault"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	drop, dup := fault.Verdict{Drop: true}, fault.Verdict{Duplicate: 1}
	both := func(c fault.Chances) fault.Config { return fault.Config{In: c, Out: c} }
	for _, c := range []struct {
		text string
		want fault.Config
	}{
		{"", fault.Config{}},
		{" , ", fault.Config{}},
		{"seed=7", fault.Config{Seed: 7}},
		{"loss=5%", both(fault.Chances{Drop: 0.05})},
		{"loss = 0.25 , delay=20ms", both(fault.Chances{Drop: 0.25, Delay: 20 * time.Millisecond})},
		{"in.loss=100%", fault.Config{In: fault.Chances{Drop: 1}}},
		{"out.jitter=5ms,out.reorder=1%", fault.Config{Out: fault.Chances{Jitter: 5 * time.Millisecond, Reorder: 0.01}}},
		{"in.duplicate=1%,in.corrupt=2%", fault.Config{In: fault.Chances{Duplicate: 0.01, Corrupt: 0.02}}},
		{"out.rate=1mbit,out.queue=64k", fault.Config{Out: fault.Chances{Rate: 125_000, Queue: 64_000}}},
		{"rate=9600bit", both(fault.Chances{Rate: 1200})},
		{"drop(server data 3)", fault.Config{Rules: []fault.Rule{{fault.Match{Side: fault.FromServer, Kind: fault.Data, First: 3}, drop}}}},
		{"drop( synack )", fault.Config{Rules: []fault.Rule{{fault.Match{Kind: fault.SYNACK}, drop}}}},
		{"drop()", fault.Config{Rules: []fault.Rule{{fault.Match{}, drop}}}},
		{"delay(200ms, in fin)", fault.Config{Rules: []fault.Rule{{fault.Match{Direction: nx.Received, Kind: fault.FIN}, fault.Verdict{Delay: 200 * time.Millisecond}}}}},
		{"split(5, client data 1)", fault.Config{Rules: []fault.Rule{{fault.Match{Side: fault.FromClient, Kind: fault.Data, First: 1}, fault.Verdict{Split: 5}}}}},
		{"duplicate(out data 2-4)", fault.Config{Rules: []fault.Rule{{fault.Match{Direction: nx.Sent, Kind: fault.Data, First: 2, Last: 4}, dup}}}},
		{"corrupt(from 25 to 1000 7+)", fault.Config{Rules: []fault.Rule{{fault.Match{FromPort: 25, ToPort: 1000, First: 7, Last: fault.Open}, fault.Verdict{Corrupt: true}}}}},
		{"reorder(udp),drop(icmp)", fault.Config{Rules: []fault.Rule{{fault.Match{Kind: fault.UDP}, fault.Verdict{Reorder: true}}, {fault.Match{Kind: fault.ICMP}, drop}}}},
	} {
		t.Run(c.text, func(t *testing.T) {
			got, err := fault.Parse(c.text)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
			again, err := fault.Parse(got.String())
			require.NoError(t, err, got.String())
			assert.Equal(t, got, again, got.String())
		})
	}
}

func TestParseErrors(t *testing.T) {
	for text, why := range map[string]string{
		"loss":                   "neither NAME=VALUE nor WHAT(FRAMES)",
		"los=5%":                 "no fault of that name",
		"loss=5 percent":         "a chance is 5% or 0.05",
		"loss=101%":              "between 0% and 100%",
		"loss=-1":                "between 0% and 100%",
		"loss=NaN":               "between 0% and 100%",
		"delay=20":               "missing unit",
		"delay=-1ms":             "time does not go back",
		"rate=1mb":               "a rate is 9600bit",
		"rate=7bit":              "at least 8bit",
		"rate=99999999999gbit":   "out of range",
		"queue=many":             "invalid syntax",
		"seed=-1":                "invalid syntax",
		"drop(in data 3":         "no closing parenthesis",
		"lose(in data 3)":        "nothing of that name to do",
		"drop(in dat 3)":         `"dat" is neither a kind of frame nor a count`,
		"drop(data 0)":           "neither a kind",
		"drop(data 4-2)":         "neither a kind",
		"drop(data 4+-6)":        "neither a kind",
		"drop(from)":             "from which port?",
		"drop(to 70000)":         "is no port",
		"drop(5, in data)":       "drop wants which frames: drop(FRAMES)",
		"split(in data)":         "invalid syntax",
		"split(5)":               "split wants how much, and which frames",
		"split(0, in data)":      "at least one byte",
		"delay(in data)":         "invalid duration",
		"loss=5%,drop(in x),a=b": `fault "drop(in x)"`,
	} {
		t.Run(text, func(t *testing.T) {
			_, err := fault.Parse(text)
			assert.ErrorContains(t, err, why)
		})
	}
}

// What is read can be written and read again, and means the same.
func FuzzParse(f *testing.F) {
	f.Add("seed=7,in.loss=5%,out.delay=20ms,drop(server data 3)")
	f.Add("split(5, client data 1-3),rate=1mbit,queue=1k,jitter=1us,corrupt(from 1 to 2 any 4+)")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := fault.Parse(text)
		if err != nil {
			return
		}
		again, err := fault.Parse(c.String())
		require.NoError(t, err, c.String())
		assert.Equal(t, c, again, c.String())
	})
}
