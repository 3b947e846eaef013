package ip

import (
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Transport is what rides on an instance: the TCP of package tcp, which
// installs itself with [Instance.SetTransport]. Without one, TCP segments are
// dropped in silence, and counted, as NetX Duo drops them before
// nx_tcp_enable.
type Transport interface {
	// SegmentIn sees every TCP segment that came from the link, or that the
	// instance sent to itself, before the stack does, and SegmentOut every one
	// that leaves. False: the segment goes no further, and the transport has
	// counted why. The TCP header may be rewritten, without changing its length;
	// its checksum is mended afterwards.
	//
	// Both are called from goroutines of the link and of gVisor, also several at
	// a time, SegmentOut always and SegmentIn for segments of the instance to
	// itself with the lock of a gVisor endpoint held: they must not block and
	// must not call the stack.
	SegmentIn(*Segment) bool
	SegmentOut(*Segment) bool

	// Uses tells whether a connection is bound to an address of the interface that
	// is about to be replaced. What it sends leaves with the new one. It is called
	// with the instance's lock held: the transport calls no service of the
	// instance that takes it while it holds a lock of its own.
	Uses(address netip.Addr) bool

	// InterfaceDown tells that the interface was detached: its connections are
	// to be reset.
	InterfaceDown()

	// Close is called by Delete, before anything else is closed.
	Close()
}

// Segment is one TCP segment at the gate between stack and link, where offload
// is on possibly a super-segment. It is valid during the call that shows it.
type Segment struct {
	// SegmentIn may set another Local: the segment goes up to that address.
	Local, Remote netip.AddrPort
	Broadcast     bool // it was sent to everybody, and Local is nobody's address

	TCP     header.TCP // header with options, in the packet itself
	Payload int        // bytes behind the header
	GSOSize int        // size of the segments that a super-segment stands for; 0: it is one segment

	// Damaged: the checksum is wrong. The gate drops the segment whatever
	// SegmentIn answers; it is shown so that it can be counted.
	Damaged bool

	// Kept is set by SegmentIn and SegmentOut: the segment goes no further because
	// the transport has what it needs of it, and was not dropped.
	Kept bool

	Packet *stack.PacketBuffer

	// To is set by SegmentIn: the endpoint that a segment is for that passes, when
	// the transport knows it. It has sent its SYN, so that gVisor takes segments for
	// it.
	To stack.TransportEndpoint

	// Cuts is set by SegmentOut: at these offsets of the payload, ascending, the
	// gate cuts the segment, so that several leave. Not for super-segments.
	Cuts []int
}

var segments = sync.Pool{New: func() any { return new(Segment) }}
