// Package timers is the time and the timers of a clock that stands still until
// it is told to go on. Clocks for tests embed [Base] and decide when that is.
package timers

import (
	"container/heap"
	"math"
	"sync"
	"time"

	"gonetx/packetpool/nx"
)

// Base implements [nx.Clock]. The zero Base is ready, at time 0.
type Base struct {
	// Mu guards everything here, and whatever the clock adds. Methods of which
	// it is said are called with it held.
	Mu   sync.Mutex
	Time time.Duration // now

	pending pending
	made    uint64 // timers set so far: equal deadlines fire in this order
}

// Now implements [nx.Clock].
func (b *Base) Now() time.Duration {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	return b.Time
}

// AfterFunc implements [nx.Clock]. The clock calls f when [Base.Pop] says so.
func (b *Base) AfterFunc(d time.Duration, f func()) nx.Timer {
	return b.set(d, &timer{base: b, call: f, at: -1})
}

// AfterOthers is AfterFunc for a function that is called after those of all
// other timers of the same moment.
func (b *Base) AfterOthers(d time.Duration, f func()) nx.Timer {
	return b.set(d, &timer{base: b, call: f, at: -1, late: true})
}

func (b *Base) set(d time.Duration, t *timer) nx.Timer {
	t.Reset(d)
	return t
}

// Len is how many timers are set. The caller holds Mu.
func (b *Base) Len() int { return len(b.pending) }

// Next is when the next timer fires; false when none is set. The caller holds
// Mu.
func (b *Base) Next() (time.Duration, bool) {
	if len(b.pending) == 0 {
		return 0, false
	}
	return b.pending[0].deadline, true
}

// OnlyLate tells that the next timer was set with AfterOthers: of its moment
// there is no other. The caller holds Mu.
func (b *Base) OnlyLate() bool { return len(b.pending) > 0 && b.pending[0].late }

// Pop takes the next timer, moves the time to its deadline, and answers what it
// calls; nil when none is set. The caller holds Mu.
func (b *Base) Pop() func() {
	if len(b.pending) == 0 {
		return nil
	}
	t := heap.Pop(&b.pending).(*timer)
	b.Time = max(b.Time, t.deadline)
	return t.call
}

// timer is one entry of the heap; at is its index there, -1 when it is not set.
type timer struct {
	base     *Base
	call     func()
	deadline time.Duration
	order    uint64
	late     bool // after the others of its moment
	at       int
}

// Stop implements [nx.Timer].
func (t *timer) Stop() bool {
	t.base.Mu.Lock()
	defer t.base.Mu.Unlock()
	return t.remove()
}

// Reset implements [nx.Timer].
func (t *timer) Reset(d time.Duration) {
	b := t.base
	b.Mu.Lock()
	defer b.Mu.Unlock()
	t.remove()
	// A duration near the longest there is (nx.WaitForever) must not wrap.
	t.deadline = b.Time + min(max(d, 0), math.MaxInt64-b.Time)
	b.made++
	t.order = b.made
	heap.Push(&b.pending, t)
}

func (t *timer) remove() bool {
	if t.at < 0 {
		return false
	}
	heap.Remove(&t.base.pending, t.at)
	return true
}

// pending is a heap by deadline, the late ones of a moment last, then by the
// order in which timers were set.
type pending []*timer

func (h pending) Len() int { return len(h) }

func (h pending) Less(i, j int) bool {
	if h[i].deadline != h[j].deadline {
		return h[i].deadline < h[j].deadline
	}
	if h[i].late != h[j].late {
		return h[j].late
	}
	return h[i].order < h[j].order
}

func (h pending) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *pending) Push(x any) {
	t := x.(*timer)
	t.at = len(*h)
	*h = append(*h, t)
}

func (h *pending) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.at = -1
	return t
}
