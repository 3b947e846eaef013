package tcp

import "gonetx/packetpool/nx"

// The callbacks run on the instance's callback goroutine, one at a time and in
// the order of what they tell. Services that wait act there as with NoWait.

// SocketReceiveNotify sets a callback for data that comes in:
// nx_tcp_socket_receive_notify. It is called once for each segment that
// advances the stream, also when a caller was waiting for it, and not for the
// end of the stream nor for what has come before. Nil takes it away.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_tcp_socket_receive_notify.c, nx_tcp_socket_receive_notify.c.
func SocketReceiveNotify(socket *Socket, receiveNotify func(*Socket)) error {
	p := created(socket)
	if p == nil {
		return nx.Fail("tcp.SocketReceiveNotify", nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	socket.notify.receive = receiveNotify
	return nil
}

// SocketWindowUpdateNotifySet sets a callback for a window that opens:
// nx_tcp_socket_window_update_notify_set. It is called just before a suspended
// sender goes on, and only then.
//
// Errors: NX_PTR_ERROR (also for a nil callback).
//
// Source: nxe_tcp_socket_window_update_notify_set.c.
func SocketWindowUpdateNotifySet(socket *Socket, windowUpdateNotify func(*Socket)) error {
	return setNotify("tcp.SocketWindowUpdateNotifySet", socket, windowUpdateNotify, always,
		func(n *notifications) *func(*Socket) { return &n.windowUpdate })
}

// SocketQueueDepthNotifySet sets a callback for a transmit queue that was full
// and has room: nx_tcp_socket_queue_depth_notify_set. It needs
// Config.QueueDepthNotify.
//
// Errors, in order: NX_NOT_SUPPORTED, NX_PTR_ERROR (also for a nil callback).
//
// Source: nxe_tcp_socket_queue_depth_notify_set.c.
func SocketQueueDepthNotifySet(socket *Socket, queueDepthNotify func(*Socket)) error {
	return setNotify("tcp.SocketQueueDepthNotifySet", socket, queueDepthNotify,
		func(c *Config) bool { return c.QueueDepthNotify },
		func(n *notifications) *func(*Socket) { return &n.queueDepth })
}

// SocketEstablishNotify sets a callback for a handshake that is done:
// nx_tcp_socket_establish_notify. It needs Config.ExtendedNotify.
//
// Errors, in order: NX_NOT_SUPPORTED, NX_PTR_ERROR (also for a nil callback).
//
// Source: nxe_tcp_socket_establish_notify.c.
func SocketEstablishNotify(socket *Socket, establishNotify func(*Socket)) error {
	return setNotify("tcp.SocketEstablishNotify", socket, establishNotify, extended,
		func(n *notifications) *func(*Socket) { return &n.establish })
}

// SocketDisconnectCompleteNotify sets a callback for a connection that is
// closed on both sides, or reset: nx_tcp_socket_disconnect_complete_notify. It
// needs Config.ExtendedNotify.
//
// Errors, in order: NX_NOT_SUPPORTED, NX_PTR_ERROR (also for a nil callback).
//
// Source: nxe_tcp_socket_disconnect_complete_notify.c.
func SocketDisconnectCompleteNotify(socket *Socket, disconnectCompleteNotify func(*Socket)) error {
	return setNotify("tcp.SocketDisconnectCompleteNotify", socket, disconnectCompleteNotify, extended,
		func(n *notifications) *func(*Socket) { return &n.disconnectComplete })
}

// SocketTimedWaitCallback sets a callback for a socket that enters TIMED_WAIT:
// nx_tcp_socket_timed_wait_callback. It needs Config.ExtendedNotify.
//
// Errors, in order: NX_NOT_SUPPORTED, NX_PTR_ERROR (also for a nil callback).
//
// Source: nxe_tcp_socket_timed_wait_callback.c.
func SocketTimedWaitCallback(socket *Socket, timedWaitCallback func(*Socket)) error {
	return setNotify("tcp.SocketTimedWaitCallback", socket, timedWaitCallback, extended,
		func(n *notifications) *func(*Socket) { return &n.timedWait })
}

func always(*Config) bool     { return true }
func extended(c *Config) bool { return c.ExtendedNotify }

// setNotify is the body of the services above. A socket that does not exist has
// no Config: the default build, which does not look at its arguments when the
// option is off, answers for it.
func setNotify(service string, socket *Socket, callback func(*Socket), built func(*Config) bool, field func(*notifications) *func(*Socket)) error {
	p := created(socket)
	config := &Config{}
	if p != nil {
		config = &socket.config
	}
	switch {
	case !built(config):
		return nx.Fail(service, nx.NotSupported, nil)
	case p == nil || callback == nil:
		return nx.Fail(service, nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	*field(&socket.notify) = callback
	return nil
}
