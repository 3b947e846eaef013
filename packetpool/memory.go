package packetpool

import (
	"slices"

	"gvisor.dev/gvisor/pkg/buffer"
)

// The memory of a packet is a gVisor view, made once, so that a frame is read
// straight into packets and handed to the stack without a copy. This file alone
// knows that.
//
// gVisor's facts behind it (pkg/buffer; each has a test in memory_test.go):
//   - a View is a window into a reference-counted chunk; AsSlice is the chunk's
//     memory, and its capacity reaches to the end of the chunk;
//   - Reset and Grow move the window and never look at the count;
//   - PullUp copies a chunk that is shared, so the pool gives its only reference
//     away with a frame and takes one back when the stack has seen the headers;
//   - Buffer.Append writes into the room of the last view when nobody shares its
//     chunk, and only adds a view otherwise: the only public way to ask;
//   - a View that is put into a Buffer forgets the Buffer it was in before.

// memory is what the payload of a packet lies in. There are as many as there are
// packets; which packet has which one changes, and some packets have a part of one
// together while others lie idle: see store.equip, store.share and store.strip. All
// but the bytes is guarded by store.mu.
type memory struct {
	view *buffer.View // our reference; nil while the stack has it
	data []byte       // the payload, all of it
	size int          // of the chunk
	end  *byte        // the last byte of the chunk, the name by which slices of it are known

	block  *block  // that was in flight with it last; see packet
	others int     // how many packets have a part of it, beside one
	after  *memory // the one that was read into behind it, the last time
}

// newMemory makes the memory of a packet: the bytes are zero.
func newMemory(size int) memory {
	v := buffer.NewViewSize(size)
	data := v.AsSlice()
	return memory{view: v, data: data[:size:size], size: v.Capacity(), end: endOf(data)}
}

// endOf answers the last byte of the chunk that a slice of a view lies in.
func endOf(b []byte) *byte {
	if cap(b) == 0 {
		return nil
	}
	b = b[:cap(b)]
	return &b[len(b)-1]
}

// drop gives up our reference. The bytes must not be used after it.
func (m *memory) drop() {
	if m.view != nil {
		m.view.Release()
		m.view = nil
	}
}

// window makes the view show the first n bytes of its chunk.
func (m *memory) window(n int) {
	m.view.Reset()
	m.view.Grow(n)
}

// probe asks whether chunks are shared. It is used by one goroutine at a time.
type probe struct{ two *buffer.View }

// shared tells whether the stack has a reference to the chunk of m, too. Append
// writes the first of two bytes into the chunk's last byte when it has not, and
// has one left, and otherwise both. The payload may reach that far, so the byte
// is the one that is there already; nobody may read it meanwhile.
func (p *probe) shared(m *memory) bool {
	if p.two == nil {
		p.two = buffer.NewViewSize(2)
	}
	p.two.AsSlice()[0] = *m.end
	m.window(m.size - 1) // chunks have at least 64 bytes
	data := buffer.MakeWithView(m.view)
	_ = data.Append(p.two) // fails for no view that has room
	shared := p.two.Size() == 2
	p.two.Reset()
	p.two.Grow(2)
	return shared // the buffer is forgotten, and with it that it joined the views
}

func (p *probe) drop() {
	if p.two != nil {
		p.two.Release()
		p.two = nil
	}
}

// lend makes a buffer of the first n bytes of some packets, and gives the pool's
// only references to the stack with it.
//
// The first headers bytes go as a copy. gVisor replaces the memory in which it
// finds the IP header: ipv4 and ipv6 keep a clone of it while they look at it
// again (HandlePacket), and PullUp copies a shared chunk. In a packet that would
// be all of it, and what the stack then holds would not be the packet's. A
// packet with nothing but headers is not lent.
func lend(blocks []*block, n, headers int) buffer.Buffer {
	var data buffer.Buffer
	if headers > 0 {
		data = buffer.MakeWithView(gather(blocks, headers))
	}
	for _, b := range blocks {
		size := min(n, len(b.data))
		skip := min(headers, size)
		n, headers = n-size, headers-skip
		if skip == size {
			continue
		}
		b.memory.window(size)
		b.memory.view.TrimFront(skip)
		one := buffer.MakeWithView(b.memory.view)
		b.memory.view = nil
		data.Merge(&one) // Append would copy into the room of the view before
	}
	return data
}

