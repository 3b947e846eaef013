package packetpool

// nx_packet_allocate, and the suspension of its callers

import (
	"context"

	"gonetx/packetpool/nx"
)

// Allocate takes a packet from a pool, nx_packet_allocate, and leaves
// packetType bytes free in front of the data, for headers. The data is empty,
// the payload is not cleared. An empty pool suspends the caller for wait ticks;
// who waits longest gets the next packet.
//
// The packet is the caller's until it is released or given away.
//
// Errors, in the order in which they are checked:
//
//	NX_PTR_ERROR          pool is nil or not created
//	NX_OPTION_ERROR       packetType is no multiple of 4
//	NX_INVALID_PARAMETERS packetType is greater than the payload of a packet
//	NX_NO_PACKET          there was none, for wait ticks
//	NX_POOL_DELETED       the pool was deleted meanwhile
func Allocate(pool *Pool, packetType PacketType, wait nx.Wait) (Packet, error) {
	if b := pool.quick(packetType); b != nil {
		return b.handle(), nil
	}
	return allocate("packetpool.Allocate", context.Background(), nil, pool, packetType, wait)
}

// AllocateContext is [Allocate] with a wait that ends when ctx does. The status
// is NX_WAIT_ABORTED then, as after tx_thread_wait_abort, with the cause of
// ctx wrapped. A packet that is there is taken whatever ctx says.
func AllocateContext(ctx context.Context, pool *Pool, packetType PacketType, wait nx.Wait) (Packet, error) {
	return allocate("packetpool.AllocateContext", ctx, nil, pool, packetType, wait)
}

// AllocateOn is [Allocate] for a caller that waits for something else as well: the
// wait is in its suspension, which whoever has that something resumes. The suspension
// is the pool's from the call to the return, and on no list of the pool's then.
//
// Errors: those of [Allocate]; NX_WAIT_ABORTED when somebody else has resumed it. A
// packet that came first is taken, and the caller's.
func AllocateOn(suspension *nx.Suspension, pool *Pool, packetType PacketType, wait nx.Wait) (Packet, error) {
	return allocate("packetpool.AllocateOn", context.Background(), suspension, pool, packetType, wait)
}

// quick is Allocate for the most frequent case: all is well, nobody looks, and a
// packet is free. In any other case it answers nil and has done nothing.
func (pool *Pool) quick(packetType PacketType) *block {
	if pool == nil {
		return nil
	}
	s := pool.store.Load()
	if s == nil || packetType%4 != 0 || int(packetType) > s.payload || s.config.Recorder != nil || s.config.Sites {
		return nil
	}
	s.mu.Lock()
	b := s.free
	if b == nil {
		s.mu.Unlock()
		return nil
	}
	s.free = b.link
	s.freeLen--
	b.state = application
	s.equip(b)
	s.mu.Unlock()
	b.start(int(packetType))
	return b
}

func allocate(service string, ctx context.Context, on *nx.Suspension, pool *Pool, packetType PacketType, wait nx.Wait) (Packet, error) {
	if pool == nil {
		return Packet{}, nx.Fail(service, nx.PtrError, nil)
	}
	s := pool.store.Load()
	if s == nil {
		return Packet{}, nx.Fail(service, nx.PtrError, nil)
	}
	if packetType%4 != 0 && s.created() {
		return Packet{}, nx.Fail(service, nx.OptionError, nil)
	}
	b, status := s.allocateOn(ctx, on, int(packetType), wait)
	if status != nx.Success {
		return Packet{}, nx.Fail(service, status, cause(ctx, status))
	}
	return b.handle(), nil
}

func cause(ctx context.Context, status nx.Status) error {
	if status == nx.WaitAborted {
		return context.Cause(ctx)
	}
	return nil
}

// allocate is the core of nx_packet_allocate, with the check for a deleted
// pool.
func (s *store) allocate(ctx context.Context, room int, wait nx.Wait) (*block, nx.Status) {
	return s.allocateOn(ctx, nil, room, wait)
}

// allocateOn is allocate with a wait in a suspension of the caller's, when that is
// not nil.
func (s *store) allocateOn(ctx context.Context, on *nx.Suspension, room int, wait nx.Wait) (*block, nx.Status) {
	s.mu.Lock()
	if s.deleted.Load() {
		s.mu.Unlock()
		return nil, nx.PtrError
	}
	if room > s.payload {
		s.mu.Unlock()
		return nil, nx.InvalidParameters
	}
	if b := s.take(); b != nil {
		if s.config.Sites {
			b.site = newSite()
		}
		left := s.freeLen
		s.mu.Unlock()
		b.start(room)
		if s.config.Recorder != nil {
			s.recordPackets(false, 1, left, Owner{})
		}
		return b, nx.Success
	}
	s.emptyRequests++
	if wait == nx.NoWait {
		s.mu.Unlock()
		s.recordEmpty(0, false)
		return nil, nx.NoPacket
	}
	s.emptySuspensions++
	if on == nil {
		on = nx.NewSuspension(s.config.Clock)
	}
	w := &waiter{Suspension: on, room: room}
	if s.config.Sites {
		w.site = newSite()
	}
	s.waiters.push(w)
	s.inbound.watch(s)
	s.mu.Unlock()
	return s.await(ctx, w, wait)
}

// await suspends the caller until it is served, its wait is over, or somebody has
// ended it for another reason.
func (s *store) await(ctx context.Context, w *waiter, wait nx.Wait) (*block, nx.Status) {
	since := s.config.Clock.Now()
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { w.Resume() })()
	}
	resumed := w.Await(wait)
	s.mu.Lock()
	if s.waiters.remove(w) { // otherwise who took it off the list has written block and status
		if w.status = nx.NoPacket; resumed {
			w.status = nx.WaitAborted
		}
	}
	s.mu.Unlock()
	s.recordEmpty(s.config.Clock.Now()-since, w.block != nil)
	if w.block != nil {
		s.recordPackets(false, 1, 0, Owner{})
	}
	return w.block, w.status
}

// waiter is a caller of allocate that waits for a packet.
type waiter struct {
	*nx.Suspension
	room int
	site *site

	// Written under store.mu by whoever takes the waiter off the list.
	block  *block
	status nx.Status

	prev, next *waiter // in the list; guarded by store.mu
	listed     bool
}

// waiterList is the suspension list of a pool: first come, first served, the
// priority of a thread does not count (_nx_packet_release resumes the head).
type waiterList struct {
	first, last *waiter
	length      int
}

func (l *waiterList) push(w *waiter) {
	w.prev, w.listed = l.last, true
	if l.last != nil {
		l.last.next = w
	} else {
		l.first = w
	}
	l.last = w
	l.length++
}

// remove takes w off the list; false when it is not on it any more.
func (l *waiterList) remove(w *waiter) bool {
	if !w.listed {
		return false
	}
	w.listed = false
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.prev, w.next = nil, nil
	l.length--
	return true
}
