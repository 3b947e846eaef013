package packetpool

import "gonetx/packetpool/nx"

// Arrival makes messages of bytes that a stack hands out piece by piece, as
// [Pool.Receive] makes one of pieces that are known before: in the very packets
// that they came in where that is possible, and in copies where the program has
// a part of such a packet already. So one pass over what has arrived makes any
// number of messages.
//
// It is used by one goroutine at a time. The stack must still have the bytes
// while Add runs. The zero Arrival, and that of a pool that is not created,
// takes nothing.
type Arrival struct {
	store   *store
	owner   Owner
	message message
}

// Arrive begins messages for owner.
func (pool *Pool) Arrive(owner Owner) Arrival {
	return Arrival{store: pool.created(), owner: owner}
}

// Length is how many bytes the message under construction has.
func (a *Arrival) Length() int {
	if a.message.head == nil {
		return 0
	}
	return a.message.head.length
}

// Add adds one piece to the message.
//
// Errors: NX_PTR_ERROR when the pool is not created, NX_NO_PACKET when packets
// are needed for a copy and there are too few. Nothing of the piece was taken
// then, and it may be added later.
func (a *Arrival) Add(piece []byte) error {
	const service = "packetpool.Arrival"
	s, m := a.store, &a.message
	if s == nil || s.deleted.Load() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if len(piece) == 0 {
		return nil
	}
	s.mu.Lock()
	b := s.mine(piece)
	if b != nil {
		from := b.memory.size - cap(piece)
		switch {
		case b == m.tail && from == b.append: // it goes on where the last piece ended
			b.append += len(piece)
			m.head.length += len(piece)
			s.mu.Unlock()
			return nil
		case b.state == inFlight && b.frame == nil:
			s.inbound.remove(b)
			m.receive(b, from, len(piece), a.owner)
			s.mark(b)
			s.mu.Unlock()
			return nil
		}
	}
	room := m.room()
	if need := s.packetsFor(len(piece) - room); !s.have(need) {
		defer s.mu.Unlock()
		if b == nil || b.state != inFlight {
			return nx.Fail(service, nx.NoPacket, nil)
		}
		// The program was faster than the reader, which has not taken the pool's
		// reference back yet: the packet moves to memory that is certainly its own.
		from := b.memory.size - cap(piece)
		b.frame.blocks[b.index], b.frame = nil, nil
		s.renew(b)
		copy(b.data[from:], piece)
		m.receive(b, from, len(piece), a.owner)
		s.mark(b)
		return nil
	}
	at := m.tail // the first packet to copy into
	for left := len(piece) - room; left > 0; left -= s.payload {
		b := s.take()
		b.start(0)
		b.owner = a.owner
		s.mark(b)
		m.add(b)
		if at == nil || room == 0 {
			at, room = b, s.payload
		}
	}
	s.mu.Unlock()
	// Nobody else knows these packets, and the stack holds the bytes.
	m.head.length += len(piece)
	for ; len(piece) > 0; at = at.next {
		n := copy(at.data[at.append:], piece)
		at.append += n
		piece = piece[n:]
	}
	return nil
}

// Message ends the message and answers it; the next Add begins another one. The
// zero Packet, when nothing was added.
func (a *Arrival) Message() Packet {
	head := a.message.head
	a.message = message{}
	if head == nil {
		return Packet{}
	}
	return head.handle()
}

// receive makes a packet in flight, of which n bytes belong to the message, a
// part of it. The caller holds store.mu.
func (m *message) receive(b *block, from, n int, owner Owner) {
	b.start(from)
	b.state = application
	b.append, b.owner, b.borrowed = from+n, owner, true
	m.add(b)
	m.head.length += n
}

// room is how many bytes can be copied behind the message without a further
// packet: none behind bytes of which the stack may have more.
func (m *message) room() int {
	if m.tail == nil || m.tail.borrowed {
		return 0
	}
	return len(m.tail.data) - m.tail.append
}

// have tells whether there are so many free packets. The caller holds s.mu.
func (s *store) have(packets int) bool {
	if packets > s.freeLen {
		s.sweep()
	}
	return packets <= s.freeLen
}
