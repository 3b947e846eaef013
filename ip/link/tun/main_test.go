package tun

import (
	"os"
	"testing"

	"gonetx/ip/link/tun/netns"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"
)

// entered is what netns.Enter answered: nil in namespaces of our own.
var entered error

func TestMain(m *testing.M) {
	entered = netns.Enter()
	refs.SetLeakMode(refs.LeaksPanic)
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
		refs.DoLeakCheck()
	}
	os.Exit(code)
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
