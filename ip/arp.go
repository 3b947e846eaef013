package ip

import (
	"net/netip"
	"slices"
	"sync"

	"gonetx/packetpool/nx"
)

// This file is the 11 nx_arp_ services and nx_rarp_enable, _disable, _info_get.
// The links carry datagrams and have no hardware addresses, so that nothing is
// ever asked or answered: the services keep the books that programs look into.

// neighbors is the ARP table and the ND cache.
type neighbors struct {
	mu       sync.Mutex // guards the fields below
	capacity int        // of the ARP table; 0: ARP is not enabled
	arp      []neighbor // as they were set
	nd       []neighbor
}

type neighbor struct {
	address  netip.Addr
	msw, lsw uint32
	static   bool
}

// arpEntrySize is sizeof(NX_ARP) of a 32-bit build.
const arpEntrySize = 52

func (n *neighbors) arpEnabled() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.capacity > 0
}

// clear forgets all entries of the interface.
func (n *neighbors) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.arp, n.nd = nil, nil
}

// reset begins a new life of the block.
func (n *neighbors) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.capacity, n.arp, n.nd = 0, nil, nil
}

func find(list []neighbor, address netip.Addr) int {
	return slices.IndexFunc(list, func(e neighbor) bool { return e.address == address })
}

// set replaces or adds an entry; when the table is full the oldest dynamic one
// goes. False: there is none.
func (n *neighbors) set(e neighbor) bool {
	if i := find(n.arp, e.address); i >= 0 {
		n.arp[i] = e
		return true
	}
	if len(n.arp) >= n.capacity {
		i := slices.IndexFunc(n.arp, func(e neighbor) bool { return !e.static })
		if i < 0 {
			return false
		}
		n.arp = slices.Delete(n.arp, i, i+1)
	}
	n.arp = append(n.arp, e)
	return true
}

// ARPEnable makes room for ARP entries: nx_arp_enable. memorySize bytes hold
// one entry for every 52.
//
// Errors, in order: NX_PTR_ERROR; NX_ALREADY_ENABLED; NX_SIZE_ERROR (under 52
// bytes).
//
// Source: nxe_arp_enable.c, nx_arp_enable.c.
func ARPEnable(inst *Instance, memorySize uint32) error {
	const service = "ip.ARPEnable"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	n := &inst.neighbors
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.capacity > 0 {
		return nx.Fail(service, nx.AlreadyEnabled, nil)
	}
	if memorySize < arpEntrySize {
		return nx.Fail(service, nx.SizeError, nil)
	}
	n.capacity = int(memorySize / arpEntrySize)
	return nil
}

// ARPInfo is what ARPInfoGet answers. Only the entries are ever more than zero.
type ARPInfo struct {
	RequestsSent, RequestsReceived   uint32
	ResponsesSent, ResponsesReceived uint32
	DynamicEntries, StaticEntries    uint32
	AgedEntries, InvalidMessages     uint32
}

// ARPInfoGet answers the counters of ARP: nx_arp_info_get.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED.
func ARPInfoGet(inst *Instance) (ARPInfo, error) {
	var info ARPInfo
	status := inst.withARP(func(n *neighbors) nx.Status {
		for _, e := range n.arp {
			if e.static {
				info.StaticEntries++
			} else {
				info.DynamicEntries++
			}
		}
		return nx.Success
	})
	return info, nx.Fail("ip.ARPInfoGet", status, nil)
}

// withARP does what an ARP service does once its arguments are checked.
func (inst *Instance) withARP(do func(*neighbors) nx.Status) nx.Status {
	if !inst.isCreated() {
		return nx.PtrError
	}
	n := &inst.neighbors
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.capacity == 0 {
		return nx.NotEnabled
	}
	return do(n)
}

// checkARPAddress is the check of the services that set an entry.
func checkARPAddress(inst *Instance, address netip.Addr) nx.Status {
	if !inst.isCreated() {
		return nx.PtrError
	}
	if word, ok := wordOf(address); !ok || word == 0 || isMulticast(word) || word == limitedBroadcast {
		return nx.IPAddressError
	}
	return nx.Success
}

// onLink tells whether an address is reached without a gateway.
func (inst *Instance) onLink(address netip.Addr) bool {
	route, status, _ := inst.routeFind(address)
	return status == nx.Success && route.NextHop == address
}

