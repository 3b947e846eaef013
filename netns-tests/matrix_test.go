package parity

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden tables anew")

// TestMatrix: in every cell a transfer completes intact or ends with an error in
// its time, and how many do which is what the golden table says.
func TestMatrix(t *testing.T) {
	if testing.Short() { // under the race detector the same seed gives another run: no golden table
		for _, family := range families {
			c := Cell{Loss: 20, Pool: PoolSize{6, 800}, Family: family, Ended: map[string]int{}}
			require.NoError(t, c.transfer(1))
			assert.Empty(t, c.Failures, "IPv%d", family)
		}
		return
	}
	cells, err := Matrix(t.Context(), 1)
	require.NoError(t, err)
	for _, c := range cells {
		assert.Empty(t, c.Failures, "pool %v, loss %d %%, IPv%d", c.Pool, c.Loss, c.Family)
		if c.Loss == 0 {
			assert.Equal(t, matrixSeeds, c.Intact, "pool %v without loss, IPv%d", c.Pool, c.Family)
		}
	}
	var golden, timed strings.Builder
	require.NoError(t, WriteMatrix(&golden, cells, false))
	require.NoError(t, WriteMatrix(&timed, cells, true))
	t.Log("\n" + timed.String())
	file := filepath.Join("testdata", "matrix.golden")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(golden.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), golden.String(), "if it is right: go test -run TestMatrix ./netns-tests -update")
}
