package bench

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	assert.Equal(t, 3.0, median([]float64{9, 1, 3}))
	assert.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
	assert.Equal(t, 7.0, median([]float64{7}))
}

func TestRatesAndCosts(t *testing.T) {
	assert.Equal(t, 8.0, BulkOut.rate(1e9, 1), "gigabits")
	assert.Equal(t, 500.0, Connect.rate(1000, 2), "operations")
	assert.InDelta(t, 1e9/1024, BulkIn.cost(1<<20, 1), 1e-6, "nanoseconds per KiB")
	assert.Equal(t, 1000.0, Mails.cost(1000, 1), "microseconds per operation")
}

// hand is a report made by hand.
func hand() *Report {
	out, in := Workload{BulkOut, 1, 4}, Workload{Connect, 64, 6}
	result := func(w Workload, d Name, rates ...float64) Result {
		r := Result{Cell: Cell{w, Client{Design: d, MTU: 1500}}}
		for round, rate := range rates {
			if rate > 0 {
				r.Samples = append(r.Samples, Sample{Round: round, Rate: rate, Cost: 1000 / rate})
			}
		}
		return r
	}
	r := &Report{
		Machine: Machine{2, 1, "6.18", "go1.26"}, Rounds: 3, Duration: time.Second, Took: 20 * time.Second,
		Clients: map[string]About{},
		Results: []Result{
			result(out, Kernel, 20, 10, 40),
			result(out, Naive, 1, 2, 0),
			result(out, NXDuo, 19, 8, 40),
			result(in, Kernel, 5000, 6000, 7000),
			result(in, NXDuo, 2500),
		},
		Memory:    []Memory{{Client: Client{Design: NXDuo, MTU: 1500}, Bytes: 6700, Conns: 1000}, {Client: Client{Design: Naive, MTU: 1500}, Failure: "no more ports"}},
		Instances: []Instances{{Client: Client{Design: NXDuo, MTU: 1500}, Create: 812345, Delete: 40 * time.Millisecond, Times: 9}},
	}
	r.Results[4].Failures = []string{"round 2: connection refused", "round 3: connection refused"}
	r.finish()
	return r
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	r := hand()
	ours := r.Results[2]
	assert.Equal(t, 19.0, ours.Rate)
	assert.InDelta(t, 0.95, *ours.ToKernel, 1e-9, "the median of 0.95, 0.8 and 1, not 19/20")
	assert.InDelta(t, 11.5, *ours.ToNaive, 1e-9, "rounds that the yardstick has not are left out")
	assert.Nil(t, r.Results[4].ToNaive, "there was no yardstick")
	assert.InDelta(t, 0.5, *r.Results[4].ToKernel, 1e-9)
}

func TestGoals(t *testing.T) {
	r := hand()
	assert.True(t, r.Results[2].Missed(), "0.95 to the kernel is enough, 11.5 to the naive design is not")
	r.Results[2].GoalNaive = 11
	assert.False(t, r.Results[2].Missed())
	r.Results[2].GoalKernel = 0.96
	assert.True(t, r.Results[2].Missed())
	assert.False(t, r.Results[0].Missed(), "a yardstick has no goal")
	assert.True(t, r.Failed())
	r.Results[4].Failures, r.Memory[1].Failure = nil, ""
	assert.False(t, r.Failed())
	r.Instances[0].Failure = "x"
	assert.True(t, r.Failed())

	for _, c := range []struct {
		cell          Cell
		kernel, naive float64
	}{
		{Cell{Workload{BulkOut, 1, 4}, Client{Design: NXDuo, MTU: 1500}}, 0.9, 20},
		{Cell{Workload{BulkOut, 64, 4}, Client{Design: NXDuo, MTU: 1500}}, 0, 0},
		{Cell{Workload{BulkIn, 1, 6}, Client{Design: NXDuo, MTU: 1500}}, 0.7, 6},
		{Cell{Workload{BulkIn, 1, 6}, Client{Design: NXDuo, MTU: 65535}}, 0.95, 6},
		{Cell{Workload{BulkIn, 1, 6}, Client{Design: Naive, MTU: 1500}}, 0, 0},
		{Cell{Workload{Connect, 1, 4}, Client{Design: NXDuo, MTU: 1500}}, 0.85, 0},
		{Cell{Workload{Mails, 1, 4}, Client{Design: NXDuo, MTU: 1500}}, 0.9, 0},
		{Cell{Workload{Mails, 64, 4}, Client{Design: NXDuo, MTU: 1500}}, 0.8, 0},
	} {
		kernel, naive := goal(c.cell)
		assert.Equal(t, c.kernel, kernel, c.cell)
		assert.Equal(t, c.naive, naive, c.cell)
	}
}

func TestTable(t *testing.T) {
	r := hand()
	r.Clients["nxduo 1500"] = About{Text: "over tun1"}
	assert.Equal(t, `2 CPUs, GOMAXPROCS 1 in each process, Linux 6.18, go1.26; 3 rounds of 1s in turns, medians; took 20s
  kernel 1500  
  naive 1500   
  nxduo 1500   over tun1
v: to the kernel, n: to the naive design; goal in brackets, ! where it is missed

bulk-out IPv4             rate           v              n         spread      CPU
  kernel 1500             20.0 Gb/s   1.00           12.5           150%     50.0 ns/KiB
  naive 1500              1.50 Gb/s   0.12           1.00            67%      750 ns/KiB
  nxduo 1500              19.0 Gb/s   0.95 (0.9)     11.5 (20)!     168%     52.6 ns/KiB

connect x64 IPv6          rate           v              n         spread      CPU
  kernel 1500             6000 /s     1.00                           33%     0.17 us
  nxduo 1500              2500 /s     0.50                            0%     0.40 us
    round 2: connection refused
    round 3: connection refused

idle connection          bytes   goroutines
  nxduo 1500              6700         0.00
  naive 1500            failed
    no more ports

instance                create       delete
  nxduo 1500             810µs         40ms
`, r.Table())
}

func TestJSON(t *testing.T) {
	b, err := json.Marshal(hand())
	require.NoError(t, err)
	var back Report
	require.NoError(t, json.Unmarshal(b, &back))
	assert.Equal(t, hand(), &back, "nothing is lost")

	var raw map[string]any
	require.NoError(t, json.Unmarshal(b, &raw))
	first := raw["results"].([]any)[2].(map[string]any)
	for _, key := range []string{"kind", "lanes", "family", "design", "mtu", "rate", "rate_unit", "cost", "cost_unit", "to_kernel", "to_naive", "samples", "goal_to_kernel"} {
		assert.Contains(t, first, key)
	}
}
