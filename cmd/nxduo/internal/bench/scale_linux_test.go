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
		Connections: []int{1, 20}, Sizes: []int{1000, 1 << 20}, Pools: []int{512 << 10, 1 << 20}, Duration: 20 * time.Millisecond,
		Progress: func(_ string, done, of int) { steps = append(steps, done); assert.Equal(t, 6+8, of) },
	})
	require.NoError(t, err)
	t.Log("\n" + r.Table())
	assert.False(t, r.Failed())
	assert.Len(t, steps, 14)
	require.Len(t, r.Connections, 6)
	require.Len(t, r.Transfers, 8)
	for _, b := range r.Transfers {
		assert.Positive(t, b.Done, b)
		assert.Positive(t, b.CPU, b)
	}
	r.Transfers[0].Failure = "broken"
	assert.True(t, r.Failed())
	assert.Contains(t, r.Table(), "broken")
}
