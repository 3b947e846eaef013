package ip

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func TestIPv6EnableDisable(t *testing.T) {
	inst := oneHost(t, nil)
	_, _, _, none := IPv6AddressGet(inst, 3)
	run(t,
		step{"no loopback address yet", none, nx.NoInterfaceAddress},
		step{"disable while off", IPv6Disable(inst), nx.Success},
		step{"enable", IPv6Enable(inst), nx.Success},
		step{"again", IPv6Enable(inst), nx.AlreadyEnabled},
		step{"address", noErr(IPv6AddressSet(inst, 0, address6A, 64)), nx.Success},
		step{"router", IPv6DefaultRouterAdd(inst, netip.MustParseAddr("fe80::1"), 5, 0), nx.Success},
		step{"ICMP", ICMPEnable(inst), nx.Success},
	)
	address, prefix, index, err := IPv6AddressGet(inst, 3)
	require.NoError(t, err)
	assert.Equal(t, loopbackIPv6, address)
	assert.EqualValues(t, 128, prefix)
	assert.EqualValues(t, 1, index)
	requirePing(t, inst, loopbackIPv6, 9)

	require.NoError(t, IPv6Disable(inst))
	_, _, _, none = IPv6AddressGet(inst, 0)
	_, _, _, noLoopback := IPv6AddressGet(inst, 3)
	run(t,
		step{"addresses are gone", none, nx.NoInterfaceAddress},
		step{"loopback too", noLoopback, nx.NoInterfaceAddress},
		step{"routers too", noErr(IPv6DefaultRouterGet(inst, 0)), nx.NotFound},
		step{"ICMPv6 is off", noErr(ICMPPing(inst, address6B, nil, nx.NoWait)), nx.NotEnabled},
		step{"on again", IPv6Enable(inst), nx.Success},
		step{"ICMPv6 stays off", noErr(ICMPPing(inst, address6B, nil, nx.NoWait)), nx.NotEnabled},
	)
	state := func(i uint) AddressState {
		s, err := IPv6AddressStateGet(inst, i)
		require.NoError(t, err)
		return s
	}
	_, err = IPv6AddressSet(inst, 0, address6A, 64)
	require.NoError(t, err)
	assert.Equal(t, AddressValid, state(0), "without ICMPv6 there is no detection")
}

func TestIPv6AddressServices(t *testing.T) {
	inst := oneHost(t, &Config{PhysicalAddress: [6]byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x56}})
	multicast := netip.MustParseAddr("ff02::1")
	set := func(index uint, a netip.Addr, prefix uint32) error {
		return noErr(IPv6AddressSet(inst, index, a, prefix))
	}
	get := func(i uint) error { _, _, _, err := IPv6AddressGet(inst, i); return err }
	run(t,
		step{"IPv4", set(5, addressA, 64), nx.IPAddressError},
		step{"interface", set(5, multicast, 64), nx.InvalidInterface},
		step{"loopback interface", set(1, address6A, 64), nx.InvalidInterface},
		step{"IPv4 with prefix 10", set(0, addressA, 10), nx.IPAddressError},
		step{"multicast", set(0, multicast, 64), nx.IPAddressError},
		step{"unspecified", set(0, netip.IPv6Unspecified(), 64), nx.IPAddressError},
		step{"loopback", set(0, loopbackIPv6, 128), nx.IPAddressError},
		step{"none with prefix 64", set(0, netip.Addr{}, 64), nx.IPAddressError},
		step{"prefix 129", set(0, address6A, 129), nx.Success},
		step{"the same", set(0, address6A, 64), nx.DuplicatedEntry},
		step{"link-local", IPv6LinklocalAddressSet(inst, netip.Addr{}), nx.Success},
		step{"link-local again", IPv6LinklocalAddressSet(inst, netip.Addr{}), nx.DuplicatedEntry},
		step{"prefix 0", IPv6GlobalAddressSet(inst, address6B, 0), nx.Success},
		step{"the same before the fourth", set(0, address6B, 64), nx.DuplicatedEntry},
		step{"a fourth", set(0, absent6, 64), nx.NoMoreEntries},
		step{"a fourth link-local", IPv6LinklocalAddressSet(inst, netip.Addr{}), nx.NoMoreEntries},
		step{"get 4", get(4), nx.NoInterfaceAddress},
		step{"get loopback of IPv6 that is off", get(3), nx.NoInterfaceAddress},
		step{"delete loopback", IPv6AddressDelete(inst, 3), nx.NoInterfaceAddress},
		step{"state of 4", noErr(IPv6AddressStateGet(inst, 4)), nx.NoInterfaceAddress},
		step{"notify", IPv6AddressChangeNotify(inst, nil), nx.NotEnabled},
	)
	address, prefix, index, err := IPv6AddressGet(inst, 0)
	require.NoError(t, err)
	assert.Equal(t, address6A, address)
	assert.EqualValues(t, 129, prefix)
	assert.Zero(t, index)
	address, prefix, _, err = IPv6AddressGet(inst, 1)
	require.NoError(t, err)
	assert.Equal(t, netip.MustParseAddr("fe80::211:22ff:fe33:4456"), address)
	assert.EqualValues(t, 10, prefix)

	run(t,
		step{"delete", IPv6AddressDelete(inst, 1), nx.Success},
		step{"delete again", IPv6AddressDelete(inst, 1), nx.NoInterfaceAddress},
		step{"get", get(1), nx.NoInterfaceAddress},
	)
	i, err := IPv6AddressSet(inst, 0, absent6, 64)
	require.NoError(t, err)
	assert.EqualValues(t, 1, i, "the first free slot")

	// The index is written before the last two errors are found.
	require.NoError(t, IPv6AddressDelete(inst, 2))
	i, err = IPv6AddressSet(inst, 0, netip.Addr{}, 64)
	requireStatus(t, nx.IPAddressError, err)
	assert.EqualValues(t, 2, i)
}

