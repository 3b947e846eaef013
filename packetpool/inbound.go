package packetpool

// What comes in. A reader takes packets ahead, reads a frame into them, and
// gives their memory to the stack; the program gets the same packets when it
// receives.

// Inbound is one reader's packets, taken ahead for the next frame. It is used
// by one goroutine at a time.
type Inbound struct {
	store  *store
	blocks []*block
	areas  [][]byte
}

// Init ties the reader to a pool.
func (in *Inbound) Init(pool *Pool) {
	*in = Inbound{store: pool.created(), blocks: in.blocks[:0], areas: in.areas[:0]}
}

// Reserve answers memory for a frame of that many bytes: the payloads of free
// packets, in order. It is less when the pool has no more. What an earlier call
// answered and Commit has not used comes first.
//
// The slices are good until Commit or Return.
func (in *Inbound) Reserve(bytes int) [][]byte {
	s := in.store
	if s == nil {
		return nil
	}
	room := len(in.blocks) * s.payload
	if room < bytes {
		s.mu.Lock()
		s.find(s.packetsFor(bytes - room))
		for room < bytes && !s.deleted.Load() && s.freeLen > 0 {
			b := s.take()
			b.start(0)
			b.state = reserved
			b.assign(Owner{Kind: Driver})
			in.blocks = append(in.blocks, b)
			in.areas = append(in.areas, b.data)
			room += s.payload
		}
		s.mu.Unlock()
	}
	n := min(len(in.areas), s.packetsFor(bytes))
	return in.areas[:max(n, 0)]
}

// commit makes a frame of the first packets.
func (in *Inbound) commit(n int) Frame {
	s := in.store
	if s == nil || n <= 0 || n > len(in.blocks)*s.payload {
		return Frame{}
	}
	used := s.packetsFor(n)
	s.mu.Lock()
	f := s.newFrame()
	for _, b := range in.blocks[:used] {
		f.join(b)
	}
	left := s.freeLen
	s.mu.Unlock()
	in.blocks = in.blocks[:copy(in.blocks, in.blocks[used:])]
	in.areas = in.areas[:copy(in.areas, in.areas[used:])]
	s.recordPackets(false, used, left, Owner{Kind: Driver})
	return Frame{s, f}
}

// Return gives the packets back that no frame has used. A reader calls it
// before it waits for the next frame, and when it ends.
func (in *Inbound) Return() {
	if len(in.blocks) == 0 {
		return
	}
	s := in.store
	s.mu.Lock()
	// In this order the next Reserve takes the same packets in the same order.
	for i := len(in.blocks) - 1; i >= 0; i-- {
		s.put(in.blocks[i])
	}
	s.mu.Unlock()
	in.blocks, in.areas = in.blocks[:0], in.areas[:0]
}

// CountEmpty counts a frame that found no packets as a request to an empty pool:
// a driver of NetX Duo has asked for a packet and got none.
func (pool *Pool) CountEmpty() {
	if s := pool.created(); s != nil {
		s.mu.Lock()
		s.emptyRequests++
		s.mu.Unlock()
	}
}

// Frame is a frame in packets of a pool, while the stack has their memory. The
// zero Frame is none.
type Frame struct {
	store *store
	frame *frame
}

type frame struct {
	blocks []*block // nil where the packet has left the frame
}

// newFrame answers an empty frame. Frames are used again, so that none is made
// per packet. The caller holds s.mu.
func (s *store) newFrame() *frame {
	if n := len(s.inbound.frames); n > 0 {
		f := s.inbound.frames[n-1]
		s.inbound.frames = s.inbound.frames[:n-1]
		return f
	}
	s.know()
	return &frame{}
}

func (f *frame) join(b *block) {
	b.state, b.frame, b.index = inFlight, f, len(f.blocks)
	f.blocks = append(f.blocks, b)
	in := &b.store.inbound
	if in.joined != nil {
		in.joined.after = b.memory
	}
	in.joined = b.memory
	in.joined.block = b
}

// admit takes packets for a frame of that many bytes.
func (pool *Pool) admit(size int) (Frame, bool) {
	s := pool.created()
	if s == nil {
		return Frame{}, false
	}
	need := s.packetsFor(size)
	s.mu.Lock()
	if !s.find(need) || s.deleted.Load() {
		s.emptyRequests++ // the driver's
		s.mu.Unlock()
		return Frame{}, false
	}
	if need == 0 {
		s.mu.Unlock()
		return Frame{}, true
	}
	f := s.newFrame()
	for range need {
		b := s.take()
		b.start(0)
		b.assign(Owner{Kind: Driver})
		f.join(b)
	}
	left := s.freeLen
	s.mu.Unlock()
	s.recordPackets(false, need, left, Owner{Kind: Driver})
	return Frame{s, f}, true
}

// lost sees to the packets of a frame that Reclaim has not found. Those that held
// headers only are free. Of others the stack has replaced the memory by its own,
// where a header that nobody told of straddles packets: they get new memory and
// are free when kept is, another packet of the frame; at once without one. The
// frame ends. The caller holds s.mu.
func (s *store) lost(f *frame, kept *block) {
	freed := 0
	for _, b := range f.blocks {
		if b == nil {
			continue
		}
		b.frame = nil
		switch {
		case b.memory.view != nil:
			freed += s.put(b)
		case s.deleted.Load():
		case kept == nil:
			s.renew(b)
			freed += s.put(b)
		default:
			s.renew(b)
			b.riders, kept.riders = kept.riders, b
		}
	}
	clear(f.blocks)
	f.blocks = f.blocks[:0]
	s.inbound.frames = append(s.inbound.frames, f)
	s.recordPackets(true, freed, s.freeLen, Owner{Kind: Driver})
}

func (s *store) packetsFor(bytes int) int { return (bytes + s.payload - 1) / s.payload }
