package driven

import (
	"container/heap"
	"sync"
	"time"

	"gonetx/packetpool/nx"
)

// Clock is a clock that stands still until it is told to go on. It implements
// [nx.Clock] and [nx.Parker].
type Clock struct {
	mu     sync.Mutex // guards the fields below
	now    time.Duration
	timers timers
	made   uint64 // timers set so far: equal deadlines fire in this order
	parked int
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

// AfterFunc implements [nx.Clock]. f is called by Fire.
func (c *Clock) AfterFunc(d time.Duration, f func()) nx.Timer {
	t := &timer{clock: c, call: f, at: -1}
	t.Reset(d)
	return t
}

// Park and Unpark implement [nx.Parker].
func (c *Clock) Park()   { c.count(1) }
func (c *Clock) Unpark() { c.count(-1) }

func (c *Clock) count(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parked += n
}

// Parked is how many callers wait in services.
func (c *Clock) Parked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parked
}

// Next is when the next timer fires; false when none is set.
func (c *Clock) Next() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return 0, false
	}
	return c.timers[0].deadline, true
}

// Fire sets the time to that of the next timer and calls its function in a
// goroutine of its own. False when none is set.
func (c *Clock) Fire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return false
	}
	t := heap.Pop(&c.timers).(*timer)
	c.now = max(c.now, t.deadline)
	go c.run(t.call)
	return true
}

// run calls the function of a timer. The world waits for its end by the
// runtime's count of goroutines, which the race detector does not know; the lock
// tells it that what the function did comes before what is done next.
func (c *Clock) run(call func()) {
	call()
	c.mu.Lock()
	//lint:ignore SA2001 the order is all that is wanted
	c.mu.Unlock()
}

// Set moves the time to t without firing anything. It never goes back.
func (c *Clock) Set(t time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = max(c.now, t)
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
	// A duration near the longest there is (nx.WaitForever) must not wrap.
	t.deadline = c.now + min(max(d, 0), 1<<62)
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
