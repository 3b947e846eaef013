package tcp

import (
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// ServerSocketAccept takes a connection: nx_tcp_server_socket_accept. The SYN-ACK
// leaves now, or when a SYN comes; the caller waits for the handshake, wait ticks
// at most. With NoWait, and in a callback, it only begins: NX_IN_PROGRESS, which
// is no failure; a further accept answers success once the connection stands.
//
// After a failure the socket is in LISTEN again. When it had got a SYN, it
// wants to be unaccepted and relistened.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_LISTEN_STATE (neither LISTEN nor
// SYN_RECEIVED; an established connection is a success), NX_IN_PROGRESS,
// NX_NOT_CONNECTED (no connection in time, a RST, no answer to the SYN-ACK; it
// wraps ErrTimedOut, ErrReset or ErrDisconnected). Not in NetX Duo, which never
// returns: NX_NOT_LISTEN_STATE when the connection has ended and the socket was
// not unaccepted, and when another caller waits in accept already.
//
// Source: nxe_tcp_server_socket_accept.c, nx_tcp_server_socket_accept.c.
func ServerSocketAccept(socket *Socket, wait nx.Wait) error {
	const service = "tcp.ServerSocketAccept"
	p := created(socket)
	if p == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	call := p.called(service, socket)
	status, cause := p.accept(socket, p.inst.WaitOption(wait), nil)
	call.end(status, 0)
	return nx.Fail(service, status, cause)
}

func (p *protocol) accept(s *Socket, wait nx.Wait, in *interrupt) (nx.Status, error) {
	s.control.Lock()
	p.mu.Lock()
	defer p.mu.Unlock()
	state := s.refresh()
	switch {
	case state == Established:
		s.control.Unlock()
		return nx.Success, nil
	case state != ListenState && state != SynReceived:
		s.control.Unlock()
		return nx.NotListenState, nil
	case state == ListenState && s.bound && (s.conn == nil || s.conn.request == nil):
		s.control.Unlock()
		return nx.NotListenState, errEnded
	case wait != nx.NoWait && len(s.connecting) > 0:
		s.control.Unlock()
		return nx.NotListenState, errOtherWaits
	}
	c := s.conn
	if state == ListenState {
		s.set(SynReceived, nil)
		s.counters, s.last = socketCounters{}, lastInfo{receiveWindow: s.window}
		if s.bound {
			p.mu.Unlock()
			c.answer()
			p.mu.Lock()
		}
	}
	s.control.Unlock()
	if wait == nx.NoWait {
		return nx.InProgress, nil
	}
	if s.state != SynReceived {
		return s.connectOutcome(s.conn)
	}
	status, cause := p.suspend(&s.connecting, s, wait, in, func() (nx.Status, error) {
		return nx.NotConnected, ErrTimedOut
	})
	if status != nx.Success {
		p.acceptFailed(s)
	}
	return status, cause
}

// acceptFailed brings the socket back to LISTEN. The request stays: accept may
// try again. It is called and returns with the protocol's lock held.
func (p *protocol) acceptFailed(s *Socket) {
	c := s.conn
	if s.state != SynReceived {
		return
	}
	s.stopGivingUp()
	s.set(ListenState, ErrTimedOut)
	if c == nil || !c.handshaking {
		return
	}
	p.mu.Unlock()
	s.control.Lock()
	c.abandon(false, false)
	s.control.Unlock()
	p.mu.Lock()
	if s.conn == c && s.state == ListenState && s.bound {
		s.newConnection(c.flow).request = c.asked
	}
}

// answer sends the SYN-ACK to the request that the socket has. It is called
// without locks but the socket's control lock, or in a callback.
func (c *connection) answer() {
	p := c.p
	p.mu.Lock()
	s, syn := c.socket, c.request
	if s == nil || s.conn != c || syn == nil || s.state != SynReceived {
		p.mu.Unlock()
		return
	}
	c.request, c.asked, c.handshaking = nil, syn, true
	h := header.TCP(append([]byte(nil), syn.tcp...)) // the request may be answered again
	c.receiver.start(h.SequenceNumber())
	c.peerOptions(h)
	c.sender.window = uint32(h.WindowSize())
	c.endpoint.listen(c)
	if d := s.patience(); d > 0 && c.release == nil {
		s.giveUp = p.clock.AfterFunc(d, func() { s.giveUpOn(c) })
	}
	p.mu.Unlock()
	(&synPacket{flow: syn.flow, tcp: h}).feed(c)
}

// ServerSocketUnaccept makes a server socket ready for [ServerSocketRelisten]:
// nx_tcp_server_socket_unaccept. It is for one whose connection has ended, or is
// half closed; TIMED_WAIT is skipped. The peer hears nothing. A client socket
// that is bound and closed is unbound by it, as in the original.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_LISTEN_STATE (CLOSED and not bound,
// SYN_SENT, SYN_RECEIVED, ESTABLISHED).
//
// Source: nxe_tcp_server_socket_unaccept.c, nx_tcp_server_socket_unaccept.c.
func ServerSocketUnaccept(socket *Socket) error {
	const service = "tcp.ServerSocketUnaccept"
	p := created(socket)
	if p == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	return nx.Fail(service, p.unaccept(socket), nil)
}

func (p *protocol) unaccept(s *Socket) nx.Status {
	s.control.Lock()
	defer s.control.Unlock()
	p.mu.Lock()
	state := s.refresh()
	if state >= CloseWait || state == Closed && s.bound {
		s.finish()
		s.set(ListenState, nil)
	}
	if s.state != ListenState {
		p.mu.Unlock()
		return nx.NotListenState
	}
	s.disconnecting.flush(nx.DisconnectFailed, ErrDisconnected)
	s.receiving.flush(nx.NotConnected, ErrDisconnected)
	s.transmitting.flush(nx.NotConnected, ErrDisconnected)
	p.stopListening(s)
	c := s.conn
	s.conn = nil
	if c != nil {
		c.leave()
	}
	s.set(Closed, nil)
	s.client = true
	p.mu.Unlock()
	if c != nil {
		c.abandon(false, false)
	}
	p.mu.Lock()
	p.detach(s, false)
	p.mu.Unlock()
	return nx.Success
}
