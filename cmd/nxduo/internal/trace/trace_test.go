package trace

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The samples that other packages test with conform.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		f, err := os.Open(path)
		require.NoError(t, err)
		c, err := Check(f, 10)
		require.NoError(t, err)
		assert.Empty(t, c.Problems, path)
		assert.NotZero(t, c.Events)
		require.NoError(t, f.Close())
	}
}
