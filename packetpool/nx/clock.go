package nx

import "time"

// Clock is the time of an instance, its pools and its sockets. The zero
// Config of each of them uses [RealClock]; tests drive a clock of their own,
// so that a wait of 1000 ticks costs no time.
type Clock interface {
	// Now answers the time since some fixed moment. It never goes back.
	Now() time.Duration
	// AfterFunc calls f once, d from now, in a goroutine of the clock's. f
	// must not block.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is one pending AfterFunc call.
type Timer interface {
	// Stop prevents the call; false when it has been made or stopped before.
	Stop() bool
	// Reset sets the call to d from now, also when it has been made.
	Reset(d time.Duration)
}

// A Parker is a Clock that counts the goroutines that wait in a service.
// A driven clock needs the count to know when everybody waits and time may go
// on. Park is called by a goroutine that is about to wait, Unpark by whoever
// ends the wait, before that goroutine can run.
type Parker interface {
	Park()
	Unpark()
}

// A Yielder is a Clock of callers that give way: each time one of them has put
// a segment on the wire in the manner of release 6.4.2, everybody else goes
// first, as the threads of ThreadX do that have a higher priority. Yield
// returns when all of them wait.
type Yielder interface {
	Yield()
}

// RealClock is the machine's monotonic clock.
var RealClock Clock = realClock{start: time.Now()}

type realClock struct{ start time.Time }

func (c realClock) Now() time.Duration { return time.Since(c.start) }

func (realClock) AfterFunc(d time.Duration, f func()) Timer { return realTimer{time.AfterFunc(d, f)} }

type realTimer struct{ *time.Timer }

func (t realTimer) Reset(d time.Duration) { t.Timer.Reset(d) }
