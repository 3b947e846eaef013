// Package driven runs IP instances in driven time: the clock stands still
// until everybody waits, frames move one at a time, and a wait of a thousand
// ticks takes as long as what happens in it.
//
// A [World] is one clock and one network. Instances are created with the clock
// in their Config and a port of the network as their driver; calls that may
// block run as [Call]s, which stand for the threads of a program:
//
//	w := driven.New(driven.Config{})
//	defer w.Close()
//	... ip.Create(&client, ..., w.Network.Driver(), ...) with Config{Clock: w.Clock}
//	call := w.Go(driven.Thread{}, func() { err = tcp.ClientSocketConnect(&socket, server, 25, 1000) }, nil)
//	w.Wait(call)   // frames move and time goes on until connect has returned
//	w.Sleep(20)    // 20 ticks in which the stacks do what they have to do
//
// The order of events is that of a system with NetX Duo's priorities: a timer
// fires, then all frames that are under way are delivered, one after the
// other, then the callers that were resumed go on. The same run gives the same
// events in the same order.
//
// Only one world may be open in a process, because it looks at all goroutines
// to know that everybody waits: no parallel tests.
package driven

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
)

// Config describes a world.
type Config struct {
	MTU uint32 // of the network; zero: 1500

	// Latency is how long a frame is under way. Zero: it arrives at the tick at
	// which it was sent.
	Latency time.Duration

	// Rate is how many bytes a second each port's link takes; what comes faster
	// waits, without limit. Zero: all at once. It needs a Latency.
	Rate int64

	// Verdict decides on each frame when it is about to be delivered. Nil
	// passes all.
	Verdict func(ram.Frame) ram.Verdict

	// Sent sees each frame in the order in which frames were sent, before any
	// of them is delivered. Nil: nobody looks.
	Sent func(ram.Frame)
}

// World is instances, a wire and a clock that stand still between its methods.
// Its methods are called from one goroutine, which must not call a service that
// waits.
type World struct {
	Clock   *Clock
	Network *ram.Network

	config  Config
	held    string                   // name of an instance that takes no frames now
	logged  uint64                   // the last frame that Sent has seen
	due     map[uint64]time.Duration // when frames arrive, by number; with a latency
	calls   []*Call
	busy    map[string]time.Duration // until when links are, by the sender
	started int                      // calls
	moment  atomic.Int64             // counts deliveries and timers: what ends between two of them ends at the same moment
}

// New makes a world at tick 0. Close it at the end.
func New(config Config) *World {
	w := &World{
		Clock:   &Clock{},
		Network: ram.NewNetwork(ram.Config{MTU: config.MTU, Manual: true, Hook: config.Verdict}),
		config:  config,
		due:     map[uint64]time.Duration{},
		busy:    map[string]time.Duration{},
	}
	garbage.take()
	countInKernel()
	return w
}

// Close ends the driving of time. Delete the instances before it: they may
// need the clock.
func (*World) Close() { garbage.give() }

// Tick is the time in ticks since the world began.
func (w *World) Tick() uint32 { return uint32(w.Clock.Now() / nx.Tick) }

// Thread is what a call runs as.
type Thread struct {
	// Priority orders calls that end at the same time, as ThreadX priorities
	// do: the lower number goes on first.
	Priority int

	// Holds is the name of the instance whose mutex the call holds, as services
	// of NetX Duo do until they return or suspend their caller: no frame is
	// delivered to that instance meanwhile, and threads of a higher priority
	// that frames to others resume go on before the call does. Empty: none.
	Holds string
}

// Call is one call in a goroutine of its own.
type Call struct {
	Thread   Thread
	Started  uint32 // tick
	Finished uint32 // tick; valid when Done
	order    int
	moment   int64 // when it ended
	done     atomic.Bool
	then     func(*Call)
}

// Done tells that the function has returned.
func (c *Call) Done() bool { return c.done.Load() }

// Go runs f until it has returned or waits in a service, and delivers what was
// sent meanwhile, and the answers to it, until the wire is empty. When f has
// returned, now or later, then (nil: nothing) is called in the goroutine of the
// world, after all frames have been delivered.
func (w *World) Go(t Thread, f func(), then func(*Call)) *Call {
	w.started++
	c := &Call{Thread: t, Started: w.Tick(), order: w.started, then: then}
	w.calls = append(w.calls, c)
	go func() {
		f()
		c.moment = w.moment.Load()
		c.done.Store(true)
	}()
	if t.Holds != "" {
		w.held = t.Holds
		w.deliver()
		w.report(func(other *Call) bool { return other.Thread.Priority < t.Priority })
		w.held = ""
	}
	w.Settle()
	return c
}

