package ip

import (
	"net/netip"

	"gonetx/packetpool/nx"
)

// This file is nx_ip_address_set, _get, _change_notify, and the same of
// interface 0: nx_ip_interface_address_set, _get.

// AddressSet sets the IPv4 address and mask of interface 0:
// nx_ip_address_set. 0.0.0.0, the address of another host and a mask with gaps
// are accepted. Gateway, routes and open sockets are left as they are; what a
// connection sends leaves from the new address then, and the peer, which knows
// nobody there, resets it. The callback of
// [AddressChangeNotify] is called by the caller itself, if something changed.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (not IPv4, or an address
// of class D or E); NX_INVALID_INTERFACE when the interface is detached.
//
// Source: nxe_ip_address_set.c, nx_ip_address_set.c.
func AddressSet(inst *Instance, address, networkMask netip.Addr) error {
	return nx.Fail("ip.AddressSet", interfaceAddressSet(inst, 0, address, networkMask), nil)
}

// AddressGet answers the IPv4 address and mask of interface 0:
// nx_ip_address_get.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_ip_address_get.c, nx_ip_address_get.c.
func AddressGet(inst *Instance) (address, networkMask netip.Addr, err error) {
	if !inst.isCreated() {
		return netip.Addr{}, netip.Addr{}, nx.Fail("ip.AddressGet", nx.PtrError, nil)
	}
	s := inst.settings.Load()
	return addrOf(s.address), addrOf(s.mask), nil
}

// AddressChangeNotify sets the callback that is called with info when the IPv4
// address or mask of an interface changed: nx_ip_address_change_notify. Nil
// takes it away.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_ip_address_change_notify.c, nx_ip_address_change_notify.c.
func AddressChangeNotify(inst *Instance, notify func(inst *Instance, info any), info any) error {
	if !inst.isCreated() {
		return nx.Fail("ip.AddressChangeNotify", nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.addressNotify, inst.addressInfo = notify, info
	return nil
}

// InterfaceAddressSet is [AddressSet] for the interface with that index:
// nx_ip_interface_address_set. There is only interface 0; the loopback
// interface is not among those it knows.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR; NX_INVALID_INTERFACE.
//
// Source: nxe_ip_interface_address_set.c, nx_ip_interface_address_set.c.
func InterfaceAddressSet(inst *Instance, interfaceIndex uint, address, networkMask netip.Addr) error {
	return nx.Fail("ip.InterfaceAddressSet", interfaceAddressSet(inst, interfaceIndex, address, networkMask), nil)
}

// InterfaceAddressGet answers address and mask of an interface:
// nx_ip_interface_address_get.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE.
//
// Source: nxe_ip_interface_address_get.c, nx_ip_interface_address_get.c.
func InterfaceAddressGet(inst *Instance, interfaceIndex uint) (address, networkMask netip.Addr, err error) {
	if status := inst.checkInterface(interfaceIndex); status != nx.Success {
		return netip.Addr{}, netip.Addr{}, nx.Fail("ip.InterfaceAddressGet", status, nil)
	}
	s := inst.settings.Load()
	return addrOf(s.address), addrOf(s.mask), nil
}

func interfaceAddressSet(inst *Instance, index uint, address, networkMask netip.Addr) nx.Status {
	if !inst.isCreated() {
		return nx.PtrError
	}
	word, ok := wordOf(address)
	mask, maskOK := wordOf(networkMask)
	if !ok || !maskOK || !isClassABC(word) {
		return nx.IPAddressError
	}
	if status := inst.checkInterface(index); status != nx.Success {
		return status
	}
	inst.setAddress(word, mask)
	return nx.Success
}

// checkInterface is the check of most services on interfaces: created, and
// index that of a physical interface that is attached.
func (inst *Instance) checkInterface(index uint) nx.Status {
	if !inst.isCreated() {
		return nx.PtrError
	}
	if index >= maxPhysicalInterfaces || !inst.settings.Load().attached {
		return nx.InvalidInterface
	}
	return nx.Success
}

// checkIndex is that of the services that do not ask whether the interface is
// attached.
func (inst *Instance) checkIndex(index uint) nx.Status {
	if !inst.isCreated() {
		return nx.PtrError
	}
	if index >= maxPhysicalInterfaces {
		return nx.InvalidInterface
	}
	return nx.Success
}

// setAddress is _nx_ip_interface_address_set: the callback comes after the lock
// is given up, in the caller's own goroutine.
func (inst *Instance) setAddress(address, mask uint32) {
	inst.mu.Lock()
	before := inst.settings.Load()
	inst.change(func(s *settings) { s.address, s.mask = address, mask })
	changed := before.address != address || before.mask != mask
	if changed {
		inst.replaceAddress(before, address, mask)
	}
	notify, info := inst.addressNotify, inst.addressInfo
	inst.mu.Unlock()
	if changed && notify != nil {
		notify(inst, info)
	}
}

// replaceAddress tells gVisor. The loopback address is always there, whatever
// the interface's own is. An address that a connection has stays with gVisor
// as long as it has it, and nobody else sees it: the gate lets nothing in for it,
// and what leaves from it leaves from the new one, as in NetX Duo, where a
// connection knows its interface only.
func (inst *Instance) replaceAddress(before *settings, address, mask uint32) {
	if before.address != 0 && before.address != loopbackAddress {
		if inst.kept == nil {
			inst.kept = make(map[netip.Addr]bool)
		}
		inst.kept[addrOf(before.address)] = true
	}
	transport := inst.Transport()
	for a := range inst.kept {
		if transport == nil || a == addrOf(address) || !transport.Uses(a) {
			inst.removeAddress(a)
			delete(inst.kept, a)
		}
	}
	if address != 0 && address != loopbackAddress {
		inst.addAddress(addrOf(address), prefixOf(mask))
	}
}
