package link

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Reasons of Classify.
const (
	DropNotIP       = "neither IPv4 nor IPv6"
	DropTruncatedIP = "shorter than its IP header says"
	DropBadIPHeader = "malformed IP header"
)

// Classify tells the protocol of a frame of size bytes, of which head is the
// begin: at least [ClassifyBytes] bytes, or all of it. A frame that no stack
// could read answers the reason to drop it for. Bytes behind the datagram are
// allowed, as on an Ethernet, where short frames are padded.
func Classify(head []byte, size int) (protocol tcpip.NetworkProtocolNumber, reason string) {
	if len(head) == 0 {
		return 0, DropNotIP
	}
	switch head[0] >> 4 {
	case header.IPv4Version:
		if len(head) < header.IPv4MinimumSize {
			return 0, DropTruncatedIP
		}
		headerLength, total := int(head[0]&0x0F)*4, int(binary.BigEndian.Uint16(head[2:]))
		if headerLength < header.IPv4MinimumSize || total < headerLength {
			return 0, DropBadIPHeader
		}
		if total > size {
			return 0, DropTruncatedIP
		}
		return header.IPv4ProtocolNumber, ""
	case header.IPv6Version:
		if len(head) < header.IPv6MinimumSize || header.IPv6MinimumSize+int(binary.BigEndian.Uint16(head[4:])) > size {
			return 0, DropTruncatedIP
		}
		return header.IPv6ProtocolNumber, ""
	}
	return 0, DropNotIP
}

// ClassifyBytes is how much of a frame Classify wants to see.
const ClassifyBytes = header.IPv6MinimumSize

// Bytes is the datagram that pkt holds, in memory of its own.
func Bytes(pkt *stack.PacketBuffer) []byte { return Peek(pkt, make([]byte, pkt.Size())) }

// Head is the begin of the datagram that pkt holds, its headers and no more,
// in memory of its own.
func Head(pkt *stack.PacketBuffer) []byte { return Peek(pkt, make([]byte, min(pkt.Size(), HeadBytes))) }

// HeadBytes shows the headers of a datagram.
const HeadBytes = 128
