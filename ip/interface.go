package ip

import (
	"encoding/binary"
	"net/netip"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"
)

// This file is nx_ip_interface_attach, _detach, _info_get, _mtu_set,
// _physical_address_get, _physical_address_set, _address_mapping_configure,
// _capability_get, _capability_set, and nx_ip_max_payload_size_find.

// InterfaceAttach would add a second interface: nx_ip_interface_attach. The
// default build has room for one, and so has this package.
//
// Errors, in order: NX_PTR_ERROR (no name, no driver); NX_IP_ADDRESS_ERROR;
// NX_DUPLICATED_ENTRY (the address of an interface, and not 0.0.0.0);
// NX_NO_MORE_ENTRIES, always.
//
// Source: nxe_ip_interface_attach.c, nx_ip_interface_attach.c.
func InterfaceAttach(inst *Instance, name string, address, networkMask netip.Addr, linkDriver link.Driver) error {
	const service = "ip.InterfaceAttach"
	if !inst.isCreated() || linkDriver == nil || name == "" {
		return nx.Fail(service, nx.PtrError, nil)
	}
	word, ok := wordOf(address)
	_, maskOK := wordOf(networkMask)
	if !ok || !maskOK || !isClassABC(word) {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	if s := inst.settings.Load(); word != 0 && (word == s.address && s.attached || word == loopbackAddress) {
		return nx.Fail(service, nx.DuplicatedEntry, nil)
	}
	return nx.Fail(service, nx.NoMoreEntries, nil)
}

// InterfaceDetach takes the interface out of use: nx_ip_interface_detach. Its
// connections are reset, its addresses, gateway, routes and routers forgotten;
// only the loopback interface is left. The link stays open until Delete, and
// there is no way to attach another one.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE.
//
// Source: nxe_ip_interface_detach.c, nx_ip_interface_detach.c.
func InterfaceDetach(inst *Instance, interfaceIndex uint) error {
	const service = "ip.InterfaceDetach"
	if status := inst.checkInterface(interfaceIndex); status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	if t := inst.Transport(); t != nil {
		t.InterfaceDown()
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	before := inst.settings.Load()
	if !before.attached {
		return nx.Fail(service, nx.InvalidInterface, nil)
	}
	inst.replaceAddress(before, 0, 0)
	for _, i := range before.ipv6Order {
		inst.forgetIPv6(i)
	}
	inst.neighbors.clear()
	inst.change(func(s *settings) {
		s.attached, s.address, s.mask, s.gateway = false, 0, 0, 0
		s.routes, s.routers, s.groups = nil, nil, nil
	})
	return nil
}

// InterfaceInfo is what InterfaceInfoGet answers.
type InterfaceInfo struct {
	Name               string
	Address            netip.Addr
	NetworkMask        netip.Addr
	MTU                uint32 // bytes, IP header included
	PhysicalAddressMSW uint32 // upper 16 bits
	PhysicalAddressLSW uint32 // lower 32 bits
}

// InterfaceInfoGet answers what is set on an interface:
// nx_ip_interface_info_get. The name of interface 0 is "PRI".
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE.
//
// Source: nxe_ip_interface_info_get.c, nx_ip_interface_info_get.c.
func InterfaceInfoGet(inst *Instance, interfaceIndex uint) (InterfaceInfo, error) {
	if status := inst.checkIndex(interfaceIndex); status != nx.Success {
		return InterfaceInfo{}, nx.Fail("ip.InterfaceInfoGet", status, nil)
	}
	s := inst.settings.Load()
	msw, lsw := inst.physicalWords()
	return InterfaceInfo{"PRI", addrOf(s.address), addrOf(s.mask), s.mtu, msw, lsw}, nil
}

// InterfaceMTUSet sets the longest datagram, IP header included, for
// connections made later and for everything else at once:
// nx_ip_interface_mtu_set. Any number is accepted, zero too; nothing gets
// through then.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE.
//
// Source: nxe_ip_interface_mtu_set.c, nx_ip_interface_mtu_set.c.
func InterfaceMTUSet(inst *Instance, interfaceIndex uint, mtu uint32) error {
	if status := inst.checkIndex(interfaceIndex); status != nx.Success {
		return nx.Fail("ip.InterfaceMTUSet", status, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.change(func(s *settings) { s.mtu = mtu })
	return nil
}

// InterfacePhysicalAddressGet answers the hardware address, its upper 16 and
// lower 32 bits: nx_ip_interface_physical_address_get.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE.
//
// Source: nxe_ip_interface_physical_address_get.c.
func InterfacePhysicalAddressGet(inst *Instance, interfaceIndex uint) (msw, lsw uint32, err error) {
	if status := inst.checkIndex(interfaceIndex); status != nx.Success {
		return 0, 0, nx.Fail("ip.InterfacePhysicalAddressGet", status, nil)
	}
	msw, lsw = inst.physicalWords()
	return msw, lsw, nil
}

// InterfacePhysicalAddressSet sets the hardware address:
// nx_ip_interface_physical_address_set. No frame carries one here, so that
// updateDriver makes no difference; IPv6 link-local addresses set afterwards are
// made of it.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE.
//
// Source: nxe_ip_interface_physical_address_set.c.
func InterfacePhysicalAddressSet(inst *Instance, interfaceIndex uint, msw, lsw uint32, updateDriver bool) error {
	if status := inst.checkIndex(interfaceIndex); status != nx.Success {
		return nx.Fail("ip.InterfacePhysicalAddressSet", status, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	binary.BigEndian.PutUint16(inst.physical[:], uint16(msw))
	binary.BigEndian.PutUint32(inst.physical[2:], lsw)
	return nil
}

func (inst *Instance) physicalWords() (msw, lsw uint32) {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	return uint32(binary.BigEndian.Uint16(inst.physical[:])), binary.BigEndian.Uint32(inst.physical[2:])
}

// InterfaceAddressMappingConfigure would say whether the link needs ARP:
// nx_ip_interface_address_mapping_configure. The links here never do; the call
// is accepted.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE.
//
// Source: nxe_ip_interface_address_mapping_configure.c.
func InterfaceAddressMappingConfigure(inst *Instance, interfaceIndex uint, mappingNeeded bool) error {
	return nx.Fail("ip.InterfaceAddressMappingConfigure", inst.checkIndex(interfaceIndex), nil)
}

// InterfaceCapabilityGet is nx_ip_interface_capability_get, which the default
// build leaves out (NX_ENABLE_INTERFACE_CAPABILITY).
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE; NX_NOT_SUPPORTED,
// always.
func InterfaceCapabilityGet(inst *Instance, interfaceIndex uint) (uint32, error) {
	return 0, nx.Fail("ip.InterfaceCapabilityGet", inst.unsupportedOnInterface(interfaceIndex), nil)
}

// InterfaceCapabilitySet is nx_ip_interface_capability_set, which the default
// build leaves out.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE; NX_NOT_SUPPORTED,
// always.
func InterfaceCapabilitySet(inst *Instance, interfaceIndex uint, capability uint32) error {
	return nx.Fail("ip.InterfaceCapabilitySet", inst.unsupportedOnInterface(interfaceIndex), nil)
}

func (inst *Instance) unsupportedOnInterface(index uint) nx.Status {
	if status := inst.checkIndex(index); status != nx.Success {
		return status
	}
	return nx.NotSupported
}

// MaxPayloadSizeFind answers where the payload of a datagram to destination
// begins in a packet, and how much of it fits one datagram:
// nx_ip_max_payload_size_find. For IPv4 the index is that of an interface, for
// IPv6 that of an address. protocol is 6 (TCP) or 17 (UDP); the ports are not
// used.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (no address);
// NX_NOT_SUPPORTED (protocol); then for IPv4 NX_INVALID_INTERFACE (no such
// interface, or it has no address), for IPv6 NX_IP_ADDRESS_ERROR (index above
// 3).
//
// Source: nxe_ip_max_payload_size_find.c, nx_ip_max_payload_size_find.c.
func MaxPayloadSizeFind(inst *Instance, destination netip.Addr, interfaceIndex, sourcePort, destinationPort uint, protocol uint32) (startOffset, payloadLength uint32, err error) {
	const service = "ip.MaxPayloadSizeFind"
	const physicalHeader = 16 // NX_PHYSICAL_HEADER
	if !inst.isCreated() {
		return 0, 0, nx.Fail(service, nx.PtrError, nil)
	}
	if !destination.IsValid() {
		return 0, 0, nx.Fail(service, nx.IPAddressError, nil)
	}
	switch protocol {
	case protocolTCP:
		startOffset = physicalHeader + 20
	case protocolUDP:
		startOffset = physicalHeader + 8
	default:
		return 0, 0, nx.Fail(service, nx.NotSupported, nil)
	}
	s := inst.settings.Load()
	if isIPv6(destination) {
		if interfaceIndex > maxIPv6Addresses {
			return 0, 0, nx.Fail(service, nx.IPAddressError, nil)
		}
		startOffset += 40
	} else {
		if interfaceIndex >= maxPhysicalInterfaces || s.address == 0 {
			return 0, 0, nx.Fail(service, nx.InvalidInterface, nil)
		}
		startOffset += 20
	}
	headers := startOffset - physicalHeader
	return startOffset, max(s.mtu, headers) - headers, nil
}
