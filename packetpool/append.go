package packetpool

// nx_packet_data_append

import (
	"context"
	"math"

	"gonetx/packetpool/nx"
)

// DataAppend adds data to the end of a message, nx_packet_data_append. What
// does not fit the last packet goes into further ones from pool, which may be
// another pool than the packet's; they have no room for headers. The wait
// option is for each of them anew.
//
// The message stays the caller's. After an error it is as it was before.
//
// Errors, in the order in which they are checked:
//
//	NX_PTR_ERROR    pool is nil or not created, packet is zero or stale, data is nil
//	NX_SIZE_ERROR   data is empty, or the message would be longer than 4 GiB
//	NX_UNDERFLOW    the message begins before the payload of its first packet
//	NX_OVERFLOW     the first packet's data ends behind its payload
//	NX_NO_PACKET    a further packet was not to be had, for wait ticks
//	NX_POOL_DELETED the pool was deleted meanwhile
func DataAppend(packet Packet, data []byte, pool *Pool, wait nx.Wait) error {
	return appendData("packetpool.DataAppend", context.Background(), packet, data, pool, wait)
}

// DataAppendContext is [DataAppend] with a wait that ends when ctx does. The
// status is NX_WAIT_ABORTED then, with the cause of ctx wrapped.
func DataAppendContext(ctx context.Context, packet Packet, data []byte, pool *Pool, wait nx.Wait) error {
	return appendData("packetpool.DataAppendContext", ctx, packet, data, pool, wait)
}

func appendData(service string, ctx context.Context, packet Packet, data []byte, pool *Pool, wait nx.Wait) error {
	s := pool.created()
	if s == nil || packet.block == nil || data == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	var further chain
	for {
		b := packet.lock()
		if b == nil {
			further.release()
			return packet.refused(service)
		}
		status := b.appendable(len(data))
		missing := len(data) - further.room
		if status == nx.Success {
			if missing > 0 {
				missing -= b.room()
			}
			if missing <= 0 {
				b.appendBytes(data, &further)
				b.mu.Unlock()
				further.release() // none, unless another goroutine shortened the message
				return nil
			}
		}
		b.mu.Unlock()
		if status != nx.Success {
			further.release()
			return nx.Fail(service, status, nil)
		}
		// Nobody waits with a packet locked: the one who could release a packet may
		// need this one.
		for missing -= s.takeFree(&further, missing); missing > 0; missing -= s.payload {
			more, status := s.allocate(ctx, 0, wait)
			if status != nx.Success {
				further.release()
				return nx.Fail(service, status, cause(ctx, status))
			}
			further.push(more)
		}
	}
}

// appendable makes the checks of the error-checking front end that concern the
// packet. The caller holds b.mu.
func (b *block) appendable(size int) nx.Status {
	if size == 0 || uint64(b.length)+uint64(size) > math.MaxUint32 {
		return nx.SizeError
	}
	return b.bounds()
}

// room answers how many bytes can be appended without further packets. The
// caller holds b.mu.
func (b *block) room() int {
	if b.last != nil {
		b = b.last
	}
	room := 0
	for ; b != nil; b = b.next {
		room += b.tailRoom()
	}
	return room
}

// tailRoom answers how many bytes can be appended in this packet. Behind
// received data may lie what somebody else has yet to receive: no room then.
func (b *block) tailRoom() int {
	if b.borrowed {
		b.store.mu.Lock()
		b.borrowed = b.store.shared(b)
		b.store.mu.Unlock()
		if b.borrowed {
			return 0
		}
	}
	return max(0, len(b.data)-b.append)
}

// appendBytes copies data behind the message, into its last packet and into as
// many of further as it takes. There is room for it. The caller holds b.mu.
func (b *block) appendBytes(data []byte, further *chain) {
	b.length += len(data)
	at := b
	if b.last != nil {
		at = b.last
	}
	for {
		if room := at.tailRoom(); room > 0 {
			n := copy(at.data[at.append:], data)
			at.append += n
			data = data[n:]
		}
		if len(data) == 0 {
			return
		}
		if at.next == nil {
			at.next = further.pop()
		}
		at = at.next
		b.last = at
	}
}

// takeFree takes free packets for so many bytes, as far as there are some, and
// answers how many bytes they hold. It takes the lock once, and is for a pool
// that nobody looks at.
func (s *store) takeFree(to *chain, bytes int) int {
	if s.config.Recorder != nil || s.config.Sites {
		return 0
	}
	taken := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	for taken < bytes && s.free != nil {
		b := s.take()
		b.start(0)
		to.push(b)
		taken += s.payload
	}
	return taken
}

// chain is packets that a service has taken and not yet made part of a
// message.
type chain struct {
	first, last *block
	room        int // bytes that they hold
}

func (c *chain) push(b *block) {
	if c.last != nil {
		c.last.next = b
	} else {
		c.first = b
	}
	c.last = b
	c.room += len(b.data)
}

func (c *chain) pop() *block {
	b := c.first
	c.first, b.next = b.next, nil
	if c.first == nil {
		c.last = nil
	}
	c.room -= len(b.data)
	return b
}

// release gives what is left back.
func (c *chain) release() {
	b := c.first
	*c = chain{}
	b.freeMessage()
}
