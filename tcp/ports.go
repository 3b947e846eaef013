package tcp

import (
	"gonetx/ip"
	"gonetx/packetpool/nx"
)

// port is one entry of the port table: the sockets that are bound to a number,
// whatever their addresses are, and who waits for it. A number that is only
// listened on is not in the table.
type port struct {
	sockets []*Socket   // a client socket, and server sockets with a connection
	waiting suspensions // in bind
}

// attach binds a socket.
func (p *protocol) attach(s *Socket, number uint16) {
	e := p.ports[number]
	if e == nil {
		e = &port{}
		p.ports[number] = e
	}
	e.sockets = append(e.sockets, s)
	s.port, s.bound = number, true
}

// detach takes a socket from its port, which the oldest waiter inherits: when
// the socket was bound by the program, at once (nx_tcp_client_socket_unbind.c);
// otherwise when nobody has the port any more. NetX Duo forgets the suspensions of
// a server socket.
func (p *protocol) detach(s *Socket, inherit bool) {
	if !s.bound {
		return
	}
	s.bound, s.quiet = false, flow{}
	e := p.ports[s.port]
	for i, other := range e.sockets {
		if other == s {
			e.sockets = append(e.sockets[:i], e.sockets[i+1:]...)
			break
		}
	}
	if inherit || len(e.sockets) == 0 {
		if len(e.waiting) > 0 {
			heir := e.waiting[0].socket
			heir.binder, heir.bound, heir.port = nil, true, s.port
			e.sockets = append(e.sockets, heir)
			e.waiting.resume(nx.Success, nil)
		}
	}
	p.tidy(s.port)
}

func (p *protocol) tidy(number uint16) {
	if e := p.ports[number]; e != nil && len(e.sockets) == 0 && len(e.waiting) == 0 {
		delete(p.ports, number)
	}
}

// busy tells whether some socket is bound to a number.
func (p *protocol) busy(number uint16) bool {
	e := p.ports[number]
	return e != nil && len(e.sockets) > 0
}

// free is _nx_tcp_free_port_find: the first free number from start on. The
// search goes round to SearchPortStart only when it began above it.
func (p *protocol) free(start uint) (uint16, bool) {
	for n := start; n <= MaxPort; n++ {
		if !p.busy(uint16(n)) {
			return uint16(n), true
		}
	}
	if start > SearchPortStart {
		for n := uint(SearchPortStart); n < start; n++ {
			if !p.busy(uint16(n)) {
				return uint16(n), true
			}
		}
	}
	return 0, false
}

// FreePortFind answers the first port from port on to which no socket is bound:
// nx_tcp_free_port_find. 0 is taken literally. A port that is listened on and
// has no connection counts as free.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_ENABLED, NX_INVALID_PORT (over 65535),
// NX_NO_FREE_PORTS.
//
// Source: nxe_tcp_free_port_find.c, nx_tcp_free_port_find.c.
func FreePortFind(inst *ip.Instance, port uint) (freePort uint, err error) {
	const service = "tcp.FreePortFind"
	p, status := enabled(inst)
	switch {
	case status != nx.Success:
		return 0, nx.Fail(service, status, nil)
	case port > MaxPort:
		return 0, nx.Fail(service, nx.InvalidPort, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.free(port)
	if !ok {
		return 0, nx.Fail(service, nx.NoFreePorts, nil)
	}
	return uint(found), nil
}

// ClientSocketBind binds a client socket to a port, AnyPort for one that is
// free: nx_tcp_client_socket_bind. A port that another socket has suspends the
// caller for wait ticks; the oldest waiter inherits it.
//
// Errors, in order: NX_PTR_ERROR, NX_INVALID_PORT (over 65535),
// NX_ALREADY_BOUND (bound, or another caller binds it), NX_NO_FREE_PORTS,
// NX_PORT_UNAVAILABLE (taken for wait ticks, or the socket was unbound
// meanwhile).
//
// Source: nxe_tcp_client_socket_bind.c, nx_tcp_client_socket_bind.c.
func ClientSocketBind(socket *Socket, port uint, wait nx.Wait) error {
	const service = "tcp.ClientSocketBind"
	p := created(socket)
	switch {
	case p == nil:
		return nx.Fail(service, nx.PtrError, nil)
	case port > MaxPort:
		return nx.Fail(service, nx.InvalidPort, nil)
	}
	return nx.Fail(service, p.bind(socket, port, p.inst.WaitOption(wait)), nil)
}

func (p *protocol) bind(s *Socket, number uint, wait nx.Wait) nx.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.bound || s.binder != nil {
		return nx.AlreadyBound
	}
	if number == AnyPort {
		found, ok := p.free(SearchPortStart + uint(random(MaxPort+1-SearchPortStart)))
		if !ok {
			return nx.NoFreePorts
		}
		number = uint(found)
	}
	if !p.busy(uint16(number)) {
		p.attach(s, uint16(number))
		return nx.Success
	}
	if wait == nx.NoWait {
		return nx.PortUnavailable
	}
	e := p.ports[uint16(number)]
	w := &suspended{Suspension: nx.NewSuspension(p.clock), socket: s}
	s.binder, s.port = w, uint16(number)
	e.waiting = append(e.waiting, w)
	p.mu.Unlock()
	served := w.Await(wait)
	p.mu.Lock()
	if !served && e.waiting.remove(w) {
		w.status = nx.PortUnavailable
		s.binder = nil
		p.tidy(uint16(number))
	}
	return w.status
}

// ClientSocketUnbind gives the port of a socket back: nx_tcp_client_socket_unbind.
// TIMED_WAIT ends with it, and what was received and not taken is freed. A bind
// that still waits is aborted.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_CLOSED (neither CLOSED nor
// TIMED_WAIT), NX_NOT_BOUND.
//
// Source: nxe_tcp_client_socket_unbind.c, nx_tcp_client_socket_unbind.c.
func ClientSocketUnbind(socket *Socket) error {
	const service = "tcp.ClientSocketUnbind"
	p := created(socket)
	if p == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	return nx.Fail(service, p.unbind(socket), nil)
}

func (p *protocol) unbind(s *Socket) nx.Status {
	s.control.Lock()
	defer s.control.Unlock()
	p.mu.Lock()
	if state := s.refresh(); state == TimedWait {
		s.finish()
		s.set(s.ended(), nil)
	}
	if s.state != Closed {
		p.mu.Unlock()
		return nx.NotClosed
	}
	if !s.bound {
		status := nx.NotBound
		if w := s.binder; w != nil {
			p.ports[s.port].waiting.remove(w)
			p.tidy(s.port)
			s.binder = nil
			w.status = nx.PortUnavailable
			w.Resume()
			status = nx.Success
		}
		p.mu.Unlock()
		return status
	}
	c := s.conn
	s.conn = nil
	if c != nil {
		c.leave()
	}
	p.mu.Unlock()

	// gVisor has let go of the port before the next one has it.
	if c != nil {
		c.abandon(false, false)
	}
	p.mu.Lock()
	p.detach(s, true)
	p.mu.Unlock()
	return nx.Success
}

// ClientSocketPortGet answers the port of a socket: nx_tcp_client_socket_port_get.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_BOUND.
//
// Source: nxe_tcp_client_socket_port_get.c, nx_tcp_client_socket_port_get.c.
func ClientSocketPortGet(socket *Socket) (port uint, err error) {
	const service = "tcp.ClientSocketPortGet"
	p := created(socket)
	if p == nil {
		return 0, nx.Fail(service, nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !socket.bound {
		return 0, nx.Fail(service, nx.NotBound, nil)
	}
	return uint(socket.port), nil
}
