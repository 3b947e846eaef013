package linktest

import (
	"sync"

	"gonetx/ip/link"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Device is a driver, and its endpoint, that a test drives by hand: what is
// sent is kept, and what arrives is what the test says. The zero Device is
// ready.
type Device struct {
	link.Base
	GSO stack.SupportedGSO // what the device offers when nobody asks for wire segments

	mu   sync.Mutex // guards the fields below
	sent [][]byte
	pkts []*stack.PacketBuffer
	end  []string // "stop", "release", as they came
}

// Open implements link.Driver.
func (d *Device) Open(a link.Attachment) (link.Endpoint, error) {
	d.Init("test", "test", 1500, a)
	return d, nil
}

// WritePackets implements stack.LinkEndpoint.
func (d *Device) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, pkt := range pkts.AsSlice() {
		d.sent = append(d.sent, link.Bytes(pkt))
		d.pkts = append(d.pkts, pkt)
	}
	d.CountOut(pkts.Len())
	return pkts.Len(), nil
}

// Sent takes the datagrams that were sent since it was called last.
func (d *Device) Sent() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent := d.sent
	d.sent, d.pkts = nil, nil
	return sent
}

// SentPackets are the packets of Sent; some may be gone.
func (d *Device) SentPackets() []*stack.PacketBuffer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pkts
}

// Arrive delivers a datagram.
func (d *Device) Arrive(frame []byte) { d.Deliver(frame) }

// Stop implements link.Endpoint.
func (d *Device) Stop() { d.note("stop") }

// Release implements link.Endpoint.
func (d *Device) Release() error {
	d.note("release")
	return nil
}

func (d *Device) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end = append(d.end, what)
}

// Ended tells which of Stop and Release were called, in order.
func (d *Device) Ended() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.end...)
}

// SupportedGSO implements stack.GSOEndpoint.
func (d *Device) SupportedGSO() stack.SupportedGSO {
	if d.Attachment().WireSegments != "" {
		return stack.GSONotSupported
	}
	return d.GSO
}

// GSOMaxSize implements stack.GSOEndpoint.
func (d *Device) GSOMaxSize() uint32 { return 65535 }

// Write sends one datagram through an endpoint, as a stack does.
func Write(e link.Endpoint, frame []byte) {
	pkt := Packet(frame)
	defer pkt.DecRef()
	WritePacket(e, pkt)
}

// WritePacket sends one packet through an endpoint. The caller keeps its
// reference.
func WritePacket(e link.Endpoint, pkt *stack.PacketBuffer) {
	var list stack.PacketBufferList
	list.PushBack(pkt)
	_, _ = e.WritePackets(list)
}

// Packet makes a packet of a datagram.
func Packet(frame []byte) *stack.PacketBuffer {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)})
	if len(frame) > 0 {
		pkt.NetworkProtocolNumber = link.Protocol(frame[0])
	}
	return pkt
}

// Listener is a stack that keeps what it is given and says nothing.
type Listener struct {
	mu   sync.Mutex // guards the field below
	seen [][]byte
}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (l *Listener) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, link.Bytes(pkt))
}

// DeliverLinkPacket implements stack.NetworkDispatcher.
func (*Listener) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// Seen takes the datagrams that were delivered since it was called last.
func (l *Listener) Seen() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	l.seen = nil
	return seen
}

// Forgetful is a stack that does nothing with what it is given.
type Forgetful struct{}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (Forgetful) DeliverNetworkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// DeliverLinkPacket implements stack.NetworkDispatcher.
func (Forgetful) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}
