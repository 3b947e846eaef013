package link

import (
	"sync"
	"sync/atomic"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Base is what the endpoints of all drivers have in common: where frames go,
// the MTU, the counters, and drops with their reason. A driver embeds it,
// calls Init, and brings Stop, Release, WritePackets and, when it reads in a
// goroutine, an Attach that starts it.
//
// There is no link header and no link address: the wires carry datagrams.
type Base struct {
	attachment Attachment
	kind       string
	device     string
	mtu        atomic.Uint32
	dispatcher atomic.Pointer[stack.NetworkDispatcher]

	inFrames  atomic.Uint64
	outFrames atomic.Uint64

	inbound packetpool.Inbound // of the reader
	drops   Drops

	mu   sync.Mutex // guards the field below
	down string     // why the link is down; empty when it is up
}

// Init sets the endpoint up. It is called once, by Open.
func (b *Base) Init(kind, device string, mtu uint32, a Attachment) {
	if a.Clock == nil {
		a.Clock = nx.RealClock
	}
	b.attachment, b.kind, b.device = a, kind, device
	b.mtu.Store(mtu)
	b.inbound.Init(a.Pool)
}

// Pooled implements the method that [Pooled] looks for.
func (b *Base) Pooled() bool { return b.attachment.Pool != nil }

// Attachment answers what Open was given, with a clock.
func (b *Base) Attachment() *Attachment { return &b.attachment }

// Deliver hands a frame in memory of the caller's to the stack; the bytes are
// copied, into packets of the pool when there is one. Only the endpoint's one
// reader calls it.
func (b *Base) Deliver(frame []byte) {
	if s, ok := b.Arrive(frame); ok {
		b.Hand(s, true)
	}
}

// Stored is a frame that has arrived, and that the stack has not seen yet. It
// lies in packets of the pool when there is one.
type Stored struct {
	protocol tcpip.NetworkProtocolNumber
	pkt      *stack.PacketBuffer
	held     packetpool.Frame
}

// Arrive is the first half of Deliver: it stores a frame. False: it has been
// dropped. The caller hands it on.
func (b *Base) Arrive(frame []byte) (Stored, bool) {
	b.inFrames.Add(1)
	if len(frame) == 0 {
		b.Drop(nx.Received, DropEmpty, 0, nil)
		return Stored{}, false
	}
	data, held, ok := b.Store(frame)
	if !ok {
		b.Drop(nx.Received, DropPoolEmpty, len(frame), frame)
		return Stored{}, false
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
	return Stored{Protocol(frame[0]), pkt, held}, true
}

// Hand is the other half: it shows a frame to the stack, or not, and gives up
// what held it.
func (b *Base) Hand(s Stored, show bool) {
	if show {
		b.DeliverPacket(s.protocol, s.pkt)
	}
	views, _ := s.pkt.AsViewList()
	s.held.Reclaim(views)
	s.pkt.DecRef()
}

// Store copies a frame into packets of the pool, or into memory of its own when
// there is no pool. False: the pool has not enough packets. The reader calls
// Reclaim of what is held when the stack has seen the frame.
func (b *Base) Store(frame []byte) (data buffer.Buffer, held packetpool.Frame, ok bool) {
	if b.attachment.Pool == nil {
		return buffer.MakeWithData(frame), held, true
	}
	rest := frame
	for _, area := range b.inbound.Reserve(len(frame)) {
		rest = rest[copy(area, rest):]
	}
	if len(rest) > 0 {
		b.inbound.Return()
		return data, held, false
	}
	data, held = b.inbound.Commit(len(frame), HeaderBytes([][]byte{frame}, len(frame)))
	return data, held, true
}

// DeliverPacket gives pkt to the stack. The caller keeps its reference.
func (b *Base) DeliverPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	d := b.dispatcher.Load()
	if d == nil {
		b.Drop(nx.Received, DropDetached, pkt.Size(), nil)
		return
	}
	(*d).DeliverNetworkPacket(protocol, pkt)
}

// Drop counts a frame of size bytes that goes no further, and makes the event.
// head is the begin of the frame, nil when it is not at hand.
func (b *Base) Drop(direction nx.Direction, reason string, size int, head []byte) {
	if reason == DropPoolEmpty && direction == nx.Received {
		b.attachment.Pool.CountEmpty()
	}
	b.drops.Add(b.attachment.Recorder, b.device, direction, reason, size, head)
}

// CountIn and CountOut count frames that Deliver has not seen.
func (b *Base) CountIn(frames int)  { b.inFrames.Add(uint64(frames)) }
func (b *Base) CountOut(frames int) { b.outFrames.Add(uint64(frames)) }

// LinkChange notes the state of the link and tells the instance when it, or
// the reason, is another one than before.
func (b *Base) LinkChange(up bool, why error) {
	down := ""
	if !up {
		down = DropLinkDown
		if why != nil {
			down = why.Error()
		}
	}
	b.mu.Lock()
	changed := b.down != down
	b.down = down
	b.mu.Unlock()
	if changed && b.attachment.LinkChange != nil {
		b.attachment.LinkChange(up, why)
	}
}

// Info answers the counters and the state of the link.
func (b *Base) Info() Info {
	info := Info{
		Device: b.device, Kind: b.kind,
		InFrames: b.inFrames.Load(), OutFrames: b.outFrames.Load(),
	}
	b.drops.Show(&info)
	b.mu.Lock()
	defer b.mu.Unlock()
	info.Up, info.Why = b.down == "", b.down
	return info
}

// Attach implements stack.LinkEndpoint. gVisor attaches nil, under its own
// locks, when it removes the NIC; frames that come later are dropped.
func (b *Base) Attach(d stack.NetworkDispatcher) {
	if d == nil {
		b.dispatcher.Store(nil)
		return
	}
	b.dispatcher.Store(&d)
}

// IsAttached implements stack.LinkEndpoint.
func (b *Base) IsAttached() bool { return b.dispatcher.Load() != nil }

// MTU implements stack.LinkEndpoint.
func (b *Base) MTU() uint32 { return b.mtu.Load() }

// SetMTU implements stack.LinkEndpoint.
func (b *Base) SetMTU(mtu uint32) { b.mtu.Store(mtu) }

// Capabilities implements stack.LinkEndpoint: the stack makes and verifies all
// checksums.
func (b *Base) Capabilities() stack.LinkEndpointCapabilities { return stack.CapabilityNone }

// MaxHeaderLength implements stack.LinkEndpoint.
func (b *Base) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.LinkEndpoint.
func (b *Base) LinkAddress() tcpip.LinkAddress { return "" }

// SetLinkAddress implements stack.LinkEndpoint. There is none to set.
func (b *Base) SetLinkAddress(tcpip.LinkAddress) {}

// ARPHardwareType implements stack.LinkEndpoint.
func (b *Base) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// AddHeader implements stack.LinkEndpoint.
func (b *Base) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.LinkEndpoint.
func (b *Base) ParseHeader(*stack.PacketBuffer) bool { return true }

// Wait implements stack.LinkEndpoint. It does not wait: gVisor calls it under
// the lock that a reader needs (Stack.Wait), so the reader is joined by Stop.
func (b *Base) Wait() {}

// Close implements stack.LinkEndpoint. The end of an endpoint is Release.
func (b *Base) Close() {}

// SetOnCloseAction implements stack.LinkEndpoint.
func (b *Base) SetOnCloseAction(func()) {}
