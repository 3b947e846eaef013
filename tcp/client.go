package tcp

import (
	"net/netip"
	"time"

	"gonetx/packetpool/nx"
)

// ClientSocketConnect connects a bound socket to a server:
// nx_tcp_client_socket_connect and nxd_tcp_client_socket_connect. The address
// tells the family. It waits for the handshake, wait ticks at most; with NoWait,
// and in a callback, it only begins: NX_IN_PROGRESS, which is no failure.
//
// A socket in TIMED_WAIT may connect again at once. What it had received and not
// handed out is freed. After a failure it is CLOSED and still bound. The SYN is
// repeated, and given up after the time that [SocketTransmitConfigure] sets (11 s
// at first), also when the caller waits longer or not at all.
//
// Errors, in order: NX_PTR_ERROR, NX_IP_ADDRESS_ERROR (no address; IPv4 of class
// D or E), NX_INVALID_PORT (over 65535; 0 is no error here),
// NX_IP_ADDRESS_ERROR (no route, IPv4), NX_NO_INTERFACE_ADDRESS (no source
// address, IPv6), NX_NOT_BOUND, NX_NOT_CLOSED (neither CLOSED nor TIMED_WAIT),
// NX_INVALID_INTERFACE (the MTU is too small), NX_IN_PROGRESS,
// NX_NOT_CONNECTED, which wraps ErrRefused, ErrTimedOut, ErrUnreachable or
// ErrDisconnected (another caller disconnected).
//
// Source: nxe_tcp_client_socket_connect.c, nxde_tcp_client_socket_connect.c,
// nxd_tcp_client_socket_connect.c.
func ClientSocketConnect(socket *Socket, server netip.Addr, serverPort uint, wait nx.Wait) error {
	const service = "tcp.ClientSocketConnect"
	p := created(socket)
	server = server.Unmap().WithZone("")
	switch {
	case p == nil:
		return nx.Fail(service, nx.PtrError, nil)
	case !server.IsValid(), server.Is4() && server.As4()[0] >= 224:
		return nx.Fail(service, nx.IPAddressError, nil)
	case serverPort > MaxPort:
		return nx.Fail(service, nx.InvalidPort, nil)
	}
	call := p.called(service, socket)
	status, cause := p.connect(socket, netip.AddrPortFrom(server, uint16(serverPort)), p.inst.WaitOption(wait), nil)
	call.end(status, 0)
	return nx.Fail(service, status, cause)
}

func (p *protocol) connect(s *Socket, server netip.AddrPort, wait nx.Wait, in *interrupt) (nx.Status, error) {
	s.control.Lock()
	c, status, cause := p.startConnect(s, server)
	if status != nx.Success {
		s.control.Unlock()
		return status, cause
	}
	err := c.open(s)
	s.control.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && c.socket == s && !c.over {
		s.reset(err)
		return nx.NotConnected, err
	}
	if wait == nx.NoWait {
		return nx.InProgress, nil
	}
	if s.conn != c || s.state != SynSent {
		return s.connectOutcome(c) // it has been faster
	}
	status, cause = p.suspend(&s.connecting, s, wait, in, func() (nx.Status, error) {
		return nx.NotConnected, ErrTimedOut
	})
	if status != nx.Success {
		// _nx_tcp_connect_cleanup: no RST, the attempt is forgotten.
		if s.conn == c && s.state == SynSent {
			s.quiet = c.flow
			s.finish()
			s.set(Closed, cause)
		}
		cause = p.settleFailure(s, c, cause)
	}
	return status, cause
}

// connectOutcome is the end of a handshake that was over before the caller
// could wait for it.
func (s *Socket) connectOutcome(c *connection) (nx.Status, error) {
	if s.conn == c && s.state >= Established {
		return nx.Success, nil
	}
	cause := c.cause
	if cause == nil {
		cause = ErrRefused
	}
	return nx.NotConnected, cause
}

