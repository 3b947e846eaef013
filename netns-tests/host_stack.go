package parity

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// stackHost is a host of this module: an IP instance with its pools, driven
// through the services.
type stackHost struct {
	name     string
	way      way
	settings Settings
	window   int
	clock    nx.Clock
	recorder nx.Recorder
	inst     ip.Instance
	pool     packetpool.Pool // default pool of the instance
	sendPool packetpool.Pool

	// room is how many bytes stay free for the headers of what is sent. Tests
	// make it wrong.
	room packetpool.PacketType

	mu      sync.Mutex // guards the fields below
	sockets map[string]*socket
	latest  *socket
	held    []packetpool.Packet
	address uint // index of the IPv6 address
	prefix  netip.Prefix
	gateway netip.Addr
}

// socket is a socket and how far its streams have come.
type socket struct {
	tcp.Socket
	port  uint // that it listens on; 0: a client
	conn  *tcp.Conn
	sent  int
	got   int
	early []byte // received and not asked for
}

// stackConfig describes a stackHost.
type stackConfig struct {
	name         string
	prefix       netip.Prefix // its address
	gateway      netip.Addr   // zero: none
	way          way
	settings     Settings
	pool, sends  PoolSize
	window       int
	driver       link.Driver
	clock        nx.Clock
	recorder     nx.Recorder
	wrongRoom    bool // headers of the other family, see the test of the comparison
	smallerLinks int  // bytes that the MTU is less than it should be, the same
}

// newStack brings a stack up. On an error nothing is left.
func newStack(c stackConfig) (*stackHost, error) {
	h := &stackHost{
		name: c.name, way: c.way, settings: c.settings, window: c.window, clock: c.clock, recorder: c.recorder,
		sockets: map[string]*socket{}, prefix: c.prefix, gateway: c.gateway, room: packetpool.IPv4TCPPacket,
	}
	if c.prefix.Addr().Is6() != c.wrongRoom {
		h.room = packetpool.IPv6TCPPacket
	}
	if err := h.up(c); err != nil {
		h.down()
		return nil, fmt.Errorf("the instance of the %s: %w", c.name, err)
	}
	return h, nil
}

func (h *stackHost) up(c stackConfig) error {
	for _, p := range []struct {
		pool *packetpool.Pool
		name string
		size PoolSize
	}{{&h.pool, "pool", c.pool}, {&h.sendPool, "send pool", c.sends}} {
		p.pool.Config = &packetpool.Config{Clock: c.clock, Recorder: c.recorder}
		const header = 60 // of a packet, see packetpool.PoolCreate
		memory := uint32(p.size.Packets * (header + (p.size.Payload+3)&^3))
		if err := packetpool.PoolCreate(p.pool, p.name, uint32(p.size.Payload), memory); err != nil {
			return err
		}
	}
	h.inst.Config = &ip.Config{Clock: c.clock, Recorder: c.recorder, NoDAD: true, MTU: uint32(c.settings.MTU - c.smallerLinks)}
	none := ip.IPAddress(0, 0, 0, 0)
	address, mask := none, none
	if c.prefix.Addr().Is4() {
		address, mask = c.prefix.Addr(), maskOf(c.prefix)
	}
	if err := ip.Create(&h.inst, c.name, address, mask, &h.pool, c.driver, 2048, 1); err != nil {
		return err
	}
	if err := errors.Join(ip.ICMPEnable(&h.inst), tcp.Enable(&h.inst)); err != nil {
		return err
	}
	return h.restore()
}

func maskOf(p netip.Prefix) netip.Addr {
	return ip.AddressFromWords(^uint32(0) << (32 - p.Bits()))
}

// restore sets the address of the family, and the router.
func (h *stackHost) restore() (err error) {
	if h.prefix.Addr().Is4() {
		if err = ip.AddressSet(&h.inst, h.prefix.Addr(), maskOf(h.prefix)); err == nil && h.gateway.IsValid() {
			err = ip.GatewayAddressSet(&h.inst, h.gateway)
		}
		return err
	}
	if err = ip.IPv6Enable(&h.inst); err != nil && !errors.Is(err, nx.AlreadyEnabled) {
		return err
	}
	if h.address, err = ip.IPv6AddressSet(&h.inst, 0, h.prefix.Addr(), uint32(h.prefix.Bits())); err == nil && h.gateway.IsValid() {
		if err = ip.IPv6DefaultRouterAdd(&h.inst, h.gateway, 0xFFFF, 0); errors.Is(err, nx.DuplicatedEntry) {
			err = nil
		}
	}
	return err
}