// detecting is an instance alone on a wire that a test moves, in driven time,
// with ICMP and IPv6 on.
func detecting(t *testing.T, config Config) (*Instance, *nxtest.Clock, *ram.Network) {
	clock := new(nxtest.Clock)
	config.Clock = clock
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, &config)
	require.NoError(t, ICMPEnable(inst))
	require.NoError(t, IPv6Enable(inst))
	return inst, clock, network
}

type change struct {
	status, index uint
	address       netip.Addr
	tick          nx.Wait
}

// TestDetection: three probes a second apart, valid a second after the third;
// three datagrams of 24 bytes, as ip_info_fresh of the recorded original counts
// them.
func TestDetection(t *testing.T) {
	inst, clock, network := detecting(t, Config{IPv6AddressChangeNotify: true})
	var changes []change
	require.NoError(t, IPv6AddressChangeNotify(inst, func(_ *Instance, status, interfaceIndex, index uint, a netip.Addr) {
		assert.Zero(t, interfaceIndex)
		changes = append(changes, change{status, index, a, clock.Ticks()})
	}))
	clock.Go(func() {
		clock.Sleep(3)
		index, err := IPv6AddressSet(inst, 0, address6A, 64)
		assert.NoError(t, err)
		assert.Zero(t, index)
		state, err := IPv6AddressStateGet(inst, 0)
		assert.NoError(t, err)
		assert.Equal(t, AddressTentative, state)
		_, _, _, err = IPv6AddressGet(inst, 0)
		assert.ErrorIs(t, err, nx.NoInterfaceAddress)
		_, err = inst.RouteFind(address6B)
		assert.ErrorIs(t, err, nx.NoInterfaceAddress)
		clock.Sleep(300)
		state, err = IPv6AddressStateGet(inst, 0)
		assert.NoError(t, err)
		assert.Equal(t, AddressTentative, state, "not before tick 310")
		clock.Sleep(10)
	})
	clock.Wait(t)
	assert.Equal(t, []change{
		{IPv6AddressManualConfig, 0, address6A, 3},
		{IPv6AddressDADSuccessful, 0, address6A, 310}, // the fast timer's next beat was at tick 10
	}, changes)
	address, _, _, err := IPv6AddressGet(inst, 0)
	require.NoError(t, err)
	assert.Equal(t, address6A, address)

	frames := network.Waiting()
	require.Len(t, frames, 3)
	for _, f := range frames {
		h := header.IPv6(f.Data)
		require.Len(t, f.Data, 40+24)
		assert.True(t, h.IsValid(len(f.Data)))
		assert.EqualValues(t, 255, h.HopLimit())
		assert.Equal(t, netip.IPv6Unspecified(), fromStack(h.SourceAddress()))
		assert.Equal(t, netip.MustParseAddr("ff02::1:ff01:4"), fromStack(h.DestinationAddress()))
		m := header.ICMPv6(h.Payload())
		assert.Equal(t, header.ICMPv6NeighborSolicit, m.Type())
		assert.Equal(t, address6A, fromStack(header.NDPNeighborSolicit(m.MessageBody()).TargetAddress()))
		sum := m.Checksum()
		assert.Equal(t, header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: m, Src: h.SourceAddress(), Dst: h.DestinationAddress()}), sum)
	}
	info := infoOf(t, inst)
	assert.EqualValues(t, 3, info.TotalPacketsSent)
	assert.EqualValues(t, 72, info.TotalBytesSent)
	drain(network)
}

