package ip

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// A callback that ends its goroutine, as one does in which a test fails, does not take
// the callbacks after it with it, nor Delete.
func TestCallbackEndsItsGoroutine(t *testing.T) {
	inst := oneHost(t, nil)
	ran := make(chan bool, 1)
	inst.Post(runtime.Goexit)
	inst.Post(func() { ran <- inst.thread.current() })
	require.True(t, <-ran)
}
