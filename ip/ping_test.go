package ip

import (
	"net/netip"
	"testing"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func pingData(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// requirePing pings and compares what comes back.
func requirePing(t *testing.T, inst *Instance, address netip.Addr, size int) {
	t.Helper()
	data := pingData(size)
	response, err := ICMPPing(inst, address, data, nx.Ticks(5*time.Second))
	require.NoError(t, err, "%v", infoOf(t, inst).Drops)
	length, err := packetpool.LengthGet(response)
	require.NoError(t, err)
	require.EqualValues(t, size, length)
	got := make([]byte, size+1)
	n, err := packetpool.DataExtractOffset(response, 0, got)
	require.NoError(t, err)
	require.Equal(t, data, got[:n])
	require.NoError(t, packetpool.Release(response))
}

func TestPing(t *testing.T) {
	a, b, _ := pair(t)
	for name, address := range map[string]netip.Addr{
		"IPv4":             addressB,
		"IPv4 itself":      addressA,
		"IPv4 loopback":    IPAddress(127, 0, 0, 1),
		"IPv4 broadcast":   IPAddress(255, 255, 255, 255),
		"subnet broadcast": IPAddress(1, 2, 3, 255),
		"IPv6":             address6B,
		"IPv6 itself":      address6A,
		"IPv6 loopback":    netip.IPv6Loopback(),
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{0, 1, 28, 1000, 1440} {
				requirePing(t, a, address, size)
			}
		})
	}
	info, err := ICMPInfoGet(a)
	require.NoError(t, err)
	assert.Equal(t, ICMPInfo{PingsSent: 40, PingResponsesReceived: 40}, info)
	info, err = ICMPInfoGet(b)
	require.NoError(t, err)
	assert.Equal(t, ICMPInfo{}, info)
}

// TestPingCounters are the recorded numbers of ip_info_after_ping.
func TestPingCounters(t *testing.T) {
	for name, c := range map[string]struct {
		address netip.Addr
		bytes   uint32
	}{"IPv4": {addressB, 36}, "IPv6": {address6B, 36}} {
		t.Run(name, func(t *testing.T) {
			a, b, _ := pair(t)
			requirePing(t, a, c.address, 28)
			for _, inst := range []*Instance{a, b} {
				assert.Equal(t, Info{
					TotalPacketsSent: 1, TotalBytesSent: c.bytes, TotalPacketsReceived: 1, TotalBytesReceived: c.bytes,
				}, infoOf(t, inst))
			}
		})
	}
}

func TestPingChecks(t *testing.T) {
	inst := oneHost(t, nil)
	zero := IPAddress(0, 0, 0, 0)
	pinging := func(a netip.Addr) error { return noErr(ICMPPing(inst, a, nil, nx.NoWait)) }
	source := func(a netip.Addr, index uint) error { return noErr(ICMPSourcePing(inst, a, index, nil, nx.NoWait)) }
	run(t,
		step{"no address", pinging(netip.Addr{}), nx.IPAddressError},
		step{"zero", pinging(zero), nx.IPAddressError},
		step{"IPv4 off", pinging(offLink), nx.NotEnabled},
		step{"IPv6 off", pinging(offLink6), nx.NotEnabled},
		step{"info", noErr(ICMPInfoGet(inst)), nx.NotEnabled},
		step{"source: no address", source(netip.Addr{}, 9), nx.IPAddressError},
		step{"source: interface", source(addressB, 2), nx.InvalidInterface},
		step{"source: IPv4 off", source(addressB, 0), nx.NotEnabled},
		step{"source: IPv6 index", source(address6B, 4), nx.InvalidInterface},
		step{"source: no such IPv6 address", source(address6B, 0), nx.InvalidInterface},
		step{"enable IPv4", ICMPv4Enable(inst), nx.Success},
		step{"again", ICMPv4Enable(inst), nx.AlreadyEnabled},
		step{"IPv6 still off", pinging(offLink6), nx.NotEnabled},
		step{"enable both", ICMPEnable(inst), nx.Success},
		step{"both again", ICMPEnable(inst), nx.Success},
		step{"IPv4 after both", ICMPv4Enable(inst), nx.AlreadyEnabled},
		step{"ICMPv6 without IPv6", pinging(offLink6), nx.NotEnabled},
		step{"IPv6", IPv6Enable(inst), nx.Success},
		step{"no IPv6 source", pinging(offLink6), nx.NoInterfaceAddress},
		step{"IPv6 unspecified", pinging(netip.IPv6Unspecified()), nx.NoInterfaceAddress},
		step{"IPv6 multicast without a link-local source", pinging(netip.MustParseAddr("ff02::1")), nx.NoInterfaceAddress},
		step{"no route", pinging(offLink), nx.IPAddressError},
		step{"no wait", pinging(absent), nx.NoResponse},
		step{"source: no route", source(offLink, 0), nx.NoResponse},
	)
	info, err := ICMPInfoGet(inst)
	require.NoError(t, err)
	assert.Equal(t, ICMPInfo{PingsSent: 2}, info, "what was not sent is not counted; the one without a route was")
	assert.Equal(t, map[string]uint64{dropNoRoute: 1}, infoOf(t, inst).Drops)
}

