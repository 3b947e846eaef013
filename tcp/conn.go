package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// This file is the bridge to Go: sockets as net.Conn and net.Listener, so that
// any library runs over an IP instance and its pool. NetX Duo has no such thing.

// ConnOptions say how the connections of [Dial] and [Listen] are made. Nil and
// zero fields mean what is said with each.
type ConnOptions struct {
	Pool   *packetpool.Pool // for what is sent; nil: the instance's default pool
	Window uint32           // receive window; zero: 65535
	Queue  uint             // of a listener, connections that wait for Accept; zero: 16
	Config *Config          // of the sockets; nil: with a transmit queue of 1000 segments, since Go programs write without waiting
}

func (o *ConnOptions) withDefaults(inst *ip.Instance) ConnOptions {
	var in ConnOptions
	if o != nil {
		in = *o
	}
	if in.Pool == nil {
		in.Pool = inst.Pool()
	}
	def(&in.Window, maxWindow)
	def(&in.Queue, 16)
	if in.Config == nil {
		in.Config = &Config{TransmitQueue: 1000}
	}
	return in
}

// Conn is a connected socket as a net.Conn. Reads take bytes, without regard to
// segments; a write goes out at once, in packets of the pool.
//
// Close sends a FIN, or a RST when something is unread, and does not wait.
type Conn struct {
	socket *Socket
	p      *protocol
	pool   *packetpool.Pool
	local  netip.AddrPort
	remote netip.AddrPort
	read   deadline
	write  deadline

	writing sync.Mutex // one Write at a time
	closed  sync.Once
}

var (
	_ net.Conn     = (*Conn)(nil)
	_ net.Listener = (*Listener)(nil)
)

// NewConn makes a Conn of a connected socket. The socket is the Conn's from
// here on: no other service may be used on it, and after Close it is deleted and
// the block is not to be used again. pool is for what is sent; nil: the default
// pool of the instance.
//
// Errors: NX_PTR_ERROR, NX_NOT_CONNECTED.
func NewConn(socket *Socket, pool *packetpool.Pool) (*Conn, error) {
	const service = "tcp.NewConn"
	p := created(socket)
	if p == nil {
		return nil, nx.Fail(service, nx.PtrError, nil)
	}
	if pool == nil {
		pool = p.inst.Pool()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if socket.refresh() < Established || !socket.peer.IsValid() {
		return nil, nx.Fail(service, nx.NotConnected, socket.cause())
	}
	c := &Conn{
		socket: socket, p: p, pool: pool,
		local: netip.AddrPortFrom(socket.local, socket.port), remote: socket.peer,
	}
	c.read.init(p)
	c.write.init(p)
	return c, nil
}

// Dial connects to address, an IP address with a port, "192.0.2.1:25" or
// "[2001:db8::1]:25": there is no resolver. The error wraps the status and the
// cause, as those of the services do.
func Dial(ctx context.Context, inst *ip.Instance, address string, options *ConnOptions) (*Conn, error) {
	server, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	fail := func(s *Socket, err error) (*Conn, error) {
		if s != nil {
			s.linger()
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(server), Err: err}
	}
	if !inst.Created() {
		return fail(nil, nx.PtrError)
	}
	o := options.withDefaults(inst)
	s := &Socket{Config: o.Config}
	if err := SocketCreate(inst, s, address, IPNormal, FragmentOkay, IPTimeToLive, o.Window, nil, nil); err != nil {
		return fail(nil, err)
	}
	if err := ClientSocketBind(s, AnyPort, nx.NoWait); err != nil {
		return fail(s, err)
	}
	p := s.p
	var in interrupt
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		in.set(context.Cause(ctx))
	})
	status, cause := p.connect(s, server, nx.WaitForever, &in)
	stop()
	if status != nx.Success {
		return fail(s, nx.Fail("tcp.Dial", status, cause))
	}
	c, err := NewConn(s, o.Pool)
	if err != nil {
		return fail(s, err)
	}
	return c, nil
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, status, cause := c.p.receiveStream(c.socket, b, &c.read.in)
	switch {
	case status == nx.Success:
		return n, nil
	case errors.Is(cause, ErrPeerClosed), errors.Is(cause, ErrDisconnected):
		return 0, io.EOF
	}
	return 0, c.fail("read", status, cause)
}

// Write implements net.Conn.
func (c *Conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, status, cause := c.p.sendStream(c.socket, b, c.pool, &c.write)
	if status != nx.Success {
		return n, c.fail("write", status, cause)
	}
	return n, nil
}

