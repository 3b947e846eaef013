package ip

import (
	"net/netip"
	"testing"

	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// step is one call of a test, made when the list of steps is made, and the
// status that it has to answer.
type step struct {
	name string
	err  error
	want nx.Status
}

func run(t *testing.T, steps ...step) {
	t.Helper()
	for _, s := range steps {
		if s.want == nx.Success {
			assert.NoError(t, s.err, s.name)
		} else {
			assert.ErrorIs(t, s.err, s.want, s.name)
		}
	}
}

func TestAddressServices(t *testing.T) {
	inst := oneHost(t, nil)
	run(t,
		step{"IPv6 address", AddressSet(inst, address6A, mask24), nx.IPAddressError},
		step{"IPv6 mask", AddressSet(inst, addressA, address6A), nx.IPAddressError},
		step{"class D", AddressSet(inst, IPAddress(224, 0, 0, 1), mask24), nx.IPAddressError},
		step{"class E", AddressSet(inst, IPAddress(240, 0, 0, 1), mask24), nx.IPAddressError},
		step{"broadcast", AddressSet(inst, IPAddress(255, 255, 255, 255), mask24), nx.IPAddressError},
		step{"class before interface", InterfaceAddressSet(inst, 1, IPAddress(224, 0, 0, 1), mask24), nx.IPAddressError},
		step{"loopback interface", InterfaceAddressSet(inst, 1, addressA, mask24), nx.InvalidInterface},
		step{"no interface", noErr(InterfaceInfoGet(inst, 1)), nx.InvalidInterface},
	)
	_, _, err := InterfaceAddressGet(inst, 1)
	requireStatus(t, nx.InvalidInterface, err)
	address, mask, err := AddressGet(inst)
	require.NoError(t, err)
	assert.Equal(t, addressA, address, "errors change nothing")
	assert.Equal(t, mask24, mask)

	gaps := IPAddress(255, 0, 255, 0)
	for _, accepted := range []struct{ address, mask netip.Addr }{
		{IPAddress(0, 0, 0, 0), mask24}, {addressB, gaps}, {netip.Addr{}, netip.Addr{}}, {addressB, IPAddress(0, 0, 0, 0)},
	} {
		require.NoError(t, InterfaceAddressSet(inst, 0, accepted.address, accepted.mask))
		address, mask, err := InterfaceAddressGet(inst, 0)
		require.NoError(t, err)
		want, _ := wordOf(accepted.address)
		assert.Equal(t, addrOf(want), address)
		wantMask, _ := wordOf(accepted.mask)
		assert.Equal(t, addrOf(wantMask), mask)
	}
}

// TestAddressChangeNotify: the callback comes in the caller's own goroutine,
// after the change, and only for a change.
func TestAddressChangeNotify(t *testing.T) {
	inst := oneHost(t, nil)
	var seen []netip.Addr
	notify := func(i *Instance, info any) {
		assert.Same(t, inst, i)
		assert.Equal(t, "info", info)
		assert.False(t, i.InCallback())
		address, _, err := AddressGet(i) // the lock is free
		assert.NoError(t, err)
		seen = append(seen, address)
	}
	require.NoError(t, AddressChangeNotify(inst, notify, "info"))
	require.NoError(t, AddressSet(inst, addressA, mask24))
	assert.Empty(t, seen, "nothing changed")
	require.NoError(t, AddressSet(inst, addressB, mask24))
	require.NoError(t, AddressSet(inst, addressB, IPAddress(255, 255, 0, 0)))
	assert.Equal(t, []netip.Addr{addressB, addressB}, seen)
	require.NoError(t, AddressChangeNotify(inst, nil, nil))
	require.NoError(t, AddressSet(inst, addressA, mask24))
	assert.Len(t, seen, 2)
}

// TestAddressChangeTakesEffect: pings leave from the new address, and the old
// one is nobody's any more.
func TestAddressChangeTakesEffect(t *testing.T) {
	a, b, _ := pair(t)
	moved := IPAddress(1, 2, 3, 77)
	require.NoError(t, AddressSet(a, moved, mask24))
	requirePing(t, a, addressB, 10)
	requirePing(t, b, moved, 10)
	_, err := ICMPPing(b, addressA, nil, 1)
	requireStatus(t, nx.NoResponse, err)
}

func TestGatewayServices(t *testing.T) {
	inst := oneHost(t, nil)
	gateway := IPAddress(1, 2, 3, 1)
	run(t,
		step{"none", noErr(GatewayAddressGet(inst)), nx.NotFound},
		step{"zero", GatewayAddressSet(inst, IPAddress(0, 0, 0, 0)), nx.IPAddressError},
		step{"IPv6", GatewayAddressSet(inst, address6A), nx.IPAddressError},
		step{"off the link", GatewayAddressSet(inst, offLink), nx.IPAddressError},
		step{"set", GatewayAddressSet(inst, gateway), nx.Success},
	)
	got, err := GatewayAddressGet(inst)
	require.NoError(t, err)
	assert.Equal(t, gateway, got)
	require.NoError(t, AddressSet(inst, IPAddress(5, 5, 5, 5), mask24))
	_, err = GatewayAddressGet(inst)
	require.NoError(t, err, "it stays when the address changes")
	_, err = inst.RouteFind(offLink)
	requireStatus(t, nx.IPAddressError, err)
	run(t,
		step{"clear", GatewayAddressClear(inst), nx.Success},
		step{"clear again", GatewayAddressClear(inst), nx.Success},
		step{"none again", noErr(GatewayAddressGet(inst)), nx.NotFound},
	)
}

func TestStaticRoutes(t *testing.T) {
	run(t,
		step{"default build", StaticRouteAdd(oneHost(t, nil), offLink, mask24, addressB), nx.NotSupported},
		step{"default build", StaticRouteDelete(oneHost(t, nil), offLink, mask24), nx.NotSupported},
	)
	inst := oneHost(t, &Config{StaticRouting: true})
	run(t,
		step{"delete from an empty table", StaticRouteDelete(inst, offLink, mask24), nx.Success},
		step{"hop not on the link", StaticRouteAdd(inst, offLink, mask24, IPAddress(7, 7, 7, 7)), nx.IPAddressError},
		step{"IPv6", StaticRouteAdd(inst, address6A, mask24, addressB), nx.IPAddressError},
		step{"wide", StaticRouteAdd(inst, offLink, IPAddress(255, 0, 0, 0), addressB), nx.Success},
		step{"narrow", StaticRouteAdd(inst, offLink, mask24, absent), nx.Success},
		step{"not there", StaticRouteDelete(inst, IPAddress(8, 0, 0, 0), mask24), nx.NotSuccessful},
	)
	hop := func(destination netip.Addr) netip.Addr {
		route, err := inst.RouteFind(destination)
		require.NoError(t, err)
		assert.Equal(t, addressA, route.Source)
		return route.NextHop
	}
	assert.Equal(t, absent, hop(offLink), "the longer mask wins")
	assert.Equal(t, addressB, hop(IPAddress(9, 8, 7, 6)))
	run(t, step{"replaced", StaticRouteAdd(inst, offLink, mask24, addressB), nx.Success})
	assert.Equal(t, addressB, hop(offLink))
	run(t, step{"deleted", StaticRouteDelete(inst, offLink, IPAddress(255, 0, 0, 0)), nx.Success})
	_, err := inst.RouteFind(IPAddress(9, 8, 7, 6))
	requireStatus(t, nx.IPAddressError, err)
	for i := range byte(maxRoutes - 1) {
		require.NoError(t, StaticRouteAdd(inst, IPAddress(20, i, 0, 0), mask24, addressB))
	}
	run(t, step{"full", StaticRouteAdd(inst, IPAddress(30, 0, 0, 0), mask24, addressB), nx.Overflow})
}

func TestInterfaceServices(t *testing.T) {
	inst := oneHost(t, &Config{PhysicalAddress: [6]byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x56}})
	driver := ram.NewNetwork(ram.Config{}).Driver()
	classD := IPAddress(224, 0, 0, 1)
	_, _, noMSW := InterfacePhysicalAddressGet(inst, 1)
	run(t,
		step{"attach without name", InterfaceAttach(inst, "", classD, mask24, driver), nx.PtrError},
		step{"attach without driver", InterfaceAttach(inst, "SEC", classD, mask24, nil), nx.PtrError},
		step{"attach class D", InterfaceAttach(inst, "SEC", classD, mask24, driver), nx.IPAddressError},
		step{"attach the same address", InterfaceAttach(inst, "SEC", addressA, mask24, driver), nx.DuplicatedEntry},
		step{"attach", InterfaceAttach(inst, "SEC", offLink, mask24, driver), nx.NoMoreEntries},
		step{"attach without address", InterfaceAttach(inst, "SEC", netip.Addr{}, mask24, driver), nx.NoMoreEntries},
		step{"MTU of the loopback interface", InterfaceMTUSet(inst, 1, 1000), nx.InvalidInterface},
		step{"hardware address", InterfacePhysicalAddressSet(inst, 1, 1, 2, false), nx.InvalidInterface},
		step{"hardware address", noMSW, nx.InvalidInterface},
		step{"mapping", InterfaceAddressMappingConfigure(inst, 1, true), nx.InvalidInterface},
		step{"mapping", InterfaceAddressMappingConfigure(inst, 0, true), nx.Success},
		step{"capability", noErr(InterfaceCapabilityGet(inst, 1)), nx.InvalidInterface},
		step{"capability", noErr(InterfaceCapabilityGet(inst, 0)), nx.NotSupported},
		step{"capability", InterfaceCapabilitySet(inst, 1, 0), nx.InvalidInterface},
		step{"capability", InterfaceCapabilitySet(inst, 0, 0), nx.NotSupported},
		step{"detach", InterfaceDetach(inst, 1), nx.InvalidInterface},
	)
	info, err := InterfaceInfoGet(inst, 0)
	require.NoError(t, err)
	assert.Equal(t, InterfaceInfo{"PRI", addressA, mask24, 1500, 0x0011, 0x22334456}, info)
	require.NoError(t, InterfacePhysicalAddressSet(inst, 0, 0xFFFF0001, 0x02030405, true))
	msw, lsw, err := InterfacePhysicalAddressGet(inst, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, msw, "16 bits")
	assert.EqualValues(t, 0x02030405, lsw)
	for _, mtu := range []uint32{0, 1000, 70000} {
		require.NoError(t, InterfaceMTUSet(inst, 0, mtu), "there is no check")
		info, err := InterfaceInfoGet(inst, 0)
		require.NoError(t, err)
		assert.Equal(t, mtu, info.MTU)
	}
}

