package tcp_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"gonetx/ip/driven"
	"gonetx/packetpool/nxtest/golden"
	"gonetx/tcp/replay"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a replay does not know it says, and does not pass over.
func TestReplayTellsWhatItDoesNotKnow(t *testing.T) {
	defer driven.Session()()
	for want, step := range map[string]replay.Step{
		"step 0 teleport: unknown call":                {"op": "teleport"},
		"step 0 sleep: unknown argument soundly":       {"op": "sleep", "ticks": 1., "soundly": 1.},
		`unknown host "the moon"`:                      {"op": "ping", "ip": "A", "host": "the moon", "size": 1., "wait": 1.},
		"unknown kind 99":                              {"op": "addr_set", "ip": "A", "address_kind": 99., "mask_kind": 0.},
		"ip_create: unknown fault 99":                  {"op": "ip_create", "ip": "X0", "address_kind": 0., "mask_kind": 0., "fault1": 99.},
		"v6_set: unknown address 99":                   {"op": "v6_set", "ip": "A", "address_kind": 99., "prefix": 64.},
		"step 0 bind: unknown argument async_wanderer": {"op": "bind", "socket": "S0", "port": 0., "wait": 0., "async_wanderer": 1.},
	} {
		trace := replay.Trace{Name: want, AF: 4, Steps: []replay.Step{step}}
		_, err := replay.Run(&trace)
		assert.ErrorContains(t, err, want)
	}

	waiting := replay.Trace{AF: 4, Steps: []replay.Step{
		{"op": "socket", "socket": "S0", "ip": "A", "window": 100., "callbacks": 0.},
		{"op": "listen", "socket": "S0", "ip": "A", "port": 80., "backlog": 0., "callback": 0.},
		{"op": "accept", "socket": "S0", "wait": "forever"},
		{"op": "unlisten", "ip": "A", "port": 80.},
	}}
	outcome, err := replay.Run(&waiting)
	assert.ErrorContains(t, err, "step 2 accept: does not return")
	assert.Nil(t, outcome.Steps[3])
}

// Recorded traces with other numbers, with calls more or fewer or in another
// order, and in other surroundings: no call hangs, nothing crashes, and at the
// end everything can be given back.
func TestChangedTraces(t *testing.T) {
	defer driven.Session()()
	traces := golden.Load[replay.Trace](t, "tcp_golden.jsonl")
	calls := map[string][]replay.Step{}
	for i := range traces {
		for _, s := range traces[i].Steps {
			calls[s.Op()] = append(calls[s.Op()], s)
		}
	}
	names := slices.Sorted(maps.Keys(calls))
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	random := rand.New(rand.NewPCG(4, 6))
	for range rounds {
		trace := traces[random.IntN(len(traces))]
		trace.Steps = slices.Clone(trace.Steps)
		for range 1 + random.IntN(4) {
			n := len(trace.Steps)
			if n == 0 {
				break
			}
			a, b := random.IntN(n), random.IntN(n)
			switch random.IntN(5) {
			case 0:
				trace.Steps = slices.Delete(trace.Steps, a, a+1)
			case 1:
				trace.Steps[a], trace.Steps[b] = trace.Steps[b], trace.Steps[a]
			case 2:
				some := calls[names[random.IntN(len(names))]]
				trace.Steps = slices.Insert(trace.Steps, a, some[random.IntN(len(some))])
			default:
				trace.Steps[a] = otherNumber(trace.Steps[a], random)
			}
		}
		if random.IntN(3) == 0 {
			trace.Config = otherConfig(random)
		}
		outcome, err := replay.Run(&trace)
		require.NoError(t, err, "%s, %v: %v", trace.Title(), trace.Config, trace.Steps)
		require.NotEmpty(t, replay.Cases(&trace, &outcome))
	}
}

// otherNumber changes one number of a call.
func otherNumber(s replay.Step, random *rand.Rand) replay.Step {
	s = maps.Clone(s)
	var numbers []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if _, ok := s[name].(float64); ok && name != "async_worker" && name != "worker" {
			numbers = append(numbers, name)
		}
	}
	if len(numbers) == 0 {
		return s
	}
	values := []float64{0, 1, 2, 3, 5, 7, 10, 80, 81, 100, 1000, 1460, 1461, 5000}
	s[numbers[random.IntN(len(numbers))]] = values[random.IntN(len(values))]
	delete(s, "result")
	return s
}

func otherConfig(random *rand.Rand) map[string]any {
	settings := map[string][]float64{
		"mtu": {100, 128, 256, 512, 576, 1280, 1500, 9000}, "payload": {60, 76, 80, 100, 128, 200, 256, 512},
		"count": {1, 2, 3, 4, 5, 8, 16}, "tcpA": {0}, "tcpB": {0}, "icmp": {0}, "setup": {0}, "wait6": {0},
	}
	names := slices.Sorted(maps.Keys(settings))
	config := map[string]any{}
	for range 1 + random.IntN(2) {
		name := names[random.IntN(len(names))]
		config[name] = settings[name][random.IntN(len(settings[name]))]
	}
	return config
}
