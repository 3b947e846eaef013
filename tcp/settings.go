package tcp

import (
	"gonetx/packetpool/nx"
)

// SocketMSSGet answers the largest segment that the socket sends:
// nx_tcp_socket_mss_get. Before a connection it is what SocketMSSSet said, or
// 1460.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_tcp_socket_mss_get.c, nx_tcp_socket_mss_get.c.
func SocketMSSGet(socket *Socket) (mss uint32, err error) {
	p := created(socket)
	if p == nil {
		return 0, nx.Fail("tcp.SocketMSSGet", nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case socket.refresh() >= Established && socket.conn != nil:
		return socket.conn.sender.mss, nil
	case socket.mss != 0:
		return socket.mss, nil
	}
	return MSSSize, nil
}

// SocketMSSPeerGet answers the MSS that the peer has told last:
// nx_tcp_socket_mss_peer_get. It is 0 before and stays after a connection.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_tcp_socket_mss_peer_get.c, nx_tcp_socket_mss_peer_get.c.
func SocketMSSPeerGet(socket *Socket) (mss uint32, err error) {
	p := created(socket)
	if p == nil {
		return 0, nx.Fail("tcp.SocketMSSPeerGet", nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return socket.peerMSS, nil
}

// SocketMSSSet sets the MSS that the next connection advertises:
// nx_tcp_socket_mss_set. One that is larger than the MTU allows is made smaller
// then.
//
// Errors, in order: NX_PTR_ERROR, NX_SIZE_ERROR (0), NX_NOT_SUCCESSFUL (the
// socket connects or is connected).
//
// Source: nxe_tcp_socket_mss_set.c, nx_tcp_socket_mss_set.c.
func SocketMSSSet(socket *Socket, mss uint32) error {
	const service = "tcp.SocketMSSSet"
	p := created(socket)
	if p == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case mss == 0:
		return nx.Fail(service, nx.SizeError, nil)
	case socket.refresh() >= SynSent:
		return nx.Fail(service, nx.NotSuccessful, nil)
	}
	socket.mss = mss
	return nil
}

// SocketTransmitConfigure sets how segments are sent again:
// nx_tcp_socket_transmit_configure. maxQueueDepth is how many segments may be
// unacknowledged before senders are suspended. timeout, in ticks, is the time
// after which a segment is sent again, maxRetries how often, and timeoutShift how
// many times the time doubles with each retry. A timeout of 0 is no timeout.
//
// The three make up the time after which a connection is given up; when gVisor
// sends again before that is its own affair, unless the instance has
// Config.Release.
//
// Errors, in order: NX_PTR_ERROR, NX_OPTION_ERROR (maxQueueDepth 0).
//
// Source: nxe_tcp_socket_transmit_configure.c, nx_tcp_socket_transmit_configure.c.
func SocketTransmitConfigure(socket *Socket, maxQueueDepth, timeout, maxRetries, timeoutShift uint32) error {
	const service = "tcp.SocketTransmitConfigure"
	p := created(socket)
	switch {
	case p == nil:
		return nx.Fail(service, nx.PtrError, nil)
	case maxQueueDepth == 0:
		return nx.Fail(service, nx.OptionError, nil)
	}
	p.mu.Lock()
	socket.queueMax, socket.timeout = maxQueueDepth, timeout
	socket.retries, socket.shift = maxRetries, timeoutShift
	p.mu.Unlock()
	return nil
}

// SocketStateWait waits until a socket is in a state, wait ticks at most:
// nx_tcp_socket_state_wait. It looks once a tick, as the original does, so that
// it may miss a state that lasts less.
//
// Errors, in order: NX_PTR_ERROR, NX_OPTION_ERROR (no such state),
// NX_NOT_SUCCESSFUL (not in time), NX_PTR_ERROR (the socket was deleted
// meanwhile).
//
// Source: nxe_tcp_socket_state_wait.c, nx_tcp_socket_state_wait.c.
func SocketStateWait(socket *Socket, desiredState State, wait nx.Wait) error {
	const service = "tcp.SocketStateWait"
	p := created(socket)
	switch {
	case p == nil:
		return nx.Fail(service, nx.PtrError, nil)
	case desiredState < Closed || desiredState > LastAck:
		return nx.Fail(service, nx.OptionError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return nx.Fail(service, p.stateWait(socket, desiredState, p.inst.WaitOption(wait)), nil)
}

// stateWait is called and returns with the protocol's lock held.
func (p *protocol) stateWait(s *Socket, want State, wait nx.Wait) nx.Status {
	for {
		switch {
		case s.protocol.Load() != p:
			return nx.PtrError
		case s.refresh() == want:
			return nx.Success
		case wait == nx.NoWait:
			return nx.NotSuccessful
		}
		p.mu.Unlock()
		nx.NewSuspension(p.clock).Await(1)
		p.mu.Lock()
		if wait != nx.WaitForever {
			wait--
		}
	}
}

// SocketReceiveQueueMaxSet limits the receive queue:
// nx_tcp_socket_receive_queue_max_set. It needs Config.LowWatermark.
//
// Errors, in order: NX_NOT_SUPPORTED (the default build has no such limit, and
// does not look at the socket), NX_PTR_ERROR.
//
// Source: nxe_tcp_socket_receive_queue_max_set.c.
func SocketReceiveQueueMaxSet(socket *Socket, receiveQueueMaximum uint32) error {
	const service = "tcp.SocketReceiveQueueMaxSet"
	p := created(socket)
	switch {
	case p == nil || !socket.config.LowWatermark:
		return nx.Fail(service, nx.NotSupported, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	socket.receiveMax = receiveQueueMaximum
	return nil
}

// SocketVLANPrioritySet keeps a VLAN priority for the socket:
// nx_tcp_socket_vlan_priority_set. It needs Config.VLAN; no frame carries it,
// because the links have no link header.
//
// Errors, in order: NX_NOT_SUPPORTED, NX_PTR_ERROR, NX_INVALID_PARAMETERS (over
// 7).
//
// Source: nxe_tcp_socket_vlan_priority_set.c.
func SocketVLANPrioritySet(socket *Socket, vlanPriority uint32) error {
	const service = "tcp.SocketVLANPrioritySet"
	p := created(socket)
	switch {
	case p == nil || !socket.config.VLAN:
		return nx.Fail(service, nx.NotSupported, nil)
	case vlanPriority > 7:
		return nx.Fail(service, nx.InvalidParameters, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	socket.vlan = vlanPriority
	return nil
}
