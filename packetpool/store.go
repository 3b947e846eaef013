package packetpool

import (
	"errors"
	"sync/atomic"

	"gonetx/packetpool/nx"
)

// Why a service answered NX_PTR_ERROR, where the status alone does not say it.
var (
	errCreated = errors.New("the pool is created already")
	errDeleted = errors.New("the pool of the packet is deleted")
	errStale   = errors.New("the packet was released or given away before")
	errQueued  = errors.New("the packet is on a transmit queue")
	errCopied  = errors.New("the stack has a copy, and the packet no bytes any more")
)

// store is a pool between one create and the delete: its packets, who has
// them, and who waits for one. Blocks point to it, so that a packet of a
// deleted pool never becomes one of the pool that is created next in the same
// control block.
type store struct {
	mu nx.Mutex // guards the fields below, as far as they change, and of every block those that say so

	free    *block // free packets, last in, first out
	freeLen int    // how many, with those that are not made yet
	waiters waiterList
	idle    []*memory // that no packet has, the one that was used last at the end; see equip
	_       [16]byte  // what every allocate and release changes has a cache line of its own

	deleted atomic.Bool // set under mu; services that need it to stay so read it under mu

	name    string
	payload int    // bytes of a packet
	memory  uint32 // the size that counted at create
	total   int
	config  Config

	blocks []*block // made so far; the others follow when they are needed

	emptyRequests    uint32
	emptySuspensions uint32
	invalidReleases  uint32

	inbound inboundState
}

// eagerBytes is how much of a pool is made by PoolCreate. A larger pool gets
// the rest when it is needed first, so that a size which only a mistake can ask
// for does not take the machine's memory.
const eagerBytes = 32 << 20

// slabBytes is how much is made at a time after that.
const slabBytes = 1 << 20

// blockBytes is about what a packet takes beside its payload.
const blockBytes = 512

func newStore(name string, payload, memory uint32, packets uint64, config Config) *store {
	s := &store{
		name: name, payload: int(payload), memory: memory,
		total: int(packets), freeLen: int(packets), config: config,
	}
	s.makeBlocks(eagerBytes / (s.payload + blockBytes))
	return s
}

// makeBlocks makes n packets, or as many as there are to be, and puts them on
// the empty free list, the first one first. The caller holds s.mu, or is the
// only one that knows s.
func (s *store) makeBlocks(n int) {
	n = min(n, s.total-len(s.blocks))
	made := make([]block, n)
	for i := n - 1; i >= 0; i-- {
		b := &made[i]
		b.store = s
		m := new(memory)
		*m = newMemory(s.payload)
		b.has(m)
		b.link, s.free = s.free, b
		if s.inbound.chunks != nil {
			s.inbound.chunks[m.end] = m
		}
	}
	for i := range made {
		s.blocks = append(s.blocks, &made[i])
	}
}

// created tells whether the store lives. It may be called on nil.
func (s *store) created() bool { return s != nil && !s.deleted.Load() }

// info answers the counters. The caller holds s.mu.
func (s *store) info() PoolInfo {
	return PoolInfo{
		TotalPackets: uint32(s.total), FreePackets: uint32(s.freeLen),
		EmptyPoolRequests: s.emptyRequests, EmptyPoolSuspensions: s.emptySuspensions,
		InvalidPacketReleases: s.invalidReleases,
	}
}

// take takes a packet from the free list; nil when there is none. The caller
// holds s.mu and starts the packet.
func (s *store) take() *block {
	b := s.takeBare()
	if b != nil {
		s.equip(b)
	}
	return b
}

// takeBare is take of a packet that needs no memory of its own: it has some, or
// none.
func (s *store) takeBare() *block {
	b := s.free
	if b == nil {
		if s.freeLen == 0 {
			s.sweep()
		}
		if s.free == nil && s.freeLen > 0 {
			s.makeBlocks(max(1, slabBytes/(s.payload+blockBytes)))
		}
		if b = s.free; b == nil {
			return nil
		}
	}
	s.free = b.link
	s.freeLen--
	b.state = application
	return b
}

