package packetpool

import (
	"iter"

	"gonetx/packetpool/nx"
)

// What a socket does with the packets that a program gives it. A transmit queue
// of NetX Duo is a list through the packets themselves; here the socket keeps
// the handles, and the packet knows that it is queued and for whom.

// Enqueue gives a message to the stack, for owner: nx_tcp_socket_send took it.
// The caller's handle is stale afterwards; the new one is the stack's. Until
// [Dequeue] or [HandBack], the services answer NX_PTR_ERROR to a release.
//
// Errors: NX_PTR_ERROR when packet is zero, stale, queued already, or its pool
// is deleted.
func Enqueue(packet Packet, owner Owner) (Packet, error) {
	return packet.pass("packetpool.Enqueue", application, queued, owner, false)
}

// EnqueueCopied is [Enqueue] for a stack that has made a copy of its own. The
// packets are checked out until [Dequeue] as ever, but their memory, which the
// processor has at hand after the copy, serves those that are allocated next. The
// message is empty from here on, and cannot be handed back.
//
// Errors: those of Enqueue.
func EnqueueCopied(packet Packet, owner Owner) (Packet, error) {
	return packet.pass("packetpool.EnqueueCopied", application, queued, owner, true)
}

// HandBack gives a queued message back to the program: the handle is stale
// afterwards, the new one is the program's.
//
// Errors: NX_PTR_ERROR when packet is zero, stale or not queued, its pool is
// deleted, or its bytes are gone.
func HandBack(packet Packet) (Packet, error) {
	return packet.pass("packetpool.HandBack", queued, application, Owner{}, false)
}

func (p Packet) pass(service string, from, to state, owner Owner, copied bool) (Packet, error) {
	b := p.lock()
	if b == nil {
		return Packet{}, p.refused(service)
	}
	if from == queued && b.copied {
		b.mu.Unlock()
		return Packet{}, nx.Fail(service, nx.PtrError, errCopied)
	}
	if !b.store.created() {
		b.mu.Unlock()
		return Packet{}, nx.Fail(service, nx.PtrError, errDeleted)
	}
	for at := b; at != nil; at = at.next {
		s := at.store
		s.mu.Lock()
		if at == b && at.state != from {
			s.mu.Unlock()
			b.mu.Unlock()
			return Packet{}, nx.Fail(service, nx.PtrError, errQueued)
		}
		at.state = to
		at.assign(owner)
		if copied {
			s.strip(at)
		}
		s.mu.Unlock()
	}
	b.copied = copied
	flag := uint64(0)
	if to == queued {
		flag = onQueue
	}
	b.mu.pass(flag)
	return b.handle(), nil
}

// Dequeue gives a queued message back to its pools: it was acknowledged, or
// its queue is flushed.
//
// Errors: NX_PTR_ERROR when packet is zero, stale or not queued.
func Dequeue(packet Packet) error {
	const service = "packetpool.Dequeue"
	b := packet.block
	if b == nil || packet.generation&onQueue == 0 || !b.mu.retire(packet.generation) {
		return packet.refused(service)
	}
	b.freeMessage()
	return nil
}

// Pieces answers the bytes of a message, packet by packet, where they lie.
// They may be read as long as the packet is the caller's; the packet must not
// change meanwhile. A zero or stale handle has none.
func Pieces(packet Packet) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		// The lock is not held while the caller works: it may take its time, and
		// release the packet.
		b := packet.lock()
		for b != nil {
			piece, next := b.bytes(), b.next
			packet.block.mu.Unlock()
			if len(piece) > 0 && !yield(piece) || next == nil {
				return
			}
			if packet.lock() == nil {
				return
			}
			b = next
		}
	}
}

// Trim takes the first n bytes of a message away: they were sent, or received
// by other means. Its packets stay with it, also those that are empty then.
//
// Errors: NX_PTR_ERROR when packet is zero or stale, NX_SIZE_ERROR when the
// message has fewer bytes.
func Trim(packet Packet, n uint32) error {
	const service = "packetpool.Trim"
	b := packet.lock()
	if b == nil {
		return packet.refused(service)
	}
	defer b.mu.Unlock()
	if int(n) > b.length {
		return nx.Fail(service, nx.SizeError, nil)
	}
	b.length -= int(n)
	for at, left := b, int(n); at != nil && left > 0; at = at.next {
		taken := min(left, len(at.bytes()))
		at.prepend += taken
		left -= taken
	}
	return nil
}
