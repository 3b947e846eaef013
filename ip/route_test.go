package ip

import (
	"net/netip"
	"testing"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fixedClock stands where it is put.
type fixedClock struct {
	nx.Clock
	now time.Duration
}

func (c *fixedClock) Now() time.Duration { return c.now }

// TestRouteOrderIPv4 goes through the order of _nx_ip_route_find, each case
// with all later rules in place.
func TestRouteOrderIPv4(t *testing.T) {
	const none = 0
	a := func(a, b, c, d byte) uint32 { w, _ := wordOf(IPAddress(a, b, c, d)); return w }
	mine, gateway, hop := a(1, 2, 3, 4), a(1, 2, 3, 1), a(1, 2, 3, 9)
	full := settings{
		attached: true, address: mine, mask: a(255, 255, 255, 0), mtu: 1500, gateway: gateway,
		routes: []staticRoute{{a(1, 2, 3, 0), a(255, 255, 255, 0), hop}, {a(30, 0, 0, 0), a(255, 0, 0, 0), hop}},
	}
	bare := full
	bare.routes = nil
	noGateway := bare
	noGateway.gateway = none
	detached := noGateway
	detached.attached, detached.address, detached.mask = false, 0, 0
	auto := settings{attached: true, address: a(169, 254, 1, 1), mask: a(255, 255, 255, 0), mtu: 1500}
	moved := bare
	moved.address = a(5, 5, 5, 5)

	for _, c := range []struct {
		name         string
		s            settings
		destination  uint32
		down         bool
		source, next uint32
		index        uint
		none         bool
	}{
		{"multicast", full, a(224, 1, 1, 1), false, mine, a(224, 1, 1, 1), 0, false},
		{"limited broadcast", full, limitedBroadcast, false, mine, limitedBroadcast, 0, false},
		{"multicast, link down", full, a(224, 1, 1, 1), true, 0, 0, 0, true},
		{"own address before routes", full, mine, false, mine, mine, 0, false},
		{"own address, link down", noGateway, mine, true, 0, 0, 0, true},
		{"static route before the subnet", full, a(1, 2, 3, 50), false, mine, hop, 0, false},
		{"static route", full, a(30, 1, 1, 1), false, mine, hop, 0, false},
		{"hop of the route not on the link any more", moved, a(30, 1, 1, 1), false, 0, 0, 0, true},
		{"subnet", bare, a(1, 2, 3, 50), false, mine, a(1, 2, 3, 50), 0, false},
		{"subnet broadcast", bare, a(1, 2, 3, 255), false, mine, a(1, 2, 3, 255), 0, false},
		{"subnet, link down", bare, a(1, 2, 3, 50), true, 0, 0, 0, true},
		{"loopback", full, a(127, 0, 0, 1), false, loopbackAddress, a(127, 0, 0, 1), 1, false},
		{"loopback, link down", full, a(127, 9, 9, 9), true, loopbackAddress, a(127, 9, 9, 9), 1, false},
		{"loopback, detached", detached, a(127, 0, 0, 1), false, loopbackAddress, a(127, 0, 0, 1), 1, false},
		{"link-local before the gateway", full, a(169, 254, 7, 7), false, mine, a(169, 254, 7, 7), 0, false},
		{"gateway", full, a(9, 9, 9, 9), false, mine, gateway, 0, false},
		{"gateway not in the subnet any more", moved, a(9, 9, 9, 9), false, 0, 0, 0, true},
		{"no gateway", noGateway, a(9, 9, 9, 9), false, 0, 0, 0, true},
		{"own address link-local", auto, a(9, 9, 9, 9), false, auto.address, a(9, 9, 9, 9), 0, false},
		{"detached", detached, a(1, 2, 3, 4), false, 0, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, next, index, ok := c.s.routeIPv4(c.destination, !c.down)
			assert.Equal(t, !c.none, ok)
			if ok {
				assert.Equal(t, addrOf(c.source), addrOf(source))
				assert.Equal(t, addrOf(c.next), addrOf(next))
				assert.Equal(t, c.index, index)
			}
		})
	}
}

