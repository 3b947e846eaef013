package ip

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// queuer is how gVisor's demultiplexer hands a segment to TCP
// (transport_demuxer.go, queuedTransportProtocol).
type queuer interface {
	QueuePacket(stack.TransportEndpoint, stack.TransportEndpointID, *stack.PacketBuffer)
}

// Queue hands a segment of the flow between local and remote to gVisor's endpoint of
// that connection, past the gate and the stack's network layer. Its headers have been
// consumed, and its checksum is right. The packet stays the caller's, who lets go of
// it: gVisor takes a reference of its own (dispatcher.go, queuePacket).
func (inst *Instance) Queue(to stack.TransportEndpoint, local, remote netip.AddrPort, pkt *stack.PacketBuffer) {
	pkt.NICID = nic
	pkt.TransportProtocolNumber = header.TCPProtocolNumber
	pkt.RXChecksumValidated = true
	inst.gate.transport.QueuePacket(to, stack.TransportEndpointID{
		LocalAddress: toStack(local.Addr()), LocalPort: local.Port(),
		RemoteAddress: toStack(remote.Addr()), RemotePort: remote.Port(),
	}, pkt)
}

// straight hands a segment that passed to the endpoint that it is for, when the
// transport knows it. The stack's network layer would look once more at what the gate
// has looked at, and search for the endpoint, which takes twice the time of the gate.
// What has options or extension headers it shall see: some of them it answers.
func (g *gate) straight(d *datagram, segment *Segment) bool {
	plain := header.IPv4MinimumSize
	if d.source.Is6() {
		plain = header.IPv6MinimumSize
	}
	if segment.To == nil || d.offset != plain {
		return false
	}
	// Both are there: the gate has read them.
	_, _ = d.pkt.NetworkHeader().Consume(d.offset)
	_, _ = d.pkt.TransportHeader().Consume(len(segment.TCP))
	g.inst.Queue(segment.To, segment.Local, segment.Remote, d.pkt)
	return true
}

// transportOf is gVisor's TCP as the gate hands segments to it.
func transportOf(s *stack.Stack) queuer {
	return s.TransportProtocolInstance(tcp.ProtocolNumber).(queuer)
}
