package ip

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// This file is nx_icmp_enable, nxd_icmp_enable, nx_icmp_ping, nxd_icmp_ping,
// nxd_icmp_source_ping and nx_icmp_info_get.

// pings are the echo requests of an instance that wait for their replies.
type pings struct {
	mu       sync.Mutex // guards the fields below
	sequence uint16     // of the next one; one counter for both families
	waiting  []*ping
	closed   bool
}

type ping struct {
	sequence   uint16
	suspension *nx.Suspension
	curious    bool // ICMPEcho's: an ICMP error ends it

	// Set before the suspension is resumed.
	reply  EchoReply
	served bool
	failed *EchoError
	ended  time.Duration
}

// ICMPEnable turns ICMP on for both families: nxd_icmp_enable. Echo requests
// are answered from now on, and IPv6 addresses set from now on go through
// duplicate address detection. It may be called again.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxde_icmp_enable.c, nxd_icmp_enable.c.
func ICMPEnable(inst *Instance) error {
	if !inst.isCreated() {
		return nx.Fail("ip.ICMPEnable", nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.change(func(s *settings) { s.icmp, s.icmpv6 = true, true })
	inst.neighbors.clearND()
	return nil
}

// ICMPv4Enable turns ICMP on for IPv4 only: nx_icmp_enable.
//
// Errors, in order: NX_PTR_ERROR; NX_ALREADY_ENABLED, also after [ICMPEnable].
//
// Source: nxe_icmp_enable.c, nx_icmp_enable.c.
func ICMPv4Enable(inst *Instance) error {
	const service = "ip.ICMPv4Enable"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if inst.settings.Load().icmp {
		return nx.Fail(service, nx.AlreadyEnabled, nil)
	}
	inst.change(func(s *settings) { s.icmp = true })
	return nil
}

// ICMPPing sends an echo request and waits for the reply: nx_icmp_ping and
// nxd_icmp_ping. The answer is a packet of the default pool with the data of the
// reply, which the caller releases. With NX_NO_WAIT the request is sent, and
// the answer is NX_NO_RESPONSE, always; the reply is counted.
//
// The request takes packets of the default pool, waiting for them as long as
// for the reply. Its identifier is the lower half of the source address, its
// sequence number counts the pings of the instance, and a reply is known by the
// sequence number alone. 255.255.255.255 and the broadcast address of the subnet
// may be pinged; the first reply is the answer.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (no address, or 0.0.0.0);
// NX_NOT_ENABLED (ICMP, or for IPv6 IPv6); NX_IP_ADDRESS_ERROR (IPv4: no
// route) or NX_NO_INTERFACE_ADDRESS (IPv6: no address to send from); what
// allocating answers (NX_INVALID_PARAMETERS: the packets of the pool are too
// small, NX_NO_PACKET); what appending answers (IPv4) or NX_OVERFLOW (IPv6);
// NX_NO_RESPONSE.
//
// Source: nxde_icmp_ping.c, nx_icmp_interface_ping.c,
// nx_icmp_interface_ping6.c.
func ICMPPing(inst *Instance, address netip.Addr, data []byte, wait nx.Wait) (packetpool.Packet, error) {
	const service = "ip.ICMPPing"
	address, status := checkPing(inst, address)
	if status == nx.Success {
		status = inst.checkICMP(address)
	}
	if status != nx.Success {
		return packetpool.Packet{}, nx.Fail(service, status, nil)
	}
	route, status, cause := inst.routeFind(address)
	if status != nx.Success {
		return packetpool.Packet{}, nx.Fail(service, status, cause)
	}
	reply, err := inst.echo(service, route.Source, EchoRequest{Address: address, Data: data}, wait, false)
	return reply.Packet, err
}

// ICMPSourcePing is [ICMPPing] from a given source: nxd_icmp_source_ping. For
// IPv4 the index is that of an interface, for IPv6 that of an address.
//
// Errors, in order: NX_PTR_ERROR; NX_IP_ADDRESS_ERROR (no address);
// NX_INVALID_INTERFACE (no such interface, or no such address);
// NX_NOT_ENABLED; what allocating and appending answer, as for ICMPPing;
// NX_NO_RESPONSE, also when there is no route.
//
// Source: nxde_icmp_source_ping.c, nxd_icmp_source_ping.c.
func ICMPSourcePing(inst *Instance, address netip.Addr, addressIndex uint, data []byte, wait nx.Wait) (packetpool.Packet, error) {
	const service = "ip.ICMPSourcePing"
	address, status := checkPing(inst, address)
	if status != nx.Success {
		return packetpool.Packet{}, nx.Fail(service, status, nil)
	}
	source, ok := inst.sourceOf(address, addressIndex)
	if !ok {
		return packetpool.Packet{}, nx.Fail(service, nx.InvalidInterface, nil)
	}
	if status := inst.checkICMP(address); status != nx.Success {
		return packetpool.Packet{}, nx.Fail(service, status, nil)
	}
	reply, err := inst.echo(service, source, EchoRequest{Address: address, Data: data}, wait, false)
	return reply.Packet, err
}

func checkPing(inst *Instance, address netip.Addr) (netip.Addr, nx.Status) {
	if !inst.isCreated() {
		return address, nx.PtrError
	}
	address = address.Unmap().WithZone("")
	if !address.IsValid() || address.Is4() && address.IsUnspecified() {
		return address, nx.IPAddressError
	}
	return address, nx.Success
}

func (inst *Instance) checkICMP(address netip.Addr) nx.Status {
	s := inst.settings.Load()
	if address.Is4() && s.icmp || address.Is6() && s.icmpv6 && s.ipv6 {
		return nx.Success
	}
	return nx.NotEnabled
}

// sourceOf is the address with the index that a service for both families
// takes: of an interface for IPv4, of an address for IPv6.
func (inst *Instance) sourceOf(destination netip.Addr, index uint) (netip.Addr, bool) {
	s := inst.settings.Load()
	switch {
	case destination.Is4() && index == loopbackInterface:
		return addrOf(loopbackAddress), true
	case destination.Is4():
		return addrOf(s.address), index == 0 && s.attached
	case index > loopbackIPv6Index:
		return netip.Addr{}, false
	}
	e := &s.ipv6At[index]
	return e.address, e.state != AddressUnknown
}

// echo is _nx_icmp_interface_ping and _nx_icmp_interface_ping6; curious, it is
// ICMPEcho.
func (inst *Instance) echo(service string, source netip.Addr, r EchoRequest, wait nx.Wait, curious bool) (EchoReply, error) {
	wait = inst.WaitOption(wait)
	request, err := inst.echoRequest(r.Address, r.Data, wait)
	if err != nil {
		return EchoReply{}, nx.Fail(service, statusOf(err), err)
	}
	inst.counters.pingsSent.Add(1)

	p := inst.pings.add(inst.clock, wait != nx.NoWait, curious)
	message := flatten(request, icmpHeaderSize)
	_ = packetpool.TransmitRelease(request) // the pool may have been deleted
	began := inst.clock.Now()
	inst.sendEcho(source, r.Address, p.sequence, r.TimeToLive, message)
	if wait == nx.NoWait {
		return EchoReply{Sequence: p.sequence}, nx.Fail(service, nx.NoResponse, nil)
	}
	p.suspension.Await(wait)
	if inst.pings.end(p) {
		p.reply.Sequence, p.reply.Took = p.sequence, p.ended-began
		return p.reply, nil
	}
	inst.counters.pingTimeouts.Add(1)
	var cause error
	if p.failed != nil {
		cause = p.failed
	}
	return EchoReply{Sequence: p.sequence}, nx.Fail(service, nx.NoResponse, cause)
}

// echoRequest makes the request's packet.
func (inst *Instance) echoRequest(destination netip.Addr, data []byte, wait nx.Wait) (packetpool.Packet, error) {
	room := packetpool.IPv4ICMPPacket + icmpHeaderSize
	if destination.Is6() {
		room = packetpool.IPv6ICMPPacket + icmpHeaderSize
	}
	request, err := packetpool.Allocate(inst.pool, room, wait)
	if err != nil || len(data) == 0 {
		return request, err
	}
	if err := packetpool.DataAppend(request, data, inst.pool, wait); err != nil {
		_ = packetpool.Release(request) // the pool may have been deleted
		if destination.Is6() {
			err = nx.Fail("", nx.Overflow, err)
		}
		return packetpool.Packet{}, err
	}
	return request, nil
}

// add enters a ping with the next sequence number. One that nobody waits for is
// not kept.
func (ps *pings) add(clock nx.Clock, waits, curious bool) *ping {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := &ping{sequence: ps.sequence, curious: curious}
	ps.sequence++
	if waits {
		p.suspension = nx.NewSuspension(clock)
		if ps.closed {
			p.suspension.Resume()
			return p
		}
		ps.waiting = append(ps.waiting, p)
	}
	return p
}

// end takes a ping off the list. True: it was served.
func (ps *pings) end(p *ping) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.waiting = slices.DeleteFunc(ps.waiting, func(other *ping) bool { return other == p })
	return p.served
}

// expects tells whether somebody waits for a reply.
func (ps *pings) expects(sequence uint16) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return slices.ContainsFunc(ps.waiting, func(p *ping) bool { return p.sequence == sequence })
}

