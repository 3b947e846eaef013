package ip

import (
	"net/netip"

	"gonetx/packetpool/nx"
)

// This file is nxd_ipv6_enable, nxd_ipv6_disable, and what the default build
// leaves out of IPv6.

var loopbackIPv6 = netip.IPv6Loopback()

// IPv6Enable turns IPv6 on: nxd_ipv6_enable. Only ::1, with index 3, is there
// then; not even a link-local address is made ([IPv6LinklocalAddressSet]).
//
// Errors, in order: NX_PTR_ERROR; NX_ALREADY_ENABLED.
//
// Source: nxde_ipv6_enable.c, nxd_ipv6_enable.c.
func IPv6Enable(inst *Instance) error {
	const service = "ip.IPv6Enable"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if inst.settings.Load().ipv6 {
		return nx.Fail(service, nx.AlreadyEnabled, nil)
	}
	inst.change(func(s *settings) {
		s.ipv6 = true
		s.ipv6At[loopbackIPv6Index] = ipv6Address{state: AddressValid, address: loopbackIPv6, prefix: 128}
	})
	inst.addAddress(loopbackIPv6, 128)
	return nil
}

// IPv6Disable turns IPv6 off, and ICMPv6 with it: nxd_ipv6_disable. All IPv6
// addresses and routers are forgotten. Open connections stay, and nothing can
// be sent on them.
//
// Errors: NX_PTR_ERROR. It is no error when IPv6 is not enabled.
//
// Source: nxde_ipv6_disable.c, nxd_ipv6_disable.c.
func IPv6Disable(inst *Instance) error {
	if !inst.isCreated() {
		return nx.Fail("ip.IPv6Disable", nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	s := inst.settings.Load()
	if !s.ipv6 {
		return nil
	}
	for _, i := range s.ipv6Order {
		inst.forgetIPv6(i)
	}
	inst.removeAddress(loopbackIPv6)
	inst.change(func(s *settings) {
		s.ipv6, s.icmpv6, s.routers = false, false, nil
		s.ipv6At[loopbackIPv6Index] = ipv6Address{}
	})
	return nil
}

// IPv6StatelessAddressAutoconfigEnable is
// nxd_ipv6_stateless_address_autoconfig_enable, which the default build leaves
// out.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE; NX_NOT_SUPPORTED,
// always.
func IPv6StatelessAddressAutoconfigEnable(inst *Instance, interfaceIndex uint) error {
	return nx.Fail("ip.IPv6StatelessAddressAutoconfigEnable", inst.unsupportedOnInterface(interfaceIndex), nil)
}

// IPv6StatelessAddressAutoconfigDisable is
// nxd_ipv6_stateless_address_autoconfig_disable, which the default build leaves
// out.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE; NX_NOT_SUPPORTED,
// always.
func IPv6StatelessAddressAutoconfigDisable(inst *Instance, interfaceIndex uint) error {
	return nx.Fail("ip.IPv6StatelessAddressAutoconfigDisable", inst.unsupportedOnInterface(interfaceIndex), nil)
}

// IPv6MulticastInterfaceJoin is nxd_ipv6_multicast_interface_join, which the
// default build leaves out (NX_ENABLE_IPV6_MULTICAST).
//
// Errors, in order: NX_PTR_ERROR (also for the zero Addr); NX_IP_ADDRESS_ERROR
// (no IPv6 multicast address); NX_INVALID_INTERFACE; NX_NOT_SUPPORTED, always.
func IPv6MulticastInterfaceJoin(inst *Instance, group netip.Addr, interfaceIndex uint) error {
	return nx.Fail("ip.IPv6MulticastInterfaceJoin", inst.ipv6Multicast(group, interfaceIndex), nil)
}

// IPv6MulticastInterfaceLeave is nxd_ipv6_multicast_interface_leave, which the
// default build leaves out.
//
// Errors, in order: NX_PTR_ERROR (also for the zero Addr); NX_IP_ADDRESS_ERROR
// (no IPv6 multicast address); NX_INVALID_INTERFACE; NX_NOT_SUPPORTED, always.
func IPv6MulticastInterfaceLeave(inst *Instance, group netip.Addr, interfaceIndex uint) error {
	return nx.Fail("ip.IPv6MulticastInterfaceLeave", inst.ipv6Multicast(group, interfaceIndex), nil)
}

func (inst *Instance) ipv6Multicast(group netip.Addr, index uint) nx.Status {
	if !inst.isCreated() || !group.IsValid() {
		return nx.PtrError
	}
	if !isIPv6(group) || !group.IsMulticast() {
		return nx.IPAddressError
	}
	return inst.unsupportedOnInterface(index)
}