// TestSourcePing: the datagram leaves from the source that was asked for.
func TestSourcePing(t *testing.T) {
	network := ram.NewNetwork(ram.Config{Manual: true})
	a := host(t, network.Driver(), addressA, &Config{NoDAD: true})
	require.NoError(t, ICMPEnable(a))
	require.NoError(t, IPv6Enable(a))
	for _, source := range []netip.Addr{address6A, absent6} {
		_, err := IPv6AddressSet(a, 0, source, 64)
		require.NoError(t, err)
	}
	for _, c := range []struct {
		address, source netip.Addr
		index           uint
	}{{addressB, addressA, 0}, {address6B, address6A, 0}, {address6B, absent6, 1}} {
		requireStatus(t, nx.NoResponse, noErr(ICMPSourcePing(a, c.address, c.index, nil, nx.NoWait)))
		f, ok := network.Step()
		require.True(t, ok)
		if c.address.Is4() {
			assert.Equal(t, c.source, fromStack(header.IPv4(f.Data).SourceAddress()))
		} else {
			assert.Equal(t, c.source, fromStack(header.IPv6(f.Data).SourceAddress()))
		}
	}
	for index, loopback := range map[uint]netip.Addr{1: IPAddress(127, 0, 0, 1), 3: loopbackIPv6} {
		response, err := ICMPSourcePing(a, loopback, index, pingData(4), nx.WaitForever)
		require.NoError(t, err)
		require.NoError(t, packetpool.Release(response))
	}
}

// TestPingSmallPool: the request takes packets, and a pool that is too small
// or empty says so.
func TestPingSmallPool(t *testing.T) {
	pinging := func(payload, packets uint32, address netip.Addr, size int) error {
		pool := nxtest.NewPool(t, payload, packets)
		inst := new(Instance)
		require.NoError(t, Create(inst, "small", addressA, mask24, pool, ram.NewNetwork(ram.Config{}).Driver(), 2048, 1))
		require.NoError(t, ICMPEnable(inst))
		require.NoError(t, IPv6Enable(inst))
		_, err := ICMPPing(inst, address, pingData(size), nx.NoWait)
		require.NoError(t, Delete(inst))
		return err
	}
	run(t,
		step{"no room for the headers, IPv4", pinging(40, 64, IPAddress(127, 0, 0, 1), 1), nx.InvalidParameters},
		step{"no room for the headers, IPv6", pinging(60, 64, loopbackIPv6, 1), nx.InvalidParameters},
		step{"too few packets, IPv4", pinging(64, 3, IPAddress(127, 0, 0, 1), 200), nx.NoPacket},
		step{"too few packets, IPv6", pinging(64, 3, loopbackIPv6, 200), nx.Overflow},
		step{"chained", pinging(64, 64, IPAddress(127, 0, 0, 1), 200), nx.NoResponse},
	)
}

// TestPingChain: a reply longer than a packet is a chain.
func TestPingChain(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	make := func(name string, address netip.Addr, payload, packets uint32) *Instance {
		inst := new(Instance)
		require.NoError(t, Create(inst, name, address, mask24, nxtest.NewPool(t, payload, packets), network.Driver(), 2048, 1))
		require.NoError(t, ICMPEnable(inst))
		return inst
	}
	for _, payload := range []uint32{44, 64, 128, 256} {
		a, b := make("a", addressA, payload, 200), make("b", addressB, payload, 200)
		for _, size := range []int{0, 1, 99, 100, 101, 1472} {
			requirePing(t, a, addressB, size)
		}
		require.NoError(t, Delete(a))
		require.NoError(t, Delete(b))
	}
}

// TestPingTimes: a ping without an answer waits out its ticks; others meanwhile
// are served; a late reply is counted and thrown away.
func TestPingTimes(t *testing.T) {
	clock := new(nxtest.Clock)
	network := ram.NewNetwork(ram.Config{Manual: true})
	a := host(t, network.Driver(), addressA, &Config{Clock: clock})
	b := host(t, network.Driver(), addressB, nil)
	require.NoError(t, ICMPEnable(a))
	require.NoError(t, ICMPEnable(b))
	ticks := make(map[string]nx.Wait)
	clock.Go(func() {
		_, err := ICMPPing(a, absent, pingData(20), 100)
		assert.ErrorIs(t, err, nx.NoResponse)
		ticks["absent"] = clock.Ticks()
	})
	clock.Go(func() {
		clock.Sleep(10)
		response, err := ICMPPing(a, addressB, pingData(10), 100)
		if assert.NoError(t, err) {
			assert.NoError(t, packetpool.Release(response))
		}
		ticks["b"] = clock.Ticks()
		clock.Turn(0) // the wire has stopped
		_, err = ICMPPing(a, addressB, nil, 5)
		assert.ErrorIs(t, err, nx.NoResponse)
		drain(network) // request and reply of the one that gave up
		ticks["late"] = clock.Ticks()
	})
	clock.Go(func() {
		clock.Sleep(20)
		drain(network)
	})
	clock.Wait(t)
	assert.Equal(t, map[string]nx.Wait{"absent": 100, "b": 20, "late": 25}, ticks)
	info, err := ICMPInfoGet(a)
	require.NoError(t, err)
	assert.Equal(t, ICMPInfo{PingsSent: 3, PingTimeouts: 2, PingResponsesReceived: 2}, info)
	assert.Equal(t, map[string]uint64{dropNoWaiter: 1}, infoOf(t, a).Drops)
}

