package link

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Wrapper is what a wrapper embeds: an endpoint that forwards everything to
// the one below it. A wrapper overrides what it changes, WritePackets for what
// leaves and DeliverNetworkPacket for what comes, and hands on by calling the
// same method here.
//
// References: a wrapper that keeps a packet beyond the call copies it. Neither
// WritePackets nor DeliverNetworkPacket takes over the caller's reference.
type Wrapper struct {
	nested.Endpoint
	name  string
	below Endpoint
}

// Init sets the wrapper up over the endpoint below. The dispatcher is the
// wrapper itself: it gets what comes in.
func (w *Wrapper) Init(name string, below Endpoint, dispatcher stack.NetworkDispatcher) {
	w.name, w.below = name, below
	w.Endpoint.Init(below, dispatcher)
}

// Below is the endpoint under the wrapper.
func (w *Wrapper) Below() Endpoint { return w.below }

// Pooled implements the method that [Pooled] looks for.
func (w *Wrapper) Pooled() bool { return Pooled(w.below) }

// Stop implements link.Endpoint.
func (w *Wrapper) Stop() { w.below.Stop() }

// Release implements link.Endpoint.
func (w *Wrapper) Release() error { return w.below.Release() }

// Info implements link.Endpoint: that of the endpoint below, with the name of
// the wrapper before those of the wrappers there.
func (w *Wrapper) Info() Info {
	info := w.below.Info()
	info.Wrappers = append([]string{w.name}, info.Wrappers...)
	return info
}

// Send hands one packet on. The caller keeps its reference.
func (w *Wrapper) Send(pkt *stack.PacketBuffer) tcpip.Error {
	var one stack.PacketBufferList
	one.PushBack(pkt)
	_, err := w.Endpoint.WritePackets(one)
	return err
}

// OnWire is the attachment for the driver below a wrapper that holds, changes
// or records frames: as they are on the wire, and in no packets of the pool.
func (a Attachment) OnWire(wrapper string) Attachment {
	a.Pool = nil
	if a.WireSegments != "" {
		wrapper = a.WireSegments + " and " + wrapper
	}
	a.WireSegments = wrapper
	return a
}

// WireWrapper is what a wrapper embeds that opened the driver below with
// OnWire: super-segments are not asked for.
type WireWrapper struct{ Wrapper }

// SupportedGSO implements stack.GSOEndpoint.
func (*WireWrapper) SupportedGSO() stack.SupportedGSO { return stack.GSONotSupported }

// GSOMaxSize implements stack.GSOEndpoint.
func (*WireWrapper) GSOMaxSize() uint32 { return 0 }
