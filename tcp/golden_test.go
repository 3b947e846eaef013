package tcp_test

import (
	"testing"

	"gonetx/packetpool/nxtest/golden"
	"gonetx/tcp/replay"

	"github.com/stretchr/testify/assert"
)

// floor is how many traces in a thousand agree at least. It is only ever raised.
const floor = 985

// TestGolden makes the calls of the recorded original again and compares what
// they answer, field by field. NX_GOLDEN names a folder with other recordings.
func TestGolden(t *testing.T) {
	judge := golden.NewJudge("tcp", replay.Rules())
	for i, trace := range golden.Load[replay.Trace](t, "tcp_golden.jsonl") {
		if testing.Short() && i%8 != 0 {
			continue
		}
		outcome, err := replay.Run(&trace)
		assert.NoError(t, err, "%s IPv%d", trace.Name, trace.AF)
		judge.Trace(trace.Title(), replay.Cases(&trace, &outcome))
	}
	judge.CloseAt(t, floor)
	judge.Mutations(t, 1000, 0.99)
}
