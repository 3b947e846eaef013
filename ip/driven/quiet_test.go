//go:build unix

package driven

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who has gone into the kernel between the look at the lists and the one at all
// goroutines does not stand still.
func TestKernelIsNoStandstill(t *testing.T) {
	w := New(Config{})
	defer w.Close()
	in, out, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = in.Close() }()
	descriptor, ended := int(in.Fd()), make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = syscall.Read(descriptor, make([]byte, 1))
	}()
	for _, kernel := othersWait(); !kernel; _, kernel = othersWait() {
		time.Sleep(time.Millisecond)
	}
	assert.True(t, someoneMoves())
	_ = out.Close()
	<-ended
	quiet()
	assert.False(t, someoneMoves())
}
