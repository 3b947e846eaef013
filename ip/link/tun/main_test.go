package tun

import (
	"os"
	"testing"

	"gonetx/ip/link/tun/netns"
	"gonetx/packetpool/nxtest"
)

// entered is what netns.Enter answered: nil in namespaces of our own.
var entered error

func TestMain(m *testing.M) {
	entered = netns.Enter()
	nxtest.Main(m)
}

// namespaces skips a test where there are none, loudly; in CI that is a failure.
func namespaces(t testing.TB) {
	t.Helper()
	if entered == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("namespaces: %v", entered)
	}
	t.Skipf("SKIP: namespaces: %v", entered)
}
