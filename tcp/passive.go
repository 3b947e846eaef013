package tcp

import (
	"fmt"

	"gonetx/ip"
	"gonetx/packetpool"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A listening endpoint of gVisor would complete handshakes by itself. NetX Duo
// answers a SYN only when the program accepts, so there is none: connection
// requests end at the gate, and accept feeds one of them to a forwarder of
// gVisor, which makes an endpoint of it and sends the SYN-ACK.

// synPacket is a connection request, copied out of the frame that it came in.
type synPacket struct {
	flow flow
	tcp  []byte              // header with options
	held *stack.PacketBuffer // the frame, while it waits in a listen queue: NetX Duo keeps its packet
	kept bool                // by a socket or a listen queue
}

// newSYN makes a request of a segment.
func newSYN(f flow, seg *ip.Segment) *synPacket {
	return &synPacket{flow: f, tcp: append([]byte(nil), seg.TCP...)}
}

// hold keeps the frame, and with it the packets of the pool that it lies in.
func (syn *synPacket) hold(pool *packetpool.Pool, frame *stack.PacketBuffer) {
	syn.held = frame
	frame.IncRef()
	views, _ := frame.AsViewList()
	pool.Assign(views, packetpool.Owner{
		Kind: packetpool.ReceiveQueue, Name: fmt.Sprintf("port %d", syn.flow.local.Port()),
	})
}

// release gives the frame back.
func (syn *synPacket) release() {
	if syn.held != nil {
		syn.held.DecRef()
		syn.held = nil
	}
}

// feed gives the request to gVisor, which sends the SYN-ACK. The handshake goes
// on in a goroutine of its own, (*connection).handshake, which ends when it is
// complete, has failed or was aborted; protocol.Close waits for it.
func (syn *synPacket) feed(c *connection) {
	p, id := c.p, syn.flow.id()
	pkt := syn.packet(p.inst.NIC(), id)
	defer pkt.DecRef()
	p.handshakes.Add(1)
	oneShot := tcp.NewForwarder(p.inst.Stack(), receiveBuffer, 1, c.handshake)
	if !oneShot.HandlePacket(id, pkt) {
		p.handshakes.Done() // no well-formed SYN; it was looked at when it came
	}
}

// packet rebuilds the frame as the network layer hands it to TCP.
func (syn *synPacket) packet(nic tcpip.NICID, id stack.TransportEndpointID) *stack.PacketBuffer {
	number := protocolOf(syn.flow.local.Addr())
	size := header.IPv4MinimumSize
	if number == header.IPv6ProtocolNumber {
		size = header.IPv6MinimumSize
	}
	data := make([]byte, size+len(syn.tcp))
	if number == header.IPv4ProtocolNumber {
		header.IPv4(data).Encode(&header.IPv4Fields{
			TotalLength: uint16(len(data)), TTL: IPTimeToLive, Protocol: uint8(header.TCPProtocolNumber),
			SrcAddr: id.RemoteAddress, DstAddr: id.LocalAddress,
		})
	} else {
		header.IPv6(data).Encode(&header.IPv6Fields{
			PayloadLength: uint16(len(syn.tcp)), TransportProtocol: header.TCPProtocolNumber, HopLimit: IPTimeToLive,
			SrcAddr: id.RemoteAddress, DstAddr: id.LocalAddress,
		})
	}
	copy(data[size:], syn.tcp)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(data)})
	pkt.NICID = nic
	pkt.NetworkProtocolNumber, pkt.TransportProtocolNumber = number, header.TCPProtocolNumber
	pkt.RXChecksumValidated = true // at the gate
	_, _ = pkt.NetworkHeader().Consume(size)
	_, _ = pkt.TransportHeader().Consume(len(syn.tcp))
	return pkt
}

// handshake is the goroutine of one handshake.
func (c *connection) handshake(r *tcp.ForwarderRequest) {
	defer c.p.handshakes.Done()
	ep, err := r.CreateEndpoint(&c.endpoint.queue)
	r.Complete(false)
	if err != nil {
		c.handshakeFailed(stackError(err))
		return
	}
	c.handshakeDone(ep)
}

// abortHandshake ends a handshake that is under way: CreateEndpoint returns
// then. gVisor sends nothing.
func (p *protocol) abortHandshake(f flow) {
	if ep := p.inst.Stack().FindTransportEndpoint(protocolOf(f.local.Addr()), tcp.ProtocolNumber, f.id(), p.inst.NIC()); ep != nil {
		ep.Abort()
	}
}

func (f flow) id() stack.TransportEndpointID {
	return stack.TransportEndpointID{
		LocalAddress: toStack(f.local.Addr()), LocalPort: f.local.Port(),
		RemoteAddress: toStack(f.remote.Addr()), RemotePort: f.remote.Port(),
	}
}
