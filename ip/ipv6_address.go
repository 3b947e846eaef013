package ip

import (
	"net/netip"
	"slices"

	"gonetx/packetpool/nx"
)

// This file is nxd_ipv6_address_set, _get, _delete, _change_notify, and the
// macros nxd_ipv6_global_address_set and nxd_ipv6_linklocal_address_set.

// What an IPv6 address change callback is told (NX_IPV6_ADDRESS_…).
const (
	IPv6AddressManualConfig     uint = 1
	IPv6AddressBasedOnInterface uint = 4
	IPv6AddressManualDelete     uint = 5
	IPv6AddressLifetimeExpired  uint = 6
	IPv6AddressDADSuccessful    uint = 7
	IPv6AddressDADFailure       uint = 8
)

// linkLocalPrefix is the prefix length that asks for a link-local address.
const linkLocalPrefix = 10

// IPv6AddressSet adds an IPv6 address: nxd_ipv6_address_set. The zero Addr with
// prefix length 10 stands for the link-local address made of the interface's
// hardware address. Three addresses fit; the index is the first free one of
// them.
//
// If ICMPv6 is enabled now, the address is TENTATIVE until duplicate address
// detection has found nobody that has it, some three seconds later, and until
// then nothing is sent from it and no segment to it is taken; somebody who has
// it makes it vanish, in silence. Otherwise (and with Config.NoDAD) it is VALID
// at once. The prefix length is not checked.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (not IPv6);
// NX_INVALID_INTERFACE; NX_IP_ADDRESS_ERROR (not unicast: multicast, ::, ::1);
// NX_DUPLICATED_ENTRY; NX_NO_MORE_ENTRIES; NX_DUPLICATED_ENTRY (the link-local
// address is there); NX_IP_ADDRESS_ERROR (the zero Addr with another prefix
// length). The last two answer an index all the same, as the original writes
// it.
//
// Source: nxde_ipv6_address_set.c, nxd_ipv6_address_set.c.
func IPv6AddressSet(inst *Instance, interfaceIndex uint, address netip.Addr, prefixLength uint32) (addressIndex uint, err error) {
	index, status := checkIPv6AddressSet(inst, interfaceIndex, address, prefixLength)
	return index, nx.Fail("ip.IPv6AddressSet", status, nil)
}

// IPv6GlobalAddressSet adds an IPv6 address to interface 0: the macro
// nxd_ipv6_global_address_set. See [IPv6AddressSet].
func IPv6GlobalAddressSet(inst *Instance, address netip.Addr, prefixLength uint32) error {
	_, status := checkIPv6AddressSet(inst, 0, address, prefixLength)
	return nx.Fail("ip.IPv6GlobalAddressSet", status, nil)
}

// IPv6LinklocalAddressSet adds a link-local address to interface 0, the zero
// Addr standing for the one made of the hardware address: the macro
// nxd_ipv6_linklocal_address_set. See [IPv6AddressSet].
func IPv6LinklocalAddressSet(inst *Instance, address netip.Addr) error {
	_, status := checkIPv6AddressSet(inst, 0, address, linkLocalPrefix)
	return nx.Fail("ip.IPv6LinklocalAddressSet", status, nil)
}

func checkIPv6AddressSet(inst *Instance, interfaceIndex uint, address netip.Addr, prefixLength uint32) (uint, nx.Status) {
	address = address.WithZone("")
	if !inst.isCreated() {
		return 0, nx.PtrError
	}
	if address.IsValid() && prefixLength != linkLocalPrefix && !isIPv6(address) {
		return 0, nx.IPAddressError
	}
	if status := inst.checkInterface(interfaceIndex); status != nx.Success {
		return 0, status
	}
	if address.IsValid() && !isUnicast(address) {
		return 0, nx.IPAddressError
	}
	return inst.ipv6AddressSet(address, prefixLength)
}

// isUnicast is IPV6_ADDRESS_UNICAST of nx_ipv6_util.c.
func isUnicast(a netip.Addr) bool {
	return isIPv6(a) && !a.IsMulticast() && !a.IsUnspecified() && !a.IsLoopback()
}

func (inst *Instance) ipv6AddressSet(address netip.Addr, prefix uint32) (uint, nx.Status) {
	inst.mu.Lock()
	s := inst.settings.Load()
	if address.IsValid() && s.ipv6AddressOf(address) >= 0 {
		inst.mu.Unlock()
		return 0, nx.DuplicatedEntry
	}
	index := slices.IndexFunc(s.ipv6At[:maxIPv6Addresses], func(e ipv6Address) bool { return e.state == AddressUnknown })
	if index < 0 {
		inst.mu.Unlock()
		return 0, nx.NoMoreEntries
	}
	if !address.IsValid() {
		if prefix != linkLocalPrefix {
			inst.mu.Unlock()
			return uint(index), nx.IPAddressError
		}
		address = linkLocalOf(inst.physical)
		if s.ipv6AddressOf(address) >= 0 {
			inst.mu.Unlock()
			return uint(index), nx.DuplicatedEntry
		}
	}
	state := AddressValid
	if s.icmpv6 && !inst.config.NoDAD {
		state = AddressTentative
	}
	inst.change(func(s *settings) {
		s.ipv6At[index] = ipv6Address{state: state, address: address, prefix: prefix & 0xFF}
		s.ipv6Order = append(slices.Clone(s.ipv6Order), index)
	})
	if state == AddressTentative {
		inst.startDetection(index)
	} else {
		inst.addIPv6(&inst.settings.Load().ipv6At[index])
	}
	notify := inst.ipv6Notify
	inst.mu.Unlock()
	if notify != nil {
		notify(inst, IPv6AddressManualConfig, 0, uint(index), address)
	}
	return uint(index), nx.Success
}

