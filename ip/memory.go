package ip

import (
	"gonetx/ip/link"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// poolCreated tells whether a pool may hold frames.
func poolCreated(pool *packetpool.Pool) bool {
	_, err := packetpool.PoolInfoGet(pool)
	return err == nil
}

// admit sees to it that a datagram lies in packets of the default pool. What a
// reader read into packets is left alone, and the reader takes the pool's
// references back. Anything else is copied into packets, and release does that
// and gives the copy up. False: the pool has not enough packets.
func (g *gate) admit(pkt *stack.PacketBuffer, looped bool) (admitted *stack.PacketBuffer, release func(), ok bool) {
	if g.pooled && !looped {
		return pkt, func() {}, true
	}
	foreign := pkt.Data().ToBuffer()
	headers := link.HeaderBytes([][]byte{link.Head(pkt)}, pkt.Size())
	data, frame, ok := g.inst.pool.Admit(foreign, headers)
	foreign.Release()
	if !ok {
		return nil, nil, false
	}
	in := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
	in.NetworkProtocolNumber = pkt.NetworkProtocolNumber
	in.RXChecksumValidated = pkt.RXChecksumValidated
	in.GSOOptions = pkt.GSOOptions
	return in, func() {
		views, _ := in.AsViewList()
		frame.Reclaim(views)
		in.DecRef()
	}, true
}

// application makes a packet of the program's of what a datagram holds from an
// offset on: the very packets of the pool that it lies in.
func (g *gate) application(d *datagram, offset int) (packetpool.Packet, error) {
	left := d.pkt.Data().Size() - offset
	if left == 0 {
		return packetpool.Allocate(g.inst.pool, packetpool.ReceivePacket, nx.NoWait)
	}
	var pieces [][]byte
	views, skip := d.pkt.AsViewList()
	skip += offset
	for v := views.Front(); v != nil && left > 0; v = v.Next() {
		b := v.AsSlice()
		n := min(skip, len(b))
		skip -= n
		if b = b[n:]; len(b) > left {
			b = b[:left]
		}
		if len(b) > 0 {
			pieces = append(pieces, b)
			left -= len(b)
		}
	}
	return g.inst.pool.Receive(pieces, packetpool.Owner{Kind: packetpool.Application, Name: g.inst.name})
}
