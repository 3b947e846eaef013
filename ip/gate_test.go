package ip

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
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

// TestTransportSeesSegments: every segment of a connection crosses the gate
// once on each side, with the addresses as seen from that side, also a
// connection of an instance with itself.
func TestTransportSeesSegments(t *testing.T) {
	a, b, _ := pair(t)
	ta, tb := &passing{changed: make(chan struct{}, 1)}, &passing{changed: make(chan struct{}, 1)}
	a.SetTransport(ta)
	b.SetTransport(tb)
	exchange(t, a, b, addressB)
	requireMirror(t, ta, tb)
	in, out := ta.seen()
	assert.Equal(t, header.TCPFlagSyn, out[0].TCP.Flags())
	assert.Equal(t, ap(addressB, 80), out[0].Remote)
	assert.Equal(t, addressA, out[0].Local.Addr())
	assert.Equal(t, header.TCPFlagSyn|header.TCPFlagAck, in[0].TCP.Flags())
	assert.Equal(t, out[0].Remote, in[0].Remote)
	assert.Equal(t, out[0].Local, in[0].Local)
	total := 0
	for _, s := range out {
		assert.False(t, s.Damaged)
		assert.Zero(t, s.GSOSize)
		total += s.Payload
	}
	assert.Equal(t, len("hello"), total)

	exchange(t, a, b, address6B)
	requireMirror(t, ta, tb)
	assert.Empty(t, infoOf(t, a).Drops)
	assert.Empty(t, infoOf(t, b).Drops)
	a.SetTransport(nil)
	b.SetTransport(nil)
}

// TestTransportSeesItself: a connection of an instance with itself crosses the
// gate twice.
func TestTransportSeesItself(t *testing.T) {
	a, _, _ := pair(t)
	transport := &passing{changed: make(chan struct{}, 1)}
	a.SetTransport(transport)
	for _, address := range []netip.Addr{addressA, IPAddress(127, 0, 0, 1), address6A, loopbackIPv6} {
		exchange(t, a, a, address)
		requireMirror(t, transport, transport)
	}
	assert.Empty(t, infoOf(t, a).Drops)
	a.SetTransport(nil)
}

// exchange opens a connection from one instance to another, sends a word, and
// closes it.
func exchange(t *testing.T, from, to *Instance, address netip.Addr) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client, server, clientQueue, serverQueue := connect(ctx, t, from, to, address)
	defer client.Abort()
	defer server.Abort()
	awaitReady(ctx, t, clientQueue, waiter.WritableEvents, func() tcpip.Error {
		_, terr := client.Write(bytes.NewReader([]byte("hello")), tcpip.WriteOptions{})
		return terr
	})
	var got bytes.Buffer
	awaitReady(ctx, t, serverQueue, waiter.ReadableEvents, func() tcpip.Error {
		_, terr := server.Read(&got, tcpip.ReadOptions{})
		return terr
	})
	require.Equal(t, "hello", got.String())
}

// connect opens a connection between the stacks of two instances.
func connect(ctx context.Context, t *testing.T, from, to *Instance, address netip.Addr) (client, server tcpip.Endpoint, clientQueue, serverQueue *waiter.Queue) {
	t.Helper()
	protocol := protocolOf(address)
	var listening waiter.Queue
	listener, terr := to.stack.NewEndpoint(tcp.ProtocolNumber, protocol, &listening)
	require.Nil(t, terr)
	defer listener.Close()
	// Without the window rule segments that came out of order could take all
	// packets of the pool, and the one that is missing would find none, for ever.
	fixed := tcpip.TCPModerateReceiveBufferOption(false)
	require.Nil(t, to.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &fixed))
	window, _ := to.ReceiveLimit(address.Is6())
	listener.SocketOptions().SetReceiveBufferSize(int64(window), true)
	require.Nil(t, listener.Bind(tcpip.FullAddress{Addr: toStack(address), Port: 80}))
	require.Nil(t, listener.Listen(1))

	route, err := from.RouteFind(address)
	require.NoError(t, err)
	clientQueue = new(waiter.Queue)
	client, terr = from.stack.NewEndpoint(tcp.ProtocolNumber, protocol, clientQueue)
	require.Nil(t, terr)
	require.Nil(t, client.Bind(tcpip.FullAddress{Addr: toStack(route.Source)}))
	terr = client.Connect(tcpip.FullAddress{Addr: toStack(address), Port: 80})
	require.IsType(t, &tcpip.ErrConnectStarted{}, terr)
	awaitReady(ctx, t, &listening, waiter.ReadableEvents, func() (terr tcpip.Error) {
		server, serverQueue, terr = listener.Accept(nil)
		return terr
	})
	return client, server, clientQueue, serverQueue
}

