package link

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Reasons for datagrams that no stack can read. The instance examines them,
// not the link.
const (
	DropNotIP       = "neither IPv4 nor IPv6"
	DropTruncatedIP = "shorter than its IP header says"
	DropBadIPHeader = "malformed IP header"
)

// Protocol tells the protocol of a frame from its first byte: 0 when it is
// neither IPv4 nor IPv6. Nothing more is examined on the link; malformed
// datagrams are counted by the instance, as NetX Duo does.
func Protocol(first byte) tcpip.NetworkProtocolNumber {
	switch first >> 4 {
	case header.IPv4Version:
		return header.IPv4ProtocolNumber
	case header.IPv6Version:
		return header.IPv6ProtocolNumber
	}
	return 0
}

// Bytes is the datagram that pkt holds, in memory of its own.
func Bytes(pkt *stack.PacketBuffer) []byte { return Peek(pkt, make([]byte, pkt.Size())) }

// Head is the begin of the datagram that pkt holds, its headers and no more,
// in memory of its own.
func Head(pkt *stack.PacketBuffer) []byte { return Peek(pkt, make([]byte, min(pkt.Size(), HeadBytes))) }

// HeadBytes shows the headers of a datagram.
const HeadBytes = 128
