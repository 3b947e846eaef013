package tcp

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A fifo does as a slice does, and holds on to no memory for ever.
func TestFifo(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var q fifo[int]
	var want []int
	most := 0
	for i := range 20_000 {
		switch grow := i/1000%2 == 0; {
		case random.IntN(3) > 0 == grow:
			q.push(i)
			want = append(want, i)
		case len(want) > 0 && random.IntN(8) == 0:
			q.unpush()
			want = want[:len(want)-1]
		default:
			n := min(random.IntN(4), len(want))
			q.drop(n)
			want = want[n:]
		}
		most = max(most, len(want))
		require.Equal(t, len(want), q.len())
		require.True(t, slices.Equal(want, q.all()))
		for _, gone := range q.items[:q.head] {
			require.Zero(t, gone)
		}
	}
	require.Less(t, cap(q.items), 4*most)
	q.drop(q.len())
	require.LessOrEqual(t, cap(q.items), 64)
}
