//go:build unix

package driven_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"gonetx/ip/driven"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A caller that is in the kernel has not ended and does not wait.
func TestKernelIsNoWait(t *testing.T) {
	w := driven.New(driven.Config{})
	defer w.Close()
	in, out, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = in.Close() }()
	// The descriptor blocks, so the read is a system call and not the poller's.
	descriptor := int(in.Fd())
	time.AfterFunc(20*time.Millisecond, func() { _ = out.Close() })
	call := w.Go(driven.Thread{}, func() { _, _ = syscall.Read(descriptor, make([]byte, 1)) }, nil)
	assert.True(t, call.Done())
}