// settleFailure ends gVisor's half of a failed attempt, and finds the better
// cause: gVisor knows of ICMP. It is called and returns with the protocol's lock
// held.
func (p *protocol) settleFailure(s *Socket, c *connection, cause error) error {
	p.mu.Unlock()
	if c.cause == nil || cause == ErrReset {
		if known := c.endpoint.lastError(); known != nil {
			cause = known
		}
	}
	s.control.Lock()
	c.abandon(false, false)
	s.control.Unlock()
	p.mu.Lock()
	return cause
}

// startConnect is the part of connect that decides. The caller holds the
// socket's control lock.
func (p *protocol) startConnect(s *Socket, server netip.AddrPort) (*connection, nx.Status, error) {
	route, err := p.inst.RouteFind(server.Addr())
	if err != nil {
		return nil, statusOf(err), err
	}
	p.mu.Lock()
	state := s.refresh()
	switch {
	case !s.bound:
		p.mu.Unlock()
		return nil, nx.NotBound, nil
	case state != Closed && state != TimedWait:
		p.mu.Unlock()
		return nil, nx.NotClosed, nil
	}
	p.counters.Connections++
	if route.MTU < headerSize(server.Addr())+8 {
		p.mu.Unlock()
		return nil, nx.InvalidInterface, nil
	}
	if state == TimedWait {
		s.finish()
	}
	old := s.conn
	s.conn = nil
	if old != nil {
		old.leave()
	}
	s.set(SynSent, nil)
	p.mu.Unlock()
	if old != nil { // gVisor lets go of the port before it is taken again
		old.abandon(false, false)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	s.local, s.peer = route.Source, server
	s.counters, s.client, s.quiet = socketCounters{}, true, flow{}
	c := s.newConnection(flow{netip.AddrPortFrom(route.Source, s.port), server})
	if d := s.patience(); d > 0 && c.release == nil {
		s.giveUp = p.clock.AfterFunc(d, func() { s.giveUpOn(c) })
	}
	return c, nx.Success, nil
}

// headerSize is an IP and a TCP header.
func headerSize(a netip.Addr) uint32 {
	if a.Is4() {
		return 20 + 20
	}
	return 40 + 20
}

// open makes gVisor's endpoint and sends the SYN. The caller holds the socket's
// control lock.
func (c *connection) open(s *Socket) error {
	if err := c.endpoint.open(c.p, c.flow, c); err != nil {
		return err
	}
	c.endpoint.setFragment(s)
	c.p.mu.Lock()
	c.ready = true
	wanted := s.conn == c && !c.over
	c.p.mu.Unlock()
	if !wanted {
		return nil
	}
	return c.endpoint.connect(c.flow)
}

// patience is how long something that nobody acknowledges is repeated: each retry waits
// timeout << (retries * shift) ticks, as _nx_tcp_fast_periodic_processing has
// it. 0: for ever.
func (s *Socket) patience() time.Duration {
	if s.timeout == 0 {
		return 0
	}
	total := uint64(0)
	for i := uint64(0); i <= uint64(s.retries); i++ {
		shift := i * uint64(s.shift)
		if shift > 31 || total > 1<<40 {
			return 0 // more than a year
		}
		total += uint64(s.timeout) << shift
	}
	return time.Duration(total) * nx.Tick
}

// giveUpOn ends a handshake whose retries are used up.
func (s *Socket) giveUpOn(c *connection) {
	p := c.p
	p.mu.Lock()
	given := s.conn == c && !c.over && (s.refresh() == SynSent || s.state == SynReceived && c.handshaking)
	if given {
		c.noteCause(ErrTimedOut)
		c.mute = true
		s.reset(ErrTimedOut)
	}
	p.mu.Unlock()
	if given {
		c.end()
	}
}

// end stops gVisor's half of a connection that is over. What it has received
// is kept. It is called without locks.
func (c *connection) end() {
	c.p.mu.Lock()
	s := c.socket
	c.p.mu.Unlock()
	if s == nil {
		return
	}
	s.control.Lock()
	defer s.control.Unlock()
	c.p.mu.Lock()
	mine := s.conn == c && c.socket == s // who waited for the connection may have let go of it already
	c.p.mu.Unlock()
	if mine {
		c.abandon(false, true)
	}
}

// statusOf is the status in an error of another layer.
func statusOf(err error) nx.Status { return nx.Status(nx.Code(err)) }
