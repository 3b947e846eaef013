package ip

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gonetx/ip/link"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Instance is the control block of an IP instance (NX_IP). It belongs to the
// program and must not be copied.
//
// The zero Instance is not created: every service but [Create] answers it with
// NX_PTR_ERROR.
type Instance struct {
	// Config is read by Create. Nil means NetX Duo's default build.
	Config *Config

	created atomic.Bool

	// Set by Create, never changed until Delete.
	name     string
	pool     *packetpool.Pool
	config   Config
	clock    nx.Clock
	recorder nx.Recorder
	stack    *stack.Stack
	gate     *gate
	endpoint link.Endpoint
	thread   *thread
	born     time.Duration // when the instance was created

	counters  counters
	settings  atomic.Pointer[settings]
	linkUp    atomic.Bool
	transport atomic.Pointer[Transport]
	sockets   atomic.Int64 // that exist, bound or not
	neighbors neighbors
	pings     pings
	raw       rawQueue
	assembly  assembly

	fragmentID atomic.Uint32 // of the last datagram that the instance itself sent

	mu sync.Mutex // guards changes of the settings, and the fields below

	kept          map[netip.Addr]bool // addresses of before that gVisor's connections have
	physical      [6]byte
	addressNotify func(*Instance, any)
	addressInfo   any
	linkNotify    func(*Instance, uint, bool)
	ipv6Notify    func(inst *Instance, status, interfaceIndex, addressIndex uint, address netip.Addr)
	detections    [maxIPv6Addresses]*detection // nil: none under way
}

// isCreated tells whether inst may be used.
func (inst *Instance) isCreated() bool { return inst != nil && inst.created.Load() }

// change puts a changed copy of the settings in force. The caller holds the
// lock.
func (inst *Instance) change(f func(*settings)) {
	s := *inst.settings.Load()
	f(&s)
	inst.settings.Store(&s)
}

// What package tcp needs of an instance.

// Name is the name given to Create.
func (inst *Instance) Name() string { return inst.name }

// Stack is the gVisor stack, NIC its one interface.
func (inst *Instance) Stack() *stack.Stack { return inst.stack }

// NIC is the number of the stack's interface.
func (inst *Instance) NIC() tcpip.NICID { return nic }

// MTU is that of the interface, as InterfaceInfoGet answers it. It takes no lock.
func (inst *Instance) MTU() uint32 { return inst.settings.Load().mtu }

// Pool is the default packet pool.
func (inst *Instance) Pool() *packetpool.Pool { return inst.pool }

// Clock counts the instance's ticks.
func (inst *Instance) Clock() nx.Clock { return inst.clock }

// Recorder sees what the instance does; nil when nobody looks.
func (inst *Instance) Recorder() nx.Recorder { return inst.recorder }

// Created tells whether the instance has been created and not been deleted, for
// the pointer checks of other packages. It may be asked of nil.
func (inst *Instance) Created() bool { return inst.isCreated() }

// Release tells whether Config.Release was set.
func (inst *Instance) Release() bool { return inst.config.Release }

// Post runs a callback on the instance's callback goroutine, after those posted
// before. It does not block. After Delete callbacks are not run.
func (inst *Instance) Post(callback func()) { inst.thread.post(callback) }

// InCallback tells whether the caller is the callback goroutine, inside a
// callback. There blocking services act as with NX_NO_WAIT; see
// [Instance.WaitOption].
func (inst *Instance) InCallback() bool { return inst.thread.current() }

// WaitOption is the wait that a service may do for a caller that asks for
// wait: none in a callback.
func (inst *Instance) WaitOption(wait nx.Wait) nx.Wait {
	if wait != nx.NoWait && inst.InCallback() {
		return nx.NoWait
	}
	return wait
}

// Link tells what the instance's link is and can do, now: the device, whether
// super-segments cross it and why not, frames and drops. The zero Info, when
// the instance is not created.
func (inst *Instance) Link() link.Info {
	if !inst.isCreated() {
		return link.Info{}
	}
	return inst.endpoint.Info()
}

// SetTransport installs the transport that sees TCP segments; nil takes it
// away.
func (inst *Instance) SetTransport(t Transport) {
	if t == nil {
		inst.transport.Store(nil)
		return
	}
	inst.transport.Store(&t)
}

// Transport answers what SetTransport installed, nil before.
func (inst *Instance) Transport() Transport {
	if t := inst.transport.Load(); t != nil {
		return *t
	}
	return nil
}

// SocketsChanged counts sockets that exist: while there are any, Delete answers
// NX_SOCKETS_BOUND.
func (inst *Instance) SocketsChanged(delta int) { inst.sockets.Add(int64(delta)) }
