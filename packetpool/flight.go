package packetpool

import "gonetx/packetpool/nx"

// inboundState is what a store knows of frames. It is guarded by store.mu.
type inboundState struct {
	chunks map[*byte]*block // whose memory it is; made when the first frame comes
	joined *block           // the last one that became a part of a frame
	frames []*frame         // to be used again
	probe  probe

	// Packets that were received and that the stack still has a part of, the
	// oldest first. Nobody tells when it lets go of them: whoever needs a packet
	// looks, and a timer looks for those who wait.
	oldest, newest *block
	count          int
	timer          nx.Timer
	ticks          bool // the timer is set
}

// mine answers the packet whose memory b lies in; nil when it is other memory.
// hint is the packet of the bytes before, or nil: b lies in that, or in the one
// that was read into behind it, hardly ever elsewhere. The caller holds s.mu.
func (s *store) mine(b []byte, hint *block) *block {
	end := endOf(b)
	if hint != nil {
		if hint.memory.end == end {
			return hint
		}
		if next := hint.after; next != nil && next.memory.end == end {
			return next
		}
	}
	return s.inbound.chunks[end]
}

// know makes the store know its packets by their memory. The caller holds
// s.mu.
func (s *store) know() {
	in := &s.inbound
	if len(in.chunks) == len(s.blocks) {
		return
	}
	if in.chunks == nil {
		in.chunks = make(map[*byte]*block, len(s.blocks))
	}
	for _, b := range s.blocks {
		if b.data != nil {
			in.chunks[b.memory.end] = b
		}
	}
	for i := range s.idle {
		in.chunks[s.idle[i].end] = nil
	}
}

// moved notes that a packet has got memory of another one.
func (in *inboundState) moved(b *block) {
	if in.chunks != nil {
		in.chunks[b.memory.end] = b
	}
}

// renew gives a packet new memory: the stack has the old one, and the pool no
// reference to it. The caller holds s.mu.
func (s *store) renew(b *block) {
	delete(s.inbound.chunks, b.memory.end)
	b.memory, b.data = newMemory(s.payload)
	s.inbound.chunks[b.memory.end] = b
}

// shared tells whether the stack may have a part of a received packet. The
// caller holds s.mu.
func (s *store) shared(b *block) bool {
	return !s.deleted.Load() && b.memory.view != nil && s.inbound.probe.shared(&b.memory)
}

// keep puts a packet that nobody but the stack has among those in flight.
func (in *inboundState) keep(b *block) {
	b.state = inFlight
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

// swap exchanges the memory of two packets.
func (in *inboundState) swap(a, b *block) {
	a.memory, b.memory = b.memory, a.memory
	a.data, b.data = b.data, a.data
	in.chunks[a.memory.end], in.chunks[b.memory.end] = a, b
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
		if at.state == inFlight && !s.inbound.probe.shared(&at.memory) {
			s.inbound.remove(at)
			s.put(at)
			freed++
		} else if !further {
			break
		} else if next != nil {
			s.inbound.remove(at)
			s.inbound.add(at)
		}
		at = next
	}
	if freed > 0 && s.config.Recorder != nil {
		s.recordPackets(true, freed, s.freeLen, Owner{Kind: Driver})
	}
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
