package screen

import (
	"sync"

	"gonetx/cmd/nxduo/internal/trace"
)

// Feed brings a run's events to a view, which takes them when it draws: who
// pushes never waits.
type Feed struct {
	mu     sync.Mutex // guards the fields below
	header *trace.Header
	events []trace.Event
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
	f.events = append(f.events, e)
}

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
