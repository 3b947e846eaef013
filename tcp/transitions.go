package tcp

import (
	"net/netip"

	"gonetx/packetpool/nx"
)

// What happens to a socket when segments, timers or services change its state.
// Everything here is called with the protocol's lock held.

// set changes the state.
func (s *Socket) set(to State, cause error) {
	from := s.state
	if from == to {
		return
	}
	s.state = to
	if s.p.recorder == nil {
		return
	}
	e := nx.SocketEvent{
		Instance: s.p.inst.Name(), Socket: s.name,
		Local: netip.AddrPortFrom(s.local, s.port), Remote: s.peer,
		From: from.String(), To: to.String(),
	}
	if cause != nil {
		e.Cause = cause.Error()
	}
	s.p.recorder.Record(e)
}

// post runs a callback of the program's on the instance's callback goroutine.
func (s *Socket) post(callback func(*Socket)) {
	if callback != nil {
		s.p.inst.Post(func() { callback(s) })
	}
}

// ended is the state after a connection: a server socket listens again, in
// name, until it is unaccepted.
func (s *Socket) ended() State {
	if s.client {
		return Closed
	}
	return ListenState
}

// refresh brings the state up to what gVisor has reached, and answers it. Not
// every step of gVisor's is told.
func (s *Socket) refresh() State {
	s.advance()
	return s.state
}

// advance makes the steps that gVisor's endpoint has made.
func (s *Socket) advance() {
	c := s.conn
	if c == nil || c.over || !c.ready {
		return
	}
	switch to := c.state(); {
	case to == s.state || to == SynSent || to == SynReceived:
	case to == Established && s.state == SynSent:
		s.established()
	case to == CloseWait && s.state == SynSent:
		s.established()
		s.peerClosed()
	case to == CloseWait && s.state == Established:
		s.peerClosed()
	case to == TimedWait && s.state >= FinWait1:
		s.timedWait()
	case to == Closed:
		s.closed()
	case to > CloseWait && s.state > CloseWait:
		s.set(to, nil) // FIN_WAIT_2, CLOSING, LAST_ACK
		if to == Closing {
			s.receiving.flush(nx.NotConnected, ErrPeerClosed)
		}
	}
}

// established ends the handshake.
func (s *Socket) established() {
	s.stopGivingUp()
	c := s.conn
	if c.release != nil {
		c.release.begin(&c.sender)
	}
	_ = c.endpoint.unreachable() // of no matter now
	c.endpoint.keepUnreachable(false)
	c.keepAlive()
	s.set(Established, nil)
	s.connecting.flush(nx.Success, nil)
	s.post(s.notify.establish)
}

// peerClosed is _nx_tcp_socket_state_established.c: the peer's FIN is in.
func (s *Socket) peerClosed() {
	s.p.counters.Disconnections++
	s.set(CloseWait, ErrPeerClosed)
	s.conn.noteCause(ErrPeerClosed)
	// Data that came before the FIN is read first: who waits reads, and finds the
	// end only then.
	s.wakeReceivers(ErrPeerClosed)
	s.post(s.disconnectDone)
}

// timedWait is the end of an active close: the peer's FIN is in, and ours is
// acknowledged.
func (s *Socket) timedWait() {
	s.set(TimedWait, nil)
	s.conn.noteCause(ErrDisconnected)
	s.wakeReceivers(ErrDisconnected)
	s.disconnecting.flush(nx.Success, nil)
	s.post(s.disconnectDone)
	s.post(s.notify.timedWait)
	s.post(s.notify.disconnectComplete)
	s.lingered()
}

// closed is that gVisor's endpoint has ended.
func (s *Socket) closed() {
	c := s.conn
	switch {
	case s.state == TimedWait: // its time is over
		s.finish()
		s.set(s.ended(), nil)
		c.unpark()
	case s.state == LastAck && !c.reset:
		s.finish()
		s.set(s.ended(), nil)
		c.unpark()
		s.wakeReceivers(ErrDisconnected)
		s.disconnecting.flush(nx.Success, nil)
		s.post(s.notify.disconnectComplete)
		s.lingered()
	default:
		s.reset(nil)
	}
}

// wakeReceivers resumes those who wait for data that will not come: each reads
// what there is and finds the end.
func (s *Socket) wakeReceivers(cause error) {
	if s.conn.receiver.unread() == 0 {
		s.receiving.flush(nx.NotConnected, cause)
		return
	}
	for s.receiving.resume(nx.Success, nil) {
		s.resumed++
	}
}

// reset is _nx_tcp_socket_connection_reset: the connection has ended on the
// spot, by a RST, by too many retries, or with its interface. What was received
// stays readable. cause nil: what the segments tell.
func (s *Socket) reset(cause error) {
	from := s.state
	s.finish()
	if cause == nil {
		cause = s.conn.cause
		if cause == nil && from == SynSent {
			cause = s.conn.endpoint.unreachable()
		}
		if cause == nil {
			cause = ErrTimedOut // gVisor gives up without a word
		}
	}
	s.conn.noteCause(cause)
	s.set(s.ended(), cause)
	s.wakeReceivers(cause)
	s.transmitting.flush(nx.NotConnected, cause)
	s.connecting.flush(nx.NotConnected, cause)
	s.disconnecting.flush(nx.DisconnectFailed, cause)
	if from == Established {
		s.post(s.disconnectDone)
	}
	s.post(s.notify.disconnectComplete)
	s.lingered()
}

// finish is _nx_tcp_socket_block_cleanup and the flush of the transmit queue:
// the socket has no peer any more.
func (s *Socket) finish() {
	s.stopGivingUp()
	s.peer = netip.AddrPort{}
	c := s.conn
	if c == nil {
		return
	}
	s.keepLast()
	c.over = true
	c.alive.stopAsking()
	c.sender.flush()
	c.forget()
}

func (c *connection) noteCause(cause error) {
	if c.cause == nil {
		c.cause = cause
	}
}

// stopGivingUp stops the timer of connect and accept.
func (s *Socket) stopGivingUp() {
	if s.giveUp != nil {
		s.giveUp.Stop()
		s.giveUp = nil
	}
}
