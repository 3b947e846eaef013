package smtp_test

import (
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
	for i, scenario := range golden.Load[replay.Scenario](t, "smtp_golden.jsonl") {
		if testing.Short() && i%20 != 0 {
			continue
		}
		outcome, err := replay.Run(&scenario, smtp.Config{Release: true})
		assert.NoError(t, err, scenario.Title())
		judge.Trace(scenario.Title(), replay.Cases(&scenario, &outcome))
	}
	judge.CloseAt(t, floor)
	judge.Mutations(t, 1000, 0.99)
}
