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
	gave   []chan struct{} // callers that have given way, the first one first
}

var (
	_ nx.Clock   = (*Clock)(nil)
	_ nx.Parker  = (*Clock)(nil)
	_ nx.Yielder = lowest{}
)

// Lowest is this clock for the instance of the threads that have the lowest
// priority of all: [nx.Yielder].
func (c *Clock) Lowest() nx.Clock { return lowest{c} }

type lowest struct{ *Clock }

// Yield implements [nx.Yielder]. The world goes on with the caller when no frame
// is under way any more.
func (c lowest) Yield() {
	turn := make(chan struct{})
	c.mu.Lock()
	c.gave = append(c.gave, turn)
	c.mu.Unlock()
	<-turn
}

// goOn lets the first of the callers go on that have given way; false when none
// has.
func (c *Clock) goOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.gave) == 0 {
		return false
	}
	close(c.gave[0])
	c.gave = c.gave[1:]
	return true
}

// Late is this clock for packet pools. A wait that runs out in them is over
// after everything else that is due at the same tick: NetX Duo's IP thread, which
// has the work of its own timers to do, has a higher priority than those who
// wait.
func (c *Clock) Late() nx.Clock { return late{c} }

type late struct{ *Clock }

// AfterFunc implements [nx.Clock].
func (c late) AfterFunc(d time.Duration, f func()) nx.Timer {
	t := &timer{clock: c.Clock, call: f, at: -1, late: true}
	t.Reset(d)
	return t
}

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

// onlyLate tells that the next timer is a late one.
func (c *Clock) onlyLate() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers) > 0 && c.timers[0].late
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
	late     bool // after the others of its moment
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

// timers is a heap by deadline, the late ones of a moment last, then by the order in which they were set.
type timers []*timer

func (h timers) Len() int { return len(h) }

func (h timers) Less(i, j int) bool {
	if h[i].deadline != h[j].deadline {
		return h[i].deadline < h[j].deadline
	}
	if h[i].late != h[j].late {
		return h[j].late
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