// TestInterfaceDetach: only the loopback interface is left.
func TestInterfaceDetach(t *testing.T) {
	a, _, _ := pair(t)
	transport := new(passing)
	a.SetTransport(transport)
	require.NoError(t, GatewayAddressSet(a, addressB))
	require.NoError(t, InterfaceDetach(a, 0))
	assert.Equal(t, 1, transport.down)
	_, err := a.RouteFind(addressB)
	requireStatus(t, nx.IPAddressError, err)
	require.ErrorIs(t, err, errDetached)
	_, err = a.RouteFind(address6B)
	requireStatus(t, nx.NoInterfaceAddress, err)
	run(t,
		step{"again", InterfaceDetach(a, 0), nx.InvalidInterface},
		step{"address", AddressSet(a, addressA, mask24), nx.InvalidInterface},
		step{"status", noErr(InterfaceStatusCheck(a, 0, 0, nx.NoWait)), nx.InvalidInterface},
		step{"gateway", noErr(GatewayAddressGet(a)), nx.NotFound},
		step{"IPv6 address", noErr(IPv6AddressSet(a, 0, address6A, 64)), nx.InvalidInterface},
	)
	requirePing(t, a, IPAddress(127, 0, 0, 1), 5)
	requirePing(t, a, netip.IPv6Loopback(), 5)
}

