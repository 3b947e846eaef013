package tcp

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// sendRaw sends a segment that gVisor does not send: a window update, or a
// probe of a closed window. It passes the gate as all do, which writes the
// window into it. It is called without locks.
func (p *protocol) sendRaw(f flow, seq, ack uint32, data []byte) {
	local, remote := toStack(f.local.Addr()), toStack(f.remote.Addr())
	route, err := p.inst.Stack().FindRoute(p.inst.NIC(), local, remote, protocolOf(f.local.Addr()), false)
	if err != nil {
		return // the address is gone, and the connection ends by itself
	}
	defer route.Release()
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.TCPMinimumSize + int(route.MaxHeaderLength()),
		Payload:            buffer.MakeWithData(data),
	})
	defer pkt.DecRef()
	pkt.TransportProtocolNumber = header.TCPProtocolNumber
	h := header.TCP(pkt.TransportHeader().Push(header.TCPMinimumSize))
	h.Encode(&header.TCPFields{
		SrcPort: f.local.Port(), DstPort: f.remote.Port(),
		SeqNum: seq, AckNum: ack, DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagAck,
	})
	sum := route.PseudoHeaderChecksum(header.TCPProtocolNumber, uint16(pkt.Size()))
	h.SetChecksum(^h.CalculateChecksum(checksum.Combine(sum, pkt.Data().Checksum())))
	_ = route.WritePacket(stack.NetworkHeaderParams{Protocol: header.TCPProtocolNumber, TTL: route.DefaultTTL()}, pkt)
}
