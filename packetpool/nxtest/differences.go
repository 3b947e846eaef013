package nxtest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Differences demands of a layer's list that each difference says everything,
// once, and names a test of the package that is being tested.
func Differences(t *testing.T, list []nx.Difference) {
	t.Helper()
	tests := make(map[string]bool)
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range function.FindAllSubmatch(source, -1) {
			tests[string(m[1])] = true
		}
	}
	names := make(map[string]bool)
	for _, d := range list {
		assert.False(t, names[d.Name], "%s is there twice", d.Name)
		names[d.Name] = true
		assert.NotEmpty(t, d.NetX, d.Name)
		assert.NotEmpty(t, d.Here, d.Name)
		assert.NotEmpty(t, d.Why, d.Name)
		assert.True(t, tests[d.Test], "%s: there is no %s", d.Name, d.Test)
	}
}