// TestRouteOrderIPv6 goes through the order of _nxd_ipv6_interface_find.
func TestRouteOrderIPv6(t *testing.T) {
	at := netip.MustParseAddr
	linkLocal, global, other := at("fe80::4"), address6A, at("2001:db8:2::4")
	hop := at("fe80::1")
	valid := func(a netip.Addr, prefix uint32) ipv6Address { return ipv6Address{AddressValid, a, prefix} }
	full := settings{
		attached: true, mtu: 1500, ipv6: true,
		ipv6At: [...]ipv6Address{
			valid(linkLocal, 10), valid(other, 64), valid(global, 64), valid(loopbackIPv6, 128),
		},
		ipv6Order: []int{0, 1, 2},
		routers:   []router{{address: at("fe80::bad"), expires: 5}, {address: hop, infinite: true}},
	}
	noRouter := full
	noRouter.routers = nil
	expired := full
	expired.routers = full.routers[:1]
	onlyGlobal := noRouter
	onlyGlobal.ipv6At[0], onlyGlobal.ipv6At[1], onlyGlobal.ipv6Order = ipv6Address{}, ipv6Address{}, []int{2}
	tentative := full
	tentative.ipv6At[2].state = AddressTentative
	off := full
	off.ipv6 = false

	for _, c := range []struct {
		name         string
		s            settings
		destination  netip.Addr
		down         bool
		source, next netip.Addr // none: no route
		index        uint
	}{
		{"own address", full, global, false, global, global, 0},
		{"own address, link down", full, global, true, global, global, 0},
		{"loopback", full, loopbackIPv6, true, loopbackIPv6, loopbackIPv6, 1},
		{"link-local wants link-local", full, at("fe80::9"), false, linkLocal, at("fe80::9"), 0},
		{"link-local without one", onlyGlobal, at("fe80::9"), false, netip.Addr{}, netip.Addr{}, 0},
		{"prefix", full, address6B, false, global, address6B, 0},
		{"other prefix", full, at("2001:db8:2::9"), false, other, at("2001:db8:2::9"), 0},
		{"prefix, link down", full, address6B, true, netip.Addr{}, netip.Addr{}, 0},
		{"tentative is no source", tentative, address6B, false, other, hop, 0},
		{"multicast of the link", full, at("ff02::9"), false, linkLocal, at("ff02::9"), 0},
		{"multicast of the link without link-local", onlyGlobal, at("ff02::9"), false, netip.Addr{}, netip.Addr{}, 0},
		{"global multicast", full, at("ff0e::9"), false, other, at("ff0e::9"), 0},
		{"router", full, offLink6, false, other, hop, 0},
		{"no router", noRouter, offLink6, false, netip.Addr{}, netip.Addr{}, 0},
		{"router expired", expired, offLink6, false, netip.Addr{}, netip.Addr{}, 0},
		{"unspecified", full, netip.IPv6Unspecified(), false, netip.Addr{}, netip.Addr{}, 0},
		{"IPv6 off", off, global, false, netip.Addr{}, netip.Addr{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, next, index, ok := c.s.routeIPv6(c.destination, !c.down, &fixedClock{now: 10})
			assert.Equal(t, c.source.IsValid(), ok)
			if ok {
				assert.Equal(t, c.source, source)
				assert.Equal(t, c.next, next)
				assert.Equal(t, c.index, index)
			}
		})
	}
}

func TestRouteFind(t *testing.T) {
	inst := oneHost(t, nil)
	route, err := inst.RouteFind(addressB)
	require.NoError(t, err)
	assert.Equal(t, Route{addressA, addressB, 0, 1500}, route)
	route, err = inst.RouteFind(netip.AddrFrom16(addressB.As16()))
	require.NoError(t, err, "an IPv4 address in IPv6 clothes")
	assert.Equal(t, addressB, route.NextHop)
	_, err = inst.RouteFind(offLink)
	requireStatus(t, nx.IPAddressError, err)
	require.ErrorIs(t, err, errNoRoute)
	_, err = inst.RouteFind(address6B)
	requireStatus(t, nx.NoInterfaceAddress, err)
	require.ErrorIs(t, err, errNoIPv6)
	_, err = inst.RouteFind(netip.Addr{})
	requireStatus(t, nx.IPAddressError, err)
}

