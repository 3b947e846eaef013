package packetpool

import "gonetx/packetpool/nx"

// Arrival makes messages of bytes that a stack hands out piece by piece: in the
// very memory that they came in. So one pass over what has arrived makes any number
// of messages.
//
// Several segments may lie in one packet. The first message gets that packet. Each
// other one gets a packet of its own, so that the pool counts what it would count
// if it had been copied, but not a copy: it has its bytes where they lie, and its
// own memory serves packets that are taken later. The memory stays until the last
// message that has a part of it is released, in whatever order. Nobody writes into
// it meanwhile, neither behind a message nor in front of it, where the bytes of
// the one before lie; who must moves first (see block.own). Copies are made of
// bytes in other memory, of those that the reader of the link may still have, and
// to make room for headers.
//
// It is used by one goroutine at a time. The stack must still have the bytes
// while Add and AddUnits run. The zero Arrival, and that of a pool that is not
// created, takes nothing.
type Arrival struct {
	store   *store
	owner   Owner
	headers int // bytes of room that a message is to have in front
	message message
	hint    *memory // in which the bytes before lay; see store.mine
	packets int     // taken since the lock was
	brought *block  // for the next pass; see Bring
	copies  []pending
}

// message is a message under construction.
type message struct {
	head, tail *block
}

func (m *message) add(b *block) {
	if m.head == nil {
		m.head = b
	} else {
		m.tail.next, m.head.last = b, b
	}
	m.tail = b
}

// pending is a copy that is made when the lock of the pool is free again.
type pending struct {
	to   *block
	at   int // in its data
	from []byte
}

// Arrive begins messages for owner. A program may send what it has received, and
// in front of it, in the packets of NetX Duo, lie the headers that it came with:
// headers is how many bytes of room there are to be. Where a packet more would be
// needed for them and there is none, there are fewer.
func (pool *Pool) Arrive(owner Owner, headers int) Arrival {
	return Arrival{store: pool.created(), owner: owner, headers: headers}
}

// Bring gives a packet back that the caller has waited for because Add or AddUnits
// needed one: the next of them takes what it needs before anybody else does, and
// only what is left goes to those who wait, or to the pool. The caller's handle is
// stale. A packet of another pool is released.
func (a *Arrival) Bring(packet Packet) {
	if b := packet.block; b == nil || b.store != a.store || a.brought != nil || !b.mu.retire(packet.generation) {
		_ = Release(packet) // a zero or stale one is none
		return
	}
	a.brought = packet.block
}

// Return releases what was brought when there was nothing to add.
func (a *Arrival) Return() {
	b := a.brought
	a.brought = nil
	b.freeMessage()
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
	_, _, err := a.addUnits(piece, nil, nil, true)
	return err
}

// AddUnits adds bytes that lie together, and ends a message at each of the
// offsets, which ascend: those messages it puts behind the others. It answers how
// many bytes it has taken: for the rest, of which a part may have gone into a message
// that goes on, there was no packet. That stays to be added, as after Add, whose
// errors it has.
func (a *Arrival) AddUnits(bytes []byte, ends []int, messages []Packet) ([]Packet, int, error) {
	return a.addUnits(bytes, ends, messages, false)
}

// addUnits adds pieces, whole ones only, or as far as there are packets.
func (a *Arrival) addUnits(bytes []byte, ends []int, messages []Packet, whole bool) ([]Packet, int, error) {
	const service = "packetpool.Arrival"
	s := a.store
	if s == nil {
		return messages, 0, nx.Fail(service, nx.PtrError, nil)
	}
	taken := 0
	var err error
	s.mu.Lock()
	if s.deleted.Load() {
		s.mu.Unlock()
		return messages, 0, nx.Fail(service, nx.PtrError, errDeleted)
	}
	brought := a.brought
	if brought != nil {
		a.brought = nil
		brought.toFree()
	}
	m := s.mine(bytes, a.hint)
	if m != nil {
		a.hint = m
	}
	for taken < len(bytes) {
		to := len(bytes)
		if len(ends) > 0 {
			to = ends[0]
		}
		n := a.add(m, bytes[taken:to], whole)
		taken += n
		if taken < to {
			err = nx.Fail(service, nx.NoPacket, nil)
			break
		}
		if m != nil && m.end != endOf(bytes) {
			m = nil // the packet has moved to other memory
		}
		if len(ends) > 0 {
			ends = ends[1:]
			messages = append(messages, a.Message())
		}
	}
	if brought != nil && s.waiters.first != nil && s.free != nil {
		s.put(s.takeBare()) // it was not needed
	}
	left := s.freeLen
	s.mu.Unlock()
	if brought != nil {
		s.recordPackets(true, 1, left+a.packets, Owner{})
	}
	s.recordPackets(false, a.packets, left, a.owner)
	a.packets = 0
	// Nobody else knows these packets, and the stack holds the bytes.
	for i := range a.copies {
		c := &a.copies[i]
		copy(c.to.data[c.at:], c.from)
	}
	clear(a.copies)
	a.copies = a.copies[:0]
	return messages, taken, err
}