// serve gives a reply to the oldest ping that waits for it. False: there is
// none any more.
func (ps *pings) serve(sequence uint16, now time.Duration, reply EchoReply) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.take(func(p *ping) bool { return p.sequence == sequence })
	if p == nil {
		return false
	}
	p.reply, p.served, p.ended = reply, true, now
	p.suspension.Resume()
	return true
}

// fail ends an ICMPEcho whose request did not get there.
func (ps *pings) fail(sequence uint16, why *EchoError) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.take(func(p *ping) bool { return p.curious && p.sequence == sequence }); p != nil {
		p.failed = why
		p.suspension.Resume()
	}
}

// take takes the oldest ping off the list for which wanted holds; nil: there is
// none. The caller holds the lock.
func (ps *pings) take(wanted func(*ping) bool) *ping {
	i := slices.IndexFunc(ps.waiting, wanted)
	if i < 0 {
		return nil
	}
	p := ps.waiting[i]
	ps.waiting = slices.Delete(ps.waiting, i, i+1)
	return p
}

// close ends all waits without a response, and those to come.
func (ps *pings) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = true
	for _, p := range ps.waiting {
		p.suspension.Resume()
	}
	ps.waiting = nil
}

// reset begins a new life of the block.
func (ps *pings) reset() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.sequence, ps.waiting, ps.closed = 0, nil, false
}

