package nx

import (
	"runtime"
	"sync"
)

// Mutex is a lock for sections of some nanoseconds that many goroutines enter
// all the time: that of a pool, that of the TCP of an instance.
//
// A sync.Mutex for which somebody has waited a millisecond, say because the
// system took the processor away from its holder, is handed over from waiter to
// waiter until nobody waits; then each section costs a switch of goroutines, and
// as long as there are always some it never ends. So who finds it taken lets
// others run and tries again before he queues.
type Mutex struct{ mu sync.Mutex }

// Lock locks m.
func (m *Mutex) Lock() {
	if m.mu.TryLock() {
		return
	}
	m.lockSlow()
}

func (m *Mutex) lockSlow() {
	const tries = 100
	for range tries {
		runtime.Gosched()
		if m.mu.TryLock() {
			return
		}
	}
	m.mu.Lock()
}

// Unlock unlocks m.
func (m *Mutex) Unlock() { m.mu.Unlock() }