// gather copies the first n bytes of some packets.
func gather(blocks []*block, n int) *buffer.View {
	v := buffer.NewView(n)
	for _, b := range blocks {
		size := min(n, len(b.data))
		_, _ = v.Write(b.data[:size]) // writes all
		if n -= size; n == 0 {
			break
		}
	}
	return v
}

// Commit tells that the first n bytes of what Reserve answered were filled.
// They are a frame now, whose memory is the stack's: n must not be more than
// there was room for, and not 0. So many of them are headers, which the stack
// gets as a copy; 0 when that is not known, and then the stack copies more. The
// caller owns the buffer, and calls [Frame.Reclaim] when the stack has seen the
// frame, or when it is dropped.
func (in *Inbound) Commit(n, headers int) (buffer.Buffer, Frame) {
	f := in.commit(n)
	if f.frame == nil {
		return buffer.Buffer{}, f
	}
	return lend(f.frame.blocks, n, min(headers, n)), f
}

// Admit copies a frame that lies in other memory into packets of the pool; so
// many bytes of it are headers, as for [Inbound.Commit]. The caller keeps data,
// owns the buffer, and calls [Frame.Reclaim] as after Commit. False: the pool
// has not enough packets, or is not created; the frame is to be dropped and
// counted.
func (pool *Pool) Admit(data buffer.Buffer, headers int) (buffer.Buffer, Frame, bool) {
	size := int(data.Size())
	f, ok := pool.admit(size)
	if !ok || size == 0 {
		return buffer.Buffer{}, f, ok
	}
	from := 0
	for _, b := range f.frame.blocks {
		n, _ := data.ReadAt(b.data, int64(from)) // less than b.data holds only at the end
		from += n
	}
	return lend(f.frame.blocks, size, min(headers, size)), f, true
}

// Owns tells whether v lies in packets of this pool.
func (pool *Pool) Owns(v *buffer.View) bool {
	s := pool.created()
	if s == nil || v == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mine(v.AsSlice(), nil) != nil
}

// Assign notes for whom the packets are in which views lie: the receive queue
// that the segment goes to. Views of other memory are left alone.
func (pool *Pool) Assign(views buffer.ViewList, owner Owner) {
	s := pool.created()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.inbound.joined
	for v := views.Back(); v != nil; v = v.Prev() { // the last one first: it was joined last, most often
		in := s.mine(v.AsSlice(), m)
		b := in.packet()
		if b == nil {
			continue
		}
		m = in
		if b.frame == nil {
			b.assign(owner)
			continue
		}
		for _, b := range b.frame.blocks { // the frame is the reader's still: all of it
			if b != nil {
				b.assign(owner)
			}
		}
		return
	}
}

// Reclaim takes the pool's references to a frame back, after
// DeliverNetworkPacket has returned and before the last reference to the frame
// is given up; views are those of the packet buffer. Each packet is free again
// when the stack has let go of it too, and not before.
//
// The pool must not have a second reference earlier: the stack would copy each
// frame when it looks at its headers.
func (f Frame) Reclaim(views buffer.ViewList) {
	if f.frame == nil {
		return
	}
	s := f.store
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept *block
	var m *memory
	if i := slices.IndexFunc(f.frame.blocks, func(b *block) bool { return b != nil }); i >= 0 {
		m = f.frame.blocks[i].memory
	}
	reclaimed := 0
	for v := views.Front(); v != nil; v = v.Next() {
		in := s.mine(v.AsSlice(), m)
		b := in.packet()
		if b == nil || b.frame != f.frame {
			continue // memory of the stack's own: it copied, or merged, a part of the frame
		}
		f.frame.blocks[b.index], b.frame = nil, nil
		if s.deleted.Load() {
			continue
		}
		m = in
		m.view = v.Clone()
		s.inbound.add(b)
		kept = b
		reclaimed++
	}
	s.lost(f.frame, kept)
	s.sweepOldest(2 * reclaimed)
	s.inbound.watch(s)
}