// Settle delivers frames until the wire is empty and everybody waits, then
// reports the calls that have ended.
func (w *World) Settle() {
	for w.deliver(); w.Clock.goOn(); w.deliver() {
	}
	w.report(func(*Call) bool { return true })
	if w.moment.Load()%64 == 0 {
		garbage.run()
	}
}

// deliver moves frames, one at a time, until none is left that may move.
func (w *World) deliver() {
	quiet()
	w.log()
	for {
		f, ok := w.Network.StepWhere(func(f ram.Frame) bool {
			return (w.held == "" || f.From == w.held) && w.due[f.Number] <= w.Clock.Now()
		})
		if !ok {
			return
		}
		delete(w.due, f.Number)
		w.moment.Add(1)
		quiet()
		w.log()
	}
}

// log shows the frames that have been sent since it was called last.
func (w *World) log() {
	if w.config.Sent == nil && w.config.Latency == 0 {
		return
	}
	for _, f := range w.Network.Waiting() {
		if f.Number <= w.logged {
			continue
		}
		w.logged = f.Number
		if w.config.Latency > 0 {
			at := w.Clock.Now()
			if w.config.Rate > 0 {
				at = max(at, w.busy[f.From]) + time.Duration(int64(len(f.Data))*int64(time.Second)/w.config.Rate)
				w.busy[f.From] = at
			}
			w.due[f.Number] = at + w.config.Latency
		}
		if w.config.Sent != nil {
			w.config.Sent(f)
		}
	}
}

// arrival is when the next frame arrives; false when none is under way.
func (w *World) arrival() (next time.Duration, ok bool) {
	for _, at := range w.due {
		if !ok || at < next {
			next, ok = at, true
		}
	}
	return next, ok
}

// report tells of the calls that have ended: by priority, then by the moment
// at which they ended, then in the order in which they were made.
func (w *World) report(which func(*Call) bool) {
	var ended []*Call
	w.calls = slices.DeleteFunc(w.calls, func(c *Call) bool {
		if !c.Done() || !which(c) {
			return false
		}
		ended = append(ended, c)
		return true
	})
	slices.SortFunc(ended, func(a, b *Call) int {
		return cmp.Or(cmp.Compare(a.Thread.Priority, b.Thread.Priority), cmp.Compare(a.moment, b.moment), cmp.Compare(a.order, b.order))
	})
	for _, c := range ended {
		c.Finished = w.Tick()
		if c.then != nil {
			c.then(c)
		}
	}
	w.moment.Add(1)
}

// Wait lets time go on until c has returned. False when it has not after the
// given number of ticks, or when no timer is set that could end it.
func (w *World) Wait(c *Call, ticks uint32) bool {
	limit := w.Clock.Now() + time.Duration(ticks)*nx.Tick
	for w.Settle(); !c.Done(); w.Settle() {
		if !w.turn(limit) {
			return false
		}
	}
	return true
}

// Sleep lets the given number of ticks go by.
func (w *World) Sleep(ticks uint32) {
	limit := w.Clock.Now() + time.Duration(ticks)*nx.Tick
	w.Settle()
	for w.turn(limit) {
		w.Settle()
	}
	w.Clock.Set(limit)
}

// turn goes on to the next moment, if it comes before the limit, and fires its
// timers. The frames that arrive then are delivered by Settle.
func (w *World) turn(limit time.Duration) bool {
	next, ok := w.Clock.Next()
	if at, under := w.arrival(); under && (!ok || at < next) {
		if at > limit {
			return false
		}
		w.Clock.Set(at)
		return true
	}
	if !ok || next > limit {
		return false
	}
	for at, ok := next, true; ok && at == next; at, ok = w.Clock.Next() {
		if w.Clock.onlyLate() {
			w.deliver() // what the others have sent comes first
		}
		w.Clock.Fire()
		w.moment.Add(1)
		quiet()
	}
	w.log()
	if w.config.Latency == 0 {
		// What an IP thread sends in its turn has all been received before the IP
		// thread at the other end, which is no more urgent, looks at the first of it.
		w.Network.Arrive()
	}
	return true
}
