package driven

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whoever gets the processor of somebody who is in the kernel runs on another thread,
// and who has been there himself notices that, too.
func TestKernelIsNoticedByTheThread(t *testing.T) {
	w := New(Config{})
	defer w.Close()
	read := func() {
		in, out, err := os.Pipe()
		require.NoError(t, err)
		defer func() { _ = in.Close() }()
		descriptor := int(in.Fd())
		time.AfterFunc(20*time.Millisecond, func() { _ = out.Close() })
		_, _ = syscall.Read(descriptor, make([]byte, 1))
	}
	elsewhere()
	read()
	assert.True(t, elsewhere())

	back := make(chan struct{})
	go func() {
		defer close(back)
		read()
	}()
	noticed := false
	for waiting := true; waiting; {
		runtime.Gosched()
		noticed = noticed || elsewhere()
		select {
		case <-back:
			waiting = false
		default:
		}
	}
	assert.True(t, noticed)
}