// ICMPInfo is what ICMPInfoGet answers.
type ICMPInfo struct {
	PingsSent             uint32
	PingTimeouts          uint32
	PingThreadsSuspended  uint32 // never counted by the original: zero
	PingResponsesReceived uint32 // also those that nobody waited for
	ICMPChecksumErrors    uint32
	ICMPUnhandledMessages uint32
}

// ICMPInfoGet answers the counters of ICMP, both families together:
// nx_icmp_info_get.
//
// Errors, in order: NX_PTR_ERROR; NX_NOT_ENABLED.
//
// Source: nxe_icmp_info_get.c, nx_icmp_info_get.c.
func ICMPInfoGet(inst *Instance) (ICMPInfo, error) {
	const service = "ip.ICMPInfoGet"
	if !inst.isCreated() {
		return ICMPInfo{}, nx.Fail(service, nx.PtrError, nil)
	}
	if !inst.settings.Load().icmp {
		return ICMPInfo{}, nx.Fail(service, nx.NotEnabled, nil)
	}
	c := &inst.counters
	return ICMPInfo{
		PingsSent: c.pingsSent.Load(), PingTimeouts: c.pingTimeouts.Load(),
		PingResponsesReceived: c.pingReplies.Load(),
		ICMPChecksumErrors:    c.icmpChecksum.Load(), ICMPUnhandledMessages: c.icmpUnhandled.Load(),
	}, nil
}

// statusOf is the status that an error of a lower layer carries.
func statusOf(err error) nx.Status { return nx.Status(nx.Code(err)) }
