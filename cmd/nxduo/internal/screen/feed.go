package screen

import (
	"sync"

	"gonetx/cmd/nxduo/internal/trace"
)

// Feed brings a run's events to a view, which takes them when it draws: who
// pushes never waits. A view keeps all that it gets, so of a very long run it
// gets only the beginning, and from there on what is rare.
type Feed struct {
	mu     sync.Mutex // guards the fields below
	header *trace.Header
	events []trace.Event
	pushed int
	done   bool
	words  string // at the end
}

// Header brings the header.
func (f *Feed) Header(h trace.Header) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.header = &h
}

// Push brings an event.
func (f *Feed) Push(e trace.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pushed++; f.pushed > most {
		switch e.Data.(type) {
		case *trace.Segment, *trace.Congestion, *trace.Dropped, *trace.Changed, *trace.Call, *trace.Empty:
			return
		}
	}
	f.events = append(f.events, e)
}

// most is how many events a view gets before it gets only the rare ones.
const most = 400_000

// Done tells that the run has ended, in what words.
func (f *Feed) Done(words string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done, f.words = true, words
}

// take takes what there is.
func (f *Feed) take() (h *trace.Header, events []trace.Event, done bool, words string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, events = f.header, f.events
	f.header, f.events = nil, nil
	return h, events, f.done, f.words
}
