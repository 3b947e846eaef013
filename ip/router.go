package ip

import (
	"net/netip"
	"slices"
	"time"

	"gonetx/packetpool/nx"
)

// This file is nxd_ipv6_default_router_add, _delete, _get, _entry_get and
// _number_of_entries_get.

// How an IPv6 default router was learned (NX_IPV6_ROUTE_TYPE_…).
const (
	RouterSolicited   uint = 1
	RouterUnsolicited uint = 2
	RouterStatic      uint = 4
)

// infiniteLifetime is the lifetime that never runs out.
const infiniteLifetime = 0xFFFF

// IPv6DefaultRouterAdd adds a default router, or changes the lifetime of one
// that is there: nxd_ipv6_default_router_add. The lifetime is in seconds, of
// which the lower 16 bits count; 0xFFFF never runs out. The router is
// link-local, or has the prefix of an address of the interface.
//
// Errors, in order: NX_PTR_ERROR (also for the zero Addr);
// NX_INVALID_PARAMETERS (not IPv6); NX_INVALID_INTERFACE; NX_IP_ADDRESS_ERROR
// (not unicast, or not on the link); NX_NO_MORE_ENTRIES when there are eight.
//
// Source: nxde_ipv6_default_router_add.c,
// nxd_ipv6_default_router_add_internal.c.
func IPv6DefaultRouterAdd(inst *Instance, routerAddress netip.Addr, lifetime uint32, interfaceIndex uint) error {
	const service = "ip.IPv6DefaultRouterAdd"
	if !inst.isCreated() || !routerAddress.IsValid() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if !isIPv6(routerAddress) {
		return nx.Fail(service, nx.InvalidParameters, nil)
	}
	if status := inst.checkInterface(interfaceIndex); status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	routerAddress = routerAddress.WithZone("")
	inst.mu.Lock()
	defer inst.mu.Unlock()
	s := inst.settings.Load()
	if !isUnicast(routerAddress) || !routerAddress.IsLinkLocalUnicast() && !s.onLinkIPv6(routerAddress) {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	now := inst.clock.Now()
	seconds := lifetime & 0xFFFF
	entry := router{
		address: routerAddress, method: RouterStatic, infinite: seconds == infiniteLifetime,
		expires: now + time.Duration(seconds)*time.Second,
	}
	routers := s.liveRouters(now)
	if i := slices.IndexFunc(routers, func(r router) bool { return r.address == routerAddress }); i >= 0 {
		routers[i] = entry
	} else if len(routers) == maxRouters {
		return nx.Fail(service, nx.NoMoreEntries, nil)
	} else {
		routers = append(routers, entry)
	}
	inst.change(func(s *settings) { s.routers = routers })
	return nil
}

// onLinkIPv6 tells whether an address has the prefix of one of the interface.
func (s *settings) onLinkIPv6(a netip.Addr) bool {
	return slices.ContainsFunc(s.ipv6Order, func(i int) bool { return s.ipv6At[i].contains(a) })
}

// liveRouters is a copy of the routers whose lifetime has not run out.
func (s *settings) liveRouters(now time.Duration) []router {
	return slices.DeleteFunc(slices.Clone(s.routers), func(r router) bool { return !r.alive(now) })
}

func (r *router) alive(now time.Duration) bool { return r.infinite || now < r.expires }

// lifetime is what is left of it, in seconds.
func (r *router) lifetime(now time.Duration) uint32 {
	if r.infinite {
		return infiniteLifetime
	}
	return uint32((r.expires - now + time.Second - 1) / time.Second)
}

// IPv6DefaultRouterDelete takes a default router away:
// nxd_ipv6_default_router_delete.
//
// Errors, in order: NX_PTR_ERROR (also for the zero Addr);
// NX_INVALID_PARAMETERS (not IPv6); NX_NOT_FOUND when there are routers, but
// not this one. An empty table answers success, as the original does.
//
// Source: nxde_ipv6_default_router_delete.c, nxd_ipv6_default_router_delete.c.
func IPv6DefaultRouterDelete(inst *Instance, routerAddress netip.Addr) error {
	const service = "ip.IPv6DefaultRouterDelete"
	if !inst.isCreated() || !routerAddress.IsValid() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if !isIPv6(routerAddress) {
		return nx.Fail(service, nx.InvalidParameters, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	routers := inst.settings.Load().liveRouters(inst.clock.Now())
	if len(routers) == 0 {
		return nil
	}
	i := slices.IndexFunc(routers, func(r router) bool { return r.address == routerAddress.WithZone("") })
	if i < 0 {
		return nx.Fail(service, nx.NotFound, nil)
	}
	inst.change(func(s *settings) { s.routers = slices.Delete(routers, i, i+1) })
	return nil
}

// RouterInfo is what the services on default routers answer.
type RouterInfo struct {
	Address             netip.Addr
	Lifetime            uint32 // seconds that are left; 0xFFFF: for ever
	PrefixLength        uint32 // 10 for a link-local address, otherwise 64
	ConfigurationMethod uint   // RouterStatic
}

// IPv6DefaultRouterGet answers the first default router of an interface:
// nxd_ipv6_default_router_get.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE; NX_NOT_FOUND.
//
// Source: nxde_ipv6_default_router_get.c, nxd_ipv6_default_router_get.c.
func IPv6DefaultRouterGet(inst *Instance, interfaceIndex uint) (RouterInfo, error) {
	info, status := inst.routerAt(interfaceIndex, 0)
	return info, nx.Fail("ip.IPv6DefaultRouterGet", status, nil)
}

// IPv6DefaultRouterEntryGet answers the default router with an index, from 0:
// nxd_ipv6_default_router_entry_get.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE (no such interface, or
// index above 7); NX_NOT_FOUND.
//
// Source: nxde_ipv6_default_router_entry_get.c,
// nxd_ipv6_default_router_entry_get.c.
func IPv6DefaultRouterEntryGet(inst *Instance, interfaceIndex, entryIndex uint) (RouterInfo, error) {
	info, status := inst.routerAt(interfaceIndex, entryIndex)
	return info, nx.Fail("ip.IPv6DefaultRouterEntryGet", status, nil)
}

func (inst *Instance) routerAt(index, entry uint) (RouterInfo, nx.Status) {
	if status := inst.checkIndex(index); status != nx.Success {
		return RouterInfo{}, status
	}
	if entry >= maxRouters {
		return RouterInfo{}, nx.InvalidInterface
	}
	now := inst.clock.Now()
	routers := inst.settings.Load().liveRouters(now)
	if entry >= uint(len(routers)) {
		return RouterInfo{}, nx.NotFound
	}
	r := &routers[entry]
	info := RouterInfo{r.address, r.lifetime(now), 64, r.method}
	if r.address.IsLinkLocalUnicast() {
		info.PrefixLength = linkLocalPrefix
	}
	return info, nx.Success
}

// IPv6DefaultRouterNumberOfEntriesGet answers how many default routers an
// interface has: nxd_ipv6_default_router_number_of_entries_get.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE.
//
// Source: nxde_ipv6_default_router_number_of_entries_get.c.
func IPv6DefaultRouterNumberOfEntriesGet(inst *Instance, interfaceIndex uint) (uint, error) {
	if status := inst.checkIndex(interfaceIndex); status != nx.Success {
		return 0, nx.Fail("ip.IPv6DefaultRouterNumberOfEntriesGet", status, nil)
	}
	return uint(len(inst.settings.Load().liveRouters(inst.clock.Now()))), nil
}