// awaitReady does something again, whenever an endpoint tells of an event, until
// it would not block. False: it failed, and so has the test.
func awaitReady(ctx context.Context, t *testing.T, q *waiter.Queue, events waiter.EventMask, do func() tcpip.Error) bool {
	t.Helper()
	entry, ready := waiter.NewChannelEntry(events)
	q.EventRegister(&entry)
	defer q.EventUnregister(&entry)
	for {
		terr := do()
		if _, again := terr.(*tcpip.ErrWouldBlock); !again {
			return assert.Nil(t, terr, "%v", terr)
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return assert.Fail(t, "nothing happens")
		}
	}
}

// TestTransportEdits: a transport may rewrite headers, in both directions, and
// swallow segments; the checksum is right afterwards.
func TestTransportEdits(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 16))
	transport := &passing{edit: func(s *Segment, out bool) bool {
		if out {
			s.TCP.SetWindowSize(4321)
			s.TCP.SetSequenceNumber(77)
		}
		return s.Remote.Port() != 99
	}}
	inst.SetTransport(transport)
	for _, c := range []struct{ remote, local netip.Addr }{{addressB, addressA}, {address6B, address6A}} {
		frame := func(port uint16) []byte {
			segment := tcpSegment(ap(c.remote, port), ap(c.local, 80), header.TCPFlagSyn, []byte("odd"))
			if c.remote.Is4() {
				return ipv4Frame(c.remote, c.local, protocolTCP, segment)
			}
			return ipv6Frame(c.remote, c.local, protocolTCP, segment)
		}
		network.Inject(frame(98)) // nobody listens: the stack resets it
		network.Inject(frame(99)) // swallowed
		_, _ = network.Step()
		_, _ = network.Step()
		frames := network.Waiting()
		require.Len(t, frames, 1)
		f := frames[0].Data
		offset := len(f) - 20
		reset := header.TCP(f[offset:])
		assert.Equal(t, header.TCPFlagRst|header.TCPFlagAck, reset.Flags())
		assert.EqualValues(t, 4321, reset.WindowSize())
		assert.EqualValues(t, 77, reset.SequenceNumber())
		assert.True(t, reset.IsChecksumValid(toStack(c.local), toStack(c.remote), 0, 0))
		drain(network)
	}
	in, _ := transport.seen()
	assert.Len(t, in, 4)
	assert.Equal(t, map[string]uint64{dropByTransport: 2}, infoOf(t, inst).Drops)
	inst.SetTransport(nil)
}

// TestTransportSeesDamage: a segment with a wrong checksum is shown, marked, and
// goes no further; one with a malformed header is not even shown.
func TestTransportSeesDamage(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 16))
	transport := new(passing)
	inst.SetTransport(transport)
	segment := tcpSegment(ap(addressB, 1), ap(addressA, 2), header.TCPFlagSyn, []byte("data"))
	segment[20] ^= 1
	malformed := tcpSegment(ap(addressB, 1), ap(addressA, 2), header.TCPFlagSyn, nil)
	malformed[12] = 4 << 4
	beyond := bytes.Clone(malformed)
	beyond[12] = 15 << 4
	deliver(network,
		ipv4Frame(addressB, addressA, protocolTCP, segment),
		ipv4Frame(addressB, addressA, protocolTCP, malformed),
		ipv4Frame(addressB, addressA, protocolTCP, beyond),
		ipv4Frame(addressB, addressA, protocolTCP, malformed[:19]))
	in, out := transport.seen()
	require.Len(t, in, 1)
	assert.True(t, in[0].Damaged)
	assert.Empty(t, out, "no reset")
	assert.Equal(t, map[string]uint64{dropTCPChecksum: 1, dropBadSegment: 3}, infoOf(t, inst).Drops)
	inst.SetTransport(nil)
}

