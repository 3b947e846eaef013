package smtp_test

import (
	"fmt"
	"slices"
	"testing"

	"gonetx/ip/driven"
	"gonetx/packetpool/nxtest/golden"
	"gonetx/smtp"
	"gonetx/smtp/replay"

	"github.com/stretchr/testify/assert"
)

// floor is how many scenarios in a thousand agree at least. It is only ever
// raised.
const floor = 990

// TestGolden makes the recorded sessions of the original again, in release
// mode, and compares them field by field. NX_GOLDEN names a folder with other
// recordings.
func TestGolden(t *testing.T) {
	defer driven.Session()()
	judge := golden.NewJudge("smtp", replay.Rules())
	for scenario := range scenarios(t) {
		outcome, err := replay.Run(&scenario, smtp.Config{Release: true})
		assert.NoError(t, err, scenario.Title())
		judge.Trace(scenario.Title(), replay.Cases(&scenario, &outcome))
	}
	judge.CloseAt(t, floor)
	judge.Mutations(t, 1000, 0.99)
}

// TestGoldenByDefault makes them with the default client. Where it does
// otherwise than was recorded, entries of the ledger explain it: those that may
// show in the scenario, by their predicates. With their switches on, and no
// others, the client does what was recorded.
func TestGoldenByDefault(t *testing.T) {
	defer driven.Session()()
	judge := golden.NewJudge("smtp by default", replay.Rules())
	asRecorded, uses := 0, map[smtp.Difference]int{}
	for scenario := range scenarios(t) {
		outcome, err := replay.Run(&scenario, smtp.Config{})
		assert.NoError(t, err, "%s by default", scenario.Title())
		cases := replay.Cases(&scenario, &outcome)
		if judge.Agrees(cases) {
			asRecorded++
			judge.Trace(scenario.Title(), cases)
			continue
		}
		entries := replay.Explain(&scenario)
		for _, d := range entries {
			uses[d]++
		}
		outcome, err = replay.Run(&scenario, smtp.Config{Differences: entries})
		assert.NoError(t, err, "%s as %v", scenario.Title(), entries)
		judge.Trace(scenario.Title(), replay.Cases(&scenario, &outcome))
	}
	for _, entry := range smtp.Ledger() {
		if n := uses[entry.Difference]; n > 0 {
			fmt.Printf("golden smtp by default: %d scenarios by %v\n", n, entry.Difference)
		}
	}
	fmt.Printf("golden smtp by default: %d as recorded, the others by entries of the ledger\n", asRecorded)
	judge.CloseAt(t, floor)
}

// scenarios answers the recorded ones; with -short some of them.
func scenarios(t *testing.T) func(func(replay.Scenario) bool) {
	all := golden.Load[replay.Scenario](t, "smtp_golden.jsonl")
	if testing.Short() {
		n := 0
		all = slices.DeleteFunc(all, func(replay.Scenario) bool { n++; return n%20 != 1 })
	}
	return slices.Values(all)
}
