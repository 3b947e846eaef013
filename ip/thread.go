package ip

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"gonetx/packetpool/nx"
)

// thread is the goroutine that runs an instance's callbacks: the IP helper
// thread of NetX Duo (nx_ip_thread_entry.c), as far as programs see it. One at
// a time, in the order in which they were posted.
//
// It is started by Create and ended by Delete, after the callbacks that were
// posted before. While it has nothing to do it waits as any caller of a service
// does, on the instance's clock; a clock that counts those who wait is told
// where the goroutine begins and ends, so that it counts for nothing then.
type thread struct {
	clock nx.Clock
	ended chan struct{} // closed by the goroutine, last

	mu       sync.Mutex // guards the fields below
	queue    []func()
	parked   *nx.Suspension
	stopping bool

	running atomic.Bool   // inside a callback
	id      atomic.Uint64 // of the goroutine
}

func startThread(clock nx.Clock) *thread {
	t := &thread{clock: clock, ended: make(chan struct{})}
	if p, ok := clock.(nx.Parker); ok {
		p.Unpark()
	}
	go t.run()
	return t
}

// post puts a callback at the end of the queue. It does not block. False: the
// goroutine has been told to end, the callback will not run.
func (t *thread) post(callback func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopping {
		return false
	}
	t.queue = append(t.queue, callback)
	t.wake()
	return true
}

// wake ends the goroutine's wait, if it waits. The caller holds the lock.
func (t *thread) wake() {
	if t.parked != nil {
		t.parked.Resume()
		t.parked = nil
	}
}

func (t *thread) run() {
	over := false
	defer func() {
		if !over { // the callback has ended its goroutine, as FailNow of package testing does
			t.running.Store(false)
			go t.run()
			return
		}
		if p, ok := t.clock.(nx.Parker); ok {
			p.Park()
		}
		close(t.ended)
	}()
	t.id.Store(goroutineID())
	for {
		callback, ok := t.next()
		if !ok {
			over = true
			return
		}
		t.running.Store(true)
		callback()
		t.running.Store(false)
	}
}

// next waits for a callback. False: the queue is empty and there will be none.
func (t *thread) next() (func(), bool) {
	for {
		t.mu.Lock()
		if len(t.queue) > 0 {
			callback := t.queue[0]
			t.queue[0] = nil
			t.queue = t.queue[1:]
			t.mu.Unlock()
			return callback, true
		}
		if t.stopping {
			t.mu.Unlock()
			return nil, false
		}
		s := nx.NewSuspension(t.clock)
		t.parked = s
		t.mu.Unlock()
		s.Await(nx.WaitForever)
	}
}

// stop ends the goroutine once the queue is empty, and waits for it.
func (t *thread) stop() {
	t.mu.Lock()
	t.stopping = true
	t.wake()
	t.mu.Unlock()
	<-t.ended
}

// current tells whether the caller is the goroutine, inside a callback. The
// goroutine's number costs a microsecond, so it is looked up only while some
// callback runs.
func (t *thread) current() bool {
	return t.running.Load() && goroutineID() == t.id.Load()
}

// goroutineID reads the number of the calling goroutine off its stack trace,
// "goroutine 17 [running]:". The runtime has no other way to tell it.
func goroutineID() uint64 {
	var buf [64]byte
	line := buf[:runtime.Stack(buf[:], false)]
	line = bytes.TrimPrefix(line, []byte("goroutine "))
	digits, _, _ := bytes.Cut(line, []byte(" "))
	id, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return id
}
