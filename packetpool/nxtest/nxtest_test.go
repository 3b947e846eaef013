package nxtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

func TestClockJumpsWhenEverybodyWaits(t *testing.T) {
	var clock nxtest.Clock
	var order []string
	note := func(what string) { order = append(order, fmt.Sprintf("%s %d", what, clock.Ticks())) }
	clock.Go(func() { clock.Sleep(1000); note("late") })
	clock.Go(func() { clock.Sleep(5); note("early"); clock.Sleep(5); note("early") })
	began := time.Now()
	clock.Wait(t)
	assert.Equal(t, []string{"early 5", "early 10", "late 1000"}, order)
	assert.Less(t, time.Since(began), 5*time.Second)
}

func TestClockTurns(t *testing.T) {
	for range 50 {
		var clock nxtest.Clock
		var order []int
		for _, priority := range []int{20, 10, 15, 10} {
			clock.Go(func() {
				clock.Sleep(7)
				clock.Turn(priority)
				order = append(order, priority)
			})
		}
		clock.Wait(t)
		require.Equal(t, []int{10, 10, 15, 20}, order)
	}
}

func TestClockTimers(t *testing.T) {
	var clock nxtest.Clock
	var fired []nx.Wait
	clock.Go(func() {
		never := clock.AfterFunc(3*nx.Tick, func() { fired = append(fired, 9999) })
		again := clock.AfterFunc(time.Hour, func() { fired = append(fired, clock.Ticks()) })
		again.Reset(4 * nx.Tick)
		clock.Sleep(2)
		assert.True(t, never.Stop())
		assert.False(t, never.Stop())
		clock.Sleep(10)
		assert.False(t, again.Stop())
	})
	clock.Wait(t)
	assert.Equal(t, []nx.Wait{4}, fired)
}

func TestRecorder(t *testing.T) {
	r := new(nxtest.Recorder)
	pool := nxtest.NewPool(t, 64, 2, nxtest.Record(r))
	go func() {
		packet, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
		assert.NoError(t, err)
		assert.NoError(t, packetpool.Release(packet))
	}()
	e := nxtest.Await(t, r, func(e nx.PacketEvent) bool { return e.Released })
	assert.Equal(t, 2, e.Free)
	assert.Len(t, nxtest.Of[nx.PacketEvent](r), 2)
	assert.Empty(t, nxtest.Of[nx.DropEvent](r))
	r.Reset()
	assert.Empty(t, r.Events())
}

// lost stands for a test that loses a packet.
type lost struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (l *lost) Errorf(format string, args ...any) {
	l.failures = append(l.failures, fmt.Sprintf(format, args...))
}
func (l *lost) Cleanup(f func()) { l.cleanups = append(l.cleanups, f) }
func (l *lost) Helper()          {}

func TestLostPacketIsNamed(t *testing.T) {
	l := &lost{TB: t}
	pool := nxtest.NewPool(l, 64, 4)
	kept := allocateAndForget(t, pool)
	nxtest.WithPatience(10*time.Millisecond, func() {
		for _, cleanup := range l.cleanups {
			cleanup()
		}
	})
	require.Len(t, l.failures, 1)
	assert.Contains(t, l.failures[0], "allocateAndForget")
	assert.Contains(t, l.failures[0], "nxtest_test.go")
	assert.Equal(t, 1, strings.Count(l.failures[0], "allocated by"))
	assert.Error(t, packetpool.Release(kept), "its pool is deleted")
}

func allocateAndForget(t *testing.T, pool *packetpool.Pool) packetpool.Packet {
	packet, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)
	return packet
}