func (c *Conn) fail(op string, status nx.Status, cause error) error {
	err := cause
	if status != nx.WaitAborted || cause == nil {
		err = nx.Fail("tcp.Conn", status, cause)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// CloseWrite sends a FIN; what the peer still sends can be read.
func (c *Conn) CloseWrite() error {
	status, cause := c.p.closeWrite(c.socket)
	if status != nx.Success {
		return c.fail("close", status, cause)
	}
	return nil
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	err := error(&net.OpError{Op: "close", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: net.ErrClosed})
	c.closed.Do(func() {
		c.read.end(net.ErrClosed)
		c.write.end(net.ErrClosed)
		c.socket.linger()
		err = nil
	})
	return err
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.read.set(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.write.set(t) }

// deadline interrupts the waits of one direction of a Conn. All its fields but
// p are guarded by the protocol's lock.
type deadline struct {
	p      *protocol
	in     interrupt
	timer  nx.Timer
	number uint64 // of the deadline that is set, so that an old timer does nothing
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  bool
}

func (d *deadline) init(p *protocol) { d.p = p }

// context is for waits in the pool.
func (d *deadline) context() context.Context {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	if d.ctx == nil {
		d.ctx, d.cancel = context.WithCancelCause(context.Background())
		if d.in.why != nil {
			d.cancel(d.in.why)
		}
	}
	return d.ctx
}

// expired is why nothing may wait any more; nil when it may.
func (d *deadline) expired() error {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	return d.in.why
}

// interrupt ends the waits that are; nil lets them be. The caller holds the
// lock.
func (d *deadline) interrupt(why error) {
	d.in.set(why)
	if d.cancel != nil && why != nil {
		d.cancel(why)
		d.ctx, d.cancel = nil, nil
	}
}

func (d *deadline) set(t time.Time) error {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	if d.ended {
		return net.ErrClosed
	}
	d.number++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if t.IsZero() {
		d.interrupt(nil)
		return nil
	}
	left := time.Until(t)
	if left <= 0 {
		d.interrupt(os.ErrDeadlineExceeded)
		return nil
	}
	d.interrupt(nil)
	number := d.number
	d.timer = d.p.clock.AfterFunc(left, func() {
		d.p.mu.Lock()
		defer d.p.mu.Unlock()
		if d.number == number && !d.ended {
			d.interrupt(os.ErrDeadlineExceeded)
		}
	})
	return nil
}

func (d *deadline) end(why error) {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	d.ended = true
	if d.timer != nil {
		d.timer.Stop()
	}
	d.interrupt(why)
}

// Listener takes connections to a port, as a net.Listener. Nobody answers a SYN
// before Accept is called; those that come meanwhile wait in the listen queue,
// where the oldest one gives way to a new one.
type Listener struct {
	inst    *ip.Instance
	p       *protocol
	options ConnOptions
	local   netip.AddrPort
	until   deadline

	accepting sync.Mutex // one Accept at a time
	closed    sync.Once
	spare     *Socket // listens; guarded by accepting
}

// Listen listens on a port of an instance, on all its addresses.
//
// Errors: those of [ServerSocketListen].
func Listen(inst *ip.Instance, port uint, options *ConnOptions) (*Listener, error) {
	p, status := enabled(inst)
	if status != nx.Success {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: status}
	}
	l := &Listener{
		inst: inst, p: p, options: options.withDefaults(inst),
		local: netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port)),
	}
	l.until.init(p)
	s, err := l.socket()
	if err == nil {
		if err = ServerSocketListen(inst, port, s, l.options.Queue, nil); err == nil {
			l.spare = s
			return l, nil
		}
		_ = SocketDelete(s)
	}
	return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: l.Addr(), Err: err}
}

func (l *Listener) socket() (*Socket, error) {
	s := &Socket{Config: l.options.Config}
	name := fmt.Sprintf("listener :%d", l.local.Port())
	return s, SocketCreate(l.inst, s, name, IPNormal, FragmentOkay, IPTimeToLive, l.options.Window, nil, nil)
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	for {
		s, err := l.listening()
		if err != nil {
			return nil, l.fail(nx.Success, err)
		}
		status, cause := l.p.accept(s, nx.WaitForever, &l.until.in)
		if status == nx.WaitAborted {
			return nil, l.fail(status, cause)
		}
		l.spare = nil
		if status == nx.Success {
			if c, err := NewConn(s, l.options.Pool); err == nil {
				return c, nil
			}
		}
		s.linger() // the handshake failed: the next one, please
	}
}

// listening answers the socket that waits for the next connection.
func (l *Listener) listening() (*Socket, error) {
	l.p.mu.Lock()
	why := l.until.in.why
	l.p.mu.Unlock()
	if why != nil {
		return nil, why
	}
	if l.spare != nil {
		return l.spare, nil
	}
	s, err := l.socket()
	if err != nil {
		return nil, err
	}
	if err = ServerSocketRelisten(l.inst, uint(l.local.Port()), s); err != nil && !errors.Is(err, nx.ConnectionPending) {
		_ = SocketDelete(s)
		return nil, err
	}
	l.spare = s
	return s, nil
}

func (l *Listener) fail(status nx.Status, cause error) error {
	err := cause
	if status != nx.Success && status != nx.WaitAborted {
		err = nx.Fail("tcp.Listener", status, cause)
	}
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: err}
}

// SetDeadline ends Accept at a time; the zero time ends that.
func (l *Listener) SetDeadline(t time.Time) error { return l.until.set(t) }

// Close implements net.Listener. Connections that were accepted stay.
func (l *Listener) Close() error {
	err := error(&net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed})
	l.closed.Do(func() {
		l.until.end(net.ErrClosed)
		l.accepting.Lock()
		defer l.accepting.Unlock()
		if l.spare != nil {
			l.spare.linger()
			l.spare = nil
		}
		err = nil
		if e := ServerSocketUnlisten(l.inst, uint(l.local.Port())); e != nil {
			err = &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: e}
		}
	})
	return err
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.local) }
