// Package link defines what carries an IP instance's datagrams: drivers, and
// wrappers around them.
//
// The seam between the stack and the wire is gVisor's own
// [stack.LinkEndpoint], so that the endpoints that gVisor ships fit, and a
// super-segment with its offload header stays one object. A NetX Duo driver is
// one function that takes commands; here a [Driver] makes an [Endpoint], and
// the commands are methods:
//
//	INTERFACE_ATTACH, INITIALIZE   Driver.Open
//	ENABLE                         Endpoint.Attach, by the instance
//	PACKET_SEND                    Endpoint.WritePackets
//	GET_STATUS                     Endpoint.Info
//	DISABLE                        Endpoint.Stop
//	UNINITIALIZE                   Endpoint.Release
//
// Wrappers are drivers that take a driver: faults, captures and counters
// compose, and each leaves alone what it does not change.
package link

import (
	"errors"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A Driver brings a wire to an IP instance. The instance calls Open once, when
// it is created; a driver may be opened again after the endpoint it made was
// released.
type Driver interface {
	Open(Attachment) (Endpoint, error)
}

// Attachment is what an instance tells the driver that it opens.
type Attachment struct {
	Instance string // name of the IP instance

	// Pool is the instance's default pool: an inbound frame lives in its
	// packets. Nil: frames come in memory of the driver's own, and the instance
	// copies them at its gate. A wrapper that holds or changes frames passes
	// nil on, because what is still on the wire takes no packets.
	Pool *packetpool.Pool

	Clock    nx.Clock    // nil: the machine's
	Recorder nx.Recorder // nil: nobody looks

	// WireSegments is set by a wrapper that works on segments as they are on
	// the wire: no super-segments and no unfinished checksums, in either
	// direction. It is the reason, "fault", that Info.Why shows. Empty: the
	// driver may offload.
	WireSegments string

	// LinkChange tells the instance that the link came up or went away, with
	// the reason. It may be called from any goroutine and does not block. Nil:
	// nobody asks.
	LinkChange func(up bool, why error)
}

// Endpoint is gVisor's link endpoint with a written end.
//
// Delivery: the endpoint's reader calls DeliverNetworkPacket of the dispatcher
// that Attach gave it, from one goroutine at a time, and drops its own
// reference to the packet afterwards. Memory: a reader that can, reads into
// packets of the attachment's pool (see packetpool.Inbound); memory of any
// other kind is copied into the pool by the instance, at its gate.
//
// WritePackets never blocks for long and never takes over the caller's
// references.
type Endpoint interface {
	stack.LinkEndpoint

	// Stop ends delivery: when it returns, the reader has ended and
	// DeliverNetworkPacket is not called any more. Sending still works. It may
	// be called more than once, also before Attach.
	Stop()

	// Release closes the device. The instance calls it last, after the stack
	// has ended; writes after it are dropped and counted.
	Release() error

	// Info tells what the endpoint is and can do, now.
	Info() Info
}

// Pooled tells whether the frames that an endpoint delivers lie in packets of
// the pool of its attachment already, so that the gate need not copy them. An
// endpoint that does not say so, with a method of that name, does not.
func Pooled(e Endpoint) bool {
	p, ok := e.(interface{ Pooled() bool })
	return ok && p.Pooled()
}

// Info describes an endpoint.
type Info struct {
	Device    string            // "tun0", "ram:net1/2"
	Kind      string            // "tun", "ram", "frames"
	Up        bool              // GET_STATUS
	Offload   bool              // super-segments cross the link
	Why       string            // why there is no offload, or why the link is down; empty when all is well
	Wrappers  []string          // outermost first: "fault", "capture", "count"
	InFrames  uint64            // frames that the device gave
	OutFrames uint64            // frames that the device took
	InDrops   uint64            // frames dropped on their way in, each with an event
	OutDrops  uint64            // frames dropped on their way out, each with an event
	Drops     map[string]uint64 // the same by reason; nil when nothing was dropped
}

// ErrInUse is what Open answers when an endpoint that the driver made is still
// open.
var ErrInUse = errors.New("the driver serves another instance")
