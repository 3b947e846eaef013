package packetpool

// nx_packet_copy

import (
	"context"
	"errors"

	"gonetx/packetpool/nx"
)

var errHeaderRoom = errors.New("the room in front of the data is greater than a packet of the new pool")

// Copy makes a copy of a message in packets of pool, nx_packet_copy. The room
// in front of the data is copied, too, with what is in it: prepended headers
// may lie there. The chain is cut as pool's payload demands. The wait option is
// for each packet anew.
//
// Both messages are the caller's afterwards.
//
// Errors, in the order in which they are checked:
//
//	NX_PTR_ERROR          pool is nil or not created, packet is zero or stale
//	NX_UNDERFLOW          the data begins before the payload of its first packet
//	NX_OVERFLOW           the first packet's data ends behind its payload
//	NX_INVALID_PACKET     the message is empty
//	NX_NO_PACKET          a packet was not to be had, for wait ticks
//	NX_POOL_DELETED       the pool was deleted meanwhile
//	NX_INVALID_PARAMETERS the room in front of the data does not fit one packet of pool
//	NX_INVALID_PACKET     the packets hold more or less than the message's length
//
// NetX Duo does not check for NX_INVALID_PARAMETERS: its copy begins behind the
// end of its first packet.
func Copy(packet Packet, pool *Pool, wait nx.Wait) (Packet, error) {
	const service = "packetpool.Copy"
	s := pool.created()
	if s == nil || packet.block == nil {
		return Packet{}, nx.Fail(service, nx.PtrError, nil)
	}
	var copied chain
	for {
		b := packet.lock()
		if b == nil {
			copied.release()
			return Packet{}, packet.refused(service)
		}
		size, status := b.copySize()
		missing := max(size, 1) - copied.room
		var why error
		switch {
		case status != nx.Success || missing > 0:
		case b.prepend > s.payload:
			status, why = nx.InvalidParameters, errHeaderRoom
		case size-b.prepend != b.length:
			status = nx.InvalidPacket
		default:
			head := b.copyTo(&copied, size)
			b.mu.Unlock()
			copied.release() // none, unless another goroutine shortened the message
			return head.handle(), nil
		}
		b.mu.Unlock()
		if status != nx.Success {
			copied.release()
			return Packet{}, nx.Fail(service, status, why)
		}
		for missing -= s.takeFree(&copied, missing); missing > 0; missing -= s.payload {
			more, status := s.allocate(context.Background(), 0, wait)
			if status != nx.Success {
				copied.release()
				return Packet{}, nx.Fail(service, status, nil)
			}
			copied.push(more)
		}
	}
}

// copySize answers how many bytes a copy takes, the room in front of the data
// with them. The caller holds b.mu.
func (b *block) copySize() (int, nx.Status) {
	if status := b.bounds(); status != nx.Success {
		return 0, status
	}
	if b.length == 0 {
		return 0, nx.InvalidPacket
	}
	size := max(b.append, 0)
	for at := b.next; at != nil; at = at.next {
		size += len(at.bytes())
	}
	return size, nx.Success
}

// copyTo makes a message of the packets in copied and fills it. The caller
// holds b.mu; the new message is nobody else's.
func (b *block) copyTo(copied *chain, size int) *block {
	head := copied.pop()
	head.appendBytes(b.data[:max(b.append, 0)], copied)
	for at := b.next; at != nil; at = at.next {
		head.appendBytes(at.bytes(), copied)
	}
	head.prepend = b.prepend
	head.length = size - b.prepend
	return head
}
