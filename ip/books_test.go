package ip

import (
	"net/netip"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The services that only keep books: ARP, RARP, IGMP, ND, and those that are
// accepted or refused as the default build does.

func TestARP(t *testing.T) {
	inst := oneHost(t, nil)
	zero, multicast, broadcast := IPAddress(0, 0, 0, 0), IPAddress(224, 0, 0, 1), IPAddress(255, 255, 255, 255)
	hardware := func(a netip.Addr) error { _, _, err := ARPHardwareAddressFind(inst, a); return err }
	run(t,
		step{"info", noErr(ARPInfoGet(inst)), nx.NotEnabled},
		step{"create zero", ARPStaticEntryCreate(inst, zero, 0, 0), nx.IPAddressError},
		step{"create multicast", ARPStaticEntryCreate(inst, multicast, 0, 0), nx.IPAddressError},
		step{"create broadcast", ARPStaticEntryCreate(inst, broadcast, 0, 0), nx.IPAddressError},
		step{"create IPv6", ARPStaticEntryCreate(inst, address6A, 0, 0), nx.IPAddressError},
		step{"create without hardware address", ARPStaticEntryCreate(inst, offLink, 0, 0), nx.InvalidParameters},
		step{"create", ARPStaticEntryCreate(inst, offLink, 1, 2), nx.NotEnabled},
		step{"delete zero", ARPStaticEntryDelete(inst, zero, 0, 0), nx.IPAddressError},
		step{"delete without hardware address", ARPStaticEntryDelete(inst, addressB, 0, 0), nx.InvalidParameters},
		step{"delete", ARPStaticEntryDelete(inst, addressB, 1, 2), nx.NotEnabled},
		step{"delete all", ARPStaticEntriesDelete(inst), nx.NotEnabled},
		step{"set zero", ARPDynamicEntrySet(inst, zero, 0, 0), nx.IPAddressError},
		step{"set", ARPDynamicEntrySet(inst, offLink, 0, 0), nx.NotEnabled},
		step{"invalidate", ARPDynamicEntriesInvalidate(inst), nx.NotEnabled},
		step{"entry zero", ARPEntryDelete(inst, zero), nx.IPAddressError},
		step{"entry", ARPEntryDelete(inst, addressB), nx.EntryNotFound},
		step{"hardware address of zero", hardware(zero), nx.IPAddressError},
		step{"hardware address", hardware(addressB), nx.NotEnabled},
		step{"address of zero", noErr(ARPIPAddressFind(inst, 0, 0)), nx.InvalidParameters},
		step{"address", noErr(ARPIPAddressFind(inst, 1, 2)), nx.NotEnabled},
		step{"gratuitous", ARPGratuitousSend(inst, nil), nx.NotEnabled},

		step{"enable with little", ARPEnable(inst, 51), nx.SizeError},
		step{"enable", ARPEnable(inst, 3*52+51), nx.Success},
		step{"before the size", ARPEnable(inst, 0), nx.AlreadyEnabled},

		step{"create off the link", ARPStaticEntryCreate(inst, offLink, 1, 2), nx.IPAddressError},
		step{"set off the link", ARPDynamicEntrySet(inst, offLink, 1, 2), nx.IPAddressError},
		step{"dynamic", ARPDynamicEntrySet(inst, absent, 3, 4), nx.Success},
		step{"static", ARPStaticEntryCreate(inst, addressB, 1, 2), nx.Success},
		step{"dynamic over static", ARPDynamicEntrySet(inst, addressB, 5, 6), nx.DuplicatedEntry},
		step{"delete another", ARPStaticEntryDelete(inst, addressB, 1, 3), nx.EntryNotFound},
		step{"delete a dynamic one", ARPStaticEntryDelete(inst, absent, 3, 4), nx.EntryNotFound},
		step{"no such", hardware(IPAddress(1, 2, 3, 50)), nx.EntryNotFound},
		step{"no such", noErr(ARPIPAddressFind(inst, 7, 7)), nx.EntryNotFound},
		step{"gratuitous", ARPGratuitousSend(inst, nil), nx.Success},
	)
	info, err := ARPInfoGet(inst)
	require.NoError(t, err)
	assert.Equal(t, ARPInfo{DynamicEntries: 1, StaticEntries: 1}, info)
	msw, lsw, err := ARPHardwareAddressFind(inst, absent)
	require.NoError(t, err)
	assert.Equal(t, [2]uint32{3, 4}, [2]uint32{msw, lsw})
	address, err := ARPIPAddressFind(inst, 1, 2)
	require.NoError(t, err)
	assert.Equal(t, addressB, address)

	run(t,
		step{"a third", ARPStaticEntryCreate(inst, IPAddress(1, 2, 3, 50), 1, 1), nx.Success},
		step{"a fourth takes the dynamic one's place", ARPStaticEntryCreate(inst, IPAddress(1, 2, 3, 51), 1, 1), nx.Success},
		step{"gone", hardware(absent), nx.EntryNotFound},
		step{"a fifth", ARPStaticEntryCreate(inst, IPAddress(1, 2, 3, 52), 1, 1), nx.NoMoreEntries},
		step{"entry", ARPEntryDelete(inst, addressB), nx.Success},
		step{"delete all", ARPStaticEntriesDelete(inst), nx.Success},
		step{"dynamic", ARPDynamicEntrySet(inst, absent, 3, 4), nx.Success},
		step{"invalidate", ARPDynamicEntriesInvalidate(inst), nx.Success},
		step{"no address", AddressSet(inst, zero, mask24), nx.Success},
		step{"gratuitous without address", ARPGratuitousSend(inst, nil), nx.IPAddressError},
	)
	info, err = ARPInfoGet(inst)
	require.NoError(t, err)
	assert.Equal(t, ARPInfo{}, info)
}

func TestRARP(t *testing.T) {
	inst := oneHost(t, nil)
	run(t,
		step{"with an address", RARPEnable(inst), nx.IPAddressError},
		step{"disable", RARPDisable(inst), nx.NotEnabled},
		step{"info", noErr(RARPInfoGet(inst)), nx.NotEnabled},
		step{"no address", AddressSet(inst, IPAddress(0, 0, 0, 0), mask24), nx.Success},
		step{"without", RARPEnable(inst), nx.NotSupported},
	)
}

// TestIGMP: a group is known after it was joined, and pings to it are answered.
func TestIGMP(t *testing.T) {
	a, b, _ := pair(t)
	group := IPAddress(224, 1, 1, 1)
	run(t,
		step{"info", noErr(IGMPInfoGet(b)), nx.NotEnabled},
		step{"loopback", IGMPLoopbackEnable(b), nx.NotEnabled},
		step{"loopback", IGMPLoopbackDisable(b), nx.NotEnabled},
		step{"no group", IGMPMulticastInterfaceJoin(b, addressA, 1), nx.IPAddressError},
		step{"IPv6", IGMPMulticastJoin(b, address6A), nx.IPAddressError},
		step{"before the interface", IGMPMulticastInterfaceJoin(b, group, 1), nx.NotEnabled},
		step{"leave", IGMPMulticastLeave(b, group), nx.NotEnabled},
		step{"without IGMP, interface", IPv4MulticastInterfaceJoin(b, group, 1), nx.InvalidInterface},
		step{"without IGMP, no group", IPv4MulticastInterfaceLeave(b, addressA, 1), nx.IPAddressError},
		step{"without IGMP, not joined", IPv4MulticastInterfaceLeave(b, group, 0), nx.EntryNotFound},
		step{"enable", IGMPEnable(b), nx.Success},
		step{"again", IGMPEnable(b), nx.AlreadyEnabled},
		step{"interface", IGMPMulticastInterfaceJoin(b, group, 1), nx.InvalidInterface},
		step{"interface", IGMPMulticastInterfaceLeave(b, group, 1), nx.InvalidInterface},
		step{"not joined", IGMPMulticastLeave(b, group), nx.EntryNotFound},
		step{"loopback", IGMPLoopbackEnable(b), nx.Success},
		step{"loopback", IGMPLoopbackDisable(b), nx.Success},
	)
	_, err := ICMPPing(a, group, nil, 1)
	requireStatus(t, nx.NoResponse, err)
	_, err = ICMPPing(a, IPAddress(224, 0, 0, 1), nil, 1)
	requireStatus(t, nx.NoResponse, err) // gVisor is in the all-systems group, the instance is not

	run(t,
		step{"join", IGMPMulticastJoin(b, group), nx.Success},
		step{"join twice", IPv4MulticastInterfaceJoin(b, group, 0), nx.Success},
		step{"leave once", IGMPMulticastLeave(b, group), nx.Success},
	)
	requirePing(t, a, group, 12)
	info, err := IGMPInfoGet(b)
	require.NoError(t, err)
	assert.Equal(t, IGMPInfo{GroupsJoined: 1}, info)
	run(t, step{"leave", IGMPMulticastInterfaceLeave(b, group, 0), nx.Success})
	_, err = ICMPPing(a, group, nil, 1)
	requireStatus(t, nx.NoResponse, err)

	for i := range byte(maxMulticastGroups) {
		require.NoError(t, IGMPMulticastInterfaceJoin(b, IPAddress(224, 1, 1, i), 0))
	}
	run(t, step{"full", IGMPMulticastJoin(b, IPAddress(224, 1, 1, 99)), nx.NoMoreEntries})
}

func TestNDCache(t *testing.T) {
	inst := oneHost(t, nil)
	mac := [6]byte{1, 2, 3, 4, 5, 6}
	hardware := func(a netip.Addr) error { _, _, _, err := NDCacheHardwareAddressFind(inst, a); return err }
	address := func(msw, lsw uint32) error { _, _, err := NDCacheIPAddressFind(inst, msw, lsw); return err }
	run(t,
		step{"set without address", NDCacheEntrySet(inst, netip.Addr{}, 1, mac), nx.PtrError},
		step{"set on no interface", NDCacheEntrySet(inst, address6B, 1, mac), nx.InvalidInterface},
		step{"delete", NDCacheEntryDelete(inst, address6B), nx.EntryNotFound},
		step{"find IPv4", hardware(addressB), nx.InvalidParameters},
		step{"find", hardware(address6B), nx.EntryNotFound},
		step{"find nothing", address(0, 0), nx.InvalidParameters},
		step{"find hardware", address(1, 2), nx.EntryNotFound},
		step{"set", NDCacheEntrySet(inst, address6B, 0, mac), nx.Success},
		step{"set again", NDCacheEntrySet(inst, address6B, 0, mac), nx.Success},
	)
	msw, lsw, index, err := NDCacheHardwareAddressFind(inst, address6B)
	require.NoError(t, err)
	assert.Equal(t, [3]uint32{0x0102, 0x03040506, 0}, [3]uint32{msw, lsw, uint32(index)})
	found, _, err := NDCacheIPAddressFind(inst, msw, lsw)
	require.NoError(t, err)
	assert.Equal(t, address6B, found)
	for i := range byte(ndCacheSize - 1) {
		require.NoError(t, NDCacheEntrySet(inst, netip.AddrFrom16([16]byte{0: 0x20, 15: i}), 0, mac))
	}
	run(t,
		step{"full", NDCacheEntrySet(inst, absent6, 0, mac), nx.NotSuccessful},
		step{"delete", NDCacheEntryDelete(inst, address6B), nx.Success},
		step{"room", NDCacheEntrySet(inst, absent6, 0, mac), nx.Success},
		step{"invalidate", NDCacheInvalidate(inst), nx.Success},
		step{"gone", hardware(absent6), nx.EntryNotFound},
	)
}

func TestAcceptedAndRefused(t *testing.T) {
	inst := oneHost(t, nil)
	SystemInitialize()
	run(t,
		step{"forwarding", ForwardingEnable(inst), nx.Success},
		step{"forwarding", ForwardingDisable(inst), nx.Success},
		step{"RA flags", ICMPv6RAFlagCallbackSet(inst, nil), nx.Success},
		step{"no auxiliary pool", AuxiliaryPacketPoolSet(inst, nil), nx.PtrError},
		step{"auxiliary pool not created", AuxiliaryPacketPoolSet(inst, new(packetpool.Pool)), nx.PtrError},
		step{"auxiliary pool", AuxiliaryPacketPoolSet(inst, inst.Pool()), nx.NotSupported},
		step{"raw filter", RawPacketFilterSet(inst, nil), nx.NotSupported},
	)
}
