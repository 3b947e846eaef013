package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"
)

// networkFlags say where the stack of a command stands: on which device, with
// which addresses, behind which gateway.
type networkFlags struct {
	Tun     string         `placeholder:"NAME" group:"Network" help:"TUN device. One that stands already is used; otherwise it is made, and gone afterwards. The kernel chooses the name if none is given."`
	Netns   string         `placeholder:"NAME|PATH" group:"Network" help:"Network namespace to open the device in, as \"ip netns\" knows it, or a path such as /proc/1234/ns/net."`
	Address []netip.Prefix `default:"10.77.0.2/24,fd77::2/64" group:"Network" help:"Address and prefix of the stack, one for each family."`
	Gateway []netip.Addr   `placeholder:"ADDRESS" group:"Network" help:"Address of the host on the device, the stack's gateway, one for each family; the first other one of the prefix if it is not given."`
	Family  string         `enum:"any,4,6" default:"any" group:"Network" help:"4 or 6: use only this family's addresses of the server. any: the first that it has."`
	MTU     uint32         `name:"mtu" placeholder:"BYTES" group:"Network" help:"MTU of the device; 1500 for a new one."`
}

// namespace is the path of the namespace for the device; empty: ours.
func (c *networkFlags) namespace() string {
	if c.Netns != "" && !strings.Contains(c.Netns, "/") {
		return filepath.Join("/run/netns", c.Netns)
	}
	return c.Netns
}

// way completes a plan with the way to a server, given by name or address.
func (c *networkFlags) way(p *plan, flag, server string, port uint16) error {
	if err := c.resolve(p, flag, server, port); err != nil {
		return err
	}
	return c.network(p)
}

// resolve finds the server's address: the first of a family that is wanted and
// for which the stack has an address.
func (c *networkFlags) resolve(p *plan, flag, server string, port uint16) error {
	addresses := []netip.Addr{}
	if a, err := netip.ParseAddr(server); err == nil {
		addresses = append(addresses, a)
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		p.name = server
		if addresses, err = net.DefaultResolver.LookupNetIP(ctx, "ip", server); err != nil {
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
		p.at = netip.AddrPortFrom(a, port)
		return nil
	}
	return &failure{code: exitUsage, what: flag + " " + server, err: why}
}

// reachable says why the stack can not talk to an address.
func (c *networkFlags) reachable(a netip.Addr) error {
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
func (c *networkFlags) stackAddress(a netip.Addr) (netip.Prefix, error) {
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
func (c *networkFlags) network(p *plan) error {
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