// addIPv6 tells gVisor of an address that became valid.
func (inst *Instance) addIPv6(e *ipv6Address) { inst.addAddress(e.address, int(min(e.prefix, 128))) }

// linkLocalOf is the address of nxd_ipv6_address_set.c: fe80:: and the EUI-64
// of the hardware address (RFC 4291 appendix A).
func linkLocalOf(mac [6]byte) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xFE, 1: 0x80,
		8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xFF, 12: 0xFE, 13: mac[3], 14: mac[4], 15: mac[5],
	})
}

// forgetIPv6 frees a slot. The caller holds the lock.
func (inst *Instance) forgetIPv6(index int) {
	e := inst.settings.Load().ipv6At[index]
	inst.stopDetection(index)
	if e.state == AddressValid {
		inst.removeAddress(e.address)
	}
	inst.change(func(s *settings) {
		s.ipv6At[index] = ipv6Address{}
		s.ipv6Order = slices.DeleteFunc(slices.Clone(s.ipv6Order), func(i int) bool { return i == index })
	})
}

// IPv6AddressGet answers the address with an index, its prefix length, and its
// interface: nxd_ipv6_address_get. Index 3 is ::1 on interface 1, while IPv6 is
// enabled.
//
// Errors, in order: NX_PTR_ERROR; NX_NO_INTERFACE_ADDRESS (index above 3, no
// such address, or not VALID yet).
//
// Source: nxde_ipv6_address_get.c, nxd_ipv6_address_get.c.
func IPv6AddressGet(inst *Instance, addressIndex uint) (address netip.Addr, prefixLength uint32, interfaceIndex uint, err error) {
	const service = "ip.IPv6AddressGet"
	if !inst.isCreated() {
		return netip.Addr{}, 0, 0, nx.Fail(service, nx.PtrError, nil)
	}
	if addressIndex > loopbackIPv6Index {
		return netip.Addr{}, 0, 0, nx.Fail(service, nx.NoInterfaceAddress, nil)
	}
	e := inst.settings.Load().ipv6At[addressIndex]
	if e.state != AddressValid {
		return netip.Addr{}, 0, 0, nx.Fail(service, nx.NoInterfaceAddress, nil)
	}
	if addressIndex == loopbackIPv6Index {
		interfaceIndex = loopbackInterface
	}
	return e.address, e.prefix, interfaceIndex, nil
}

// IPv6AddressStateGet answers the state of the address with an index, also of
// one that [IPv6AddressGet] does not show. NetX Duo's programs look into the
// control block for it (nxd_ipv6_address_state).
//
// Errors, in order: NX_PTR_ERROR; NX_NO_INTERFACE_ADDRESS (index above 3).
func IPv6AddressStateGet(inst *Instance, addressIndex uint) (AddressState, error) {
	const service = "ip.IPv6AddressStateGet"
	if !inst.isCreated() {
		return AddressUnknown, nx.Fail(service, nx.PtrError, nil)
	}
	if addressIndex > loopbackIPv6Index {
		return AddressUnknown, nx.Fail(service, nx.NoInterfaceAddress, nil)
	}
	return inst.settings.Load().ipv6At[addressIndex].state, nil
}

// IPv6AddressDelete takes the address with an index away, valid or not:
// nxd_ipv6_address_delete. Connections from it stay, and nothing can be sent on
// them.
//
// Errors, in order: NX_PTR_ERROR; NX_NO_INTERFACE_ADDRESS (index above 2, or no
// such address).
//
// Source: nxde_ipv6_address_delete.c, nxd_ipv6_address_delete.c.
func IPv6AddressDelete(inst *Instance, addressIndex uint) error {
	const service = "ip.IPv6AddressDelete"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if addressIndex >= maxIPv6Addresses {
		return nx.Fail(service, nx.NoInterfaceAddress, nil)
	}
	inst.mu.Lock()
	e := inst.settings.Load().ipv6At[addressIndex]
	if e.state == AddressUnknown {
		inst.mu.Unlock()
		return nx.Fail(service, nx.NoInterfaceAddress, nil)
	}
	inst.forgetIPv6(int(addressIndex))
	notify := inst.ipv6Notify
	inst.mu.Unlock()
	if notify != nil {
		notify(inst, IPv6AddressManualDelete, 0, addressIndex, e.address)
	}
	return nil
}

// IPv6AddressChangeNotify sets the callback for changes of IPv6 addresses:
// nxd_ipv6_address_change_notify. Nil takes it away. What a caller does
// (IPv6AddressManualConfig, IPv6AddressManualDelete) it is told in the caller's
// goroutine, the rest on the callback goroutine. Needs
// Config.IPv6AddressChangeNotify.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED in the default configuration.
//
// Source: nxde_ipv6_address_change_notify.c, nxd_ipv6_address_change_notify.c.
func IPv6AddressChangeNotify(inst *Instance, notify func(inst *Instance, status, interfaceIndex, addressIndex uint, address netip.Addr)) error {
	const service = "ip.IPv6AddressChangeNotify"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if !inst.config.IPv6AddressChangeNotify {
		return nx.Fail(service, nx.NotEnabled, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.ipv6Notify = notify
	return nil
}