// TestPingOnTheWire: identifier, sequence, TTL and checksums of requests, and
// that only the sequence number of a reply counts.
func TestPingOnTheWire(t *testing.T) {
	network := ram.NewNetwork(ram.Config{Manual: true})
	a := host(t, network.Driver(), addressA, &Config{NoDAD: true})
	require.NoError(t, ICMPEnable(a))
	require.NoError(t, IPv6Enable(a))
	_, err := IPv6AddressSet(a, 0, address6A, 64)
	require.NoError(t, err)
	for range 2 {
		requireStatus(t, nx.NoResponse, noErr(ICMPPing(a, addressB, pingData(3), nx.NoWait)))
		requireStatus(t, nx.NoResponse, noErr(ICMPPing(a, address6B, pingData(3), nx.NoWait)))
	}
	frames := network.Waiting()
	require.Len(t, frames, 4)
	for i, f := range frames {
		if i%2 == 0 {
			h := header.IPv4(f.Data)
			require.True(t, h.IsValid(len(f.Data)) && h.IsChecksumValid())
			assert.EqualValues(t, 128, h.TTL())
			assert.EqualValues(t, i/2+1, h.ID(), "identifications count from 1")
			assert.Zero(t, h.Flags())
			m := header.ICMPv4(h.Payload())
			assert.Equal(t, header.ICMPv4Echo, m.Type())
			assert.EqualValues(t, 0x0304, m.Ident())
			assert.EqualValues(t, i, m.Sequence())
			assert.Equal(t, m.Checksum(), header.ICMPv4Checksum(m, 0))
			assert.Equal(t, pingData(3), []byte(m.Payload()))
			continue
		}
		h := header.IPv6(f.Data)
		require.True(t, h.IsValid(len(f.Data)))
		assert.EqualValues(t, 255, h.HopLimit())
		m := header.ICMPv6(h.Payload())
		assert.Equal(t, header.ICMPv6EchoRequest, m.Type())
		assert.EqualValues(t, 4, m.Ident())
		assert.EqualValues(t, i, m.Sequence())
		assert.Equal(t, m.Checksum(), header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: m, Src: h.SourceAddress(), Dst: h.DestinationAddress()}))
	}
	drain(network)
}

// TestPingNotAnswered: before ICMP is enabled echo requests are dropped in
// silence.
func TestPingNotAnswered(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	a := host(t, network.Driver(), addressA, &Config{NoDAD: true})
	b := host(t, network.Driver(), addressB, &Config{NoDAD: true})
	require.NoError(t, ICMPEnable(a))
	for inst, address := range map[*Instance]netip.Addr{a: address6A, b: address6B} {
		require.NoError(t, IPv6Enable(inst))
		_, err := IPv6AddressSet(inst, 0, address, 64)
		require.NoError(t, err)
	}
	for _, address := range []netip.Addr{addressB, address6B} {
		_, err := ICMPPing(a, address, nil, 5)
		requireStatus(t, nx.NoResponse, err)
	}
	// The wait may be over before b has looked.
	require.Eventually(t, func() bool { return infoOf(t, b).Drops[dropNoICMP] == 2 }, 10*time.Second, time.Millisecond)
	info := infoOf(t, b)
	assert.Zero(t, info.TotalPacketsSent)
	assert.EqualValues(t, 2, info.ReceivePacketsDropped)
	assert.Zero(t, info.TotalBytesReceived)
	assert.Equal(t, map[string]uint64{dropNoICMP: 2}, info.Drops)
	require.NoError(t, ICMPv4Enable(b))
	requirePing(t, a, addressB, 4)
	_, err := ICMPPing(a, address6B, nil, 5)
	requireStatus(t, nx.NoResponse, err)
}

// TestPingInCallback: a callback does not wait for the reply, which is counted.
func TestPingInCallback(t *testing.T) {
	a, _, _ := pair(t)
	answer := make(chan error)
	a.Post(func() { answer <- noErr(ICMPPing(a, addressA, nil, nx.WaitForever)) })
	requireStatus(t, nx.NoResponse, <-answer)
	info, err := ICMPInfoGet(a)
	require.NoError(t, err)
	assert.Equal(t, ICMPInfo{PingsSent: 1, PingResponsesReceived: 1}, info)
}
