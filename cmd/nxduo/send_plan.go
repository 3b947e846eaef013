package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gonetx/smtp"
)

// plan is what the flags and the environment of "nxduo send" come to, checked
// before anything is opened.
type plan struct {
	at       netip.AddrPort
	name     string // of the server, when it was given by name
	address  netip.Prefix
	gateway  netip.Addr
	netns    string // path; empty: ours
	domain   string
	auth     smtp.AuthType
	username string
	password string
	body     []byte
}

// where names the server in messages.
func (p *plan) where() string {
	if p.name == "" {
		return p.at.String()
	}
	return fmt.Sprintf("%s (%s)", p.name, p.at)
}

func (c *sendCommand) plan(std streams) (*plan, error) {
	p := &plan{domain: c.Domain, netns: c.Netns}
	if p.domain == "" {
		_, p.domain, _ = strings.Cut(strings.TrimSuffix(c.From, ">"), "@")
	}
	if c.Netns != "" && !strings.Contains(c.Netns, "/") {
		p.netns = filepath.Join("/run/netns", c.Netns)
	}
	if c.Port == 0 {
		return nil, usage("--port 0 is no port")
	}
	if c.ConnectTimeout <= 0 || c.ReplyTimeout < 0 {
		return nil, usage("a timeout must be longer than nothing")
	}
	if err := c.credentials(p); err != nil {
		return nil, err
	}
	if err := c.resolve(p); err != nil {
		return nil, err
	}
	if err := c.network(p); err != nil {
		return nil, err
	}
	if isTerminal(std.in) {
		fmt.Fprintln(std.err, "Type the mail; Ctrl-D on an empty line ends it.")
	}
	body, err := io.ReadAll(std.in)
	if err != nil {
		return nil, &failure{code: exitUsage, what: "standard input", err: err}
	}
	if p.body = body; len(body) == 0 {
		return nil, usage("standard input is empty: it is the text of the mail")
	}
	return p, nil
}

// credentials takes user name and password from the file or the environment.
func (c *sendCommand) credentials(p *plan) error {
	p.auth = map[string]smtp.AuthType{"none": smtp.AuthNone, "plain": smtp.AuthPlain, "login": smtp.AuthLogin}[c.Auth]
	p.username, p.password = os.Getenv("NXDUO_USER"), os.Getenv("NXDUO_PASSWORD")
	if c.Credentials != "" {
		b, err := os.ReadFile(c.Credentials)
		if err != nil {
			return &failure{code: exitUsage, what: "--credentials", err: err}
		}
		user, rest, _ := bytes.Cut(b, []byte("\n"))
		password, _, _ := bytes.Cut(rest, []byte("\n"))
		p.username, p.password = strings.TrimSuffix(string(user), "\r"), strings.TrimSuffix(string(password), "\r")
	}
	if p.auth != smtp.AuthNone && (p.username == "" || p.password == "") {
		return usage("--auth %s needs a user name and a password: NXDUO_USER and NXDUO_PASSWORD, or --credentials", c.Auth)
	}
	return nil
}

// resolve finds the server's address: the first of a family that is wanted and
// for which the stack has an address.
func (c *sendCommand) resolve(p *plan) error {
	addresses := []netip.Addr{}
	if a, err := netip.ParseAddr(c.Server); err == nil {
		addresses = append(addresses, a)
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		p.name = c.Server
		if addresses, err = net.DefaultResolver.LookupNetIP(ctx, "ip", c.Server); err != nil {
			return &failure{code: exitNoConnection, what: "no connection", err: err}
		}
	}
	var why error
	for _, a := range addresses {
		a = a.Unmap()
		if err := c.reachable(a); err != nil {
			why = errors.Join(why, err)
			continue
		}
		p.at = netip.AddrPortFrom(a, c.Port)
		return nil
	}
	return &failure{code: exitUsage, what: "--server " + c.Server, err: why}
}

// reachable says why the stack can not talk to an address.
func (c *sendCommand) reachable(a netip.Addr) error {
	switch {
	case c.Family != "any" && (c.Family == "4") != a.Is4():
		return fmt.Errorf("%s is not of --family %s", a, c.Family)
	case a.IsLoopback():
		return fmt.Errorf("%s is the stack itself, as seen from the stack; this machine is the gateway", a)
	case a.IsUnspecified() || a.IsMulticast() || a.Zone() != "":
		return fmt.Errorf("%s is not the address of a server", a)
	}
	if _, err := c.stackAddress(a); err != nil {
		return err
	}
	return nil
}

// stackAddress is the stack's address of the same family as a.
func (c *sendCommand) stackAddress(a netip.Addr) (netip.Prefix, error) {
	for _, p := range c.Address {
		if p.Addr().Is4() == a.Is4() {
			if p.Addr() == a {
				return p, fmt.Errorf("%s is the stack's own address", a)
			}
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("no --address of the family of %s", a)
}

// network chooses the stack's address and its gateway.
func (c *sendCommand) network(p *plan) error {
	seen := map[bool]bool{}
	for _, a := range c.Address {
		if !usable(a) {
			return usage("--address %s: no host can have it", a)
		}
		if seen[a.Addr().Is4()] {
			return usage("--address %s: the family has one already", a)
		}
		seen[a.Addr().Is4()] = true
	}
	p.address, _ = c.stackAddress(p.at.Addr())
	p.gateway = firstOther(p.address)
	for _, g := range c.Gateway {
		if g.Is4() == p.address.Addr().Is4() {
			p.gateway = g
		}
	}
	if p.gateway == p.address.Addr() || !usable(netip.PrefixFrom(p.gateway, p.address.Bits())) || !p.address.Contains(p.gateway) {
		return usage("--gateway %s: not another host of %s", p.gateway, p.address.Masked())
	}
	return nil
}

// usable tells whether a host can have the address: not that of the network,
// and not the broadcast address.
func usable(p netip.Prefix) bool {
	a := p.Addr()
	if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4In6() || a == p.Masked().Addr() {
		return false
	}
	return !a.Is4() || p.Contains(a.Next())
}

// firstOther is the first address of the prefix that a host can have and that
// is not p's own.
func firstOther(p netip.Prefix) netip.Addr {
	first := p.Masked().Addr().Next()
	if first == p.Addr() {
		return first.Next()
	}
	return first
}

// poolFlag is the size of a pool, written 9x800.
type poolFlag poolSize

// UnmarshalText reads "9x800".
func (f *poolFlag) UnmarshalText(text []byte) error {
	count, payload, _ := strings.Cut(string(text), "x")
	n, err1 := strconv.ParseUint(count, 10, 32)
	bytes, err2 := strconv.ParseUint(payload, 10, 32)
	const most = 1 << 30
	if err1 != nil || err2 != nil || n == 0 || bytes == 0 || n > most || bytes > most || n*(bytes+64) > most {
		return fmt.Errorf("%q is not a number of packets and their bytes, such as 16x1536, up to 1 GiB", text)
	}
	*f = poolFlag(packets(uint32(n), uint32(bytes)))
	return nil
}
