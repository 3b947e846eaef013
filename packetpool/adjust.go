package packetpool

// _nx_packet_data_adjust

import (
	"context"

	"gonetx/packetpool/nx"
)

// DataAdjust makes room of headerSize bytes in front of a message,
// _nx_packet_data_adjust. It is no service of NetX Duo's but of its IP layer,
// which calls it when a header does not fit. The data moves within the first
// packet when it fits there, and otherwise runs over into a packet more, from
// the same pool and without waiting.
//
// Errors, in the order in which they are checked:
//
//	NX_PTR_ERROR     packet is zero or stale
//	NX_UNDERFLOW     headerSize is greater than the payload of a packet
//	NX_NOT_SUPPORTED a further packet is needed, and headerSize is odd
//	NX_NO_PACKET     a further packet was not to be had
func DataAdjust(packet Packet, headerSize uint32) error {
	const service = "packetpool.DataAdjust"
	b := packet.lock()
	if b == nil {
		return packet.refused(service)
	}
	defer b.mu.Unlock()
	return nx.Fail(service, b.adjust(int(headerSize)), nil)
}

// adjust is the core. The caller holds b.mu, which is fine while it takes a
// packet, because it does not wait for one.
func (b *block) adjust(header int) nx.Status {
	if header > len(b.data) {
		return nx.Underflow
	}
	if header <= b.prepend {
		return nx.Success
	}
	room := len(b.data) - (b.append - b.prepend)
	var overflow *block
	if room < header {
		if header%2 != 0 {
			return nx.NotSupported // _nx_ip_checksum_compute wants packets of even length
		}
		var status nx.Status
		if overflow, status = b.store.allocate(context.Background(), 0, nx.NoWait); status != nx.Success {
			return status
		}
	}
	if status := b.own(); status != nx.Success {
		if overflow != nil {
			(&chain{first: overflow}).release()
		}
		return status
	}
	if overflow != nil {
		from := b.append - (header - room)
		overflow.append = copy(overflow.data, b.data[from:b.append])
		overflow.next, b.next = b.next, overflow
		if b.last == nil {
			b.last = overflow
		}
		b.append = from
	}
	n := copy(b.data[header:], b.data[b.prepend:b.append])
	b.prepend, b.append = header, header+n
	return nx.Success
}

// own makes sure that the bytes of a packet may be moved. Memory of which other
// packets have a part is left to them, for some that lies idle: there is some,
// since packets share. What the stack alone has a part of changes places with the
// memory of a free packet, which the stack then has instead. Those of a deleted pool
// move to memory of their own. The caller holds b.mu.
func (b *block) own() nx.Status {
	if b.tailRoom() > 0 || !b.borrowed {
		return nx.Success
	}
	s := b.store
	if s.part(b) {
		return nx.Success
	}
	other, status := s.allocate(context.Background(), 0, nx.NoWait)
	if status != nx.Success {
		return status
	}
	copy(other.data, b.data)
	s.mu.Lock()
	if s.deleted.Load() { // just now
		b.move()
	} else {
		mine, theirs := other.memory, b.memory
		b.has(mine)
		other.has(theirs)
		b.borrowed, other.borrowed = false, true
	}
	s.mu.Unlock()
	(&chain{first: other}).release()
	return nx.Success
}

// part moves the bytes of a packet out of memory of which others have a part;
// false when there are none. The lock is held meanwhile: without the part of this
// packet the memory may be used again at once.
func (s *store) part(b *block) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	shared := b.data
	if s.deleted.Load() {
		b.move()
		return true
	}
	if b.memory.others == 0 {
		return false
	}
	b.leave()
	s.equip(b)
	copy(b.data, shared)
	b.borrowed = false
	return true
}