// equip gives a packet that is taken the memory that was used last, of those that
// lie idle: it is in the processor's cache. A packet that has memory of its own
// leaves that instead. Without idle memory there is no packet that needs some. The
// caller holds s.mu.
func (s *store) equip(b *block) {
	top := len(s.idle) - 1
	if top < 0 {
		return
	}
	m := s.idle[top]
	if b.memory != nil {
		s.idle[top] = b.memory
	} else {
		s.idle = s.idle[:top]
	}
	b.has(m)
}

// has notes in which memory the bytes of a packet lie.
func (b *block) has(m *memory) { b.memory, b.data = m, m.data }

// share gives a packet a part of memory that another one has received bytes in,
// instead of its own, which serves packets that are taken later. The caller
// holds s.mu.
func (s *store) share(b *block, m *memory) {
	if b.memory != nil {
		s.idle = append(s.idle, b.memory)
	}
	b.has(m)
	m.others++
}

// leave is for a packet that needs its memory no more: others may. The caller
// holds s.mu.
func (b *block) leave() {
	if m := b.memory; m != nil && m.others > 0 {
		m.others--
		b.memory, b.data = nil, nil
	}
}

// drop gives up the memory of a packet of a deleted pool. The caller holds s.mu.
func (b *block) drop() {
	if b.leave(); b.memory != nil {
		b.memory.drop()
	}
}

// move gives the bytes of a packet of a deleted pool memory that lives as long as
// its handle. The caller holds s.mu, and the mu of the message.
func (b *block) move() {
	if b.memory == nil {
		return // it has moved already
	}
	data := append(make([]byte, 0, len(b.data)), b.data...)
	b.drop()
	b.memory, b.data, b.borrowed = nil, data, false
}

// strip takes the memory of a packet whose bytes nobody needs any more, for the
// packets that are taken next, and leaves it empty. Memory that the stack may have
// a part of stays with the packet. The caller holds b.mu of the message and s.mu.
func (s *store) strip(b *block) {
	b.prepend, b.append, b.length = 0, 0, 0
	if b.leave(); b.memory == nil || b.borrowed || s.deleted.Load() {
		return
	}
	s.idle = append(s.idle, b.memory)
	b.memory, b.data = nil, nil
}

// put gives a packet to the oldest waiter, or to the free list when nobody
// waits. It answers how many packets that were, the one and those that are free
// with it. The caller holds s.mu; whoever had the packet knows it no more.
func (s *store) put(b *block) int {
	n := 1
	if riders := b.riders; riders != nil {
		b.riders = nil
		n += s.put(riders)
	}
	if w := s.waiters.first; w != nil {
		s.waiters.remove(w)
		b.state = application
		s.equip(b)
		b.assign(Owner{})
		b.start(w.room)
		b.site = w.site
		w.block = b
		w.Resume()
		return n
	}
	if s.deleted.Load() {
		b.state = free
		b.drop()
		return n
	}
	b.toFree()
	return n
}

// toFree puts a packet on the free list.
func (b *block) toFree() {
	s := b.store
	if b.owner != (Owner{}) {
		b.assign(Owner{})
	}
	b.state = free
	b.link, s.free = s.free, b
	s.freeLen++
}

// plain tells that nobody waits for a packet, nobody looks, and the pool lives:
// one that is released goes to the free list.
func (s *store) plain() bool {
	return s.waiters.first == nil && s.config.Recorder == nil && !s.deleted.Load()
}

// delete ends the store; false when it had ended before. What nobody has gives its
// memory back. A packet that the program has stays where it is, whoever reads or
// writes there just now, until it is released (see release and refuseRelease): it may
// be in the middle of a message that begins in another pool, and nobody here knows
// that message's lock.
func (s *store) delete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deleted.Swap(true) {
		return false
	}
	for w := s.waiters.first; w != nil; w = s.waiters.first {
		s.waiters.remove(w)
		w.status = nx.PoolDeleted
		w.Resume()
	}
	s.inbound.stop()
	s.free = nil // nobody takes a packet from here on
	for _, m := range s.idle {
		m.drop()
	}
	s.idle = nil
	for _, b := range s.blocks {
		if b.frame == nil && (b.state == free || b.state == inFlight) { // the memory of a frame goes with it
			b.drop()
		}
	}
	return true
}

// invalidRelease counts a release that the pool refused.
func (s *store) invalidRelease() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.deleted.Load() {
		s.invalidReleases++
	}
}