// TestStackRoutes: gVisor finds a route from an address of the instance to any
// destination, and never one from another address.
func TestStackRoutes(t *testing.T) {
	a, _, _ := pair(t)
	for _, c := range []struct {
		source, destination netip.Addr
		ok                  bool
	}{
		{addressA, addressB, true}, {addressA, offLink, true}, {addressA, addressA, true},
		{IPAddress(127, 0, 0, 1), IPAddress(127, 0, 0, 1), true},
		{addressB, addressA, false},
		{address6A, address6B, true}, {address6A, offLink6, true}, {address6B, address6A, false},
	} {
		r, err := a.stack.FindRoute(nic, toStack(c.source), toStack(c.destination), protocolOf(c.source), false)
		assert.Equal(t, c.ok, err == nil, "from %s to %s: %v", c.source, c.destination, err)
		if err == nil {
			assert.Equal(t, c.source, fromStack(r.LocalAddress()))
			r.Release()
		}
	}
}

func TestDefaultRouters(t *testing.T) {
	clock := new(nxtest.Clock)
	inst := host(t, ram.NewNetwork(ram.Config{Manual: true}).Driver(), addressA, &Config{Clock: clock})
	require.NoError(t, IPv6Enable(inst))
	_, err := IPv6AddressSet(inst, 0, address6A, 64)
	require.NoError(t, err)
	at := netip.MustParseAddr
	first := at("fe80::1")
	run(t,
		step{"no address", IPv6DefaultRouterAdd(inst, netip.Addr{}, 1, 1), nx.PtrError},
		step{"IPv4", IPv6DefaultRouterAdd(inst, addressA, 1, 1), nx.InvalidParameters},
		step{"interface", IPv6DefaultRouterAdd(inst, at("ff02::2"), 1, 1), nx.InvalidInterface},
		step{"multicast", IPv6DefaultRouterAdd(inst, at("ff02::2"), 1, 0), nx.IPAddressError},
		step{"loopback", IPv6DefaultRouterAdd(inst, loopbackIPv6, 1, 0), nx.IPAddressError},
		step{"not on the link", IPv6DefaultRouterAdd(inst, offLink6, 1, 0), nx.IPAddressError},
		step{"delete without address", IPv6DefaultRouterDelete(inst, netip.Addr{}), nx.PtrError},
		step{"delete IPv4", IPv6DefaultRouterDelete(inst, addressA), nx.InvalidParameters},
		step{"delete from an empty table", IPv6DefaultRouterDelete(inst, first), nx.Success},
		step{"get none", noErr(IPv6DefaultRouterGet(inst, 0)), nx.NotFound},
		step{"get of no interface", noErr(IPv6DefaultRouterGet(inst, 1)), nx.InvalidInterface},
		step{"index", noErr(IPv6DefaultRouterEntryGet(inst, 0, 8)), nx.InvalidInterface},
		step{"count of no interface", noErr(IPv6DefaultRouterNumberOfEntriesGet(inst, 1)), nx.InvalidInterface},
		step{"link-local", IPv6DefaultRouterAdd(inst, first, 100, 0), nx.Success},
		step{"global on the link", IPv6DefaultRouterAdd(inst, address6B, 0x1FFFF, 0), nx.Success},
		step{"not there", IPv6DefaultRouterDelete(inst, absent6), nx.NotFound},
	)
	info, err := IPv6DefaultRouterGet(inst, 0)
	require.NoError(t, err)
	assert.Equal(t, RouterInfo{first, 100, 10, RouterStatic}, info)
	info, err = IPv6DefaultRouterEntryGet(inst, 0, 1)
	require.NoError(t, err)
	assert.Equal(t, RouterInfo{address6B, 0xFFFF, 64, RouterStatic}, info)
	n, err := IPv6DefaultRouterNumberOfEntriesGet(inst, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 2, n)
	route, err := inst.RouteFind(offLink6)
	require.NoError(t, err)
	assert.Equal(t, Route{address6A, first, 0, 1500}, route)

	clock.Go(func() { clock.Sleep(40 * nx.TicksPerSecond) })
	clock.Wait(t)
	info, err = IPv6DefaultRouterGet(inst, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 60, info.Lifetime)
	require.NoError(t, IPv6DefaultRouterAdd(inst, first, 70, 0), "the lifetime is set anew")
	clock.Go(func() { clock.Sleep(70 * nx.TicksPerSecond) })
	clock.Wait(t)
	info, err = IPv6DefaultRouterGet(inst, 0)
	require.NoError(t, err)
	assert.Equal(t, address6B, info.Address, "the first has run out")
	run(t,
		step{"deleted", IPv6DefaultRouterDelete(inst, address6B), nx.Success},
		step{"none", noErr(IPv6DefaultRouterGet(inst, 0)), nx.NotFound},
	)
	for i := range byte(maxRouters) {
		require.NoError(t, IPv6DefaultRouterAdd(inst, netip.AddrFrom16([16]byte{0: 0xFE, 1: 0x80, 15: i + 1}), 0xFFFF, 0))
	}
	requireStatus(t, nx.NoMoreEntries, IPv6DefaultRouterAdd(inst, at("fe80::99"), 0xFFFF, 0))
}

