package tcp

// A socket that a net.Conn has closed is gone for the program at once, as a
// file descriptor is, while its connection is still being closed. NetX Duo knows
// no such thing; there a program waits in disconnect.

// linger deletes a socket and lets gVisor close its connection: a FIN, or a RST
// when something is unread. The port stays taken until that is done.
func (s *Socket) linger() {
	p := s.p
	s.control.Lock()
	p.mu.Lock()
	if _, ok := p.sockets[s]; !ok {
		p.mu.Unlock()
		s.control.Unlock()
		return
	}
	delete(p.sockets, s)
	p.inst.SocketsChanged(-1)
	s.protocol.Store(nil)
	s.disconnectDone, s.notify = nil, notifications{}
	p.lingering[s] = struct{}{}
	s.lingers = true
	p.stopListening(s)
	c := s.conn
	closing := false
	switch state := s.refresh(); {
	case state == Established && c.receiver.unread() == 0:
		s.set(FinWait1, nil)
		closing = true
	case state == CloseWait && c.receiver.unread() == 0:
		s.set(LastAck, nil)
		closing = true
	case state == FinWait1, state == FinWait2, state == Closing, state == LastAck:
		closing = true // CloseWrite came before
	}
	p.mu.Unlock()
	if closing {
		c.endpoint.ep.Close()
	}
	s.control.Unlock()
	if !closing {
		s.endLinger(true)
		return
	}
	p.mu.Lock()
	done := s.refresh() == TimedWait || c.over
	p.mu.Unlock()
	if done {
		s.endLinger(false)
	}
}

// lingered is that the connection of a lingering socket has ended. It is called
// with the protocol's lock held.
func (s *Socket) lingered() {
	if s.lingers {
		s.p.inst.Post(func() { s.endLinger(false) })
	}
}

// endLinger takes down what is left of a lingering socket.
func (s *Socket) endLinger(reset bool) {
	p := s.p
	s.control.Lock()
	defer s.control.Unlock()
	p.mu.Lock()
	if _, ok := p.lingering[s]; !ok {
		p.mu.Unlock()
		return
	}
	delete(p.lingering, s)
	c := s.conn
	p.mu.Unlock()
	if c != nil {
		c.abandon(reset, false)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.finish()
	s.conn = nil
	s.set(Closed, nil)
	p.detach(s, true)
	s.lingers = false
}
