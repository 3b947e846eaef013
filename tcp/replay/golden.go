package replay

import (
	"testing"

	"gonetx/ip/driven"
	"gonetx/packetpool/nxtest/golden"

	"github.com/stretchr/testify/assert"
)

// Golden is the test of a layer, "tcp" or "ip": it makes the calls of the
// layer's recording again and compares what they answer, field by field. At
// least so many traces in a thousand have to agree. NX_GOLDEN names a folder
// with other recordings.
func Golden(t *testing.T, layer string, perMille int) {
	defer driven.Session()()
	judge := golden.NewJudge(layer, Rules())
	for i, trace := range golden.Load[Trace](t, layer+"_golden.jsonl") {
		if testing.Short() && i%8 != 0 {
			continue
		}
		outcome, err := Run(&trace)
		assert.NoError(t, err, trace.Title())
		judge.Trace(trace.Title(), Cases(&trace, &outcome))
	}
	judge.CloseAt(t, perMille)
	judge.Mutations(t, 1000, 0.99)
}
