package ip

import (
	"net/netip"
	"testing"

	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// swallowing is a transport that takes every segment: what is measured is the
// gate.
type swallowing struct{ discarding }

func (*swallowing) SegmentIn(*Segment) bool { return false }

// BenchmarkGateIn is the cost of the gate for a segment that the link read into
// packets and vouched for.
func BenchmarkGateIn(b *testing.B) {
	for name, c := range map[string]struct{ from, to netip.Addr }{
		"IPv4": {addressB, addressA}, "IPv6": {address6B, address6A},
	} {
		b.Run(name, func(b *testing.B) {
			pool := nxtest.NewPool(b, 2048, 16)
			var inst Instance
			require.NoError(b, Create(&inst, "bench", addressA, mask24, pool, ram.NewNetwork(ram.Config{Manual: true}).Driver(), 2048, 1))
			require.NoError(b, IPv6Enable(&inst))
			_, err := IPv6AddressSet(&inst, 0, address6A, 64)
			require.NoError(b, err)
			inst.SetTransport(new(swallowing))
			segment := tcpSegment(ap(c.from, 1), ap(c.to, 2), header.TCPFlagAck, make([]byte, 1400))
			frame := ipv4Frame
			protocol := header.IPv4ProtocolNumber
			if c.to.Is6() {
				frame, protocol = ipv6Frame, header.IPv6ProtocolNumber
			}
			data := frame(c.from, c.to, protocolTCP, segment)
			var in packetpool.Inbound
			in.Init(pool)
			b.ReportAllocs()
			for b.Loop() {
				copy(in.Reserve(len(data))[0], data)
				payload, f := in.Commit(len(data), link.HeaderBytes([][]byte{data}, len(data)))
				pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
				pkt.RXChecksumValidated = true
				inst.gate.DeliverNetworkPacket(protocol, pkt)
				views, _ := pkt.AsViewList()
				f.Reclaim(views)
				pkt.DecRef()
			}
			in.Return()
			require.NoError(b, Delete(&inst))
		})
	}
}

// BenchmarkGateOut is the cost of the gate for a segment that leaves; the wire
// takes it and forgets it.
func BenchmarkGateOut(b *testing.B) {
	pool := nxtest.NewPool(b, 2048, 16)
	var inst Instance
	network := ram.NewNetwork(ram.Config{Manual: true, Hook: func(ram.Frame) ram.Verdict { return ram.Drop }})
	require.NoError(b, Create(&inst, "bench", addressA, mask24, pool, network.Driver(), 2048, 1))
	inst.SetTransport(new(discarding))
	segment := tcpSegment(ap(addressA, 1), ap(addressB, 2), header.TCPFlagAck, make([]byte, 1400))
	data := ipv4Frame(addressA, addressB, protocolTCP, segment)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 40, Payload: buffer.MakeWithData(data[40:])})
	copy(pkt.TransportHeader().Push(20), data[20:40])
	copy(pkt.NetworkHeader().Push(20), data[:20])
	pkt.NetworkProtocolNumber, pkt.TransportProtocolNumber = header.IPv4ProtocolNumber, header.TCPProtocolNumber
	b.ReportAllocs()
	for b.Loop() {
		if !inst.gate.output(pkt) {
			b.Fatal(inst.counters.dropped())
		}
	}
	pkt.DecRef()
	require.NoError(b, Delete(&inst))
}

// BenchmarkCreate is an instance's life, without a device.
func BenchmarkCreate(b *testing.B) {
	pool := nxtest.NewPool(b, 1536, 16)
	driver := ram.NewNetwork(ram.Config{}).Driver()
	b.ReportAllocs()
	for b.Loop() {
		var inst Instance
		require.NoError(b, Create(&inst, "bench", addressA, mask24, pool, driver, 2048, 1))
		require.NoError(b, Delete(&inst))
	}
}
