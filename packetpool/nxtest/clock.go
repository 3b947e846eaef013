package nxtest

import (
	"container/heap"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"gonetx/packetpool/nx"
)

// Clock is a driven clock: it stands still while somebody works, and jumps to
// the next timer when everybody waits. A wait of 1000 ticks costs no time, and
// whatever happens happens at the same tick in every run.
//
// It knows the goroutines that Go starts; they must wait in services, in Sleep,
// or in Turn, and for nothing else. The zero Clock is ready, at time 0.
type Clock struct {
	mu      sync.Mutex // guards the fields below
	now     time.Duration
	timers  timers
	made    uint64  // timers set so far: equal deadlines fire in this order
	working int     // goroutines that neither wait nor have ended
	living  int     // goroutines that have not ended
	turns   []*turn // who waits for a turn, in the order in which they came
	driven  bool    // Wait has been called: time may go on
	done    chan struct{}
}

type turn struct {
	priority int
	granted  chan struct{}
}

var (
	_ nx.Clock  = (*Clock)(nil)
	_ nx.Parker = (*Clock)(nil)
)

// Now implements [nx.Clock].
func (c *Clock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Ticks is the time in ticks.
func (c *Clock) Ticks() nx.Wait { return nx.Wait(c.Now() / nx.Tick) }

// AfterFunc implements [nx.Clock].
func (c *Clock) AfterFunc(d time.Duration, f func()) nx.Timer {
	t := &timer{clock: c, call: f, at: -1}
	t.Reset(d)
	return t
}

// Park implements [nx.Parker].
func (c *Clock) Park() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working--
	c.next()
}

// Unpark implements [nx.Parker].
func (c *Clock) Unpark() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working++
}

// Go runs f in a goroutine that the clock waits for.
func (c *Clock) Go(f func()) {
	c.mu.Lock()
	c.working++
	c.living++
	if c.done == nil {
		c.done = make(chan struct{})
	}
	c.mu.Unlock()
	go c.run(f)
}

func (c *Clock) run(f func()) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.working--
		if c.living--; c.living == 0 {
			close(c.done)
			c.done, c.driven = nil, false
			return
		}
		c.next()
	}()
	f()
}

// Wait lets time go on until all goroutines of Go have ended; before it they
// run, but the clock stands still. It fails the test when they do not end within
// some seconds of real time: somebody waits for ever.
func (c *Clock) Wait(tb testing.TB) {
	tb.Helper()
	c.mu.Lock()
	done := c.done
	if done == nil {
		c.mu.Unlock()
		return
	}
	c.driven = true
	c.next()
	c.mu.Unlock()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		tb.Fatal(c.String())
	}
}

// String tells who does what.
func (c *Clock) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("tick %d: %d goroutines, %d of them work, %d timers", c.now/nx.Tick, c.living, c.working, len(c.timers))
}

// Sleep waits for some ticks, tx_thread_sleep. Only goroutines of Go call it.
func (c *Clock) Sleep(ticks nx.Wait) { nx.NewSuspension(c).Await(ticks) }

// Turn waits until everybody else waits, too, and lets the most urgent of those
// who ask for a turn go on, as a processor of the original would that has
// several threads ready: the lowest number first, then first come, first
// served. Only goroutines of Go call it.
func (c *Clock) Turn(priority int) {
	t := &turn{priority, make(chan struct{})}
	c.mu.Lock()
	c.turns = append(c.turns, t)
	c.working--
	c.next()
	c.mu.Unlock()
	<-t.granted
}

// next makes something happen when nobody works: a turn, or the next timer. The
// caller holds c.mu.
func (c *Clock) next() {
	if c.working > 0 || !c.driven {
		return
	}
	due := len(c.timers) > 0 && c.timers[0].deadline <= c.now
	if len(c.turns) > 0 && !due {
		urgent := slices.MinFunc(c.turns, func(a, b *turn) int { return a.priority - b.priority })
		c.turns = slices.DeleteFunc(c.turns, func(t *turn) bool { return t == urgent })
		c.working++
		close(urgent.granted)
		return
	}
	if len(c.timers) > 0 {
		t := heap.Pop(&c.timers).(*timer)
		c.now = max(c.now, t.deadline)
		c.working++
		go c.fire(t)
	}
}

func (c *Clock) fire(t *timer) {
	t.call()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working--
	c.next()
}

// timer is one entry of the clock's heap; at is its index there, -1 when it is
// not set.
type timer struct {
	clock    *Clock
	call     func()
	deadline time.Duration
	order    uint64
	at       int
}

// Stop implements [nx.Timer].
func (t *timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.remove()
}

// Reset implements [nx.Timer].
func (t *timer) Reset(d time.Duration) {
	c := t.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	t.remove()
	t.deadline = c.now + min(max(d, 0), math.MaxInt64-c.now)
	c.made++
	t.order = c.made
	heap.Push(&c.timers, t)
}

func (t *timer) remove() bool {
	if t.at < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.at)
	return true
}

// timers is a heap by deadline, then by the order in which they were set.
type timers []*timer

func (h timers) Len() int { return len(h) }

func (h timers) Less(i, j int) bool {
	if h[i].deadline != h[j].deadline {
		return h[i].deadline < h[j].deadline
	}
	return h[i].order < h[j].order
}

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *timers) Push(x any) {
	t := x.(*timer)
	t.at = len(*h)
	*h = append(*h, t)
}

func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.at = -1
	return t
}
