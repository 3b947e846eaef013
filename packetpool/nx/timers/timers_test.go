package timers_test

import (
	"math"
	"testing"
	"time"

	"gonetx/packetpool/nx"
	"gonetx/packetpool/nx/timers"

	"github.com/stretchr/testify/assert"
)

// Timers fire by deadline, late ones of a moment last, otherwise in the order in
// which they were set; one that fires later than its time does not move the time
// back.
func TestOrder(t *testing.T) {
	var b timers.Base
	var fired []string
	set := func(at time.Duration, name string) nx.Timer {
		return b.AfterFunc(at, func() { fired = append(fired, name) })
	}
	set(30, "c")
	b.AfterOthers(10, func() { fired = append(fired, "late") })
	set(10, "a")
	set(10, "b")
	never := set(20, "never")
	assert.True(t, never.Stop())
	assert.False(t, never.Stop())
	set(5, "moved").Reset(25)
	far := set(math.MaxInt64, "far")
	assert.Equal(t, 6, b.Len())
	fire := func() {
		b.Mu.Lock()
		call := b.Pop()
		b.Mu.Unlock()
		call()
	}
	for range 2 {
		assert.False(t, b.OnlyLate())
		fire()
	}
	assert.True(t, b.OnlyLate())
	fire()
	assert.EqualValues(t, 10, b.Now())
	b.Time = 27
	far.Reset(math.MaxInt64) // does not wrap
	fire()
	assert.EqualValues(t, 27, b.Now())
	fire()
	assert.Equal(t, []string{"a", "b", "late", "moved", "c"}, fired)
	at, ok := b.Next()
	assert.True(t, ok)
	assert.EqualValues(t, math.MaxInt64, at)
	assert.True(t, far.Stop())
	_, ok = b.Next()
	assert.False(t, ok)
	assert.Nil(t, b.Pop())
}
