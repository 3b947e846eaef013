package nx

import "sync"

// Suspension is one caller that waits inside a service, as a ThreadX thread
// waits on a suspension list of NetX Duo. Lists of waiters are the owner's and
// lie under the owner's lock; a Suspension is only the waiting itself.
//
// A service makes one, puts it on the owner's list, gives up the owner's lock
// and calls Await. Whoever serves the waiter takes it off the list and calls
// Resume. When Await answers false the caller takes the lock again and looks
// whether it has been taken off the list meanwhile: then it was served.
//
// A Suspension serves one wait, or, where callers wait all the time, one after the
// other: see Again.
type Suspension struct {
	clock Clock
	woken chan struct{}
	timer Timer // of the waiter; nil: it has not been needed, or has gone off

	mu     sync.Mutex // guards the fields below
	fired  firing
	parked bool
	late   bool // the timer's call may still come
}

type firing uint8

const (
	notFired firing = iota
	resumed
	expired
)

// NewSuspension makes a suspension on the clock that counts its ticks.
func NewSuspension(clock Clock) *Suspension {
	return &Suspension{clock: clock, woken: make(chan struct{}, 1)}
}

// Resume ends the wait; the waiter's Await answers true. It may come before
// Await. False when the wait has ended already.
func (s *Suspension) Resume() bool { return s.fire(resumed) }

// Await waits for Resume, at most wait ticks. It answers true when resumed
// and false when the wait ran out.
func (s *Suspension) Await(wait Wait) bool {
	if wait == NoWait {
		resumed := !s.fire(expired)
		<-s.woken // it has been fired now, by whomever
		return resumed
	}
	// The timer is set before the caller parks: a driven clock goes on when
	// everybody is parked, and must know by then until when.
	timed := wait != WaitForever
	switch {
	case timed && s.timer == nil:
		s.timer = s.clock.AfterFunc(wait.Duration(), func() { s.fire(expired) })
	case timed:
		s.timer.Reset(wait.Duration())
	}
	s.mu.Lock()
	if s.fired == notFired {
		if p, ok := s.clock.(Parker); ok {
			p.Park()
		}
		s.parked = true
	}
	s.mu.Unlock()
	<-s.woken
	late := timed && !s.timer.Stop()

	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = late
	return s.fired == resumed
}

// Again makes s ready for another wait, with its timer, which costs less than a new
// one. Await has answered, and nobody who might call Resume knows s any more. False:
// it cannot be, because the timer of the wait has gone off.
func (s *Suspension) Again() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fired != resumed || s.late {
		return false
	}
	s.fired, s.parked = notFired, false
	return true
}

func (s *Suspension) fire(how firing) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fired != notFired {
		return false
	}
	s.fired = how
	if s.parked {
		if p, ok := s.clock.(Parker); ok {
			p.Unpark()
		}
	}
	s.woken <- struct{}{}
	return true
}