// drain delivers what is on the wire.
func drain(network *ram.Network) {
	for _, ok := network.Step(); ok; _, ok = network.Step() {
	}
}

// TestDetectionEnds: a deleted address is not detected any more, nor is one
// whose slot has been used again.
func TestDetectionEnds(t *testing.T) {
	inst, clock, network := detecting(t, Config{})
	clock.Go(func() {
		_, err := IPv6AddressSet(inst, 0, address6A, 64)
		assert.NoError(t, err)
		clock.Sleep(150)
		assert.NoError(t, IPv6AddressDelete(inst, 0))
		_, err = IPv6AddressSet(inst, 0, address6B, 64)
		assert.NoError(t, err)
		clock.Sleep(300)
		state, err := IPv6AddressStateGet(inst, 0)
		assert.NoError(t, err)
		assert.Equal(t, AddressTentative, state)
		clock.Sleep(20)
		address, _, _, err := IPv6AddressGet(inst, 0)
		assert.NoError(t, err)
		assert.Equal(t, address6B, address)
	})
	clock.Wait(t)
	assert.Equal(t, 2+3, network.Pending())
	drain(network)
}

// TestDetectionSwitches: without ICMPv6, with NoDAD, and with the instance
// deleted in the middle.
func TestDetectionSwitches(t *testing.T) {
	clock := new(nxtest.Clock)
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, &Config{Clock: clock})
	state := func(i *Instance, index uint) AddressState {
		s, err := IPv6AddressStateGet(i, index)
		require.NoError(t, err)
		return s
	}
	require.NoError(t, IPv6Enable(inst))
	require.NoError(t, ICMPv4Enable(inst))
	_, err := IPv6AddressSet(inst, 0, address6A, 64)
	require.NoError(t, err)
	assert.Equal(t, AddressValid, state(inst, 0))
	require.NoError(t, ICMPEnable(inst))
	assert.Equal(t, AddressValid, state(inst, 0), "it stays valid")
	_, err = IPv6AddressSet(inst, 0, address6B, 64)
	require.NoError(t, err)
	assert.Equal(t, AddressTentative, state(inst, 1))
	require.NoError(t, Delete(inst))
	clock.Go(func() { clock.Sleep(1000) })
	clock.Wait(t)
	assert.Zero(t, network.Pending(), "nothing is sent after Delete")

	other, _, _ := pair(t)
	assert.Equal(t, AddressValid, state(other, 0))
}

// nd makes a neighbor discovery message about target, solicitation or
// advertisement.
func nd(source, destination, target netip.Addr, typ uint8, hopLimit uint8) []byte {
	message := make([]byte, 24)
	message[0] = typ
	b := target.As16()
	copy(message[8:], b[:])
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, toStack(source), toStack(destination), uint16(len(message)))
	binary.BigEndian.PutUint16(message[2:], ^checksum.Checksum(message, sum))
	frame := make([]byte, 40, 64)
	frame[0] = 6 << 4
	binary.BigEndian.PutUint16(frame[4:], 24)
	frame[6], frame[7] = protocolICMPv6, hopLimit
	s, d := source.As16(), destination.As16()
	copy(frame[8:], s[:])
	copy(frame[24:], d[:])
	return append(frame, message...)
}

