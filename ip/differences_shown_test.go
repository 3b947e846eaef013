package ip

import (
	"testing"

	"gonetx/ip/link/linktest"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Tests of what Differences lists and no other test shows.

// TestNothingIsResolved: a datagram to a neighbor that nobody knows leaves at
// once, with ARP enabled too, and nothing asks for an address.
func TestNothingIsResolved(t *testing.T) {
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, &Config{NoDAD: true})
	require.NoError(t, ARPEnable(inst, 3*52))
	require.NoError(t, ICMPEnable(inst))
	require.NoError(t, IPv6Enable(inst))
	_, err := IPv6AddressSet(inst, 0, address6A, 64)
	require.NoError(t, err)
	drain(network)
	requireStatus(t, nx.NoResponse, noErr(ICMPPing(inst, absent, pingData(3), nx.NoWait)))
	requireStatus(t, nx.NoResponse, noErr(ICMPPing(inst, address6B, pingData(3), nx.NoWait)))
	frames := network.Waiting()
	require.Len(t, frames, 2)
	assert.Equal(t, header.ICMPv4Echo, header.ICMPv4(header.IPv4(frames[0].Data).Payload()).Type())
	assert.Equal(t, header.ICMPv6EchoRequest, header.ICMPv6(header.IPv6(frames[1].Data).Payload()).Type())
	drain(network)
	info, err := ARPInfoGet(inst)
	require.NoError(t, err)
	assert.Zero(t, info.RequestsSent)
}

// TestIdentifications: those of pings count from 1, whatever TCP sends between
// them.
func TestIdentifications(t *testing.T) {
	var pings []uint16
	network := ram.NewNetwork(ram.Config{Hook: func(f ram.Frame) ram.Verdict {
		if h := header.IPv4(f.Data); f.From == "host "+addressA.String() && h.TransportProtocol() == header.ICMPv4ProtocolNumber {
			pings = append(pings, h.ID())
		}
		return ram.Pass
	}})
	a, b := host(t, network.Driver(), addressA, nil), host(t, network.Driver(), addressB, nil)
	for _, inst := range []*Instance{a, b} {
		require.NoError(t, ICMPEnable(inst))
		inst.SetTransport(&passing{changed: make(chan struct{}, 1)})
	}
	requirePing(t, a, addressB, 1)
	exchange(t, a, b, addressB)
	requirePing(t, a, addressB, 1)
	assert.Equal(t, []uint16{1, 2}, pings)
	a.SetTransport(nil)
	b.SetTransport(nil)
}

// TestLoopbackHasTheLinksMTU: what an instance sends itself is no longer than
// what its interface carries.
func TestLoopbackHasTheLinksMTU(t *testing.T) {
	inst := oneHost(t, nil)
	for _, mtu := range []uint32{1500, 600} {
		require.NoError(t, InterfaceMTUSet(inst, 0, mtu))
		route, err := inst.RouteFind(IPAddress(127, 0, 0, 1))
		require.NoError(t, err)
		assert.Equal(t, uint(loopbackInterface), route.InterfaceIndex)
		assert.Equal(t, mtu, route.MTU)
		_, mss := inst.ReceiveLimit(false)
		assert.Equal(t, mtu-40, mss)
	}
}

// TestSuperSegmentIsOne: what the device makes three segments of counts as one
// datagram.
func TestSuperSegmentIsOne(t *testing.T) {
	device := &linktest.Device{GSO: stack.HostGSOSupported}
	inst := host(t, device, addressA, nil)
	inst.SetTransport(&passing{changed: make(chan struct{}, 1)})
	defer inst.SetTransport(nil)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.IPv4MinimumSize + header.TCPMinimumSize, Payload: buffer.MakeWithData(make([]byte, 3000)),
	})
	defer pkt.DecRef()
	pkt.NetworkProtocolNumber, pkt.TransportProtocolNumber = header.IPv4ProtocolNumber, header.TCPProtocolNumber
	pkt.GSOOptions = stack.GSO{Type: stack.GSOTCPv4, NeedsCsum: true, MSS: 1000}
	header.TCP(pkt.TransportHeader().Push(header.TCPMinimumSize)).Encode(&header.TCPFields{DataOffset: header.TCPMinimumSize})
	header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize)).Encode(&header.IPv4Fields{
		TotalLength: uint16(pkt.Size()), TTL: 64, Protocol: uint8(header.TCPProtocolNumber),
		SrcAddr: toStack(addressA), DstAddr: toStack(addressB),
	})
	var list stack.PacketBufferList
	list.PushBack(pkt)
	_, terr := inst.gate.WritePackets(list)
	require.Nil(t, terr)
	require.Len(t, device.Sent(), 1)
	assert.EqualValues(t, 1, infoOf(t, inst).TotalPacketsSent)
}