// TestTentativeTakesNoSegments: TCP to an address under detection is dropped.
func TestTentativeTakesNoSegments(t *testing.T) {
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, &Config{Clock: new(nxtest.Clock)})
	require.NoError(t, ICMPEnable(inst))
	require.NoError(t, IPv6Enable(inst))
	_, err := IPv6AddressSet(inst, 0, address6A, 64)
	require.NoError(t, err)
	transport := new(passing)
	inst.SetTransport(transport)
	deliver(network, ipv6Frame(address6B, address6A, protocolTCP, tcpSegment(ap(address6B, 1), ap(address6A, 2), header.TCPFlagSyn, nil)))
	in, _ := transport.seen()
	assert.Empty(t, in)
	assert.Equal(t, map[string]uint64{dropTentative: 1}, infoOf(t, inst).Drops)
	inst.SetTransport(nil)
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

// foreign is a driver whose frames come in memory of its own, as those behind a
// wrapper that holds frames do.
type foreign struct{ link.Driver }

func (f foreign) Open(a link.Attachment) (link.Endpoint, error) {
	a.Pool = nil
	return f.Driver.Open(a)
}

// TestFramesTakePackets is the inbound half of the pool's promise: a frame lives
// in packets of the pool until the program has released what it received, and
// one for which there are none is dropped and counted: by the link if that reads
// into packets, by the gate otherwise.
func TestFramesTakePackets(t *testing.T) {
	for name, wrap := range map[string]func(link.Driver) link.Driver{
		"read into packets":   func(d link.Driver) link.Driver { return d },
		"copied into packets": func(d link.Driver) link.Driver { return foreign{d} },
	} {
		t.Run(name, func(t *testing.T) {
			const packets = 4
			pool := nxtest.NewPool(t, 128, packets)
			network := ram.NewNetwork(ram.Config{Manual: true})
			inst := new(Instance)
			require.NoError(t, Create(inst, "inst", addressA, mask24, pool, wrap(network.Driver()), 2048, 1))
			defer func() { require.NoError(t, Delete(inst)) }()
			require.NoError(t, RawPacketEnable(inst))
			free := func() uint32 {
				info, err := packetpool.PoolInfoGet(pool)
				require.NoError(t, err)
				return info.FreePackets
			}
			lost := func() uint64 { return infoOf(t, inst).Drops[dropPoolEmpty] + inst.Link().Drops[dropPoolEmpty] }
			frame := func(text string) []byte { return ipv4Frame(addressB, addressA, 200, []byte(text)) }
			long := string(bytes.Repeat([]byte("x"), 200)) // 220 bytes: two packets

			deliver(network, frame("one"), frame(long), frame("four"))
			assert.Zero(t, free())
			assert.Equal(t, []packetpool.Holding{{
				Owner: packetpool.Owner{Kind: packetpool.Application, Name: "inst"}, Packets: packets,
			}}, pool.Holders())
			deliver(network, frame("five"))
			assert.EqualValues(t, 1, lost())
			assert.EqualValues(t, 3, infoOf(t, inst).TotalPacketsReceived, "the IP layer has not seen it")

			first, err := RawPacketReceive(inst, nx.NoWait)
			require.NoError(t, err)
			assert.Zero(t, free(), "received is not released")
			requireData(t, first, "one")
			assert.EqualValues(t, 1, free())
			deliver(network, frame(long))
			assert.EqualValues(t, 2, lost(), "one packet does not hold it")
			deliver(network, frame("six"))
			for _, want := range []string{long, "four", "six"} {
				packet, err := RawPacketReceive(inst, nx.NoWait)
				require.NoError(t, err)
				requireData(t, packet, want)
			}
			_, err = RawPacketReceive(inst, nx.NoWait)
			requireStatus(t, nx.NoPacket, err)
			assert.EqualValues(t, packets, free())
		})
	}
}

// TestReceivedBytesAreThePools: what the program received lies in packets of the
// pool, whose memory serves again and again, and in front of it is room for the IP
// header that it came with, so that it can be sent on, with packets to spare or
// without.
func TestReceivedBytesAreThePools(t *testing.T) {
	pool := nxtest.NewPool(t, 256, 4)
	inst, network := manual(t, pool)
	require.NoError(t, RawPacketEnable(inst))
	deliver(network, ipv4Frame(addressB, addressA, 253, []byte("first")))
	packet, err := RawPacketReceive(inst, nx.NoWait)
	require.NoError(t, err)
	requireData(t, packet, "first")
	for _, held := range []int{0, 3} {
		for range held {
			taken, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
			require.NoError(t, err)
			defer func() { require.NoError(t, packetpool.Release(taken)) }()
		}
		deliver(network, ipv4Frame(addressB, addressA, 253, []byte("there and back")))
		packet, err = RawPacketReceive(inst, nx.NoWait)
		require.NoError(t, err)
		room, err := packetpool.HeadRoom(packet)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, room, uint32(20), "%d packets held", held)
		require.NoError(t, RawPacketSend(inst, packet, addressB, 253, 9, 0))
		sent := network.Waiting()
		require.Len(t, sent, 1)
		assert.Equal(t, "there and back", string(header.IPv4(sent[0].Data).Payload()))
		drain(network)
	}
	for range 10 { // the same packets, again and again
		deliver(network, ipv4Frame(addressB, addressA, 253, []byte("again")))
		packet, err := RawPacketReceive(inst, nx.NoWait)
		require.NoError(t, err)
		requireData(t, packet, "again")
	}
}

