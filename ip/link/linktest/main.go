package linktest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"
)

// Main is the TestMain of the packages of drivers: no goroutine and no
// reference of gVisor's is left when the tests have passed.
func Main(m *testing.M) {
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
