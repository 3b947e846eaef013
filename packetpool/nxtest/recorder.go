package nxtest

import (
	"sync"
	"testing"
	"time"

	"gonetx/packetpool/nx"
)

// Recorder is a [nx.Recorder] that keeps its events. The zero Recorder is
// ready.
type Recorder struct {
	mu     sync.Mutex // guards the fields below
	events []nx.Event
	more   chan struct{} // closed when an event comes; nil when nobody waits for one
}

// Record implements [nx.Recorder].
func (r *Recorder) Record(e nx.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// Events answers all events so far.
func (r *Recorder) Events() []nx.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[:len(r.events):len(r.events)]
}

// Reset forgets all events.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// Of answers the events of one type.
func Of[E nx.Event](r *Recorder) []E {
	var list []E
	for _, e := range r.Events() {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

// Await answers the first event of a type for which match holds, of those that
// have come or are yet to come. It fails the test when there is none within ten
// seconds of real time. A nil match takes any.
func Await[E nx.Event](tb testing.TB, r *Recorder, match func(E) bool) E {
	tb.Helper()
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	for seen := 0; ; {
		r.mu.Lock()
		events := r.events[min(seen, len(r.events)):]
		seen = len(r.events)
		if r.more == nil {
			r.more = make(chan struct{})
		}
		more := r.more
		r.mu.Unlock()
		for _, e := range events {
			if e, ok := e.(E); ok && (match == nil || match(e)) {
				return e
			}
		}
		select {
		case <-more:
		case <-limit.C:
			var none E
			tb.Fatalf("no %T as wanted within 10 s; %d events in all", none, seen)
			return none
		}
	}
}
