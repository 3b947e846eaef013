package bench

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSoakStreamSeesEveryWrongByte(t *testing.T) {
	const size = 3 << 20 // more than the table
	sent, want := newSoakStream(7, size), newSoakStream(7, size)
	for sent.left > 0 {
		require.NoError(t, want.check(sent.next(1000)))
	}
	assert.Zero(t, want.left)
	assert.Error(t, want.check([]byte{1}), "behind the end")

	wrong := append([]byte(nil), newSoakStream(7, 1000).next(1000)...)
	wrong[999] ^= 1
	assert.ErrorIs(t, newSoakStream(7, 1000).check(wrong), errWrongByte)
	assert.ErrorIs(t, newSoakStream(8, 1000).check(newSoakStream(7, 1000).next(1000)), errWrongByte, "another place")
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		n := soakSize(random, 1<<20)
		assert.True(t, n >= 1<<10 && n <= 1<<20)
	}
}

// A lane that does not move is a stall, and a failure ends all.
func TestSoakWatch(t *testing.T) {
	s := &soak{options: SoakOptions{Stall: 1500 * time.Millisecond}}
	s.ctx, s.cancel = context.WithCancel(t.Context())
	release := make(chan struct{})
	s.lane("stuck", func(*soakLane, *rand.Rand) error { <-release; return nil })
	s.lane("busy", func(l *soakLane, _ *rand.Rand) error { l.moved.Add(1); time.Sleep(time.Millisecond); return nil })
	assert.False(t, s.watch(nil))
	assert.Error(t, s.ctx.Err())
	assert.Equal(t, []string{"stuck has not moved for 1.5s"}, s.failures)
	close(release)
	s.ended.Wait()

	s = &soak{options: SoakOptions{Stall: time.Minute}}
	s.ctx, s.cancel = context.WithCancel(t.Context())
	s.lane("broken", func(*soakLane, *rand.Rand) error { return io.ErrUnexpectedEOF })
	assert.True(t, s.watch(nil))
	assert.Equal(t, []string{"broken: unexpected EOF"}, s.failures)
	r := SoakReport{Failures: s.failures}
	assert.True(t, r.Failed())
	assert.Contains(t, r.Text(), "FAILED: broken: unexpected EOF")
	assert.False(t, errors.Is(s.ctx.Err(), context.DeadlineExceeded))
}
