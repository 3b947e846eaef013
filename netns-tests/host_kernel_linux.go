package parity

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// kernelHost is a host that is the Linux kernel, driven through its sockets.
type kernelHost struct {
	way way
	in  interface{ Do(func() error) error } // its network namespace

	mu        sync.Mutex // guards the fields below
	listeners map[string]*net.TCPListener
	conns     map[string]*kernelConn
	pings     int
}

// kernelConn is a connection and how far its streams have come.
type kernelConn struct {
	*net.TCPConn
	sent, got int
	early     []byte
	endedHere bool // this side has ended its direction, before the other did
	heard     bool // the other side has ended its direction
	gone      bool // closed: the kernel tells nothing any more
}

func newKernelHost(in interface{ Do(func() error) error }, w way) *kernelHost {
	return &kernelHost{way: w, in: in, listeners: map[string]*net.TCPListener{}, conns: map[string]*kernelConn{}}
}

func (h *kernelHost) speaksNX() bool { return false }
func (h *kernelHost) mss() int       { return 0 }

// do implements host.
func (h *kernelHost) do(a *Action, u units) Outcome {
	switch a.Verb {
	case "listen":
		return h.listen(a)
	case "accept":
		return h.accept(a)
	case "connect":
		return h.connect(a)
	case "unlisten":
		return h.unlisten(a.Port)
	case "relisten":
		return done("") // a listener of the kernel's listens on
	case "ping":
		return h.ping(a, u)
	case "serve-mail":
		return serveMail(a, func() (line, error) {
			if o := h.accept(a); o.Word != "ok" {
				return nil, fmt.Errorf("accept: %v", o)
			}
			return &kernelLine{h.conn(a.At)}, nil
		})
	}
	c := h.conn(a.At)
	if c == nil {
		if a.Verb == "state" {
			return Outcome{Word: "ok", State: "CLOSED"}
		}
		return Outcome{Word: "failed", Detail: "no socket " + a.At}
	}
	return h.with(c, a, u)
}

// with does what is done with a connection.
func (h *kernelHost) with(c *kernelConn, a *Action, u units) Outcome {
	deadline := time.Now().Add(max(a.Wait, time.Millisecond))
	switch a.Verb {
	case "send":
		return c.send(a.Size.bytes(u), piece(a, u), deadline)
	case "receive":
		return c.receive(a, u, deadline)
	case "shutdown":
		c.endedHere = !c.ended()
		return failed(c.CloseWrite())
	case "disconnect":
		return c.disconnect(deadline)
	case "finish":
		all := *a
		all.Sized, all.End = false, true
		if o := c.receive(&all, u, deadline); o.Word != "ok" {
			return o
		}
		return failed(c.CloseWrite())
	case "reset":
		_ = c.SetLinger(0)
		c.gone = true
		return failed(c.Close())
	case "unaccept":
		c.gone = true
		_ = c.Close() // it may be closed
		return done("")
	case "state":
		return c.state(a, deadline)
	}
	return unhandled(a)
}

func (h *kernelHost) conn(name string) *kernelConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns[name]
}

func (h *kernelHost) keep(name string, c *net.TCPConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.conns[name]; old != nil {
		_ = old.Close() // it is replaced
	}
	h.conns[name] = &kernelConn{TCPConn: c}
}

func (h *kernelHost) listen(a *Action) Outcome {
	var l net.Listener
	err := h.in.Do(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(h.way.own, uint16(a.Port)).String())
		return err
	})
	if err != nil {
		return failed(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners[a.At] = l.(*net.TCPListener)
	return done("")
}

func (h *kernelHost) unlisten(port uint) Outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, l := range h.listeners {
		if l.Addr().(*net.TCPAddr).Port == int(port) {
			delete(h.listeners, name)
			return failed(l.Close())
		}
	}
	return Outcome{Word: "failed", Detail: "nobody listens on " + strconv.Itoa(int(port))}
}

func (h *kernelHost) accept(a *Action) Outcome {
	h.mu.Lock()
	l := h.listeners[a.At]
	h.mu.Unlock()
	if l == nil {
		return Outcome{Word: "failed", Detail: "no listener " + a.At}
	}
	_ = l.SetDeadline(time.Now().Add(max(a.Wait, time.Millisecond)))
	c, err := l.AcceptTCP()
	if err != nil {
		return failed(err)
	}
	h.keep(a.At, c)
	return done("")
}

func (h *kernelHost) connect(a *Action) Outcome {
	to := h.way.to(a.To)
	if !to.IsValid() {
		return Outcome{Word: "failed", Detail: "this place has no address that is " + a.To}
	}
	d := net.Dialer{Timeout: max(a.Wait, time.Millisecond)}
	d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(h.way.own, uint16(a.From)))
	var c net.Conn
	err := h.in.Do(func() (err error) {
		c, err = d.Dial("tcp", netip.AddrPortFrom(to, uint16(a.Port)).String())
		return err
	})
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return Outcome{Word: "timed-out"}
	}
	if err != nil {
		return failed(err)
	}
	h.keep(a.At, c.(*net.TCPConn))
	return done("")
}

func (c *kernelConn) send(n, piece int, deadline time.Time) Outcome {
	_ = c.SetWriteDeadline(deadline)
	for sent := 0; sent < n; {
		took, err := c.Write(patterned(c.sent, min(piece, n-sent)))
		c.sent += took
		sent += took
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return Outcome{Word: "full"}
		}
		if err != nil {
			return failed(err)
		}
	}
	return done("")
}