// TestReceiveLimit: what the window lets come fits the pool, with room for
// acknowledgements; big pools are not limited below a full window.
func TestReceiveLimit(t *testing.T) {
	for _, headers := range []uint32{40, 60} {
		for _, c := range []struct{ packets, payload, mtu uint32 }{
			{10, 128, 1500}, {3, 512, 1500}, {64, 1536, 1500}, {16, 1536, 1500}, {1, 1536, 1500}, {2, 1536, 1500},
			{1000, 64, 1500}, {64, 16, 1500}, {4, 16, 1500}, {1, 1, 1500}, {4096, 2048, 65535}, {40, 256, 128},
		} {
			window, mss := receiveLimit(c.packets, c.payload, c.mtu, headers)
			require.NotZero(t, mss, "%+v", c)
			require.LessOrEqual(t, mss+headers, max(c.mtu, headers+1), "%+v", c)
			segments := window / mss
			perSegment := (mss + headers + c.payload - 1) / c.payload
			if c.packets*c.payload >= 8*(headers+128) {
				require.NotZero(t, window, "%+v", c)
				require.LessOrEqual(t, segments*perSegment, c.packets, "a full window fits the pool: %+v", c)
				if c.packets > 1 {
					require.Greater(t, c.packets-segments*perSegment, uint32(0), "something stays free: %+v", c)
				}
			}
		}
	}
	window, mss := receiveLimit(64, 1536, 1500, 40)
	assert.EqualValues(t, 1460, mss)
	assert.GreaterOrEqual(t, window, uint32(65535), "64 full packets are a full window")
	window, mss = receiveLimit(10, 128, 1500, 40)
	assert.GreaterOrEqual(t, window, 3*mss, "the guide's pool takes several segments: %d of %d", window, mss)

	inst := oneHost(t, &Config{NoWindowRule: true})
	window, mss = inst.ReceiveLimit(true)
	assert.Equal(t, ^uint32(0), window)
	assert.EqualValues(t, 1440, mss)
	inst = oneHost(t, nil)
	_, mss = inst.ReceiveLimit(false)
	assert.EqualValues(t, 1460, mss)
	require.NoError(t, InterfaceMTUSet(inst, 0, 1000))
	_, mss = inst.ReceiveLimit(false)
	assert.EqualValues(t, 960, mss)
}
