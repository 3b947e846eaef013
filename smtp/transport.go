package smtp

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync/atomic"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// transport is the connection as a session sees it: the services of the TCP
// socket that NetX Duo's client uses. A time-out is NX_NO_PACKET, an ended
// connection NX_NOT_CONNECTED, as tcp answers them.
type transport interface {
	// connect binds any port and connects; on failure nothing is left bound.
	connect(ctx context.Context, server netip.AddrPort, wait nx.Wait) error
	// source is the address of this end.
	source() netip.Addr
	// send takes the packet, whether it succeeds or not.
	send(packet packetpool.Packet, wait nx.Wait) error
	// receive gives a packet to the caller.
	receive(wait nx.Wait) (packetpool.Packet, error)
	// inFlight tells whether the peer has yet to acknowledge something.
	inFlight() bool
	// disconnect ends the connection, with NX_NO_WAIT by a reset, and frees the
	// port.
	disconnect(wait nx.Wait)
	// abort ends whatever service waits on the connection, now. Another
	// goroutine calls it, when the context of connect has ended.
	abort()
	// remove deletes the socket. What is left of a connection is closed first;
	// onlyEstablished closes one in that state only.
	remove(wait nx.Wait, onlyEstablished bool) error
}

// socketTransport is the transport over a TCP socket.
type socketTransport struct {
	inst       *ip.Instance
	server     netip.Addr
	windowSize uint32
	socket     tcp.Socket
	created    bool
	connecting atomic.Bool
}

// create makes the socket as nxd_smtp_client_create does.
func (t *socketTransport) create(windowSize uint32, config *tcp.Config) error {
	t.windowSize, t.socket.Config = windowSize, config
	err := tcp.SocketCreate(t.inst, &t.socket, "SMTP Client socket",
		tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, windowSize, nil, nil)
	t.created = err == nil
	return err
}

func (t *socketTransport) connect(ctx context.Context, server netip.AddrPort, wait nx.Wait) error {
	if !t.created { // CreateUnchecked: TCP may have been enabled since
		if err := t.create(t.windowSize, t.socket.Config); err != nil {
			return err
		}
	}
	if err := tcp.ClientSocketBind(&t.socket, tcp.AnyPort, bindTimeout); err != nil {
		return err
	}
	t.connecting.Store(true)
	defer t.connecting.Store(false)
	err := ctx.Err()
	if err == nil {
		err = tcp.ClientSocketConnect(&t.socket, server.Addr(), uint(server.Port()), wait)
	}
	if err != nil {
		t.unbind()
	}
	return err
}

func (t *socketTransport) source() netip.Addr {
	route, err := t.inst.RouteFind(t.server)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	return route.Source
}

func (t *socketTransport) send(packet packetpool.Packet, wait nx.Wait) error {
	err := tcp.SocketSend(&t.socket, packet, wait)
	if err != nil {
		_ = packetpool.Release(packet)
	}
	return err
}

func (t *socketTransport) receive(wait nx.Wait) (packetpool.Packet, error) {
	return tcp.SocketReceive(&t.socket, wait)
}

func (t *socketTransport) inFlight() bool {
	info, err := tcp.SocketInfoGet(&t.socket)
	return err == nil && info.TransmitQueueDepth > 0
}

func (t *socketTransport) disconnect(wait nx.Wait) {
	_ = tcp.SocketDisconnect(&t.socket, wait)
	t.unbind()
}

// abort resets the connection. One that is only about to be made is waited
// for: connect looks at the context first, and then soon has something to end.
func (t *socketTransport) abort() {
	for errors.Is(tcp.SocketDisconnect(&t.socket, nx.NoWait), nx.NotConnected) && t.connecting.Load() {
		runtime.Gosched()
	}
}

func (t *socketTransport) unbind() { _ = tcp.ClientSocketUnbind(&t.socket) }

func (t *socketTransport) remove(wait nx.Wait, onlyEstablished bool) error {
	if !t.created {
		return nil
	}
	info, err := tcp.SocketInfoGet(&t.socket)
	if err == nil && (info.State == tcp.Established || !onlyEstablished) {
		t.disconnect(wait)
	}
	return tcp.SocketDelete(&t.socket)
}

// bindTimeout is the literal 100 ticks of nxd_smtp_client.c.
const bindTimeout nx.Wait = 100
