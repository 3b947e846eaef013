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
func Release(packet Packet) error {
	return release("packetpool.Release", packet, false)
}

// TransmitRelease tells that a driver is done with a packet,
// nx_packet_transmit_release. A packet on a transmit queue stays there until
// its data is acknowledged, and the call succeeds; any other one is released.
//
// Errors: those of [Release], but for the queued packet.
func TransmitRelease(packet Packet) error {
	return release("packetpool.TransmitRelease", packet, true)
}

func release(service string, packet Packet, transmitted bool) error {
	b := packet.lock()
	if b == nil {
		if packet.block != nil {
			packet.block.store.invalidRelease()
		}
		return packet.refused(service)
	}
	s := b.store
	s.mu.Lock()
	status, why := nx.Success, error(nil)
	switch {
	case s.deleted.Load():
		status, why = nx.PtrError, errDeleted
	case b.bounds() != nx.Success:
		status = b.bounds()
	case b.state == queued && transmitted:
		s.mu.Unlock()
		b.mu.Unlock()
		return nil
	case b.state == queued:
		s.invalidReleases++
		status, why = nx.PtrError, errQueued
	}
	if status != nx.Success {
		s.mu.Unlock()
		b.mu.Unlock()
		return nx.Fail(service, status, why)
	}
	b.gen++
	b.freeChain()
	return nil
}

// freeChain gives all packets of a message back. The caller holds b.mu and the
// mu of b's store, and has made the handles stale; both are free afterwards.
func (b *block) freeChain() {
	s, n := b.store, 0
	owner := b.owner
	for at := b; at != nil; {
		next := at.next // put may give the packet to somebody else
		if at.store != s {
			left := s.freeLen
			s.mu.Unlock()
			s.recordPackets(true, n, left, owner)
			s, n = at.store, 0
			s.mu.Lock()
		}
		if at.borrowed && s.inbound.shared(at) {
			s.inbound.keep(at)
		} else {
			s.put(at)
		}
		n++
		at = next
	}
	left := s.freeLen
	s.mu.Unlock()
	b.mu.Unlock()
	s.recordPackets(true, n, left, owner)
}
