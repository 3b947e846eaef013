package tcp

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// control is a segment that gVisor does not send: a window update, a probe of a
// closed window, and with the release's timing everything that is sent again.
type control struct {
	flags    header.TCPFlags
	seq, ack uint32
	options  []byte // padded to words
	data     []byte
	probe    bool // data is a byte that the peer knows
}

// send sends segments. They pass the gate as all do, which writes the window
// into them. It is called without the protocol's lock.
func (c *connection) send(segments []control) {
	for i := range segments {
		c.p.sendRaw(c.flow, &segments[i])
	}
}

func (p *protocol) sendRaw(f flow, seg *control) {
	local, remote := toStack(f.local.Addr()), toStack(f.remote.Addr())
	route, err := p.inst.Stack().FindRoute(p.inst.NIC(), local, remote, protocolOf(f.local.Addr()), false)
	if err != nil {
		return // the address is gone, and the connection ends by itself
	}
	defer route.Release()
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.TCPMinimumSize + len(seg.options) + int(route.MaxHeaderLength()),
		Payload:            buffer.MakeWithData(seg.data),
	})
	defer pkt.DecRef()
	pkt.TransportProtocolNumber = header.TCPProtocolNumber
	size := header.TCPMinimumSize + len(seg.options)
	h := header.TCP(pkt.TransportHeader().Push(size))
	h.Encode(&header.TCPFields{
		SrcPort: f.local.Port(), DstPort: f.remote.Port(),
		SeqNum: seg.seq, AckNum: seg.ack, DataOffset: uint8(size), Flags: seg.flags,
	})
	copy(h[header.TCPMinimumSize:], seg.options)
	sum := route.PseudoHeaderChecksum(header.TCPProtocolNumber, uint16(pkt.Size()))
	h.SetChecksum(^h.CalculateChecksum(checksum.Combine(sum, pkt.Data().Checksum())))
	p.mu.Lock()
	p.raw[pkt] = seg
	p.mu.Unlock()
	_ = route.WritePacket(stack.NetworkHeaderParams{Protocol: header.TCPProtocolNumber, TTL: route.DefaultTTL()}, pkt)
	p.mu.Lock()
	delete(p.raw, pkt)
	p.mu.Unlock()
}
