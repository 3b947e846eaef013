package ip

import (
	"bytes"
	"net/netip"
	"testing"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// ipv4Frame makes an IPv4 datagram.
func ipv4Frame(source, destination netip.Addr, protocol uint8, payload []byte) []byte {
	b := make([]byte, 20+len(payload))
	h := header.IPv4(b)
	h.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(b)), TTL: 64, Protocol: protocol, SrcAddr: toStack(source), DstAddr: toStack(destination),
	})
	h.SetChecksum(^h.CalculateChecksum())
	copy(b[20:], payload)
	return b
}

// ipv6Frame makes an IPv6 datagram.
func ipv6Frame(source, destination netip.Addr, next uint8, payload []byte) []byte {
	b := make([]byte, 40+len(payload))
	header.IPv6(b).Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(payload)), TransportProtocol: tcpip.TransportProtocolNumber(next), HopLimit: 64,
		SrcAddr: toStack(source), DstAddr: toStack(destination),
	})
	copy(b[40:], payload)
	return b
}

// tcpSegment makes a segment with a valid checksum.
func tcpSegment(source, destination netip.AddrPort, flags header.TCPFlags, payload []byte) []byte {
	b := make([]byte, 20+len(payload))
	h := header.TCP(b)
	h.Encode(&header.TCPFields{
		SrcPort: source.Port(), DstPort: destination.Port(), SeqNum: 1000, AckNum: 2000, DataOffset: 20, Flags: flags, WindowSize: 100,
	})
	copy(b[20:], payload)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, toStack(source.Addr()), toStack(destination.Addr()), uint16(len(b)))
	h.SetChecksum(^checksum.Checksum(b, sum))
	return b
}

// manual is an instance with everything on, on a wire that the test moves.
func manual(t *testing.T, pool *packetpool.Pool) (*Instance, *ram.Network) {
	t.Helper()
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := &Instance{Config: &Config{NoDAD: true, Recorder: new(nxtest.Recorder)}}
	require.NoError(t, Create(inst, "inst", addressA, mask24, pool, network.Driver(), 2048, 1))
	t.Cleanup(func() {
		if inst.Created() {
			require.NoError(t, Delete(inst))
		}
	})
	require.NoError(t, ICMPEnable(inst))
	require.NoError(t, IPv6Enable(inst))
	_, err := IPv6AddressSet(inst, 0, address6A, 64)
	require.NoError(t, err)
	return inst, network
}

// deliver puts frames on the wire and moves it until it is empty.
func deliver(network *ram.Network, frames ...[]byte) {
	for _, f := range frames {
		network.Inject(f)
	}
	drain(network)
}

