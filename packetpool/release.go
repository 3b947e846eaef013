package packetpool

// nx_packet_release, nx_packet_transmit_release

import "gonetx/packetpool/nx"

// Release gives a message back to the pools of its packets,
// nx_packet_release. A packet for which somebody waits goes straight to the
// oldest waiter. The handle is stale afterwards; the macro of NetX Duo sets the
// caller's pointer to NULL.
//
// A message whose first packet fails the checks of its bounds is not released,
// as in NetX Duo.
//
// Errors, in the order in which they are checked:
//
//	NX_PTR_ERROR  packet is zero or stale, or its pool is deleted
//	NX_UNDERFLOW  the data begins before the payload
//	NX_OVERFLOW   the data ends behind the payload
//	NX_PTR_ERROR  the packet is on a transmit queue
//
// A stale or queued packet counts as an invalid release of its pool.
func Release(packet Packet) error { return release("packetpool.Release", packet) }

// TransmitRelease tells that a driver is done with a packet,
// nx_packet_transmit_release. A packet on a transmit queue stays there until
// its data is acknowledged, and the call succeeds; any other one is released.
//
// Errors: those of [Release], but for the queued packet.
func TransmitRelease(packet Packet) error {
	const service = "packetpool.TransmitRelease"
	if b := packet.lock(); b != nil && packet.generation&onQueue != 0 && b.store.created() && b.bounds() == nx.Success {
		b.mu.Unlock()
		return nil
	} else if b != nil {
		b.mu.Unlock()
	}
	return release(service, packet)
}

func release(service string, packet Packet) error {
	b := packet.block
	if b == nil || packet.generation&onQueue != 0 || b.store.deleted.Load() || !b.mu.retire(packet.generation) {
		return refuseRelease(service, packet)
	}
	if status := b.bounds(); status != nx.Success {
		b.mu.restore(packet.generation)
		return nx.Fail(service, status, nil)
	}
	b.freeMessage()
	return nil
}

// refuseRelease answers why a packet cannot be released.
func refuseRelease(service string, packet Packet) error {
	if packet.block == nil {
		return packet.refused(service)
	}
	s := packet.block.store
	b := packet.lock()
	if b == nil {
		s.invalidRelease()
		return packet.refused(service)
	}
	defer b.mu.Unlock()
	if !s.created() {
		if packet.generation&onQueue == 0 {
			b.moveDeleted()
		}
		return nx.Fail(service, nx.PtrError, errDeleted)
	}
	if status := b.bounds(); status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	s.invalidRelease()
	return nx.Fail(service, nx.PtrError, errQueued)
}

// moveDeleted moves the bytes of a message out of the memory of deleted pools: its
// holder has done what there is to do, and may still read them. The caller holds b.mu.
func (b *block) moveDeleted() {
	for ; b != nil; b = b.next {
		b.store.mu.Lock()
		if b.store.deleted.Load() {
			b.move()
		}
		b.store.mu.Unlock()
	}
}

// freeMessage gives all packets of a message back. The caller alone knows it.
func (b *block) freeMessage() {
	for b != nil {
		s, next := b.store, b.next
		s.mu.Lock()
		if next == nil && !b.borrowed && b.riders == nil && s.plain() {
			b.toFree() // put, for the most frequent case
			s.mu.Unlock()
			return
		}
		b = s.putChain(b)
	}
}

// putChain gives the packets of a message back up to the first one of another
// pool, which it answers. Those that the stack still has follow later. The caller
// holds s.mu, which is free afterwards.
func (s *store) putChain(b *block) *block {
	n, owner := 0, b.holder()
	for b != nil && b.store == s {
		next := b.next // put may give the packet to somebody else
		if b.borrowed {
			b.leave()
		}
		if b.borrowed && b.memory != nil && !s.deleted.Load() && s.shared(b) {
			s.inbound.keep(b)
		} else {
			n += s.put(b)
		}
		b = next
	}
	left := s.freeLen
	s.mu.Unlock()
	s.recordPackets(true, n, left, owner)
	return b
}