// checkARPEntry is the check of the services that look for an entry.
func checkARPEntry(inst *Instance, address netip.Addr) nx.Status {
	if !inst.isCreated() {
		return nx.PtrError
	}
	if word, ok := wordOf(address); !ok || word == 0 {
		return nx.IPAddressError
	}
	return nx.Success
}

// ARPStaticEntryCreate enters a hardware address, its upper 16 and lower 32
// bits, for good: nx_arp_static_entry_create.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (0.0.0.0, multicast,
// limited broadcast); NX_INVALID_PARAMETERS (hardware address zero);
// NX_NOT_ENABLED; NX_IP_ADDRESS_ERROR (not on the link); NX_NO_MORE_ENTRIES.
func ARPStaticEntryCreate(inst *Instance, address netip.Addr, msw, lsw uint32) error {
	const service = "ip.ARPStaticEntryCreate"
	if status := checkARPAddress(inst, address); status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	if msw|lsw == 0 {
		return nx.Fail(service, nx.InvalidParameters, nil)
	}
	return nx.Fail(service, inst.withARP(func(n *neighbors) nx.Status {
		if !inst.onLink(address.Unmap()) {
			return nx.IPAddressError
		}
		if !n.set(neighbor{address.Unmap(), msw, lsw, true}) {
			return nx.NoMoreEntries
		}
		return nx.Success
	}), nil)
}

// ARPStaticEntryDelete takes a static entry away: nx_arp_static_entry_delete.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (0.0.0.0);
// NX_INVALID_PARAMETERS; NX_NOT_ENABLED; NX_ENTRY_NOT_FOUND.
func ARPStaticEntryDelete(inst *Instance, address netip.Addr, msw, lsw uint32) error {
	const service = "ip.ARPStaticEntryDelete"
	if status := checkARPEntry(inst, address); status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	if msw|lsw == 0 {
		return nx.Fail(service, nx.InvalidParameters, nil)
	}
	return nx.Fail(service, inst.withARP(func(n *neighbors) nx.Status {
		i := slices.Index(n.arp, neighbor{address.Unmap(), msw, lsw, true})
		if i < 0 {
			return nx.EntryNotFound
		}
		n.arp = slices.Delete(n.arp, i, i+1)
		return nx.Success
	}), nil)
}

// ARPStaticEntriesDelete takes all static entries away:
// nx_arp_static_entries_delete.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED.
func ARPStaticEntriesDelete(inst *Instance) error {
	return nx.Fail("ip.ARPStaticEntriesDelete", inst.withARP(func(n *neighbors) nx.Status {
		n.arp = slices.DeleteFunc(n.arp, func(e neighbor) bool { return e.static })
		return nx.Success
	}), nil)
}

// ARPDynamicEntrySet enters a hardware address that may be replaced, zero for
// one that is to be asked for: nx_arp_dynamic_entry_set.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (0.0.0.0, multicast,
// limited broadcast); NX_NOT_ENABLED; NX_IP_ADDRESS_ERROR (not on the link);
// NX_DUPLICATED_ENTRY (there is a static one); NX_NO_MORE_ENTRIES.
func ARPDynamicEntrySet(inst *Instance, address netip.Addr, msw, lsw uint32) error {
	const service = "ip.ARPDynamicEntrySet"
	if status := checkARPAddress(inst, address); status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	return nx.Fail(service, inst.withARP(func(n *neighbors) nx.Status {
		if !inst.onLink(address.Unmap()) {
			return nx.IPAddressError
		}
		if i := find(n.arp, address.Unmap()); i >= 0 && n.arp[i].static {
			return nx.DuplicatedEntry
		}
		if !n.set(neighbor{address: address.Unmap(), msw: msw, lsw: lsw}) {
			return nx.NoMoreEntries
		}
		return nx.Success
	}), nil)
}

// ARPDynamicEntriesInvalidate takes all dynamic entries away:
// nx_arp_dynamic_entries_invalidate.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED.
func ARPDynamicEntriesInvalidate(inst *Instance) error {
	return nx.Fail("ip.ARPDynamicEntriesInvalidate", inst.withARP(func(n *neighbors) nx.Status {
		n.arp = slices.DeleteFunc(n.arp, func(e neighbor) bool { return !e.static })
		return nx.Success
	}), nil)
}

