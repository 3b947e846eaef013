package tcp

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"gonetx/ip"
	"gonetx/packetpool/nx"
)

// Socket is the control block of a TCP socket (NX_TCP_SOCKET). It belongs to
// the program and must not be copied.
//
// The zero Socket is not created: every service but [SocketCreate] answers it
// with NX_PTR_ERROR.
type Socket struct {
	// Config is read by SocketCreate. Nil means NetX Duo's default build.
	Config *Config

	protocol atomic.Pointer[protocol] // nil: not created

	// Written by SocketCreate before it publishes protocol.
	p              *protocol
	serial         uint64 // in the order of creation
	name           string
	config         Config
	typeOfService  uint8
	fragment       uint32
	timeToLive     uint8
	window         uint32 // NX_TCP_SOCKET's rx_window_default
	urgentData     func(*Socket)
	disconnectDone func(*Socket)

	// The three locks below are taken before the protocol's, and held while
	// gVisor works; control is taken before the others. No caller holds one of
	// them while it is suspended.

	control sync.Mutex // one service at a time makes or ends a connection
	sending sync.Mutex // data enters the stack in the order of its sequence numbers
	reading sync.Mutex // one caller at a time takes data out of the stack

	// Guarded by the protocol's lock.

	state   State
	client  bool // false from listen or relisten until unaccept
	lingers bool // deleted, while gVisor closes its connection; see linger
	port    uint16
	bound   bool       // in the port table
	binder  *suspended // its own wait in bind

	conn  *connection // the present connection, or the one that ended last
	last  lastInfo    // of the connection that ended
	mss   uint32      // nx_tcp_socket_mss_set; 0: none
	peer  netip.AddrPort
	local netip.Addr
	quiet flow // of a handshake that was given up: what still comes for it gets no answer

	connecting    suspensions // in connect or accept
	receiving     suspensions
	starving      suspensions // receivers that wait for a packet of the default pool
	transmitting  suspensions
	disconnecting suspensions

	queueMax   uint32 // of segments sent and not acknowledged
	timeout    uint32 // ticks
	retries    uint32
	shift      uint32
	receiveMax uint32
	vlan       uint32
	notify     notifications
	counters   socketCounters
	peerMSS    uint32
	giveUp     nx.Timer // of connect and accept
	probes     probes   // of a closed window
	resumed    uint32   // receivers that were resumed and have not read yet
}

// notifications are the callbacks of the notify services.
type notifications struct {
	receive            func(*Socket)
	windowUpdate       func(*Socket)
	queueDepth         func(*Socket)
	establish          func(*Socket)
	disconnectComplete func(*Socket)
	timedWait          func(*Socket)
}

// SocketCreate makes a socket of an instance: nx_tcp_socket_create. It is a
// client socket until it listens. typeOfService, fragment and timeToLive go
// into the IPv4 header; windowSize is the receive window in bytes. urgentData is
// kept and never called, because gVisor knows no urgent data; disconnect is
// called, in the callback goroutine of the instance, when the connection ends
// from the other side. Both may be nil.
//
// Errors, in order: NX_PTR_ERROR (inst nil or not created, socket nil or
// created already), NX_NOT_ENABLED, NX_OPTION_ERROR (typeOfService has other bits
// than 0x00FF0000, fragment is neither FragmentOkay nor DontFragment,
// timeToLive over 0xFF000000, windowSize 0 or over 65535, with
// Config.WindowScaling 2^30 - 1).
//
// Source: nxe_tcp_socket_create.c, nx_tcp_socket_create.c.
func SocketCreate(inst *ip.Instance, socket *Socket, name string, typeOfService, fragment uint32, timeToLive uint, windowSize uint32, urgentData, disconnect func(*Socket)) error {
	const service = "tcp.SocketCreate"
	if !inst.Created() || socket == nil || socket.protocol.Load() != nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	p, status := enabled(inst)
	if status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	config := socket.Config.withDefaults()
	if typeOfService&^tosMask != 0 ||
		fragment != FragmentOkay && fragment != DontFragment ||
		uint64(timeToLive) > maxTimeToLive ||
		windowSize == 0 || windowSize > config.window() {
		return nx.Fail(service, nx.OptionError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if socket.protocol.Load() != nil {
		return nx.Fail(service, nx.PtrError, nil) // by another goroutine, just now
	}
	if socket.lingers {
		return nx.Fail(service, nx.PtrError, errLingers)
	}
	socket.clear()
	socket.p, socket.name, socket.config = p, name, config
	socket.typeOfService, socket.fragment = uint8(typeOfService>>16), fragment
	// NetX Duo shifts the value into the header's field: its low byte counts.
	socket.timeToLive = uint8(timeToLive)
	socket.window = windowSize
	socket.urgentData, socket.disconnectDone = urgentData, disconnect
	socket.queueMax, socket.timeout = config.TransmitQueue, config.TransmitTimer
	socket.retries, socket.shift = config.MaximumRetries, config.RetryShift
	socket.receiveMax = config.ReceiveQueue
	socket.state, socket.client = Closed, true
	socket.last.receiveWindow = windowSize
	p.sockets[socket] = struct{}{}
	p.serial++
	socket.serial = p.serial
	p.inst.SocketsChanged(1)
	socket.protocol.Store(p)
	return nil
}

// clear zeroes what an earlier life of the block has left. Receivers that were
// resumed in it and have not come back yet still count themselves out of resumed.
func (s *Socket) clear() {
	s.state, s.client, s.port, s.bound, s.binder = 0, false, 0, false, nil
	s.conn, s.last, s.quiet = nil, lastInfo{}, flow{}
	s.mss, s.peerMSS, s.peer, s.local = 0, 0, netip.AddrPort{}, netip.Addr{}
	s.connecting, s.receiving, s.starving, s.transmitting, s.disconnecting = nil, nil, nil, nil, nil
	s.vlan, s.notify, s.counters = 0, notifications{}, socketCounters{}
	s.giveUp, s.probes = nil, probes{}
}

// SocketDelete ends a socket: nx_tcp_socket_delete. The block may be created
// again.
//
// Errors, in order: NX_PTR_ERROR, NX_STILL_BOUND (bound to a port, or waiting
// to be, or not in the state CLOSED; a listening socket too).
//
// Source: nxe_tcp_socket_delete.c, nx_tcp_socket_delete.c.
func SocketDelete(socket *Socket) error {
	const service = "tcp.SocketDelete"
	p := created(socket)
	if p == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.sockets[socket]; !ok {
		return nx.Fail(service, nx.PtrError, nil) // deleted by another goroutine, just now
	}
	if socket.bound || socket.binder != nil || socket.refresh() != Closed {
		return nx.Fail(service, nx.StillBound, nil)
	}
	delete(p.sockets, socket)
	p.inst.SocketsChanged(-1)
	socket.protocol.Store(nil)
	return nil
}

// created answers the TCP that a socket belongs to; nil for one that does not
// exist.
func created(socket *Socket) *protocol {
	if socket == nil {
		return nil
	}
	return socket.protocol.Load()
}
