package trace

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"gonetx/packetpool/nx"
)

// Writer makes the trace of a run while it goes on. Events are put in a queue
// where they happen; one goroutine, from Start to Close, writes them. When the
// queue is full, events are lost, and a line says so.
type Writer struct {
	to    *bufio.Writer
	json  *json.Encoder // writes to it
	watch func(Event)
	clock nx.Clock
	most  int           // events that wait to be written
	ended chan struct{} // closed by the goroutine; nil: it was not started

	mu          sync.Mutex // guards the fields below
	more        *sync.Cond // the queue has something, or there will be nothing any more
	queue       []Event
	lost        int
	closed      bool
	connections int
	err         error

	events int // lines; of the goroutine
}

// queueMost is how many events wait to be written before more are lost.
const queueMost = 1 << 16

// NewWriter makes a writer. watch, which may be nil, sees each event when it is
// written, in the goroutine that writes. A nil clock is the machine's.
func NewWriter(to io.Writer, clock nx.Clock, watch func(Event)) *Writer {
	if clock == nil {
		clock = nx.RealClock
	}
	w := &Writer{to: bufio.NewWriterSize(to, 1<<16), watch: watch, clock: clock, most: queueMost}
	w.json = json.NewEncoder(w.to)
	w.json.SetEscapeHTML(false)
	w.more = sync.NewCond(&w.mu)
	return w
}

// Start begins the trace with its header; what has come before follows it. It is
// called once.
func (w *Writer) Start(h Header) error {
	h.Format, h.Version = Format, Version
	if err := w.line(h); err != nil {
		return err
	}
	w.ended = make(chan struct{})
	go w.write()
	return nil
}

// line writes one line.
func (w *Writer) line(v any) error { return w.json.Encode(v) }

// write is the goroutine.
func (w *Writer) write() {
	defer close(w.ended)
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.closed {
			w.more.Wait()
		}
		queue, lost, closed := w.queue, w.lost, w.closed
		w.queue, w.lost = nil, 0
		w.mu.Unlock()
		for i := range queue {
			w.put(&queue[i])
		}
		if lost > 0 {
			w.put(&Event{Time: queue[len(queue)-1].Time, Family: queue[len(queue)-1].Family, Name: TraceLost, Data: &Lost{lost}})
		}
		if closed {
			return
		}
	}
}

func (w *Writer) put(e *Event) {
	err := w.line(e)
	w.events++
	if err != nil {
		w.mu.Lock()
		if w.err == nil {
			w.err = err
		}
		w.mu.Unlock()
	}
	if w.watch != nil {
		w.watch(*e)
	}
}

// Close ends the trace. Events that come later are lost without a word.
func (w *Writer) Close(interrupted bool, why string) error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.more.Signal()
	w.mu.Unlock()
	if again {
		return errors.New("the trace is closed already")
	}
	if w.ended == nil {
		return errors.New("the trace has not begun")
	}
	<-w.ended
	err := errors.Join(w.err, w.line(&Event{Time: 0, Name: TraceEnd, Data: &End{Events: w.events, Interrupted: interrupted, Why: why}}))
	return errors.Join(err, w.to.Flush())
}

// add puts an event in the queue. The caller holds the lock.
func (w *Writer) add(e Event) {
	if w.closed {
		return
	}
	if len(w.queue) >= w.most {
		w.lost++
		return
	}
	w.queue = append(w.queue, e)
	if len(w.queue) == 1 {
		w.more.Signal()
	}
}