func TestMaxPayloadSizeFind(t *testing.T) {
	inst := oneHost(t, nil)
	find := func(destination netip.Addr, index uint, protocol uint32) error {
		_, _, err := MaxPayloadSizeFind(inst, destination, index, 1, 2, protocol)
		return err
	}
	run(t,
		step{"no address", find(netip.Addr{}, 1, 99), nx.IPAddressError},
		step{"protocol", find(addressB, 1, 99), nx.NotSupported},
		step{"IPv4 interface", find(addressB, 1, protocolTCP), nx.InvalidInterface},
		step{"IPv6 index", find(address6B, 4, protocolUDP), nx.IPAddressError},
	)
	for _, c := range []struct {
		destination    netip.Addr
		protocol       uint32
		offset, length uint32
	}{
		{addressB, protocolTCP, 56, 1460}, {addressB, protocolUDP, 44, 1472},
		{address6B, protocolTCP, 76, 1440}, {address6B, protocolUDP, 64, 1452},
	} {
		offset, length, err := MaxPayloadSizeFind(inst, c.destination, 0, 1, 2, c.protocol)
		require.NoError(t, err)
		assert.Equal(t, c.offset, offset)
		assert.Equal(t, c.length, length)
	}
	require.NoError(t, AddressSet(inst, netip.Addr{}, mask24))
	requireStatus(t, nx.InvalidInterface, find(addressB, 0, protocolTCP))
}

func TestAddressFromWords(t *testing.T) {
	assert.Equal(t, addressA, AddressFromWords(0x01020304))
	assert.Equal(t, address6A, AddressFromWords(0x20010db8, 0x00010000, 0, 0x00010004))
	for _, n := range []int{0, 2, 3, 5} {
		assert.Equal(t, netip.Addr{}, AddressFromWords(make([]uint32, n)...))
	}
}
