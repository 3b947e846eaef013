package ip

import (
	"net/netip"
	"slices"

	"gonetx/packetpool/nx"
)

// This file is nx_ip_gateway_address_set, _get, _clear and
// nx_ip_static_route_add, _delete.

// GatewayAddressSet sets the default IPv4 gateway:
// nx_ip_gateway_address_set. It stays when the interface's address changes, and
// is used as long as it lies in the interface's subnet.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (0.0.0.0, not IPv4, or
// not in the subnet of the interface).
//
// Source: nxe_ip_gateway_address_set.c, nx_ip_gateway_address_set.c.
func GatewayAddressSet(inst *Instance, address netip.Addr) error {
	const service = "ip.GatewayAddressSet"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	word, ok := wordOf(address)
	if !ok || word == 0 {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if s := inst.settings.Load(); !s.attached || word&s.mask != s.network() {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	inst.change(func(s *settings) { s.gateway = word })
	return nil
}

// GatewayAddressGet answers the default gateway: nx_ip_gateway_address_get.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_FOUND when none is set.
//
// Source: nxe_ip_gateway_address_get.c, nx_ip_gateway_address_get.c.
func GatewayAddressGet(inst *Instance) (netip.Addr, error) {
	const service = "ip.GatewayAddressGet"
	if !inst.isCreated() {
		return netip.Addr{}, nx.Fail(service, nx.PtrError, nil)
	}
	gateway := inst.settings.Load().gateway
	if gateway == 0 {
		return netip.Addr{}, nx.Fail(service, nx.NotFound, nil)
	}
	return addrOf(gateway), nil
}

// GatewayAddressClear takes the default gateway away, if there is one:
// nx_ip_gateway_address_clear.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_ip_gateway_address_clear.c, nx_ip_gateway_address_clear.c.
func GatewayAddressClear(inst *Instance) error {
	if !inst.isCreated() {
		return nx.Fail("ip.GatewayAddressClear", nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.change(func(s *settings) { s.gateway = 0 })
	return nil
}

// StaticRouteAdd sends what goes to a network through a hop on the interface's
// subnet: nx_ip_static_route_add. A route to the same network with the same mask
// is replaced. The longest mask wins. Needs Config.StaticRouting, as the
// original needs NX_ENABLE_IP_STATIC_ROUTING.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_SUPPORTED in the default
// configuration; NX_IP_ADDRESS_ERROR (not IPv4, or the hop not on the interface's
// subnet); NX_OVERFLOW when there are eight routes.
//
// Source: nxe_ip_static_route_add.c, nx_ip_static_route_add.c.
func StaticRouteAdd(inst *Instance, network, networkMask, nextHop netip.Addr) error {
	const service = "ip.StaticRouteAdd"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if !inst.config.StaticRouting {
		return nx.Fail(service, nx.NotSupported, nil)
	}
	address, ok := wordOf(network)
	mask, maskOK := wordOf(networkMask)
	hop, hopOK := wordOf(nextHop)
	inst.mu.Lock()
	defer inst.mu.Unlock()
	old := inst.settings.Load()
	if !ok || !maskOK || !hopOK || !old.attached || hop&old.mask != old.network() {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	route := staticRoute{network: address & mask, mask: mask, nextHop: hop}
	routes := slices.Clone(old.routes)
	if i := routeIndex(routes, route.network, mask); i >= 0 {
		routes[i] = route
	} else if len(routes) == maxRoutes {
		return nx.Fail(service, nx.Overflow, nil)
	} else {
		at := slices.IndexFunc(routes, func(r staticRoute) bool { return r.mask < mask })
		if at < 0 {
			at = len(routes)
		}
		routes = slices.Insert(routes, at, route)
	}
	inst.change(func(s *settings) { s.routes = routes })
	return nil
}

// StaticRouteDelete takes a route away: nx_ip_static_route_delete.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_SUPPORTED in the default
// configuration; NX_NOT_SUCCESSFUL when the table holds routes, but not this
// one. An empty table answers success, as the original does.
//
// Source: nxe_ip_static_route_delete.c, nx_ip_static_route_delete.c.
func StaticRouteDelete(inst *Instance, network, networkMask netip.Addr) error {
	const service = "ip.StaticRouteDelete"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if !inst.config.StaticRouting {
		return nx.Fail(service, nx.NotSupported, nil)
	}
	address, ok := wordOf(network)
	mask, maskOK := wordOf(networkMask)
	inst.mu.Lock()
	defer inst.mu.Unlock()
	routes := inst.settings.Load().routes
	if len(routes) == 0 {
		return nil
	}
	i := routeIndex(routes, address&mask, mask)
	if !ok || !maskOK || i < 0 {
		return nx.Fail(service, nx.NotSuccessful, nil)
	}
	inst.change(func(s *settings) { s.routes = slices.Delete(slices.Clone(routes), i, i+1) })
	return nil
}

func routeIndex(routes []staticRoute, network, mask uint32) int {
	return slices.IndexFunc(routes, func(r staticRoute) bool { return r.network == network && r.mask == mask })
}
