package packetpool

import (
	"context"

	"gonetx/packetpool/nx"
)

// What the replays of the original look at and damage: its harness reads the
// control blocks, and pokes the pointers of packets.

// Counters answers the counters of a pool, also of a deleted one; false when
// it was never created.
func Counters(pool *Pool) (PoolInfo, bool) {
	s := pool.store.Load()
	if s == nil {
		return PoolInfo{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info(), true
}

// Suspended answers how many callers wait for a packet of the pool.
func Suspended(pool *Pool) int {
	s := pool.store.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiters.length
}

// MemorySize is the size that counted when the pool was created.
func MemorySize(pool *Pool) uint32 { return pool.store.Load().memory }

// Live tells whether the handle is good.
func (p Packet) Live() bool {
	b := p.lock()
	if b != nil {
		b.mu.Unlock()
	}
	return b != nil
}

// SamePacket tells whether two handles, stale or not, are of one packet.
func (p Packet) SamePacket(q Packet) bool { return p.block == q.block }

// Message answers the length field of a message and where the last-pointer of
// its first packet points: nothing, "tail", "self" or "other".
func (p Packet) Message() (length int, last any) {
	b := p.lock()
	if b == nil {
		return 0, nil
	}
	defer b.mu.Unlock()
	tail := b
	for tail.next != nil {
		tail = tail.next
	}
	switch b.last {
	case nil:
	case b:
		last = "self"
	case tail:
		last = "tail"
	default:
		last = "other"
	}
	return b.length, last
}

// Poke moves the pointers of a message's first packet and changes its length.
func (p Packet) Poke(prepend, append, length int) {
	b := p.lock()
	defer b.mu.Unlock()
	b.prepend += prepend
	b.append += append
	b.length += length
}

// AllocateRaw and AppendRaw are the services without argument checks.
func AllocateRaw(pool *Pool, packetType PacketType, wait nx.Wait) (Packet, error) {
	b, status := pool.store.Load().allocate(context.Background(), int(packetType), wait)
	if status != nx.Success {
		return Packet{}, status
	}
	return b.handle(), nil
}

func AppendRaw(packet Packet, data []byte, pool *Pool, wait nx.Wait) error {
	if len(data) == 0 {
		return nil
	}
	return DataAppend(packet, data, pool, wait)
}

// Of tells whether a packet is of this pool.
func (p Packet) Of(pool *Pool) bool { return p.block != nil && p.block.store == pool.store.Load() }