func (c *kernelConn) receive(a *Action, u units, deadline time.Time) Outcome {
	_ = c.SetReadDeadline(deadline)
	o := receiving(a, u, &c.got, &c.early, func() ([]byte, error) {
		if early := c.early; len(early) > 0 {
			c.early = nil
			return early, nil
		}
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		return buf[:n], err
	})
	switch {
	case o.Word == "closed" || a.End && o.Word == "ok":
		c.heard = true
	case o.Word == "timed-out":
		o.Word = "no-data"
	}
	return o
}

// disconnect ends this direction and waits for the end of the other.
func (c *kernelConn) disconnect(deadline time.Time) Outcome {
	c.endedHere = !c.ended()
	if err := c.CloseWrite(); err != nil {
		return failed(err)
	}
	_ = c.SetReadDeadline(deadline)
	buf := make([]byte, 4096)
	for {
		if _, err := c.Read(buf); err != nil {
			o := failed(err)
			if o.Word == "closed" {
				return done("")
			}
			return o
		}
	}
}

// ended tells that the other side has ended its direction.
func (c *kernelConn) ended() bool { return c.heard || c.stateNow() == "CLOSE_WAIT" }

// kernelStates are the names of the kernel's states (tcp_states.h).
var kernelStates = map[uint8]string{
	1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECEIVED", 4: "FIN_WAIT_1", 5: "FIN_WAIT_2", 6: "TIMED_WAIT", 7: "CLOSED",
	8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING",
}

// state is the state of the connection; it is asked until it is the one that
// is expected, since the kernel tells nobody.
func (c *kernelConn) state(a *Action, deadline time.Time) Outcome {
	for {
		state := c.stateNow()
		if len(a.Want) != 1 || state == a.Want[0] || time.Now().After(deadline) {
			return Outcome{Word: "ok", State: state}
		}
		time.Sleep(time.Millisecond)
	}
}

func (c *kernelConn) stateNow() string {
	if c.gone {
		return "CLOSED"
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return "CLOSED"
	}
	state := "CLOSED"
	err = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = kernelStates[info.State]
		}
	})
	if err != nil {
		return "CLOSED"
	}
	if state == "CLOSED" && c.endedHere {
		return "TIMED_WAIT" // the kernel's time-wait is no socket any more (tcp_time_wait)
	}
	return state
}

// ping sends an echo request through a raw socket.
func (h *kernelHost) ping(a *Action, u units) Outcome {
	to := h.way.to(a.To)
	network, protocol := "ip4:icmp", 1
	message := icmp.Message{Type: ipv4.ICMPTypeEcho}
	if to.Is6() {
		network, protocol = "ip6:ipv6-icmp", 58
		message.Type = ipv6.ICMPTypeEchoRequest
	}
	var c *icmp.PacketConn
	err := h.in.Do(func() (err error) {
		c, err = icmp.ListenPacket(network, h.way.own.String())
		return err
	})
	if err != nil {
		return failed(err)
	}
	defer c.Close()
	h.mu.Lock()
	h.pings++
	echo := &icmp.Echo{ID: os.Getpid() & 0xFFFF, Seq: h.pings, Data: patterned(0, a.Size.bytes(u))}
	h.mu.Unlock()
	message.Body = echo
	request, err := message.Marshal(nil)
	if err == nil {
		_, err = c.WriteTo(request, &net.IPAddr{IP: to.AsSlice()})
	}
	if err != nil {
		return failed(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(max(a.Wait, time.Millisecond)))
	buf := make([]byte, 1<<16)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return Outcome{Word: "no-reply"}
		}
		reply, err := icmp.ParseMessage(protocol, buf[:n])
		if err != nil || reply.Type != ipv4.ICMPTypeEchoReply && reply.Type != ipv6.ICMPTypeEchoReply {
			continue
		}
		if got, ok := reply.Body.(*icmp.Echo); ok && got.ID == echo.ID && got.Seq == echo.Seq {
			if len(got.Data) != len(echo.Data) || !intact(0, got.Data) {
				return Outcome{Word: "corrupt"}
			}
			return done("")
		}
	}
}

// shut implements host.
func (h *kernelHost) shut() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		_ = c.SetLinger(0) // nothing stays behind
		_ = c.Close()      // it may be closed
	}
	for _, l := range h.listeners {
		_ = l.Close()
	}
	h.conns, h.listeners = map[string]*kernelConn{}, map[string]*net.TCPListener{}
	return nil
}

// kernelLine is a line over a connection of the kernel's.
type kernelLine struct{ c *kernelConn }

func (l *kernelLine) read(wait time.Duration) ([]byte, error) {
	_ = l.c.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 4096)
	n, err := l.c.Read(buf)
	return buf[:n], err
}

func (l *kernelLine) write(b []byte, wait time.Duration) error {
	_ = l.c.SetWriteDeadline(time.Now().Add(wait))
	_, err := l.c.Write(b)
	return err
}

func (l *kernelLine) end(how ending) {
	switch how {
	case withReset:
		_ = l.c.SetLinger(0)
	case first:
		_ = l.c.CloseWrite()
	}
	for err := error(nil); how != withReset && err == nil; {
		_, err = l.read(5 * time.Second)
	}
	l.c.gone = true
	_ = l.c.Close()
}
