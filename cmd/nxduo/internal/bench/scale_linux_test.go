package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScale(t *testing.T) {
	inNamespaces(t)
	var steps []int
	r, err := Scale(t.Context(), ScaleOptions{
		Connections: []int{1, 20}, Sizes: []int{1000, 1 << 20}, Pools: []int{512 << 10, 1 << 20}, Rounds: 1, Duration: 20 * time.Millisecond,
		Progress: func(_ string, done, of int) { steps = append(steps, done); assert.Equal(t, 18+3*16, of) },
	})
	require.NoError(t, err)
	t.Log("\n" + r.Table())
	assert.False(t, r.Failed())
	assert.Len(t, steps, 18+3*16)
	require.Len(t, r.Connections, 18)
	require.Len(t, r.Transfers, 16)
	for _, list := range [][]Measured{r.Connections, r.Transfers} {
		for _, m := range list {
			assert.Positive(t, m.Cost, m)
			if m.Design == NXDuo {
				assert.NotNil(t, m.ToBare, m)
			}
		}
	}
}
