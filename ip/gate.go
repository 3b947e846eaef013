package ip

import (
	"gonetx/ip/link"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/nested"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// gate is what stands between an instance's gVisor stack and its link: the
// outermost link endpoint. Every datagram passes it, in both directions, and
// here happens what NetX Duo's IP layer does and gVisor's does otherwise or not
// at all: inbound frames take packets of the default pool, protocols that are
// not enabled are silent, destinations without a route are not sent to,
// fragments need nx_ip_fragment_enable, datagrams are counted.
//
// It takes no lock of the instance's: it reads the settings in force, because
// it is entered with locks of gVisor held.
type gate struct {
	nested.Endpoint
	inst      *Instance
	transport queuer
	pooled    bool // the link's frames lie in packets of the default pool
}

func newGate(inst *Instance, endpoint link.Endpoint) *gate {
	g := &gate{inst: inst, transport: transportOf(inst.stack), pooled: link.Pooled(endpoint)}
	g.Init(endpoint, g)
	return g
}

// Capabilities implements stack.LinkEndpoint. A stack validates the checksums
// of all inbound datagrams or of none (nic.DeliverNetworkPacket overwrites
// RXChecksumValidated with this capability), so the gate validates those that
// the link has not vouched for, and the stack none.
func (g *gate) Capabilities() stack.LinkEndpointCapabilities {
	return g.Endpoint.Capabilities() | stack.CapabilityRXChecksumOffload
}

// MTU implements stack.LinkEndpoint: the longest datagram there is, so that
// gVisor never cuts one. Its TCP would take 36 bytes off each full segment for
// selective acknowledgements that hardly ever ride on data (snd.go, initSender;
// endpoint.go, maxOptionSize); here the MSS that the transport writes into the
// SYNs decides. What is longer than the interface's MTU is cut or dropped by
// output.
func (g *gate) MTU() uint32 { return 0xFFFF }

// mtu is what nx_ip_interface_mtu_set says, for connections made later. TCP
// cannot work with less than the headers need, and no link carries more than its
// own.
func (g *gate) mtu() uint32 {
	const least = 128
	return min(max(g.inst.settings.Load().mtu, least), g.Endpoint.MTU())
}

// DeliverNetworkPacket implements stack.NetworkDispatcher: a frame of the
// link's, in the goroutine of its reader.
func (g *gate) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	g.receive(pkt, false)
}

// receive takes a datagram in: into packets of the pool, then where it belongs.
// The caller keeps its reference.
func (g *gate) receive(pkt *stack.PacketBuffer, looped bool) {
	admitted, release, ok := g.admit(pkt, looped)
	if !ok {
		if looped { // as the original counts a copy that it cannot make
			g.inst.drop(nx.Sent, dropPoolEmpty, pkt.Size(), headOf(pkt))
		} else { // a frame that the driver of the original would have lost
			g.inst.note(nx.Received, dropPoolEmpty, pkt.Size(), headOf(pkt))
		}
		return
	}
	g.input(&datagram{pkt: admitted, looped: looped})
	release()
}

// loop turns a datagram to the instance itself round: a copy of it comes in,
// in packets of the default pool, as _nx_ip_driver_packet_send copies it.
func (g *gate) loop(pkt *stack.PacketBuffer) {
	in := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: pkt.ToBuffer()})
	in.NetworkProtocolNumber = pkt.NetworkProtocolNumber
	in.RXChecksumValidated = true // it has been nowhere
	g.receive(in, true)
	in.DecRef()
}

// WritePackets implements stack.LinkEndpoint: what the stack, or the instance
// itself, sends. A datagram that is dropped counts as written; who sent it
// could do nothing about it.
func (g *gate) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	list := pkts.AsSlice()
	var leaving stack.PacketBufferList // only made when not all of them leave
	all := true
	for i, pkt := range list {
		switch leaves := g.output(pkt); {
		case leaves && !all:
			leaving.PushBack(pkt)
		case !leaves && all:
			all = false
			for _, before := range list[:i] {
				leaving.PushBack(before)
			}
		}
	}
	if all {
		return g.Endpoint.WritePackets(pkts)
	}
	if leaving.Len() > 0 {
		if _, err := g.Endpoint.WritePackets(leaving); err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// up hands a datagram to the stack.
func (g *gate) up(d *datagram) {
	g.Endpoint.DeliverNetworkPacket(d.pkt.NetworkProtocolNumber, d.pkt)
}

// refuse drops a datagram on its way in.
func (g *gate) refuse(pkt *stack.PacketBuffer, reason string) {
	g.inst.drop(nx.Received, reason, pkt.Size(), headOf(pkt))
}

// headOf is the begin of a datagram, for events.
func headOf(pkt *stack.PacketBuffer) []byte {
	views, skip := pkt.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		if skip < len(b) {
			return b[skip:]
		}
		skip -= len(b)
	}
	return nil
}