// TestLoopNeedsPackets: what an instance sends to itself takes packets too, and
// without them the send is counted as dropped.
func TestLoopNeedsPackets(t *testing.T) {
	pool := nxtest.NewPool(t, 128, 3)
	inst, _ := manual(t, pool)
	requirePing(t, inst, addressA, 20)
	held, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)
	_, err = ICMPPing(inst, addressA, pingData(84), nx.NoWait) // one packet: its copy takes one, the copy of the reply one
	requireStatus(t, nx.NoResponse, err)
	assert.Equal(t, map[string]uint64{dropNoWaiter: 1}, infoOf(t, inst).Drops)
	_, err = ICMPPing(inst, addressA, pingData(101), nx.NoWait) // two packets, and the copy of the reply finds none
	requireStatus(t, nx.NoResponse, err)
	assert.Equal(t, map[string]uint64{dropNoWaiter: 1, dropPoolEmpty: 1}, infoOf(t, inst).Drops)
	assert.EqualValues(t, 1, infoOf(t, inst).SendPacketsDropped)
	require.NoError(t, packetpool.Release(held))
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

// TestICMPErrorsReachTCP: a connection attempt ends when the network says that
// the destination is not there, though ICMP is not enabled.
func TestICMPErrorsReachTCP(t *testing.T) {
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, nil)
	inst.SetTransport(new(passing))
	var q waiter.Queue
	client, terr := inst.stack.NewEndpoint(tcp.ProtocolNumber, header.IPv4ProtocolNumber, &q)
	require.Nil(t, terr)
	defer client.Abort()
	require.Nil(t, client.Bind(tcpip.FullAddress{Addr: toStack(addressA)}))
	require.IsType(t, &tcpip.ErrConnectStarted{}, client.Connect(tcpip.FullAddress{Addr: toStack(addressB), Port: 80}))
	syn, ok := network.Step()
	require.True(t, ok)
	message := append([]byte{icmpUnreachable, 1, 0, 0, 0, 0, 0, 0}, syn.Data[:28]...)
	sum := ^checksum.Checksum(message, 0)
	message[2], message[3] = byte(sum>>8), byte(sum)
	deliver(network, ipv4Frame(absent, addressA, protocolICMP, message))
	assert.IsType(t, &tcpip.ErrHostUnreachable{}, client.LastError())
	assert.Empty(t, infoOf(t, inst).Drops)
	inst.SetTransport(nil)
}

// TestRouterAdvertisementIgnored: it makes no router and no address.
func TestRouterAdvertisementIgnored(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 8))
	linkLocal := netip.MustParseAddr("fe80::1")
	message := make([]byte, 48) // RFC 4861 section 4.2, with a prefix (section 4.6.2)
	message[0], message[4], message[7] = 134, 64, 200
	copy(message[16:], []byte{3, 4, 64, 0xC0, 0, 0, 0xFF, 0, 0, 0, 0xFF, 0})
	prefix := offLink6.As16()
	copy(message[32:], prefix[:8])
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, toStack(linkLocal), toStack(allNodes), uint16(len(message)))
	sum = ^checksum.Checksum(message, sum)
	message[2], message[3] = byte(sum>>8), byte(sum)
	frame := ipv6Frame(linkLocal, allNodes, protocolICMPv6, message)
	frame[7] = 255
	deliver(network, frame)
	assert.Equal(t, map[string]uint64{dropUnhandledICMP: 1}, infoOf(t, inst).Drops)
	n, err := IPv6DefaultRouterNumberOfEntriesGet(inst, 0)
	require.NoError(t, err)
	assert.Zero(t, n)
	_, _, _, err = IPv6AddressGet(inst, 1)
	requireStatus(t, nx.NoInterfaceAddress, err)
}