func ap(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// TestGateRefuses: what NetX Duo's receive functions drop, with its counters,
// and the reason.
func TestGateRefuses(t *testing.T) {
	segment := tcpSegment(ap(addressB, 1), ap(addressA, 2), header.TCPFlagSyn, nil)
	segment6 := tcpSegment(ap(address6B, 1), ap(address6A, 2), header.TCPFlagSyn, nil)
	good := ipv4Frame(addressB, addressA, protocolTCP, segment)
	edit := func(frame []byte, at int, value byte) []byte {
		frame = bytes.Clone(frame)
		frame[at] = value
		return frame
	}
	badEcho := edit(ipv4Frame(addressB, addressA, protocolICMP, make([]byte, 8)), 20, icmpEcho)
	long := make([]byte, 8)
	for _, c := range []struct {
		name   string
		frame  []byte
		reason string
		want   Info // counters that are not zero; TotalPacketsReceived is always 1
	}{
		{"header checksum", edit(good, 8, 1), dropIPChecksum, Info{InvalidPackets: 1, ReceivePacketsDropped: 1, ReceiveChecksumErrors: 1}},
		{"no payload", ipv4Frame(addressB, addressA, protocolTCP, nil), dropBadHeader, Info{InvalidPackets: 1, ReceivePacketsDropped: 1}},
		{"somebody else's", ipv4Frame(addressB, absent, protocolTCP, segment), dropNotMine, Info{ReceivePacketsDropped: 1}},
		{"somebody else's, IPv6", ipv6Frame(address6B, absent6, protocolTCP, segment6), dropNotMine, Info{ReceivePacketsDropped: 1}},
		{"multicast not joined", ipv4Frame(addressB, IPAddress(224, 0, 0, 1), protocolICMP, long), dropNotMine, Info{ReceivePacketsDropped: 1}},
		{"another's detection", nd(netip.IPv6Unspecified(), solicitedNode(address6B), address6B, icmpv6NeighborSolicitation, 255), dropNotMine, Info{ReceivePacketsDropped: 1}},
		{"to loopback from the wire", ipv4Frame(addressB, IPAddress(127, 0, 0, 1), protocolTCP, segment), dropMartian, Info{ReceivePacketsDropped: 1}},
		{"from loopback from the wire", ipv4Frame(IPAddress(127, 0, 0, 1), addressA, protocolTCP, segment), dropMartian, Info{ReceivePacketsDropped: 1}},
		{"to IPv6 loopback from the wire", ipv6Frame(address6B, loopbackIPv6, protocolTCP, segment6), dropMartian, Info{ReceivePacketsDropped: 1}},
		{"from a broadcast address", ipv4Frame(IPAddress(1, 2, 3, 255), addressA, protocolTCP, segment), dropBadSource, Info{ReceivePacketsDropped: 1}},
		{"from a multicast address", ipv4Frame(IPAddress(224, 1, 1, 1), addressA, protocolTCP, segment), dropBadSource, Info{ReceivePacketsDropped: 1}},
		{"TCP", good, dropNoTCP, Info{ReceivePacketsDropped: 1}},
		{"TCP, IPv6", ipv6Frame(address6B, address6A, protocolTCP, segment6), dropNoTCP, Info{ReceivePacketsDropped: 1}},
		{"UDP", ipv4Frame(addressB, addressA, protocolUDP, long), dropNoUDP, Info{ReceivePacketsDropped: 1}},
		{"UDP, IPv6", ipv6Frame(address6B, address6A, protocolUDP, long), dropNoUDP, Info{ReceivePacketsDropped: 1}},
		{"IGMP", ipv4Frame(addressB, addressA, protocolIGMP, long), dropNoIGMP, Info{ReceivePacketsDropped: 1}},
		{"ICMP checksum", badEcho, dropICMPChecksum, Info{TotalBytesReceived: 8}},
		{"ICMP short", ipv4Frame(addressB, addressA, protocolICMP, []byte{icmpEcho}), dropICMPChecksum, Info{TotalBytesReceived: 1}},
		{"ICMPv6 checksum", ipv6Frame(address6B, address6A, protocolICMPv6, []byte{icmpv6Echo, 0, 0, 0, 0, 0, 0, 0}), dropICMPChecksum, Info{TotalBytesReceived: 8}},
		{"extension header cut off", ipv6Frame(address6B, address6A, headerHopByHop, []byte{protocolTCP, 9}), dropTruncated, Info{InvalidPackets: 1, ReceivePacketsDropped: 1}},
		{"extension header too long", ipv6Frame(address6B, address6A, headerDestination, []byte{protocolTCP, 9, 0, 0, 0, 0, 0, 0}), dropTruncated, Info{InvalidPackets: 1, ReceivePacketsDropped: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inst, network := manual(t, nxtest.NewPool(t, 256, 8))
			deliver(network, c.frame)
			info := infoOf(t, inst)
			assert.Equal(t, map[string]uint64{c.reason: 1}, info.Drops)
			events := nxtest.Of[nx.DropEvent](inst.recorder.(*nxtest.Recorder))
			require.Len(t, events, 1)
			assert.Equal(t, c.reason, events[0].Reason)
			assert.Equal(t, nx.Received, events[0].Direction)
			c.want.TotalPacketsReceived, c.want.Drops = 1, info.Drops
			assert.Equal(t, c.want, info, "and nothing was sent")
		})
	}
}

// TestGateWithoutIPv6: the version is unknown before nxd_ipv6_enable.
func TestGateWithoutIPv6(t *testing.T) {
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, nil)
	_, err := IPv6AddressSet(inst, 0, address6A, 64)
	require.NoError(t, err)
	deliver(network, ipv6Frame(address6B, address6A, protocolUDP, make([]byte, 8)))
	assert.Equal(t, Info{TotalPacketsReceived: 1, InvalidPackets: 1, ReceivePacketsDropped: 1, Drops: map[string]uint64{dropNoIPv6: 1}}, infoOf(t, inst))
}

