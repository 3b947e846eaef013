package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/ip/link/tun"
	"gonetx/ip/link/tun/netns"
	"gonetx/tcp"
)

// The addresses of the demonstration: for IPv4 those of the guide.
var (
	client4, server4 = netip.MustParsePrefix("1.2.3.5/24"), netip.MustParsePrefix("1.2.3.4/24")
	client6, server6 = netip.MustParsePrefix("2001:db8::5/64"), netip.MustParsePrefix("2001:db8::4/64")
)

// world is where the demonstration takes place: a link for the stack, and a
// place for the mail server at its other end.
type world struct {
	kind   string // "TUN" or "RAM"
	where  string // in words
	driver link.Driver

	// listen opens the server's port. It is called once the stack stands,
	// because a TUN device exists only then.
	listen func(server netip.AddrPort) (net.Listener, error)
	close  func() error
}

// tunWorld is a TUN device in namespaces of our own, with the server on the
// kernel's stack. It re-executes the program.
func tunWorld() (*world, error) {
	if err := netns.Enter(); err != nil {
		return nil, err
	}
	return &world{
		kind:   "TUN",
		where:  "a TUN device in namespaces of its own; the server is on the Linux kernel's stack",
		driver: tun.New(tun.Config{Addresses: []netip.Prefix{server4, server6}}),
		listen: func(server netip.AddrPort) (net.Listener, error) { return net.Listen("tcp", server.String()) },
		close:  func() error { return nil },
	}, nil
}

// ramWorld is a network inside this process, with the server on a second
// instance of our own stack.
func ramWorld() (*world, error) {
	network := ram.NewNetwork(ram.Config{})
	server := &stack{}
	err := server.up(stackConfig{
		name: "server", ipPool: packets(64, 1536), clientPool: packets(64, 1536),
		addresses: []netip.Prefix{server4, server6}, driver: network.Driver(),
	})
	if err != nil {
		return nil, fmt.Errorf("the server's stack: %w", err)
	}
	return &world{
		kind:   "RAM",
		where:  "a network in memory; the server is on a second stack of this module",
		driver: network.Driver(),
		listen: func(at netip.AddrPort) (net.Listener, error) {
			return tcp.Listen(&server.inst, uint(at.Port()), &tcp.ConnOptions{Pool: &server.clientPool})
		},
		close: server.down,
	}, nil
}

// fallback is the world for --link auto: TUN, or RAM and why.
func fallback() (w *world, why error, err error) {
	if w, why = tunWorld(); why == nil {
		return w, nil, nil
	}
	w, err = ramWorld()
	return w, why, err
}

// isNoTUN tells that a stack did not come up because of its link.
func isNoTUN(err error) bool { return errors.Is(err, errLink) }
