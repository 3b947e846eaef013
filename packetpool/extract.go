package packetpool

// nx_packet_data_retrieve, nx_packet_data_extract_offset

import (
	"errors"

	"gonetx/packetpool/nx"
)

var errShortBuffer = errors.New("the buffer is shorter than the message")

// DataRetrieve copies a whole message to buffer and answers its length,
// nx_packet_data_retrieve. The message stays as it is, and the caller's. The
// packet may be on a queue, or of a deleted pool.
//
// The original does not know how long the buffer is and writes behind it; here
// a buffer that is too short gets nothing.
//
// Errors, in the order in which they are checked:
//
//	NX_PTR_ERROR      packet is zero or stale, buffer is nil
//	NX_SIZE_ERROR     buffer is shorter than the message
//	NX_INVALID_PACKET the packets hold more or less than the message's length; the result says how much
func DataRetrieve(packet Packet, buffer []byte) (bytesCopied uint32, err error) {
	const service = "packetpool.DataRetrieve"
	if packet.block == nil || buffer == nil {
		return 0, nx.Fail(service, nx.PtrError, nil)
	}
	b := packet.lock()
	if b == nil {
		return 0, packet.refused(service)
	}
	defer b.mu.Unlock()
	size := 0
	for at := b; at != nil; at = at.next {
		size += len(at.bytes())
	}
	if size > len(buffer) {
		return 0, nx.Fail(service, nx.SizeError, errShortBuffer)
	}
	for at := b; at != nil; at = at.next {
		buffer = buffer[copy(buffer, at.bytes()):]
	}
	if size != b.length {
		return uint32(size), nx.Fail(service, nx.InvalidPacket, nil)
	}
	return uint32(size), nil
}

// DataExtractOffset copies a part of a message, from offset on as much as
// there is and buffer takes, and answers how much that is,
// nx_packet_data_extract_offset. The message stays as it is, and the caller's.
// Offset 0 of an empty message is no error.
//
// Errors, in the order in which they are checked:
//
//	NX_PTR_ERROR           packet is zero or stale, buffer is nil
//	NX_PACKET_OFFSET_ERROR offset lies at the end of the message or behind
func DataExtractOffset(packet Packet, offset uint32, buffer []byte) (bytesCopied uint32, err error) {
	const service = "packetpool.DataExtractOffset"
	if packet.block == nil || buffer == nil {
		return 0, nx.Fail(service, nx.PtrError, nil)
	}
	b := packet.lock()
	if b == nil {
		return 0, packet.refused(service)
	}
	defer b.mu.Unlock()
	skip := int(offset)
	if skip >= b.length {
		if skip == 0 {
			return 0, nil
		}
		return 0, nx.Fail(service, nx.PacketOffsetError, nil)
	}
	at := b
	for at != nil && skip >= len(at.bytes()) {
		skip -= len(at.bytes())
		at = at.next
	}
	if at == nil {
		return 0, nx.Fail(service, nx.PacketOffsetError, nil)
	}
	// NetX Duo answers what the length promises, and so does this: a length that
	// disagrees with the packets is found by DataRetrieve only.
	buffer = buffer[:min(len(buffer), b.length-int(offset))]
	bytesCopied = uint32(len(buffer))
	for ; at != nil && len(buffer) > 0; at = at.next {
		buffer = buffer[copy(buffer, at.bytes()[skip:]):]
		skip = 0
	}
	return bytesCopied, nil
}
