package packetpool

import "gonetx/packetpool/nx"

// inboundState is what a store knows of frames. It is guarded by store.mu.
type inboundState struct {
	chunks map[*byte]*memory // by their last bytes; made when the first frame comes
	joined *memory           // of the last packet that became a part of a frame
	frames []*frame          // to be used again
	probe  probe

	// Packets that were received and that the stack still has a part of, the
	// oldest first. Nobody tells when it lets go of them: whoever needs a packet
	// looks, and a timer looks for those who wait.
	oldest, newest *block
	count          int
	timer          nx.Timer
	ticks          bool // the timer is set
}

// mine answers the memory that b lies in; nil when it is none of the pool's.
// hint is that of the bytes before, or nil: b lies there, or in the one that was
// read into behind it, hardly ever elsewhere. The caller holds s.mu.
func (s *store) mine(b []byte, hint *memory) *memory {
	end := endOf(b)
	if hint != nil {
		if hint.end == end {
			return hint
		}
		if next := hint.after; next != nil && next.end == end {
			return next
		}
	}
	return s.inbound.chunks[end]
}

// packet answers the packet in flight that has this memory; no other packet has a
// part of it then. Nil when there is none. The caller holds store.mu.
func (m *memory) packet() *block {
	if m == nil || m.block == nil || m.block.memory != m || m.block.state != inFlight {
		return nil
	}
	return m.block
}

// know makes the store know its memory by the bytes. The caller holds s.mu.
func (s *store) know() {
	in := &s.inbound
	if in.chunks != nil {
		return
	}
	in.chunks = make(map[*byte]*memory, len(s.blocks))
	for _, b := range s.blocks {
		if b.memory != nil {
			in.chunks[b.memory.end] = b.memory
		}
	}
	for _, m := range s.idle {
		in.chunks[m.end] = m
	}
}

// renew gives a packet new memory: the stack has the old one, and the pool no
// reference to it. The caller holds s.mu.
func (s *store) renew(b *block) {
	m := b.memory
	delete(s.inbound.chunks, m.end)
	*m = newMemory(s.payload)
	s.inbound.chunks[m.end] = m
	b.has(m)
}

// shared tells whether somebody may have a part of the memory of a received
// packet, too: another packet, or the stack. Of a deleted pool it cannot be told.
// The caller holds s.mu.
func (s *store) shared(b *block) bool {
	m := b.memory
	return s.deleted.Load() || m.others > 0 || m.view != nil && s.inbound.probe.shared(m)
}

// keep puts a packet that nobody but the stack has among those in flight.
func (in *inboundState) keep(b *block) {
	b.state = inFlight
	b.memory.block = b
	b.assign(Owner{Kind: Driver})
	in.add(b)
}

func (in *inboundState) add(b *block) {
	b.link, b.back = nil, in.newest
	if in.newest != nil {
		in.newest.link = b
	} else {
		in.oldest = b
	}
	in.newest = b
	in.count++
}

func (in *inboundState) remove(b *block) {
	if b.back != nil {
		b.back.link = b.link
	} else {
		in.oldest = b.link
	}
	if b.link != nil {
		b.link.back = b.back
	} else {
		in.newest = b.back
	}
	b.link, b.back = nil, nil
	in.count--
}

// sweep frees all packets that the stack has let go of. The caller holds s.mu.
func (s *store) sweep() { s.look(s.inbound.count, true) }

// sweepOldest frees packets that the stack has let go of, but looks at no more
// than some, and at none behind one that it still has: a stream lets go in the
// order in which it came. So each packet is looked at about once, and one that
// was used lately is used next. The caller holds s.mu.
func (s *store) sweepOldest(packets int) { s.look(packets, false) }

// find tells whether so many packets are free. When they are not, it looks at
// some that the stack may have let go of, at others the next time: a reader
// that looked at all of them for each frame while the pool is empty would do
// nothing else. The caller holds s.mu.
func (s *store) find(packets int) bool {
	if s.freeLen < packets {
		s.look(min(4*packets+64, s.inbound.count), true)
	}
	return s.freeLen >= packets
}

func (s *store) look(packets int, further bool) {
	freed := 0
	for at := s.inbound.oldest; at != nil && packets > 0; packets-- {
		next := at.link
		if !s.inbound.probe.shared(at.memory) {
			s.inbound.remove(at)
			freed += s.put(at)
		} else if !further {
			break
		} else if next != nil {
			s.inbound.remove(at)
			s.inbound.add(at)
		}
		at = next
	}
	s.recordPackets(true, freed, s.freeLen, Owner{Kind: Driver})
}

// watch sets the timer that looks for packets in flight, when somebody waits
// and there are some. The caller holds s.mu.
func (in *inboundState) watch(s *store) {
	if in.ticks || in.count == 0 || s.waiters.length == 0 || s.deleted.Load() {
		return
	}
	in.ticks = true
	if in.timer == nil {
		in.timer = s.config.Clock.AfterFunc(nx.Tick, s.tick)
	} else {
		in.timer.Reset(nx.Tick)
	}
}

// tick is the timer's function.
func (s *store) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inbound.ticks = false
	if !s.deleted.Load() {
		s.sweep()
		s.inbound.watch(s)
	}
}

// stop ends the timer and forgets the packets in flight: the pool is deleted.
func (in *inboundState) stop() {
	if in.timer != nil {
		in.timer.Stop()
	}
	in.oldest, in.newest, in.count = nil, nil, 0
	in.probe.drop()
}
