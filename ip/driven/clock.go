package driven

import (
	"time"

	"gonetx/packetpool/nx"
	"gonetx/packetpool/nx/timers"
)

// Clock is a clock that stands still until it is told to go on. It implements
// [nx.Clock] and [nx.Parker].
type Clock struct {
	timers.Base // Fire calls what its timers call

	// Guarded by Mu of Base.
	parked int
	gave   [2][]chan struct{} // callers that have given way, the first one first; those of Lowest apart
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
func (c lowest) Yield() { c.giveWay(1) }

// GiveWay is for a thread of the program that has been resumed: the IP threads
// are more urgent, and first do what there is to do with the frames that are under
// way. It goes on before the threads of [Clock.Lowest].
func (c *Clock) GiveWay() { c.giveWay(0) }

func (c *Clock) giveWay(level int) {
	turn := make(chan struct{})
	c.Mu.Lock()
	c.gave[level] = append(c.gave[level], turn)
	c.Mu.Unlock()
	<-turn
}

// goOn lets the first of the callers go on that have given way; false when none
// has.
func (c *Clock) goOn() bool {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for level, gave := range c.gave {
		if len(gave) > 0 {
			close(gave[0])
			c.gave[level] = gave[1:]
			return true
		}
	}
	return false
}

// Late is this clock for packet pools. A wait that runs out in them is over
// after everything else that is due at the same tick: NetX Duo's IP thread, which
// has the work of its own timers to do, has a higher priority than those who
// wait.
func (c *Clock) Late() nx.Clock { return late{c} }

type late struct{ *Clock }

// AfterFunc implements [nx.Clock].
func (c late) AfterFunc(d time.Duration, f func()) nx.Timer { return c.AfterOthers(d, f) }

// Park and Unpark implement [nx.Parker].
func (c *Clock) Park()   { c.count(1) }
func (c *Clock) Unpark() { c.count(-1) }

func (c *Clock) count(n int) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	c.parked += n
}

// Parked is how many callers wait in services.
func (c *Clock) Parked() int {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	return c.parked
}

// Next is when the next timer fires; false when none is set.
func (c *Clock) Next() (time.Duration, bool) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	return c.Base.Next()
}

// onlyLate tells that the next timer is a late one.
func (c *Clock) onlyLate() bool {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	return c.OnlyLate()
}

// Fire sets the time to that of the next timer and calls its function in a
// goroutine of its own. False when none is set.
func (c *Clock) Fire() bool {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	call := c.Pop()
	if call != nil {
		go c.run(call)
	}
	return call != nil
}

// run calls the function of a timer. The world waits for its end by the
// runtime's count of goroutines, which the race detector does not know; the lock
// tells it that what the function did comes before what is done next.
func (c *Clock) run(call func()) {
	call()
	c.Mu.Lock()
	//lint:ignore SA2001 the order is all that is wanted
	c.Mu.Unlock()
}

// Set moves the time to t without firing anything. It never goes back.
func (c *Clock) Set(t time.Duration) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	c.Time = max(c.Time, t)
}
