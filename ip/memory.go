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
// offset on, with room in front for the IP header that it came with. The frame is
// still the reader's, so the bytes are copied as long as there are packets, and lie
// in the frame's own otherwise (see [packetpool.Arrival]).
func (g *gate) application(d *datagram, offset int) (packetpool.Packet, error) {
	left := d.pkt.Data().Size() - offset
	if left == 0 {
		return packetpool.Allocate(g.inst.pool, packetpool.ReceivePacket, nx.NoWait)
	}
	arrival := g.inst.pool.Arrive(packetpool.Owner{Kind: packetpool.Application, Name: g.inst.name}, d.offset)
	views, skip := d.pkt.AsViewList()
	skip += offset
	for v := views.Front(); v != nil && left > 0; v = v.Next() {
		b := v.AsSlice()
		n := min(skip, len(b))
		skip -= n
		b = b[n:]
		b = b[:min(left, len(b))]
		left -= len(b)
		if err := arrival.Add(b); err != nil {
			if part := arrival.Message(); part != (packetpool.Packet{}) {
				_ = packetpool.Release(part) // ours since a moment ago
			}
			return packetpool.Packet{}, err
		}
	}
	return arrival.Message(), nil
}
