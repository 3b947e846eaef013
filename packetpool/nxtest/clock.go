package nxtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gonetx/packetpool/nx"
	"gonetx/packetpool/nx/timers"
)

// Clock is a driven clock: it stands still while somebody works, and jumps to
// the next timer when everybody waits. A wait of 1000 ticks costs no time, and
// whatever happens happens at the same tick in every run.
//
// It knows the goroutines that Go starts; they must wait in services, in Sleep,
// or in Turn, and for nothing else. The zero Clock is ready, at time 0.
type Clock struct {
	timers.Base

	// Guarded by Mu of Base.
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

// Ticks is the time in ticks.
func (c *Clock) Ticks() nx.Wait { return nx.Wait(c.Now() / nx.Tick) }

// Park implements [nx.Parker].
func (c *Clock) Park() {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	c.working--
	c.next()
}

// Unpark implements [nx.Parker].
func (c *Clock) Unpark() {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	c.working++
}

// Go runs f in a goroutine that the clock waits for.
func (c *Clock) Go(f func()) {
	c.Mu.Lock()
	c.working++
	c.living++
	if c.done == nil {
		c.done = make(chan struct{})
	}
	c.Mu.Unlock()
	go c.run(f)
}

func (c *Clock) run(f func()) {
	defer func() {
		c.Mu.Lock()
		defer c.Mu.Unlock()
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
	c.Mu.Lock()
	done := c.done
	if done == nil {
		c.Mu.Unlock()
		return
	}
	c.driven = true
	c.next()
	c.Mu.Unlock()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		tb.Fatal(c.String())
	}
}

// String tells who does what.
func (c *Clock) String() string {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	return fmt.Sprintf("tick %d: %d goroutines, %d of them work, %d timers", c.Time/nx.Tick, c.living, c.working, c.Len())
}

// Sleep waits for some ticks, tx_thread_sleep. Only goroutines of Go call it.
func (c *Clock) Sleep(ticks nx.Wait) { nx.NewSuspension(c).Await(ticks) }

// Turn waits until everybody else waits, too, and lets the most urgent of those
// who ask for a turn go on, as a processor of the original would that has
// several threads ready: the lowest number first, then first come, first
// served. Only goroutines of Go call it.
func (c *Clock) Turn(priority int) {
	t := &turn{priority, make(chan struct{})}
	c.Mu.Lock()
	c.turns = append(c.turns, t)
	c.working--
	c.next()
	c.Mu.Unlock()
	<-t.granted
}

// next makes something happen when nobody works: a turn, or the next timer. The
// caller holds c.Mu.
func (c *Clock) next() {
	if c.working > 0 || !c.driven {
		return
	}
	at, due := c.Next()
	due = due && at <= c.Time
	if len(c.turns) > 0 && !due {
		urgent := slices.MinFunc(c.turns, func(a, b *turn) int { return a.priority - b.priority })
		c.turns = slices.DeleteFunc(c.turns, func(t *turn) bool { return t == urgent })
		c.working++
		close(urgent.granted)
		return
	}
	if call := c.Pop(); call != nil {
		c.working++
		go c.fire(call)
	}
}

func (c *Clock) fire(call func()) {
	call()
	c.Mu.Lock()
	defer c.Mu.Unlock()
	c.working--
	c.next()
}