// TestGateCutsPadding: bytes behind the datagram are not part of it.
func TestGateCutsPadding(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 8))
	require.NoError(t, RawPacketEnable(inst))
	deliver(network, append(ipv4Frame(addressB, addressA, 253, []byte("data")), make([]byte, 30)...))
	packet, err := RawPacketReceive(inst, nx.NoWait)
	require.NoError(t, err)
	requireData(t, packet, "data")
}

func requireData(t *testing.T, packet packetpool.Packet, want string) {
	t.Helper()
	length, err := packetpool.LengthGet(packet)
	require.NoError(t, err)
	got := make([]byte, length)
	_, err = packetpool.DataRetrieve(packet, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
	require.NoError(t, packetpool.Release(packet))
}

// TestGateTooLong: what is longer than the MTU is dropped and counted.
func TestGateTooLong(t *testing.T) {
	a, b, _ := pair(t)
	for _, address := range []netip.Addr{addressB, address6B} {
		_, err := ICMPPing(a, address, pingData(1500), nx.NoWait)
		requireStatus(t, nx.NoResponse, err)
	}
	info := infoOf(t, a)
	assert.EqualValues(t, 2, info.SendPacketsDropped)
	assert.Zero(t, info.TotalPacketsSent)
	assert.Equal(t, map[string]uint64{dropTooLong: 2}, info.Drops)
	assert.Zero(t, infoOf(t, b).TotalPacketsReceived)
	requirePing(t, a, addressA, 1500) // what stays inside is not limited
	require.NoError(t, InterfaceMTUSet(a, 0, 100))
	_, err := ICMPPing(a, addressB, pingData(73), nx.NoWait)
	requireStatus(t, nx.NoResponse, err)
	assert.EqualValues(t, 3, infoOf(t, a).SendPacketsDropped)
	requirePing(t, a, addressB, 72)
}

// TestUnknownProtocol: the sender is told, when ICMP is on.
func TestUnknownProtocol(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 16))
	network.Inject(ipv4Frame(addressB, addressA, 200, []byte("data")))
	network.Inject(ipv6Frame(address6B, address6A, 200, []byte("data")))
	_, _ = network.Step()
	_, _ = network.Step()
	frames := network.Waiting()
	require.Len(t, frames, 2)
	unreachable := header.ICMPv4(header.IPv4(frames[0].Data).Payload())
	assert.Equal(t, header.ICMPv4DstUnreachable, unreachable.Type())
	assert.Equal(t, header.ICMPv4ProtoUnreachable, unreachable.Code())
	problem := header.ICMPv6(header.IPv6(frames[1].Data).Payload())
	assert.Equal(t, header.ICMPv6ParamProblem, problem.Type())
	assert.Equal(t, header.ICMPv6UnknownHeader, problem.Code())
	assert.Equal(t, map[string]uint64{dropUnknown: 2}, infoOf(t, inst).Drops)
	drain(network)
}

// FuzzInput: no frame does harm, and none keeps packets.
func FuzzInput(f *testing.F) {
	segment := tcpSegment(ap(addressB, 1), ap(addressA, 2), header.TCPFlagSyn, []byte("data"))
	f.Add(ipv4Frame(addressB, addressA, protocolTCP, segment), true)
	f.Add(ipv4Frame(addressB, addressA, protocolICMP, []byte{icmpEcho, 0, 0xF7, 0xFF, 0, 0, 0, 0}), true)
	f.Add(ipv6Frame(address6B, address6A, protocolTCP, segment), false)
	f.Add(ipv6Frame(address6B, address6A, headerFragment, []byte{protocolTCP, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8}), true)
	f.Add(nd(netip.IPv6Unspecified(), solicitedNode(address6A), address6A, icmpv6NeighborSolicitation, 255), true)
	f.Add([]byte{0x46, 0, 0, 24}, false)
	f.Fuzz(func(t *testing.T, frame []byte, straddle bool) {
		payload := uint32(1536)
		if straddle {
			payload = 16 // headers lie in several packets
		}
		inst, network := manual(t, nxtest.NewPool(t, payload, 256))
		require.NoError(t, FragmentEnable(inst))
		require.NoError(t, RawPacketEnable(inst))
		inst.SetTransport(new(passing))
		deliver(network, frame, frame)
		inst.SetTransport(nil)
	})
}
