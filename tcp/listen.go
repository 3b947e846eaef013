package tcp

import (
	"net/netip"

	"gonetx/ip"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// MaxListenRequests is NX_MAX_LISTEN_REQUESTS: on how many ports an instance
// may listen at a time.
const MaxListenRequests = 10

// listenRequest is one port that is listened on: the socket that takes the next
// connection, and the SYNs that came while there was none. Nobody answers them;
// their senders repeat them.
type listenRequest struct {
	port     uint16
	socket   *Socket // nil: relisten is wanted
	callback func(*Socket, uint)
	maximum  uint
	queue    []*synPacket
}

// flush drops the SYNs.
func (l *listenRequest) flush() {
	for _, syn := range l.queue {
		syn.release()
	}
	l.queue = nil
}

// requestIn is a SYN to a port that is listened on: listen_ptr's part of
// _nx_tcp_packet_process. frame is what it was copied out of; nil: gone.
func (p *protocol) requestIn(l *listenRequest, syn *synPacket, frame *stack.PacketBuffer) {
	f := syn.flow
	p.counters.Connections++
	if s := l.socket; s != nil {
		l.socket, syn.kept = nil, true
		s.offer(syn)
		if s.state == SynReceived { // accept waits already
			c := s.conn
			p.inst.Post(func() { c.answer() })
		}
		if l.callback != nil {
			p.inst.Post(func() { l.callback(s, uint(l.port)) })
		}
		return
	}
	for _, queued := range l.queue {
		if queued.flow == f {
			p.counters.ReceivePacketsDropped++
			return
		}
	}
	if frame != nil {
		syn.hold(p.inst.Pool(), frame)
	}
	l.queue, syn.kept = append(l.queue, syn), true
	if uint(len(l.queue)) > l.maximum {
		p.counters.ConnectionsDropped++
		p.counters.Connections--
		p.counters.ReceivePacketsDropped++
		oldest := l.queue[0]
		l.queue = l.queue[1:]
		oldest.release()
		if p.recorder != nil {
			p.recorder.Record(nx.DropEvent{
				Where: p.inst.Name(), Direction: nx.Received, Bytes: len(oldest.tcp),
				Reason: "the oldest connection request of a full listen queue",
			})
		}
	}
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// dropRequest is a RST to a port that is listened on: it takes back the SYN
// that waits there, if one does.
func (p *protocol) dropRequest(l *listenRequest, f flow) {
	p.counters.ReceivePacketsDropped++
	for i, queued := range l.queue {
		if queued.flow == f {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			queued.release()
			return
		}
	}
}

// offer gives a connection request to a listening socket: it is bound from here
// on. accept answers it.
func (s *Socket) offer(syn *synPacket) {
	p := s.p
	p.attach(s, syn.flow.local.Port())
	s.local, s.peer = syn.flow.local.Addr(), syn.flow.remote
	if told := mssOf(header.TCP(syn.tcp)); told != 0 {
		s.peerMSS = told
	}
	s.newConnection(syn.flow).request = syn
}

// ServerSocketListen makes a socket wait for connections to a port:
// nx_tcp_server_socket_listen. A SYN is answered when the program accepts.
// listenQueueSize is how many further SYNs are kept for [ServerSocketRelisten];
// the oldest one is dropped when there are more. listenCallback, which may be
// nil, is called when a SYN has come for the socket.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_ENABLED, NX_INVALID_PORT (0 or over
// 65535), NX_NOT_CLOSED, NX_ALREADY_BOUND, NX_DUPLICATE_LISTEN, NX_MAX_LISTEN
// (ten ports are listened on).
//
// Source: nxe_tcp_server_socket_listen.c, nx_tcp_server_socket_listen.c.
func ServerSocketListen(inst *ip.Instance, port uint, socket *Socket, listenQueueSize uint, listenCallback func(socket *Socket, port uint)) error {
	const service = "tcp.ServerSocketListen"
	p, status := listenChecks(inst, port, socket)
	if status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case socket.refresh() != Closed:
		return nx.Fail(service, nx.NotClosed, nil)
	case socket.bound || socket.binder != nil:
		return nx.Fail(service, nx.AlreadyBound, nil)
	case p.listens[uint16(port)] != nil:
		return nx.Fail(service, nx.DuplicateListen, nil)
	case len(p.listens) >= MaxListenRequests:
		return nx.Fail(service, nx.MaxListen, nil)
	}
	p.listens[uint16(port)] = &listenRequest{
		port: uint16(port), socket: socket, callback: listenCallback, maximum: listenQueueSize,
	}
	socket.toListen(uint16(port))
	return nil
}

// stopListening takes a socket from its listen request, if it has no SYN yet.
// The request stays.
func (p *protocol) stopListening(s *Socket) {
	for _, l := range p.listens {
		if l.socket == s {
			l.socket = nil
		}
	}
}

// listenChecks are the checks of the error-checking front end of listen and
// relisten.
func listenChecks(inst *ip.Instance, port uint, socket *Socket) (*protocol, nx.Status) {
	if !inst.Created() || created(socket) == nil {
		return nil, nx.PtrError
	}
	p, status := enabled(inst)
	switch {
	case status != nx.Success:
		return nil, status
	case created(socket) != p: // a socket of another instance: the original mixes them up
		return nil, nx.PtrError
	case port == 0 || port > MaxPort:
		return nil, nx.InvalidPort
	}
	return p, nx.Success
}

// toListen makes a server socket of s.
func (s *Socket) toListen(port uint16) {
	s.client, s.port = false, port
	s.set(ListenState, nil)
}

// ServerSocketRelisten lets a socket take the next connection to a port that is
// listened on: nx_tcp_server_socket_relisten. A server socket is unaccepted
// before. When a SYN is waiting, the oldest one is for the socket: the answer is
// NX_CONNECTION_PENDING, which is a success, and the listen callback has run, in
// the caller's goroutine.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_ENABLED, NX_INVALID_PORT, NX_NOT_CLOSED,
// NX_ALREADY_BOUND, NX_CONNECTION_PENDING, NX_INVALID_RELISTEN (the port is not
// listened on, or has a socket).
//
// Source: nxe_tcp_server_socket_relisten.c, nx_tcp_server_socket_relisten.c.
func ServerSocketRelisten(inst *ip.Instance, port uint, socket *Socket) error {
	const service = "tcp.ServerSocketRelisten"
	p, status := listenChecks(inst, port, socket)
	if status != nx.Success {
		return nx.Fail(service, status, nil)
	}
	socket.control.Lock()
	p.mu.Lock()
	old := socket.conn
	var l *listenRequest
	switch {
	case socket.refresh() != Closed:
		status = nx.NotClosed
	case socket.bound || socket.binder != nil:
		status = nx.AlreadyBound
	default:
		if l = p.listens[uint16(port)]; l == nil || l.socket != nil {
			status = nx.InvalidRelisten
		}
	}
	if status == nx.Success {
		socket.conn = nil
		socket.toListen(uint16(port))
		if len(l.queue) == 0 {
			l.socket = socket
		} else {
			syn := l.queue[0]
			l.queue = l.queue[1:]
			syn.release()
			socket.offer(syn)
			status = nx.ConnectionPending
		}
	}
	p.mu.Unlock()
	if old != nil && (status == nx.Success || status == nx.ConnectionPending) {
		old.abandon(false, false)
	}
	socket.control.Unlock()
	if status == nx.ConnectionPending && l.callback != nil {
		l.callback(socket, port)
	}
	return nx.Fail(service, status, nil)
}

// ServerSocketUnlisten stops listening on a port:
// nx_tcp_server_socket_unlisten. The socket that waits for a connection is
// CLOSED then, and the SYNs that wait are dropped. A socket that has got its SYN
// goes on.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_ENABLED, NX_INVALID_PORT (over 65535),
// NX_ENTRY_NOT_FOUND, NX_NOT_LISTEN_STATE (the socket is in accept).
//
// Source: nxe_tcp_server_socket_unlisten.c, nx_tcp_server_socket_unlisten.c.
func ServerSocketUnlisten(inst *ip.Instance, port uint) error {
	const service = "tcp.ServerSocketUnlisten"
	p, status := enabled(inst)
	switch {
	case status != nx.Success:
		return nx.Fail(service, status, nil)
	case port > MaxPort:
		return nx.Fail(service, nx.InvalidPort, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.listens[uint16(port)]
	if l == nil {
		return nx.Fail(service, nx.EntryNotFound, nil)
	}
	if s := l.socket; s != nil {
		if s.state != ListenState {
			return nx.Fail(service, nx.NotListenState, nil)
		}
		s.set(Closed, nil)
	}
	l.flush()
	delete(p.listens, uint16(port))
	return nil
}
