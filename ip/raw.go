package ip

import (
	"net/netip"
	"slices"
	"sync"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// This file is the nine services on raw packets: nx_ip_raw_packet_enable,
// _disable, _send, _source_send, _receive, _filter_set,
// nx_ip_raw_receive_queue_max_set, nxd_ip_raw_packet_send and _source_send.

// RawProtocol is the protocol number of nx_ip_raw_packet_send (NX_IP_RAW).
const RawProtocol = 255

// rawQueue holds the raw packets that nobody has received yet, and those who
// wait for one.
type rawQueue struct {
	mu      sync.Mutex // guards the fields below
	packets []packetpool.Packet
	waiting []*rawWaiter
	depth   uint32
}

type rawWaiter struct {
	suspension *nx.Suspension
	packet     packetpool.Packet // set before the suspension is resumed
	served     bool
}

// RawPacketEnable turns raw packets on: nx_ip_raw_packet_enable. From now on
// datagrams of protocols that are neither TCP, UDP, ICMP nor IGMP are kept for
// [RawPacketReceive], 20 of them (NX_IP_RAW_MAX_QUEUE_DEPTH). It may be called
// again, which sets the depth back.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_ip_raw_packet_enable.c, nx_ip_raw_packet_enable.c.
func RawPacketEnable(inst *Instance) error {
	if !inst.isCreated() {
		return nx.Fail("ip.RawPacketEnable", nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.raw.setDepth(inst.config.RawQueueDepth)
	inst.change(func(s *settings) { s.raw = true })
	return nil
}

// RawPacketDisable turns raw packets off: nx_ip_raw_packet_disable. Packets in
// the queue are released, callers that wait get NX_NO_PACKET.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_ip_raw_packet_disable.c, nx_ip_raw_packet_disable.c.
func RawPacketDisable(inst *Instance) error {
	if !inst.isCreated() {
		return nx.Fail("ip.RawPacketDisable", nx.PtrError, nil)
	}
	inst.mu.Lock()
	inst.change(func(s *settings) { s.raw = false })
	inst.mu.Unlock()
	inst.raw.flush()
	return nil
}

// RawReceiveQueueMaxSet sets how many raw packets wait to be received before
// the newest are dropped: nx_ip_raw_receive_queue_max_set.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_ip_raw_receive_queue_max_set.c.
func RawReceiveQueueMaxSet(inst *Instance, queueMax uint32) error {
	if !inst.isCreated() {
		return nx.Fail("ip.RawReceiveQueueMaxSet", nx.PtrError, nil)
	}
	inst.raw.setDepth(queueMax)
	return nil
}

// RawPacketFilterSet is nx_ip_raw_packet_filter_set, which the default build
// leaves out (NX_ENABLE_IP_RAW_PACKET_FILTER).
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_SUPPORTED, always.
func RawPacketFilterSet(inst *Instance, filter func(inst *Instance, protocol uint32, packet packetpool.Packet) nx.Status) error {
	const service = "ip.RawPacketFilterSet"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	return nx.Fail(service, nx.NotSupported, nil)
}

// RawPacketReceive answers the oldest raw packet, and waits for one if there is
// none: nx_ip_raw_packet_receive. The data begin behind the IP header. The
// caller releases the packet.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED; NX_NO_PACKET when none came
// or raw packets were turned off.
//
// Source: nxe_ip_raw_packet_receive.c, nx_ip_raw_packet_receive.c.
func RawPacketReceive(inst *Instance, wait nx.Wait) (packetpool.Packet, error) {
	const service = "ip.RawPacketReceive"
	if !inst.isCreated() {
		return packetpool.Packet{}, nx.Fail(service, nx.PtrError, nil)
	}
	if !inst.settings.Load().raw {
		return packetpool.Packet{}, nx.Fail(service, nx.NotEnabled, nil)
	}
	packet, ok := inst.raw.receive(inst.clock, inst.WaitOption(wait))
	if !ok {
		return packetpool.Packet{}, nx.Fail(service, nx.NoPacket, nil)
	}
	return packet, nil
}

// RawIPv4PacketSend sends the data of a packet as an IPv4 datagram of protocol
// 255: nx_ip_raw_packet_send. The packet needs 20 bytes in front of its data; it
// is the instance's after success, and the caller's after a failure. Of
// typeOfService bits 16 to 23 are sent.
//
// Errors, in order: NX_PTR_ERROR (packet too); NX_NOT_ENABLED;
// NX_IP_ADDRESS_ERROR (0.0.0.0, or not IPv4); NX_OPTION_ERROR (other bits of
// typeOfService); NX_UNDERFLOW; NX_IP_ADDRESS_ERROR (no route).
//
// Source: nxe_ip_raw_packet_send.c, nx_ip_raw_packet_send.c.
func RawIPv4PacketSend(inst *Instance, packet packetpool.Packet, destination netip.Addr, typeOfService uint32) error {
	const service = "ip.RawIPv4PacketSend"
	if status := checkRawIPv4(inst, packet, destination, typeOfService); status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	route, status, cause := inst.routeFind(destination)
	if status != nx.Success {
		return nx.Fail(service, status, cause)
	}
	return inst.sendRaw(service, packet, &outgoing{
		source: route.Source, destination: destination.Unmap(), protocol: RawProtocol,
		timeToLive: defaultTimeToLive, typeOfService: uint8(typeOfService >> 16),
	})
}

// RawIPv4PacketSourceSend is [RawIPv4PacketSend] from the interface with an
// index: nx_ip_raw_packet_source_send. A packet without a route is released and
// counted.
//
// Errors, in order: NX_PTR_ERROR (packet too); NX_NOT_ENABLED;
// NX_IP_ADDRESS_ERROR (0.0.0.0, or not IPv4); NX_OPTION_ERROR; NX_UNDERFLOW;
// NX_INVALID_INTERFACE.
//
// Source: nxe_ip_raw_packet_source_send.c.
func RawIPv4PacketSourceSend(inst *Instance, packet packetpool.Packet, destination netip.Addr, addressIndex uint, typeOfService uint32) error {
	const service = "ip.RawIPv4PacketSourceSend"
	if status := checkRawIPv4(inst, packet, destination, typeOfService); status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	source, ok := inst.sourceOf(destination.Unmap(), addressIndex)
	if !ok {
		return nx.Fail(service, nx.InvalidInterface, nil)
	}
	return inst.sendRaw(service, packet, &outgoing{
		source: source, destination: destination.Unmap(), protocol: RawProtocol,
		timeToLive: defaultTimeToLive, typeOfService: uint8(typeOfService >> 16),
	})
}

func checkRawIPv4(inst *Instance, packet packetpool.Packet, destination netip.Addr, typeOfService uint32) nx.Status {
	const tosMask = 0x00FF0000 // NX_IP_TOS_MASK
	headRoom, status := checkRaw(inst, packet)
	if status != nx.Success {
		return status
	}
	if word, ok := wordOf(destination); !ok || word == 0 {
		return nx.IPAddressError
	}
	if typeOfService&^tosMask != 0 {
		return nx.OptionError
	}
	if headRoom < 20 {
		return nx.Underflow
	}
	return nx.Success
}

// checkRaw is how the checks of all services that send raw packets begin.
func checkRaw(inst *Instance, packet packetpool.Packet) (headRoom uint32, status nx.Status) {
	if !inst.isCreated() {
		return 0, nx.PtrError
	}
	headRoom, err := packetpool.HeadRoom(packet)
	if err != nil {
		return 0, nx.PtrError
	}
	if !inst.settings.Load().raw {
		return 0, nx.NotEnabled
	}
	return headRoom, nx.Success
}

// RawPacketSend sends the data of a packet as a datagram of either family:
// nxd_ip_raw_packet_send, from the interface's address or the IPv6 address with
// index 0. The packet needs 20 or 40 bytes in front of its data; it is the
// instance's after success, and the caller's after a failure. A packet without
// a route is released and counted. timeToLive and typeOfService, of which the
// lower 8 bits count, are those of IPv4; IPv6 datagrams have the hop limit 255.
//
// Errors, in order: NX_PTR_ERROR (packet too); NX_NOT_ENABLED;
// NX_IP_ADDRESS_ERROR (no address); NX_INVALID_PARAMETERS (protocol above 255);
// NX_UNDERFLOW; NX_IP_ADDRESS_ERROR (0.0.0.0, ::). Not in NetX Duo:
// NX_NO_INTERFACE_ADDRESS when there is no IPv6 address with index 0.
//
// Source: nxde_ip_raw_packet_send.c, nxd_ip_raw_packet_source_send.c.
func RawPacketSend(inst *Instance, packet packetpool.Packet, destination netip.Addr, protocol uint32, timeToLive uint, typeOfService uint32) error {
	const service = "ip.RawPacketSend"
	headRoom, status := checkRaw(inst, packet)
	if status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	destination = destination.Unmap().WithZone("")
	if !destination.IsValid() {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	if protocol > 255 {
		return nx.Fail(service, nx.InvalidParameters, nil)
	}
	if headRoom < headerOf(destination) {
		return nx.Fail(service, nx.Underflow, nil)
	}
	if destination.IsUnspecified() {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	return inst.rawSend(service, packet, destination, 0, protocol, timeToLive, typeOfService)
}

// RawPacketSourceSend is [RawPacketSend] from the interface (IPv4) or the
// address (IPv6) with an index: nxd_ip_raw_packet_source_send.
//
// Errors, in order: NX_PTR_ERROR (packet too); NX_NOT_ENABLED;
// NX_IP_ADDRESS_ERROR (no address, 0.0.0.0, ::); NX_INVALID_INTERFACE (IPv4) or
// NX_IP_ADDRESS_ERROR (IPv6, index above 3); NX_UNDERFLOW. Not in NetX Duo:
// NX_NO_INTERFACE_ADDRESS when there is no IPv6 address with that index.
//
// Source: nxde_ip_raw_packet_source_send.c, nxd_ip_raw_packet_source_send.c.
func RawPacketSourceSend(inst *Instance, packet packetpool.Packet, destination netip.Addr, addressIndex uint, protocol uint32, timeToLive uint, typeOfService uint32) error {
	const service = "ip.RawPacketSourceSend"
	headRoom, status := checkRaw(inst, packet)
	if status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	destination = destination.Unmap().WithZone("")
	if !destination.IsValid() || destination.IsUnspecified() {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	if destination.Is4() && addressIndex > loopbackInterface {
		return nx.Fail(service, nx.InvalidInterface, nil)
	}
	if destination.Is6() && addressIndex > loopbackIPv6Index {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	if headRoom < headerOf(destination) {
		return nx.Fail(service, nx.Underflow, nil)
	}
	return inst.rawSend(service, packet, destination, addressIndex, protocol, timeToLive, typeOfService)
}

// headerOf is the size of an IP header without options.
func headerOf(a netip.Addr) uint32 {
	if a.Is6() {
		return 40
	}
	return 20
}

func (inst *Instance) rawSend(service string, packet packetpool.Packet, destination netip.Addr, index uint, protocol uint32, timeToLive uint, typeOfService uint32) error {
	source, ok := inst.sourceOf(destination, index)
	if !ok {
		return nx.Fail(service, nx.NoInterfaceAddress, nil)
	}
	o := outgoing{
		source: source, destination: destination, protocol: uint8(protocol),
		timeToLive: uint8(timeToLive), typeOfService: uint8(typeOfService),
	}
	if destination.Is6() {
		o.timeToLive, o.typeOfService = defaultHopLimit, 0
	}
	return inst.sendRaw(service, packet, &o)
}

// sendRaw sends the data of a packet, which is the instance's from here on.
func (inst *Instance) sendRaw(service string, packet packetpool.Packet, o *outgoing) error {
	o.payload = flatten(packet, 0)
	if err := packetpool.TransmitRelease(packet); err != nil {
		return nx.Fail(service, statusOf(err), err)
	}
	inst.send(o)
	return nil
}

func (q *rawQueue) setDepth(depth uint32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.depth = depth
}

// offer gives a packet to the oldest waiter, or keeps it. False: the queue is
// full.
func (q *rawQueue) offer(packet packetpool.Packet) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 {
		w := q.waiting[0]
		q.waiting = q.waiting[1:]
		w.packet, w.served = packet, true
		w.suspension.Resume()
		return true
	}
	if uint32(len(q.packets)) >= q.depth {
		return false
	}
	q.packets = append(q.packets, packet)
	return true
}

func (q *rawQueue) receive(clock nx.Clock, wait nx.Wait) (packetpool.Packet, bool) {
	q.mu.Lock()
	if len(q.packets) > 0 {
		packet := q.packets[0]
		q.packets = q.packets[1:]
		q.mu.Unlock()
		return packet, true
	}
	if wait == nx.NoWait {
		q.mu.Unlock()
		return packetpool.Packet{}, false
	}
	w := &rawWaiter{suspension: nx.NewSuspension(clock)}
	q.waiting = append(q.waiting, w)
	q.mu.Unlock()

	w.suspension.Await(wait)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(other *rawWaiter) bool { return other == w })
	return w.packet, w.served
}

// flush releases the packets and ends the waits.
func (q *rawQueue) flush() {
	q.mu.Lock()
	packets, waiting := q.packets, q.waiting
	q.packets, q.waiting = nil, nil
	q.mu.Unlock()
	for _, packet := range packets {
		_ = packetpool.Release(packet) // the pool may have been deleted
	}
	for _, w := range waiting {
		w.suspension.Resume()
	}
}
