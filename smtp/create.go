package smtp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// creation is what create is given, from the service or from a test that has
// a transport of its own.
type creation struct {
	inst                             *ip.Instance
	pool                             *packetpool.Pool
	clock                            nx.Clock
	recorder                         nx.Recorder
	name                             string
	username, password, from, domain string
	authType                         AuthType
	server                           netip.Addr
	port                             uint
	t                                transport
}

// create is the core of ClientCreate. socket makes the socket.
func (c *Client) create(given creation, socket func(windowSize uint32, config *tcp.Config) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.created {
		return nx.Fail(clientCreate, nx.PtrError, errors.New("smtp: the client exists already"))
	}
	c.clearLocked()
	c.config = c.Config.settings()
	if err := c.configure(given); err != nil {
		return serviceError(clientCreate, err)
	}
	if err := socket(c.config.WindowSize, c.config.Socket); err != nil {
		if !c.as(CreateUnchecked) || !errors.Is(err, nx.NotEnabled) {
			c.clearLocked()
			return fail(clientCreate, statusOf(err), err)
		}
	}
	c.created = true
	return nil
}

// configure checks and takes what create is given.
func (c *Client) configure(given creation) error {
	unchecked := c.as(CreateUnchecked)
	if _, err := packetpool.PoolInfoGet(given.pool); err != nil && !unchecked {
		return err
	}
	for _, text := range []struct {
		what, text string
		limit      uint
	}{
		{"username", given.username, c.config.MaxUsername},
		{"password", given.password, c.config.MaxPassword},
		{"domain", given.domain, c.config.MaxUsername},
	} {
		if n := uint(len(text.text)); n > text.limit {
			return fail("", nx.SizeError, fmt.Errorf("smtp: %s of %d bytes, at most %d", text.what, n, text.limit))
		}
	}
	if !c.as(LineBreaksPassed) && strings.Contains(given.username+given.password, "\x00") {
		return fail("", InvalidParam, fmt.Errorf("username or password: %w", ErrLineBreak))
	}
	var err error
	if c.domain, err = c.oneLine("domain", given.domain, commandLimit); err != nil {
		return err
	}
	if c.from, err = c.address("from address", given.from, fromLimit); err != nil {
		return err
	}
	if err := c.measure(given); err != nil && !unchecked {
		return err
	}
	if (given.port == 0 || given.port > 0xFFFF) && !unchecked {
		return nx.InvalidPort
	}
	c.inst, c.pool, c.clock, c.recorder, c.name = given.inst, given.pool, given.clock, given.recorder, given.name
	c.credentials = func() (string, string) { return given.username, given.password }
	c.server, c.t = given.server, given.t
	switch c.authType = given.authType; c.authType {
	case AuthNone, AuthLogin, AuthPlain:
	default:
		c.authType = AuthPlain
	}
	c.reader = lineReader{limit: int(c.config.ServerMaxReply), parse: lineParser(c.config.as)}
	c.info = ClientInfo{AuthType: c.authType, Server: netip.AddrPortFrom(c.server, uint16(given.port))}
	c.public = c.info
	return nil
}

// Bytes of the headers in front of the data.
const (
	tcpHeader  = 20
	ipv4Header = 20
	ipv6Header = 40
)

// measure finds how much goes into a packet. The chunk of a body is counted as
// the guide counts it: payload less IP and TCP headers. A packet itself keeps
// 16 bytes more free for the physical header, so that a full chunk chains a
// second one.
func (c *Client) measure(given creation) error {
	header := ipv4Header
	c.packetType = packetpool.IPv4TCPPacket
	if given.server.Is6() {
		header, c.packetType = ipv6Header, packetpool.IPv6TCPPacket
	}
	c.payload = given.pool.PayloadSize()
	c.chunk = int(c.payload) - header - tcpHeader
	if c.payload <= uint32(c.packetType) {
		return fail("", InvalidParam, fmt.Errorf("smtp: packets of %d bytes do not hold the %d bytes of headers", c.payload, c.packetType))
	}
	return nil
}

// clear makes the client the zero one, but for its Config.
func (c *Client) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clearLocked()
}

func (c *Client) clearLocked() {
	c.created, c.public = false, ClientInfo{}
	c.inst, c.pool, c.recorder, c.name = nil, nil, nil, ""
	c.config, c.credentials, c.from, c.domain = settings{}, nil, "", ""
	c.server, c.t = netip.Addr{}, nil
	c.packetType, c.payload, c.chunk = 0, 0, 0
	c.authType, c.info, c.reader = 0, ClientInfo{}, lineReader{}
	c.buffer, c.before = nil, packetpool.Packet{}
}

// serviceError puts the name of the service on an error made below it.
func serviceError(service string, err error) error {
	var e *nx.Error
	if errors.As(err, &e) && e.Service == "" {
		return fail(service, e.Status, e.Cause)
	}
	return fail(service, statusOf(err), err)
}