func (h *stackHost) removeAddress() error {
	if h.prefix.Addr().Is4() {
		return ip.AddressSet(&h.inst, ip.IPAddress(0, 0, 0, 0), ip.IPAddress(0, 0, 0, 0))
	}
	return ip.IPv6AddressDelete(&h.inst, h.address)
}

func (h *stackHost) speaksNX() bool { return true }

func (h *stackHost) mss() int {
	h.mu.Lock()
	s := h.latest
	h.mu.Unlock()
	if s == nil {
		return 0
	}
	n, err := tcp.SocketMSSGet(&s.Socket)
	if err != nil {
		return 0
	}
	return int(n)
}

// do implements host.
func (h *stackHost) do(a *Action, u units) Outcome {
	wait := nx.Ticks(a.Wait)
	switch a.Verb {
	case "listen":
		return h.listen(a)
	case "connect":
		return h.connect(a, wait)
	case "ping":
		return h.ping(a, u, wait)
	case "unlisten":
		return failed(tcp.ServerSocketUnlisten(&h.inst, a.Port))
	case "take":
		return h.take(int(a.Count), wait)
	case "give":
		return h.give()
	case "address":
		if a.To == "remove" {
			return failed(h.removeAddress())
		}
		return failed(h.restore())
	case "mail":
		return h.mail(a, u)
	}
	s := h.socket(a.At)
	if s == nil {
		return Outcome{Word: "failed", Detail: "no socket " + a.At}
	}
	return h.with(s, a, u, wait)
}

// with does what is done with a socket.
func (h *stackHost) with(s *socket, a *Action, u units, wait nx.Wait) Outcome {
	switch a.Verb {
	case "accept":
		err := tcp.ServerSocketAccept(&s.Socket, wait)
		h.use(s)
		return failed(err)
	case "send":
		return h.send(s, a.Size.bytes(u), piece(a, u), wait)
	case "receive":
		return h.receive(s, a, u, wait)
	case "shutdown":
		return h.shutdown(s)
	case "disconnect":
		if s.conn != nil {
			return h.closeConn(s, a.Wait)
		}
		return failed(tcp.SocketDisconnect(&s.Socket, wait))
	case "finish":
		all := *a
		all.Sized, all.End = false, true
		if o := h.receive(s, &all, u, wait); o.Word != "ok" {
			return o
		}
		return failed(tcp.SocketDisconnect(&s.Socket, wait))
	case "reset":
		return failed(tcp.SocketDisconnect(&s.Socket, nx.NoWait))
	case "unaccept":
		return failed(tcp.ServerSocketUnaccept(&s.Socket))
	case "relisten":
		s.sent, s.got, s.early = 0, 0, nil
		return failed(tcp.ServerSocketRelisten(&h.inst, a.Port, &s.Socket))
	case "state":
		return h.state(s, a, wait)
	case "serve-mail":
		return serveMail(a, func() (line, error) {
			if err := tcp.ServerSocketAccept(&s.Socket, wait); err != nil {
				return nil, err
			}
			return &stackLine{h, s}, nil
		})
	}
	return unhandled(a)
}

// piece is the size of a message of a send.
func piece(a *Action, u units) int {
	if a.InParts {
		return max(a.Piece.bytes(u), 1)
	}
	return u.MSS
}

// socket is the socket of a name; nil: there is none.
func (h *stackHost) socket(name string) *socket {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sockets[name]
}

func (h *stackHost) use(s *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest = s
}

// take keeps packets of the default pool, as a program does that forgets to
// release them.
func (h *stackHost) take(n int, wait nx.Wait) Outcome {
	for range n {
		p, err := packetpool.Allocate(&h.pool, packetpool.ReceivePacket, wait)
		if err != nil {
			o := failed(err)
			o.Word = "full"
			return o
		}
		h.mu.Lock()
		h.held = append(h.held, p)
		h.mu.Unlock()
	}
	return done("")
}

func (h *stackHost) give() Outcome {
	h.mu.Lock()
	held := h.held
	h.held = nil
	h.mu.Unlock()
	for _, p := range held {
		if err := packetpool.Release(p); err != nil {
			return failed(err)
		}
	}
	return done("")
}
