package packetpool

import (
	"runtime"
	"sync/atomic"
)

// guard is a packet's lock and generation in one word: a service proves that
// its handle is good, and locks the packet, in one step. Locks are held while
// bytes are copied and not while somebody waits, so waiting for one is to let
// others run.
type guard struct{ word atomic.Uint64 }

// The parts of the word. The generation is what is left of them.
const (
	busy       = 1 << iota // a service has locked the packet
	onQueue                // the handle is a transmit queue's
	generation             // one generation
)

// lock locks a packet for a handle; false when the handle is stale.
func (g *guard) lock(handle uint64) bool {
	for !g.word.CompareAndSwap(handle, handle|busy) {
		if g.word.Load()&^busy != handle {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// Unlock ends a lock; the handle stays good.
func (g *guard) Unlock() { g.word.Add(^uint64(busy - 1)) }

// retire makes all handles stale in place of a lock: the caller alone knows the
// packet then. False when the handle is stale already.
func (g *guard) retire(handle uint64) bool {
	for !g.word.CompareAndSwap(handle, following(handle)) {
		if g.word.Load()&^busy != handle {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// restore takes a retire back. Nobody has got a new handle meanwhile.
func (g *guard) restore(handle uint64) { g.word.Store(handle) }

// pass ends a lock and makes all handles stale. flag is onQueue when the new
// handle is a transmit queue's.
func (g *guard) pass(flag uint64) { g.word.Store(following(g.word.Load()) | flag) }

// handle is the generation of a good handle. Only whoever alone knows the
// packet, or has locked it, may ask.
func (g *guard) handle() uint64 { return g.word.Load() &^ busy }

func following(word uint64) uint64 { return (word | busy | onQueue) + 1 }