// add adds one piece, which lies in that memory if it is not nil, and answers how many
// bytes of it: less than all, and none of a whole one, when it needs packets for a copy
// and there are too few. The caller holds store.mu.
func (a *Arrival) add(in *memory, piece []byte, whole bool) int {
	s, m, n := a.store, &a.message, len(piece)
	if n == 0 {
		return 0
	}
	b := in.packet()
	if in != nil {
		from := in.size - cap(piece)
		if m.tail != nil && m.tail.memory == in && m.tail.append == from { // it goes on where the last piece ended
			m.tail.append += n
			m.head.length += n
			return n
		}
		if from >= a.headers || m.head != nil || !a.affords(n) {
			switch {
			case b == nil && s.have(1):
				b = s.takeBare()
				s.share(b, in)
				a.packets++
			case b != nil && b.frame == nil:
				s.inbound.remove(b)
			}
			if b != nil && b.frame == nil {
				m.receive(b, from, n, a.owner)
				s.mark(b)
				return n
			}
		}
	}
	room, front := m.room(), 0
	if m.head == nil {
		front = a.front(n)
	}
	switch enough := s.have(s.packetsFor(front + n - room)); {
	case enough:
	case b == nil || n > s.payload:
		if n = room + s.freeLen*s.payload - front; whole || n <= 0 {
			return 0
		}
		piece = piece[:n]
	default:
		// The program was faster than the reader, which has not taken the pool's
		// reference back yet: the packet moves to memory that is certainly its own.
		// Where the stack has replaced the old one, the bytes lie in what was that
		// once, and perhaps behind where a packet ends.
		from := min(in.size-cap(piece), s.payload-n)
		b.frame.blocks[b.index], b.frame = nil, nil
		s.renew(b)
		copy(b.data[from:], piece)
		m.receive(b, from, n, a.owner)
		s.mark(b)
		return n
	}
	for len(piece) > 0 {
		if room == 0 {
			b := s.take()
			a.packets++
			b.start(front)
			b.assign(a.owner)
			s.mark(b)
			m.add(b)
			room, front = s.payload-front, 0
		}
		some := min(len(piece), room)
		a.copies = append(a.copies, pending{m.tail, m.tail.append, piece[:some]})
		m.tail.append += some
		m.head.length += some
		piece, room = piece[some:], 0
	}
	return n
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

// front is how many bytes are left free in front of n bytes that are copied and
// begin a message. The caller holds store.mu.
func (a *Arrival) front(n int) int {
	spare := a.store.packetsFor(n)*a.store.payload - n
	switch most := a.headers + PhysicalHeader; {
	case a.headers == 0:
		return 0
	case spare >= most:
		return most
	case spare >= a.headers || a.headers >= a.store.payload || !a.affords(n):
		return min(spare, a.headers)
	}
	return a.headers
}

// affords tells whether there are packets for n bytes with headers in front.
// The caller holds store.mu.
func (a *Arrival) affords(n int) bool { return a.store.have(a.store.packetsFor(a.headers + n)) }

// receive makes a packet in flight, of which n bytes belong to the message, a
// part of it. The caller holds store.mu.
func (m *message) receive(b *block, from, n int, owner Owner) {
	b.start(from)
	b.state = application
	b.append, b.borrowed = from+n, true
	b.assign(owner)
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

// mark remembers where a packet went to the program, when that is wanted.
func (s *store) mark(b *block) {
	if s.config.Sites {
		b.site = newSite()
	}
}
