package nx_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"gonetx/packetpool/nx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStatusKeepsNumberAndName(t *testing.T) {
	for _, row := range []struct {
		status nx.Status
		code   uint
		text   string
	}{
		{nx.NoPacket, 0x01, "NX_NO_PACKET (0x01)"},
		{nx.OptionError, 0x0A, "NX_OPTION_ERROR (0x0A)"},
		{nx.IPAddressError, 0x21, "NX_IP_ADDRESS_ERROR (0x21)"},
		{nx.NotConnected, 0x38, "NX_NOT_CONNECTED (0x38)"},
		{nx.TCPIPOffloadError, 0x56, "NX_TCPIP_OFFLOAD_ERROR (0x56)"},
		{nx.Status(0x57), 0x57, "NX_0x57 (0x57)"},
	} {
		assert.Equal(t, row.code, row.status.StatusCode())
		assert.Equal(t, row.text, row.status.Error())
	}
}

func TestSuccessIsNoError(t *testing.T) {
	assert.NoError(t, nx.Success.Err())
	assert.NoError(t, nx.Fail("tcp.SocketSend", nx.Success, io.EOF))
	assert.Equal(t, nx.NotBound, nx.NotBound.Err())
}

func TestErrorShowsStatusAndCause(t *testing.T) {
	err := nx.Fail("tcp.ClientSocketConnect", nx.NotConnected, io.ErrUnexpectedEOF)
	assert.EqualError(t, err, "tcp.ClientSocketConnect: NX_NOT_CONNECTED (0x38): unexpected EOF")

	wrapped := fmt.Errorf("phase greeting: %w", err)
	assert.ErrorIs(t, wrapped, nx.NotConnected)
	assert.ErrorIs(t, wrapped, io.ErrUnexpectedEOF)
	assert.NotErrorIs(t, wrapped, nx.NotBound)
	assert.EqualValues(t, 0x38, nx.Code(wrapped))

	assert.EqualError(t, nx.Fail("", nx.NoPacket, nil), "NX_NO_PACKET (0x01)")
}

func TestCode(t *testing.T) {
	assert.EqualValues(t, 0, nx.Code(nil))
	assert.EqualValues(t, 0xFFFFFFFF, nx.Code(errors.New("no status in here")))
}

func TestTicks(t *testing.T) {
	for _, row := range []struct {
		d    time.Duration
		want nx.Wait
	}{
		{-time.Second, nx.NoWait},
		{0, nx.NoWait},
		{1, 1},
		{nx.Tick, 1},
		{nx.Tick + 1, 2},
		{time.Second, 100},
		{math.MaxInt64, nx.WaitForever - 1},
	} {
		assert.Equal(t, row.want, nx.Ticks(row.d), "%v", row.d)
	}
	assert.Equal(t, 10*time.Second, nx.Wait(1000).Duration())
	assert.Equal(t, time.Duration(math.MaxInt64), nx.WaitForever.Duration())
}

// stillClock never fires by itself; it keeps what was asked of it, and counts
// who is parked.
type stillClock struct {
	mu     sync.Mutex // guards the fields below
	parked int
	calls  []func()
	asked  []time.Duration
	came   chan struct{} // one for each Park
}

func newStillClock() *stillClock { return &stillClock{came: make(chan struct{}, 8)} }

func (c *stillClock) Now() time.Duration { return 0 }

func (c *stillClock) AfterFunc(d time.Duration, f func()) nx.Timer {
	c.mu.Lock()
	c.calls, c.asked = append(c.calls, f), append(c.asked, d)
	c.mu.Unlock()
	return stillTimer{}
}

func (c *stillClock) Park()   { c.mu.Lock(); c.parked++; c.mu.Unlock(); c.came <- struct{}{} }
func (c *stillClock) Unpark() { c.mu.Lock(); c.parked--; c.mu.Unlock() }

func (c *stillClock) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parked
}

type stillTimer struct{}

func (stillTimer) Stop() bool          { return true }
func (stillTimer) Reset(time.Duration) {}

