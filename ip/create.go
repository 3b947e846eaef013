package ip

import (
	"hash/fnv"
	"net/netip"

	"gonetx/ip/link"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// This file is nx_ip_create and nx_ip_delete.

// minimumMemory is TX_MINIMUM_STACK, the least that Create accepts for the
// stack of the IP thread.
const minimumMemory = 200

// Create makes an IP instance: nx_ip_create. The interface, its link and the
// callbacks are up when it returns, so that the status NX_IP_INITIALIZE_DONE is
// there at once. The address may be 0.0.0.0 (or the zero Addr), to be set
// later. The instance answers nothing but TCP, once that is enabled: ICMP and
// IPv6 are services of their own.
//
// defaultPool holds every inbound frame and what the instance itself sends; it
// stays the program's, and may be that of several instances. linkDriver is
// opened here and its endpoint released by [Delete]. memorySize and priority
// were the IP thread's stack in bytes and its priority; they are checked and
// not used.
//
// Errors, in order: NX_PTR_ERROR (inst, defaultPool or linkDriver nil, the pool
// not created), NX_SIZE_ERROR (memorySize under 200), NX_OPTION_ERROR (priority
// over 31), NX_PTR_ERROR (created already), NX_IP_ADDRESS_ERROR (address or mask
// not IPv4, or address of class D or E). Not in NetX Duo: NX_NOT_SUCCESSFUL,
// with the cause, when the link does not open.
//
// Source: nxe_ip_create.c, nx_ip_create.c.
func Create(inst *Instance, name string, address, networkMask netip.Addr, defaultPool *packetpool.Pool, linkDriver link.Driver, memorySize uint32, priority uint) error {
	const service = "ip.Create"
	if inst == nil || defaultPool == nil || linkDriver == nil || !poolCreated(defaultPool) {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if memorySize < minimumMemory {
		return nx.Fail(service, nx.SizeError, nil)
	}
	if priority >= 32 { // TX_MAX_PRIORITIES
		return nx.Fail(service, nx.OptionError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	if inst.created.Load() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	word, ok := wordOf(address)
	mask, maskOK := wordOf(networkMask)
	if !ok || !maskOK || !isClassABC(word) {
		return nx.Fail(service, nx.IPAddressError, nil)
	}
	if err := inst.create(name, word, mask, defaultPool, linkDriver); err != nil {
		return nx.Fail(service, nx.NotSuccessful, err)
	}
	return nil
}

func (inst *Instance) create(name string, address, mask uint32, pool *packetpool.Pool, driver link.Driver) error {
	config := inst.Config.withDefaults()
	inst.config, inst.clock, inst.recorder = config, config.Clock, config.Recorder
	inst.name, inst.pool = name, pool
	inst.addressNotify, inst.addressInfo, inst.linkNotify, inst.ipv6Notify = nil, nil, nil, nil
	inst.kept = nil
	inst.born = inst.clock.Now()
	inst.neighbors.reset()
	inst.pings.reset()
	inst.fragmentID.Store(0)
	inst.sockets.Store(0)
	inst.transport.Store(nil)
	inst.linkUp.Store(true)
	inst.resetCounters()

	endpoint, err := driver.Open(link.Attachment{
		Instance: name, Pool: pool, Clock: inst.clock, Recorder: inst.recorder,
		LinkChange: inst.linkChanged,
	})
	if err != nil {
		return err
	}
	inst.endpoint = endpoint
	inst.linkUp.Store(endpoint.Info().Up)
	inst.physical = physicalAddress(config.PhysicalAddress, endpoint, name)

	mtu := endpoint.MTU()
	if config.MTU != 0 {
		mtu = min(mtu, config.MTU)
	}
	inst.settings.Store(&settings{attached: true, address: address, mask: mask, mtu: mtu})

	inst.thread = startThread(inst.clock)
	inst.stack = newStack(name, inst.clock, config.Release, config.Recorder)
	inst.gate = newGate(inst, endpoint)
	must(inst.stack.CreateNICWithOptions(nic, inst.gate, stack.NICOptions{Name: name}))
	inst.addAddress(addrOf(loopbackAddress), prefixOf(loopbackMask))
	if address != 0 && address != loopbackAddress {
		inst.addAddress(addrOf(address), prefixOf(mask))
	}
	inst.created.Store(true)
	return nil
}

// physicalAddress is the interface's hardware address: the configured one, the
// link's if it has one, or one made of the name. The second bit of that marks
// it as made up (IEEE 802: locally administered).
func physicalAddress(configured [6]byte, endpoint link.Endpoint, name string) [6]byte {
	if configured != ([6]byte{}) {
		return configured
	}
	if a := endpoint.LinkAddress(); len(a) == 6 {
		return [6]byte([]byte(a))
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	made := [6]byte(h.Sum(nil)[:6])
	made[0] = made[0]&^1 | 2
	return made
}

// Delete ends an IP instance: nx_ip_delete. Callers that are suspended on it
// go on: pings with NX_NO_RESPONSE, raw receives with NX_NO_PACKET. The pool is
// not deleted. The block may be created again.
//
// Errors, in order: NX_PTR_ERROR; NX_SOCKETS_BOUND while sockets exist, also
// unbound ones, and nothing has changed then. Not in NetX Duo:
// NX_CALLER_ERROR in a callback of the instance, which would wait for itself.
//
// Source: nxe_ip_delete.c, nx_ip_delete.c.
func Delete(inst *Instance) error {
	const service = "ip.Delete"
	if !inst.isCreated() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	if inst.InCallback() {
		return nx.Fail(service, nx.CallerError, nil)
	}
	if inst.sockets.Load() > 0 {
		return nx.Fail(service, nx.SocketsBound, nil)
	}
	if !inst.created.CompareAndSwap(true, false) {
		return nx.Fail(service, nx.PtrError, nil) // somebody else deletes it
	}
	inst.close()
	return nil
}

// close is the one order in which an instance ends. Each step needs those
// before it.
func (inst *Instance) close() {
	// Nobody waits any more, and nothing is sent from here on.
	inst.stopDetections()
	inst.pings.close()
	inst.raw.flush()
	// The transport lets go of what it holds: nothing of it is left in the stack.
	if t := inst.Transport(); t != nil {
		t.Close()
	}
	// The reader is joined before the stack is closed, which empties no queue
	// that a segment under delivery gets into meanwhile: its packets would be lost
	// (dispatcher.go, queuePacket). And before it is waited for: Wait holds the
	// stack's lock while it waits for the link, and a reader that answers a frame
	// needs that lock (ipv4.go, FindNICNameFromID).
	inst.endpoint.Stop()
	// The stack resets what is open; the link still carries the resets.
	inst.stack.Close()
	inst.stack.Wait()
	// What the last frames left behind.
	inst.assembly.flush(inst, dropFragmentsFlushed)
	inst.raw.flush()
	// Nobody reads or writes any more.
	inst.SetTransport(nil)
	_ = inst.endpoint.Release() // a device that does not close has nothing more to say to a deleted instance
	// Callbacks posted by all of the above still run.
	inst.thread.stop()
}
