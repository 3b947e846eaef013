package bench

import (
	"net"
	"os"
	"testing"
	"time"

	"gonetx/ip/link/tun/netns"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// entered is what Enter answered: nil in namespaces of our own.
var entered error

func TestMain(m *testing.M) {
	Play()
	entered = netns.Enter()
	goleak.VerifyTestMain(m)
}

// inNamespaces skips a test where there are none, loudly; in CI that is a failure.
func inNamespaces(t *testing.T) {
	t.Helper()
	if entered == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("namespaces: %v", entered)
	}
	t.Skipf("SKIP: namespaces: %v", entered)
}

// Everything once, briefly: each workload is done by each design over each
// family, and nothing is left.
func TestEverythingIsMeasured(t *testing.T) {
	inNamespaces(t)
	lanes := []int{1, 3}
	if testing.Short() {
		lanes = lanes[1:]
	}
	r, err := Run(t.Context(), Options{
		Selection: Selection{Lanes: lanes},
		Rounds:    1, Duration: 30 * time.Millisecond,
	})
	require.NoError(t, err)
	t.Log("\n" + r.Table())
	assert.False(t, r.Failed())
	for _, c := range r.Results {
		require.Len(t, c.Samples, 1, c.Cell)
		assert.Positive(t, c.Rate, c.Cell)
		assert.NotNil(t, c.ToKernel, c.Cell)
	}
	for _, m := range r.Memory {
		assert.Greater(t, m.Bytes, 1000.0, "a connection of %s takes some memory", m.Client)
	}

	devices, err := net.Interfaces()
	require.NoError(t, err)
	assert.Len(t, devices, 1, "only lo is left")
}
