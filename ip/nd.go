package ip

import (
	"net/netip"
	"slices"

	"gonetx/packetpool/nx"
)

// This file is nxd_nd_cache_entry_set, _entry_delete, _hardware_address_find,
// _ip_address_find and _invalidate: books without an effect, as in arp.go.

// ndCacheSize is NX_IPV6_NEIGHBOR_CACHE_SIZE.
const ndCacheSize = 16

// NDCacheEntrySet enters the hardware address of a neighbor:
// nxd_nd_cache_entry_set.
//
// Errors, in order: NX_PTR_ERROR (also when destination is not IPv6);
// NX_INVALID_INTERFACE; NX_NOT_SUCCESSFUL when there are 16 entries.
func NDCacheEntrySet(inst *Instance, destination netip.Addr, interfaceIndex uint, mac [6]byte) error {
	const service = "ip.NDCacheEntrySet"
	if !inst.isCreated() || !isIPv6(destination) {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if interfaceIndex >= maxPhysicalInterfaces {
		return nx.Fail(service, nx.InvalidInterface, nil)
	}
	msw, lsw := macWords(mac)
	e := neighbor{destination.WithZone(""), msw, lsw, true}
	n := &inst.neighbors
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := find(n.nd, e.address); i >= 0 {
		n.nd[i] = e
		return nil
	}
	if len(n.nd) == ndCacheSize {
		return nx.Fail(service, nx.NotSuccessful, nil)
	}
	n.nd = append(n.nd, e)
	return nil
}

// NDCacheEntryDelete takes an entry away: nxd_nd_cache_entry_delete.
//
// Errors, in order: NX_PTR_ERROR; NX_ENTRY_NOT_FOUND.
func NDCacheEntryDelete(inst *Instance, destination netip.Addr) error {
	const service = "ip.NDCacheEntryDelete"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	n := &inst.neighbors
	n.mu.Lock()
	defer n.mu.Unlock()
	i := find(n.nd, destination.WithZone(""))
	if i < 0 {
		return nx.Fail(service, nx.EntryNotFound, nil)
	}
	n.nd = slices.Delete(n.nd, i, i+1)
	return nil
}

// NDCacheHardwareAddressFind answers the hardware address of a neighbor, its
// upper 16 and lower 32 bits: nxd_nd_cache_hardware_address_find.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_PARAMETERS (not IPv6);
// NX_ENTRY_NOT_FOUND.
func NDCacheHardwareAddressFind(inst *Instance, address netip.Addr) (msw, lsw uint32, interfaceIndex uint, err error) {
	const service = "ip.NDCacheHardwareAddressFind"
	if !inst.isCreated() {
		return 0, 0, 0, nx.Fail(service, nx.PtrError, nil)
	}
	if !isIPv6(address) {
		return 0, 0, 0, nx.Fail(service, nx.InvalidParameters, nil)
	}
	n := &inst.neighbors
	n.mu.Lock()
	defer n.mu.Unlock()
	i := find(n.nd, address.WithZone(""))
	if i < 0 {
		return 0, 0, 0, nx.Fail(service, nx.EntryNotFound, nil)
	}
	return n.nd[i].msw, n.nd[i].lsw, 0, nil
}

// NDCacheIPAddressFind answers the neighbor with a hardware address:
// nxd_nd_cache_ip_address_find.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_PARAMETERS (zero);
// NX_ENTRY_NOT_FOUND.
func NDCacheIPAddressFind(inst *Instance, msw, lsw uint32) (address netip.Addr, interfaceIndex uint, err error) {
	const service = "ip.NDCacheIPAddressFind"
	if !inst.isCreated() {
		return netip.Addr{}, 0, nx.Fail(service, nx.PtrError, nil)
	}
	if msw|lsw == 0 {
		return netip.Addr{}, 0, nx.Fail(service, nx.InvalidParameters, nil)
	}
	n := &inst.neighbors
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.nd, func(e neighbor) bool { return e.msw == msw && e.lsw == lsw })
	if i < 0 {
		return netip.Addr{}, 0, nx.Fail(service, nx.EntryNotFound, nil)
	}
	return n.nd[i].address, 0, nil
}

// NDCacheInvalidate takes all entries away: nxd_nd_cache_invalidate.
//
// Errors: NX_PTR_ERROR.
func NDCacheInvalidate(inst *Instance) error {
	if !inst.isCreated() {
		return nx.Fail("ip.NDCacheInvalidate", nx.PtrError, nil)
	}
	inst.neighbors.clearND()
	return nil
}

func (n *neighbors) clearND() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nd = nil
}

func macWords(mac [6]byte) (msw, lsw uint32) {
	return uint32(mac[0])<<8 | uint32(mac[1]),
		uint32(mac[2])<<24 | uint32(mac[3])<<16 | uint32(mac[4])<<8 | uint32(mac[5])
}
