package tcp

import "gonetx/packetpool/nx"

// SocketDisconnect ends a connection: nx_tcp_socket_disconnect. With a wait the
// data that was sent is followed by a FIN, and the call returns when the
// connection is closed on both sides: the socket is in TIMED_WAIT then, or, if
// the peer closed first, CLOSED. With NoWait the peer gets a RST, what is not
// acknowledged is lost, and the answer is NX_IN_PROGRESS although all is done.
// In a callback a wait sends the FIN and does not wait.
//
// A client socket stays bound. A server socket is in LISTEN afterwards, or in
// TIMED_WAIT, and wants to be unaccepted. What was received stays readable.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_CONNECTED, NX_IN_PROGRESS,
// NX_DISCONNECT_FAILED (the wait was over, or a RST came: the connection is
// gone, and nothing more is sent).
//
// Source: nxe_tcp_socket_disconnect.c, nx_tcp_socket_disconnect.c.
func SocketDisconnect(socket *Socket, wait nx.Wait) error {
	const service = "tcp.SocketDisconnect"
	p := created(socket)
	if p == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	call := p.called(service, socket)
	status, cause := p.disconnect(socket, wait)
	call.end(status, 0)
	return nx.Fail(service, status, cause)
}

func (p *protocol) disconnect(s *Socket, wait nx.Wait) (nx.Status, error) {
	s.control.Lock()
	p.mu.Lock()
	p.counters.Disconnections++
	state, c := s.refresh(), s.conn
	switch {
	case state == SynSent || state == SynReceived:
		if c != nil && state == SynSent {
			s.quiet = c.flow
		}
		s.finish()
		s.set(s.ended(), ErrDisconnected)
		s.connecting.flush(nx.NotConnected, ErrDisconnected)
		s.receiving.flush(nx.NotConnected, ErrDisconnected)
		s.transmitting.flush(nx.NotConnected, ErrDisconnected)
		p.mu.Unlock()
		if c != nil {
			c.abandon(false, false)
		}
		s.control.Unlock()
		return nx.Success, nil
	case !state.exchanges():
		p.mu.Unlock()
		s.control.Unlock()
		return nx.NotConnected, nil
	case wait == nx.NoWait:
		p.mu.Unlock()
		p.cut(s, c, true, nx.Success)
		s.control.Unlock()
		return nx.InProgress, nil
	}
	c.noteCause(ErrDisconnected)
	if state == Established {
		s.set(FinWait1, nil)
	} else {
		s.set(LastAck, nil)
	}
	p.mu.Unlock()

	// A sender that is writing is let through: its data goes before the FIN.
	s.sending.Lock()
	err := c.endpoint.shutdown()
	s.sending.Unlock()
	s.control.Unlock()

	p.mu.Lock()
	if err != nil && s.conn == c && !c.over {
		s.reset(err) // gVisor's half had ended already
	}
	if p.inst.WaitOption(wait) == nx.NoWait {
		c.sender.flush()
		p.mu.Unlock()
		return nx.Success, nil
	}
	s.refresh()
	status, cause := nx.Success, error(nil)
	switch {
	case s.conn != c, c.over && c.reset:
		status, cause = nx.DisconnectFailed, c.cause
	case c.over, s.state == TimedWait:
	default:
		status, cause = p.suspend(&s.disconnecting, s, wait, nil, func() (nx.Status, error) {
			return nx.DisconnectFailed, ErrTimedOut
		})
	}
	failed := status != nx.Success && s.conn == c && !c.over
	p.mu.Unlock()
	if failed { // the block is cleaned, and nothing is sent
		s.control.Lock()
		p.cut(s, c, false, nx.DisconnectFailed)
		s.control.Unlock()
		return status, cause
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.conn == c {
		c.sender.flush()
		s.receiving.flush(nx.NotConnected, ErrDisconnected)
		s.transmitting.flush(nx.NotConnected, ErrDisconnected)
	}
	return status, cause
}

// cut ends a connection on the spot, with a RST on the wire or without. What
// was received stays readable. The caller holds the socket's control lock.
func (p *protocol) cut(s *Socket, c *connection, reset bool, disconnecting nx.Status) {
	p.mu.Lock()
	mine := s.conn == c && !c.over
	if mine {
		c.noteCause(ErrDisconnected)
		s.keepLast()
	}
	p.mu.Unlock()
	if !mine {
		return
	}
	c.abandon(reset, true)
	p.mu.Lock()
	defer p.mu.Unlock()
	s.finish()
	s.set(s.ended(), ErrDisconnected)
	s.receiving.flush(nx.NotConnected, ErrDisconnected)
	s.transmitting.flush(nx.NotConnected, ErrDisconnected)
	s.connecting.flush(nx.NotConnected, ErrDisconnected)
	s.disconnecting.flush(disconnecting, ErrDisconnected)
}

// closeWrite sends the FIN and leaves it at that.
func (p *protocol) closeWrite(s *Socket) (nx.Status, error) {
	s.control.Lock()
	defer s.control.Unlock()
	p.mu.Lock()
	state, c := s.refresh(), s.conn
	if !state.exchanges() {
		defer p.mu.Unlock()
		return nx.NotConnected, s.cause()
	}
	if state == Established {
		s.set(FinWait1, nil)
	} else {
		s.set(LastAck, nil)
	}
	p.mu.Unlock()
	s.sending.Lock()
	err := c.endpoint.shutdown()
	s.sending.Unlock()
	if err != nil {
		return nx.NotConnected, err
	}
	return nx.Success, nil
}