// ARPEntryDelete takes an entry away: nx_arp_entry_delete. It does not ask
// whether ARP is enabled.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (0.0.0.0);
// NX_ENTRY_NOT_FOUND.
func ARPEntryDelete(inst *Instance, address netip.Addr) error {
	const service = "ip.ARPEntryDelete"
	if status := checkARPEntry(inst, address); status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	n := &inst.neighbors
	n.mu.Lock()
	defer n.mu.Unlock()
	i := find(n.arp, address.Unmap())
	if i < 0 {
		return nx.Fail(service, nx.EntryNotFound, nil)
	}
	n.arp = slices.Delete(n.arp, i, i+1)
	return nil
}

// ARPHardwareAddressFind answers the hardware address of an address, its upper
// 16 and lower 32 bits: nx_arp_hardware_address_find.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (0.0.0.0);
// NX_NOT_ENABLED; NX_ENTRY_NOT_FOUND.
func ARPHardwareAddressFind(inst *Instance, address netip.Addr) (msw, lsw uint32, err error) {
	const service = "ip.ARPHardwareAddressFind"
	if status := checkARPEntry(inst, address); status != nx.Success {
		return 0, 0, nx.Fail(service, status, nil)
	}
	status := inst.withARP(func(n *neighbors) nx.Status {
		i := find(n.arp, address.Unmap())
		if i < 0 {
			return nx.EntryNotFound
		}
		msw, lsw = n.arp[i].msw, n.arp[i].lsw
		return nx.Success
	})
	return msw, lsw, nx.Fail(service, status, nil)
}

// ARPIPAddressFind answers the address of a hardware address:
// nx_arp_ip_address_find.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_PARAMETERS (zero);
// NX_NOT_ENABLED; NX_ENTRY_NOT_FOUND.
func ARPIPAddressFind(inst *Instance, msw, lsw uint32) (netip.Addr, error) {
	const service = "ip.ARPIPAddressFind"
	if !inst.isCreated() {
		return netip.Addr{}, nx.Fail(service, nx.PtrError, nil)
	}
	if msw|lsw == 0 {
		return netip.Addr{}, nx.Fail(service, nx.InvalidParameters, nil)
	}
	var address netip.Addr
	status := inst.withARP(func(n *neighbors) nx.Status {
		i := slices.IndexFunc(n.arp, func(e neighbor) bool { return e.msw == msw && e.lsw == lsw })
		if i < 0 {
			return nx.EntryNotFound
		}
		address = n.arp[i].address
		return nx.Success
	})
	return address, nx.Fail(service, status, nil)
}

// ARPGratuitousSend would announce the interface's address:
// nx_arp_gratuitous_send. No frame leaves, and responseHandler is never called.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (the interface has no
// address); NX_NOT_ENABLED.
func ARPGratuitousSend(inst *Instance, responseHandler func(*Instance)) error {
	const service = "ip.ARPGratuitousSend"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if inst.settings.Load().address == 0 {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	return nx.Fail(service, inst.withARP(func(*neighbors) nx.Status { return nx.Success }), nil)
}

// RARPEnable would ask the network for the interface's address: nx_rarp_enable.
// There are no hardware addresses to ask with.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (the interface has an
// address); NX_NOT_SUPPORTED, always.
func RARPEnable(inst *Instance) error {
	const service = "ip.RARPEnable"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if inst.settings.Load().address != 0 {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	return nx.Fail(service, nx.NotSupported, nil)
}

// RARPDisable is nx_rarp_disable.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED, always, because it never is.
func RARPDisable(inst *Instance) error {
	return nx.Fail("ip.RARPDisable", inst.neverEnabled(), nil)
}

// RARPInfo is what RARPInfoGet would answer.
type RARPInfo struct{ RequestsSent, ResponsesReceived, InvalidMessages uint32 }

// RARPInfoGet is nx_rarp_info_get.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED, always, because it never is.
func RARPInfoGet(inst *Instance) (RARPInfo, error) {
	return RARPInfo{}, nx.Fail("ip.RARPInfoGet", inst.neverEnabled(), nil)
}

func (inst *Instance) neverEnabled() nx.Status {
	if !inst.isCreated() {
		return nx.PtrError
	}
	return nx.NotEnabled
}
