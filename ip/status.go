package ip

import (
	"gonetx/packetpool/nx"
)

// This file is nx_ip_status_check, nx_ip_interface_status_check,
// nx_ip_link_status_change_notify_set, and the driver commands
// nx_ip_driver_direct_command and nx_ip_driver_interface_direct_command.

// Status bits of an instance (NX_IP_…).
const (
	InitializeDone       uint32 = 0x0001
	AddressResolved      uint32 = 0x0002
	LinkEnabled          uint32 = 0x0004
	ARPEnabled           uint32 = 0x0008
	UDPEnabled           uint32 = 0x0010 // never: there is no UDP
	TCPEnabled           uint32 = 0x0020
	IGMPEnabled          uint32 = 0x0040
	RARPComplete         uint32 = 0x0080
	InterfaceLinkEnabled uint32 = 0x0100

	allStatusBits = 0x01FF
)

// StatusCheck waits until all bits of needed are true at the same time, looking
// every tick: nx_ip_status_check. It answers those of them that are.
//
// Errors, in order: NX_PTR_ERROR; NX_OPTION_ERROR (a bit above 0x100);
// NX_NOT_SUCCESSFUL when the wait ran out.
//
// Source: nxe_ip_status_check.c, nx_ip_interface_status_check.c.
func StatusCheck(inst *Instance, needed uint32, wait nx.Wait) (actual uint32, err error) {
	const service = "ip.StatusCheck"
	if !inst.isCreated() {
		return 0, nx.Fail(service, nx.PtrError, nil)
	}
	if needed&^allStatusBits != 0 {
		return 0, nx.Fail(service, nx.OptionError, nil)
	}
	actual, status := inst.awaitStatus(needed, wait)
	return actual, nx.Fail(service, status, nil)
}

// InterfaceStatusCheck is [StatusCheck] for one interface:
// nx_ip_interface_status_check.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE; NX_OPTION_ERROR;
// NX_NOT_SUCCESSFUL.
//
// Source: nxe_ip_interface_status_check.c, nx_ip_interface_status_check.c.
func InterfaceStatusCheck(inst *Instance, interfaceIndex uint, needed uint32, wait nx.Wait) (actual uint32, err error) {
	const service = "ip.InterfaceStatusCheck"
	if status := inst.checkInterface(interfaceIndex); status != nx.Success {
		return 0, nx.Fail(service, status, nil)
	}
	if needed&^allStatusBits != 0 {
		return 0, nx.Fail(service, nx.OptionError, nil)
	}
	actual, status := inst.awaitStatus(needed, wait)
	return actual, nx.Fail(service, status, nil)
}

// awaitStatus sleeps one tick at a time, as the original does.
func (inst *Instance) awaitStatus(needed uint32, wait nx.Wait) (uint32, nx.Status) {
	wait = inst.WaitOption(wait)
	for {
		actual := inst.statusBits() & needed
		if actual == needed {
			return actual, nx.Success
		}
		if wait == nx.NoWait || !inst.isCreated() {
			return actual, nx.NotSuccessful
		}
		nx.NewSuspension(inst.clock).Await(1)
		if wait != nx.WaitForever {
			wait--
		}
	}
}

func (inst *Instance) statusBits() uint32 {
	bits := InitializeDone
	set := func(on bool, more uint32) {
		if on {
			bits |= more
		}
	}
	s := inst.settings.Load()
	set(s.address != 0, AddressResolved|RARPComplete)
	set(inst.endpoint.Info().Up, LinkEnabled|InterfaceLinkEnabled)
	set(s.igmp, IGMPEnabled)
	set(inst.Transport() != nil, TCPEnabled)
	set(inst.neighbors.arpEnabled(), ARPEnabled)
	return bits
}

// LinkStatusChangeNotifySet sets the callback for the link coming up or going
// away: nx_ip_link_status_change_notify_set. It is called on the callback
// goroutine.
//
// Errors: NX_PTR_ERROR, for a nil callback too.
//
// Source: nxe_ip_link_status_change_notify_set.c.
func LinkStatusChangeNotifySet(inst *Instance, notify func(inst *Instance, interfaceIndex uint, linkUp bool)) error {
	if !inst.isCreated() || notify == nil {
		return nx.Fail("ip.LinkStatusChangeNotifySet", nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.linkNotify = notify
	return nil
}

// linkChanged is what the driver calls (_nx_ip_driver_link_status_event). The
// driver may call it under a lock of its own.
func (inst *Instance) linkChanged(up bool, _ error) {
	if inst.linkUp.Swap(up) == up || !inst.created.Load() {
		return
	}
	inst.Post(func() {
		inst.mu.Lock()
		notify := inst.linkNotify
		inst.mu.Unlock()
		if notify != nil {
			notify(inst, 0, up)
		}
	})
}

// Commands of a link driver (NX_LINK_…) that a program may give it.
const (
	LinkGetStatus     uint = 10
	LinkGetSpeed      uint = 11
	LinkGetDuplexType uint = 12
	LinkGetErrorCount uint = 13
	LinkGetRxCount    uint = 14
	LinkGetTxCount    uint = 15
	LinkGetAllocError uint = 16
	LinkUserCommand   uint = 50
)

// DriverDirectCommand asks the link driver of interface 0:
// nx_ip_driver_direct_command. LinkGetStatus answers 1 when the link is up, the
// counts answer the frames of the link. Speed and duplex type, which no link
// here has, answer 0, as NetX Duo's RAM driver does.
//
// Errors, in order: NX_PTR_ERROR; NX_UNHANDLED_COMMAND.
//
// Source: nxe_ip_driver_direct_command.c, nx_ip_driver_direct_command.c.
func DriverDirectCommand(inst *Instance, command uint) (uint32, error) {
	const service = "ip.DriverDirectCommand"
	if !inst.isCreated() {
		return 0, nx.Fail(service, nx.PtrError, nil)
	}
	value, status := inst.command(command)
	return value, nx.Fail(service, status, nil)
}

// DriverInterfaceDirectCommand asks the link driver of an interface:
// nx_ip_driver_interface_direct_command.
//
// Errors, in order: NX_PTR_ERROR; NX_INVALID_INTERFACE; NX_UNHANDLED_COMMAND.
//
// Source: nxe_ip_driver_interface_direct_command.c.
func DriverInterfaceDirectCommand(inst *Instance, command, interfaceIndex uint) (uint32, error) {
	const service = "ip.DriverInterfaceDirectCommand"
	if status := inst.checkInterface(interfaceIndex); status != nx.Success {
		return 0, nx.Fail(service, status, nil)
	}
	value, status := inst.command(command)
	return value, nx.Fail(service, status, nil)
}

func (inst *Instance) command(command uint) (uint32, nx.Status) {
	info := inst.endpoint.Info()
	switch command {
	case LinkGetStatus:
		if info.Up {
			return 1, nx.Success
		}
		return 0, nx.Success
	case LinkGetSpeed, LinkGetDuplexType, LinkGetAllocError:
		return 0, nx.Success
	case LinkGetErrorCount:
		return uint32(info.InDrops + info.OutDrops), nx.Success
	case LinkGetRxCount:
		return uint32(info.InFrames), nx.Success
	case LinkGetTxCount:
		return uint32(info.OutFrames), nx.Success
	}
	return 0, nx.UnhandledCommand
}
