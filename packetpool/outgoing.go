package packetpool

import (
	"context"

	"gonetx/packetpool/nx"
)

// Outgoing is what a service that sends looks at in a message before it takes
// it.
type Outgoing struct {
	Room     int    // bytes in front of the data, for headers; negative when the data begins before the payload
	Overflow bool   // the data of the first packet ends behind its payload
	Length   uint32 // bytes of the message

	Chained bool // there is more than one packet
	Start   int  // where in its packet the first byte lies: Room, unless the first packet is empty
	Payload int  // bytes in a packet of the first one's pool
	Free    int  // packets that its pool has
}

// Inspect answers what a service that sends looks at. False: there is nothing
// to send; packet is zero, stale, or on a transmit queue, or its pool is
// deleted (NX_INVALID_PACKET of nxe_tcp_socket_send.c).
func Inspect(packet Packet) (Outgoing, bool) {
	b := packet.lock()
	if b == nil {
		return Outgoing{}, false
	}
	defer b.mu.Unlock()
	out := Outgoing{
		Room: b.prepend, Overflow: b.append > len(b.data), Length: uint32(b.length),
		Chained: b.next != nil, Payload: b.store.payload,
	}
	first := b
	for first.next != nil && first.prepend == first.append {
		first = first.next
	}
	out.Start = first.prepend
	b.store.mu.Lock()
	mine := b.state == application && b.store.created()
	out.Free = b.store.freeLen
	b.store.mu.Unlock()
	return out, mine
}

// Split copies the first n bytes of a message into a new one, in packets of
// the pool that the first packet came from, with room for headers in front. The
// message itself stays as it is; [Trim] takes the bytes away once they are sent.
// The wait option is for each packet anew.
//
// When a further packet is not to be had, the new message is shorter, as in
// nx_tcp_socket_send.c; only when it would be empty there is an error.
//
// Errors: NX_PTR_ERROR when packet is zero or stale, or its pool is deleted;
// NX_INVALID_PARAMETERS when room is greater than the payload of a packet;
// NX_NO_PACKET and NX_POOL_DELETED as in [Allocate].
func Split(packet Packet, n uint32, room PacketType, wait nx.Wait) (Packet, error) {
	const service = "packetpool.Split"
	b := packet.lock()
	if b == nil {
		return Packet{}, packet.refused(service)
	}
	s := b.store
	b.mu.Unlock()
	head, status := s.allocate(context.Background(), int(room), wait)
	if status != nx.Success {
		return Packet{}, nx.Fail(service, status, nil)
	}
	var further chain
	for missing := int(n) - (len(head.data) - head.prepend); missing > 0; missing -= s.payload {
		more, moreStatus := s.allocate(context.Background(), 0, wait)
		if status = moreStatus; status != nx.Success {
			break
		}
		further.push(more)
	}
	left := min(int(n), len(head.data)-head.prepend+further.room)
	for piece := range Pieces(packet) {
		piece = piece[:min(len(piece), left)]
		head.appendBytes(piece, &further)
		if left -= len(piece); left == 0 {
			break
		}
	}
	if head.length == 0 {
		(&chain{first: head}).release()
		if status == nx.Success {
			return Packet{}, packet.refused(service) // released by another goroutine meanwhile
		}
		return Packet{}, nx.Fail(service, status, nil)
	}
	further.release()
	return head.handle(), nil
}

// Deliver notes that a received message has left its receive queue and is the
// program's. Of a zero or stale handle nothing is noted. It is called for each
// segment, by the socket that alone has the handle, and takes no lock.
func Deliver(packet Packet) {
	b := packet.block
	if b == nil || b.mu.handle() != packet.generation {
		return
	}
	for at := b; at != nil; at = at.next {
		at.given.Store(true)
	}
}