func TestSuspensionResumedBeforeItWaits(t *testing.T) {
	clock := newStillClock()
	s := nx.NewSuspension(clock)
	require.True(t, s.Resume())
	require.False(t, s.Resume(), "a second resume finds nobody")
	assert.True(t, s.Await(nx.WaitForever))
	assert.Zero(t, clock.count(), "nobody had to park")
}

func TestSuspensionNoWait(t *testing.T) {
	s := nx.NewSuspension(newStillClock())
	assert.False(t, s.Await(nx.NoWait))
	assert.False(t, s.Resume(), "the wait is over")
}

func TestSuspensionResumed(t *testing.T) {
	clock := newStillClock()
	s := nx.NewSuspension(clock)
	served := make(chan bool)
	go func() { served <- s.Await(100) }()

	<-clock.came
	assert.Equal(t, 1, clock.count())
	require.True(t, s.Resume())
	assert.Zero(t, clock.count(), "unparked by the one who resumed it")
	assert.True(t, <-served)
	assert.Equal(t, []time.Duration{time.Second}, clock.asked)
}

func TestSuspensionExpires(t *testing.T) {
	clock := newStillClock()
	s := nx.NewSuspension(clock)
	served := make(chan bool)
	go func() { served <- s.Await(3) }()

	<-clock.came
	clock.calls[0]()
	assert.Zero(t, clock.count())
	assert.False(t, <-served)
	assert.False(t, s.Resume(), "too late")
}

// Resume and expiry race; exactly one of them wins, and Await tells which.
func TestSuspensionOneWinner(t *testing.T) {
	for range 1000 {
		clock := newStillClock()
		s := nx.NewSuspension(clock)
		served := make(chan bool)
		go func() { served <- s.Await(1) }()
		<-clock.came
		won := make(chan bool, 1)
		go func() { won <- s.Resume() }()
		clock.calls[0]()
		assert.Equal(t, <-won, <-served)
		assert.Zero(t, clock.count())
	}
}

// A suspension serves again when it was resumed and its timer will not go off any
// more: an old timer must not end a new wait.
func TestSuspensionAgain(t *testing.T) {
	s := nx.NewSuspension(nx.RealClock)
	for range 3 {
		require.True(t, s.Resume())
		assert.True(t, s.Await(100_000))
		require.True(t, s.Again())
		require.True(t, s.Resume())
		assert.True(t, s.Await(nx.WaitForever), "also without a time")
		require.True(t, s.Again())
		require.True(t, s.Resume())
		assert.True(t, s.Await(nx.NoWait), "or without waiting")
		require.True(t, s.Again())
	}
	assert.False(t, s.Await(1), "its own timer, set again")
	assert.False(t, s.Again(), "it has gone off")

	s = nx.NewSuspension(goingOff{newStillClock()})
	require.True(t, s.Resume())
	assert.True(t, s.Await(1))
	assert.False(t, s.Again(), "its call may still come")
}

// goingOff is a clock whose timers can no more be stopped.
type goingOff struct{ *stillClock }

func (c goingOff) AfterFunc(d time.Duration, f func()) nx.Timer {
	c.stillClock.AfterFunc(d, f)
	return lateTimer{}
}

type lateTimer struct{ stillTimer }

func (lateTimer) Stop() bool { return false }

func TestRealClock(t *testing.T) {
	before := nx.RealClock.Now()
	fired := make(chan struct{})
	timer := nx.RealClock.AfterFunc(time.Hour, func() { close(fired) })
	timer.Reset(time.Millisecond)
	<-fired
	assert.False(t, timer.Stop())
	assert.Greater(t, nx.RealClock.Now(), before)
}

func ExampleStatus() {
	err := nx.Fail("tcp.ClientSocketConnect", nx.NotConnected, errors.New("connection refused"))
	fmt.Println(err)
	fmt.Println(errors.Is(err, nx.NotConnected))
	fmt.Printf("0x%02X\n", nx.Code(err))
	// Output:
	// tcp.ClientSocketConnect: NX_NOT_CONNECTED (0x38): connection refused
	// true
	// 0x38
}

func ExampleTicks() {
	fmt.Println(nx.Ticks(time.Second), nx.Ticks(15*time.Millisecond), nx.Ticks(0) == nx.NoWait)
	// Output: 100 2 true
}