// TestConflict: who has the address, and who tries it too, makes it vanish; who
// asks for it, and who is not on the link, does not.
func TestConflict(t *testing.T) {
	group := solicitedNode(address6A)
	unspecified := netip.IPv6Unspecified()
	for _, c := range []struct {
		name  string
		frame []byte
		gone  bool
	}{
		{"another detection", nd(unspecified, group, address6A, icmpv6NeighborSolicitation, 255), true},
		{"advertisement", nd(address6A, allNodes, address6A, icmpv6NeighborAdvertisement, 255), true},
		{"question", nd(address6B, group, address6A, icmpv6NeighborSolicitation, 255), false},
		{"forwarded", nd(unspecified, group, address6A, icmpv6NeighborSolicitation, 254), false},
		{"another address", nd(unspecified, group, address6B, icmpv6NeighborSolicitation, 255), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inst, clock, network := detecting(t, Config{IPv6AddressChangeNotify: true})
			var failed bool
			require.NoError(t, IPv6AddressChangeNotify(inst, func(i *Instance, status, _, index uint, a netip.Addr) {
				if status == IPv6AddressDADFailure {
					failed = true
					assert.True(t, i.InCallback())
					assert.Equal(t, address6A, a)
				}
			}))
			clock.Go(func() {
				_, err := IPv6AddressSet(inst, 0, address6A, 64)
				assert.NoError(t, err)
				clock.Sleep(50)
				network.Inject(c.frame)
				drain(network)
				clock.Sleep(400)
			})
			clock.Wait(t)
			drain(network)
			state, err := IPv6AddressStateGet(inst, 0)
			require.NoError(t, err)
			assert.Equal(t, c.gone, failed)
			if c.gone {
				assert.Equal(t, AddressUnknown, state)
				_, err := IPv6AddressSet(inst, 0, address6A, 64)
				assert.NoError(t, err, "the slot is free")
				require.NoError(t, IPv6AddressDelete(inst, 0))
			} else {
				assert.Equal(t, AddressValid, state)
			}
		})
	}
}

// TestConflictBetweenInstances: the owner defends its address with the stack's
// own advertisement.
func TestConflictBetweenInstances(t *testing.T) {
	clock := new(nxtest.Clock)
	network := ram.NewNetwork(ram.Config{Manual: true})
	a := host(t, network.Driver(), addressA, &Config{Clock: clock})
	b := host(t, network.Driver(), addressB, &Config{NoDAD: true})
	for _, inst := range []*Instance{a, b} {
		require.NoError(t, ICMPEnable(inst))
		require.NoError(t, IPv6Enable(inst))
	}
	_, err := IPv6AddressSet(b, 0, address6A, 64)
	require.NoError(t, err)
	clock.Go(func() {
		_, err := IPv6AddressSet(a, 0, address6A, 64)
		assert.NoError(t, err)
		for range 5 {
			clock.Sleep(10)
			drain(network)
		}
	})
	clock.Wait(t)
	state, err := IPv6AddressStateGet(a, 0)
	require.NoError(t, err)
	assert.Equal(t, AddressUnknown, state)
	state, err = IPv6AddressStateGet(b, 0)
	require.NoError(t, err)
	assert.Equal(t, AddressValid, state)
	assert.EqualValues(t, 1, infoOf(t, b).TotalPacketsSent, "one advertisement")
}

func TestIPv6MulticastAndAutoconfiguration(t *testing.T) {
	inst := oneHost(t, nil)
	group := netip.MustParseAddr("ff02::77")
	for _, call := range []func(*Instance, netip.Addr, uint) error{IPv6MulticastInterfaceJoin, IPv6MulticastInterfaceLeave} {
		run(t,
			step{"no address", call(inst, netip.Addr{}, 1), nx.PtrError},
			step{"unicast", call(inst, address6A, 1), nx.IPAddressError},
			step{"IPv4", call(inst, IPAddress(224, 1, 1, 1), 1), nx.IPAddressError},
			step{"interface", call(inst, group, 1), nx.InvalidInterface},
			step{"default build", call(inst, group, 0), nx.NotSupported},
		)
	}
	for _, call := range []func(*Instance, uint) error{IPv6StatelessAddressAutoconfigEnable, IPv6StatelessAddressAutoconfigDisable} {
		run(t,
			step{"interface", call(inst, 1), nx.InvalidInterface},
			step{"default build", call(inst, 0), nx.NotSupported},
		)
	}
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
