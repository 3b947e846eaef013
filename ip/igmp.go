package ip

import (
	"net/netip"
	"slices"

	"gonetx/packetpool/nx"
)

// This file is the eight nx_igmp_ services, nx_ipv4_multicast_interface_join
// and _leave. Datagrams to a group that was joined are taken; no reports are
// sent and no queries answered, because a TUN device and a network in memory
// have no multicast router.

// IGMPEnable turns the services on multicast groups on: nx_igmp_enable.
//
// Errors, in order: NX_PTR_ERROR; NX_ALREADY_ENABLED.
func IGMPEnable(inst *Instance) error {
	const service = "ip.IGMPEnable"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if inst.settings.Load().igmp {
		return nx.Fail(service, nx.AlreadyEnabled, nil)
	}
	inst.change(func(s *settings) { s.igmp = true })
	return nil
}

// IGMPInfo is what IGMPInfoGet answers. Only the groups are ever more than
// zero.
type IGMPInfo struct{ ReportsSent, QueriesReceived, ChecksumErrors, GroupsJoined uint32 }

// IGMPInfoGet answers the counters of IGMP: nx_igmp_info_get.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED.
func IGMPInfoGet(inst *Instance) (IGMPInfo, error) {
	if status := inst.checkIGMP(); status != nx.Success {
		return IGMPInfo{}, nx.Fail("ip.IGMPInfoGet", status, nil)
	}
	return IGMPInfo{GroupsJoined: uint32(len(inst.settings.Load().groups))}, nil
}

// IGMPLoopbackEnable is nx_igmp_loopback_enable: it would make groups joined
// afterwards see what the instance itself sends to them. Accepted, without an
// effect.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED.
func IGMPLoopbackEnable(inst *Instance) error {
	return nx.Fail("ip.IGMPLoopbackEnable", inst.checkIGMP(), nil)
}

// IGMPLoopbackDisable is nx_igmp_loopback_disable. Accepted, without an effect.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED.
func IGMPLoopbackDisable(inst *Instance) error {
	return nx.Fail("ip.IGMPLoopbackDisable", inst.checkIGMP(), nil)
}

func (inst *Instance) checkIGMP() nx.Status {
	if !inst.isCreated() {
		return nx.PtrError
	}
	if !inst.settings.Load().igmp {
		return nx.NotEnabled
	}
	return nx.Success
}

// IGMPMulticastJoin joins a group on interface 0: nx_igmp_multicast_join. A
// group may be joined more than once, and is left as often.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (not of class D);
// NX_NOT_ENABLED; NX_INVALID_INTERFACE; NX_NO_MORE_ENTRIES when there are seven
// groups.
func IGMPMulticastJoin(inst *Instance, group netip.Addr) error {
	return nx.Fail("ip.IGMPMulticastJoin", inst.igmpJoin(group, 0), nil)
}

// IGMPMulticastLeave leaves a group on interface 0: nx_igmp_multicast_leave.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR; NX_NOT_ENABLED;
// NX_INVALID_INTERFACE; NX_ENTRY_NOT_FOUND.
func IGMPMulticastLeave(inst *Instance, group netip.Addr) error {
	return nx.Fail("ip.IGMPMulticastLeave", inst.igmpLeave(group, 0), nil)
}

// IGMPMulticastInterfaceJoin joins a group on an interface:
// nx_igmp_multicast_interface_join. Errors as [IGMPMulticastJoin].
func IGMPMulticastInterfaceJoin(inst *Instance, group netip.Addr, interfaceIndex uint) error {
	return nx.Fail("ip.IGMPMulticastInterfaceJoin", inst.igmpJoin(group, interfaceIndex), nil)
}

// IGMPMulticastInterfaceLeave leaves a group on an interface:
// nx_igmp_multicast_interface_leave. Errors as [IGMPMulticastLeave].
func IGMPMulticastInterfaceLeave(inst *Instance, group netip.Addr, interfaceIndex uint) error {
	return nx.Fail("ip.IGMPMulticastInterfaceLeave", inst.igmpLeave(group, interfaceIndex), nil)
}

// IPv4MulticastInterfaceJoin joins a group without IGMP:
// nx_ipv4_multicast_interface_join.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR; NX_INVALID_INTERFACE;
// NX_NO_MORE_ENTRIES.
func IPv4MulticastInterfaceJoin(inst *Instance, group netip.Addr, interfaceIndex uint) error {
	return nx.Fail("ip.IPv4MulticastInterfaceJoin", inst.groupJoin(group, interfaceIndex, false), nil)
}

// IPv4MulticastInterfaceLeave leaves a group without IGMP:
// nx_ipv4_multicast_interface_leave.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR; NX_INVALID_INTERFACE;
// NX_ENTRY_NOT_FOUND.
func IPv4MulticastInterfaceLeave(inst *Instance, group netip.Addr, interfaceIndex uint) error {
	return nx.Fail("ip.IPv4MulticastInterfaceLeave", inst.groupLeave(group, interfaceIndex, false), nil)
}

func (inst *Instance) igmpJoin(g netip.Addr, index uint) nx.Status {
	return inst.groupJoin(g, index, true)
}

func (inst *Instance) igmpLeave(g netip.Addr, index uint) nx.Status {
	return inst.groupLeave(g, index, true)
}

// checkGroup is the check of all services on groups.
func (inst *Instance) checkGroup(g netip.Addr, index uint, igmp bool) (uint32, nx.Status) {
	if !inst.isCreated() {
		return 0, nx.PtrError
	}
	word, ok := wordOf(g)
	if !ok || !isMulticast(word) {
		return 0, nx.IPAddressError
	}
	if igmp && !inst.settings.Load().igmp {
		return 0, nx.NotEnabled
	}
	return word, inst.checkInterface(index)
}

func (inst *Instance) groupJoin(g netip.Addr, index uint, igmp bool) nx.Status {
	word, status := inst.checkGroup(g, index, igmp)
	if status != nx.Success {
		return status
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	groups := slices.Clone(inst.settings.Load().groups)
	if i := slices.IndexFunc(groups, func(g group) bool { return g.address == word }); i >= 0 {
		groups[i].joins++
	} else if len(groups) == maxMulticastGroups {
		return nx.NoMoreEntries
	} else {
		groups = append(groups, group{word, 1})
		inst.joinGroup(addrOf(word))
	}
	inst.change(func(s *settings) { s.groups = groups })
	return nx.Success
}

func (inst *Instance) groupLeave(g netip.Addr, index uint, igmp bool) nx.Status {
	word, status := inst.checkGroup(g, index, igmp)
	if status != nx.Success {
		return status
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	groups := slices.Clone(inst.settings.Load().groups)
	i := slices.IndexFunc(groups, func(g group) bool { return g.address == word })
	if i < 0 {
		return nx.EntryNotFound
	}
	if groups[i].joins--; groups[i].joins == 0 {
		groups = slices.Delete(groups, i, i+1)
		inst.leaveGroup(addrOf(word))
	}
	inst.change(func(s *settings) { s.groups = groups })
	return nx.Success
}
