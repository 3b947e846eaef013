package topology

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"gonetx/ip/link/fault"
	"gonetx/ip/link/tun"
	"gonetx/packetpool/nx"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Local is a stack and the kernel it talks to, in one namespace.
type Local struct{ *Host }

// NewLocal makes the namespace. The stack comes with its TUN device, see
// [Host.Device].
func NewLocal() (*Local, error) {
	h, err := newHost("host")
	if err != nil {
		return nil, err
	}
	return &Local{h}, nil
}

// Device is the configuration of a TUN device on the host, with the kernel's
// side of the stack's network: [Gateway4] and [Gateway6].
func (h *Host) Device() tun.Config {
	return tun.Config{Addresses: []netip.Prefix{Gateway4, Gateway6}, Namespace: h.Path()}
}

// Routed is a stack's way to a server through a router:
//
//	stack ──TUN── near ──veth── router ──veth── server
//	 10.77.0.2  .1   10.78.0.1   .2   10.79.0.1   .2
//	 fd77::2   ::1   fd78::1    ::2   fd79::1    ::2
//
// The TUN device is opened on the near host, which is a router too.
type Routed struct {
	Near, Router, Server *Host

	// Forwarder is the cable between the near host and the router, when
	// RoutedConfig.Faults asks for one; nil: it is a veth.
	Forwarder *Forwarder
}

// RoutedConfig describes a routed topology. The zero RoutedConfig is one that
// works, 1500 bytes wide.
type RoutedConfig struct {
	// MTU is the longest datagram that the router passes on, in both
	// directions. The links themselves carry 1500, so that neither end can know
	// but by path MTU discovery. Zero: 1500; at least 1280.
	MTU int

	// Faults makes the cable between the near host and the router a [Forwarder]
	// with these faults; "out" is towards the server. Recorder, which may be nil,
	// sees what they do.
	Faults   *fault.Config
	Recorder nx.Recorder

	// NoForwarding leaves the near host as a machine is by default: it forwards
	// nothing.
	NoForwarding bool

	// NoReturn takes away the routes back to the stack's networks, as in the
	// world outside: the near host would have to translate addresses.
	NoReturn bool
}

// NewRouted makes the three namespaces. On an error nothing is left.
func NewRouted(c RoutedConfig) (*Routed, error) {
	t := &Routed{}
	if err := t.build(c); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Close gives all three up.
func (t *Routed) Close() error {
	var errs []error
	if t.Forwarder != nil {
		errs = append(errs, t.Forwarder.Close())
	}
	for _, h := range []*Host{t.Near, t.Router, t.Server} {
		if h != nil {
			errs = append(errs, h.Close())
		}
	}
	return errors.Join(errs...)
}

func (t *Routed) build(c RoutedConfig) (err error) {
	for _, h := range []struct {
		at   **Host
		name string
	}{{&t.Near, "near host"}, {&t.Router, "router"}, {&t.Server, "server"}} {
		if *h.at, err = newHost(h.name); err != nil {
			return err
		}
	}
	if c.Faults != nil {
		t.Forwarder, err = forward(
			end{t.Near, "up", []netip.Prefix{Near4, Near6}}, end{t.Router, "near", []netip.Prefix{router4, router6}}, *c.Faults, c.Recorder)
	} else {
		err = connect(t.Near, "up", t.Router, "near")
	}
	if err != nil {
		return err
	}
	if err := connect(t.Router, "far", t.Server, "up"); err != nil {
		return err
	}
	return errors.Join(t.setUpNear(c), t.setUpRouter(c), t.setUpServer())
}

// Every route that crosses the router has the MTU on it, locked: that is what
// forwarding looks at, and what it answers in ICMP.

func (t *Routed) setUpNear(c RoutedConfig) error {
	return t.Near.setUp(!c.NoForwarding, t.port("up", Near4, Near6),
		route{netip.Prefix{}, router4.Addr(), "up", 0}, route{netip.Prefix{}, router6.Addr(), "up", 0})
}

// port gives an end of the first cable its addresses; a forwarder's devices have
// theirs.
func (t *Routed) port(name string, addresses ...netip.Prefix) step {
	if t.Forwarder != nil {
		return port{name, nil}
	}
	return port{name, addresses}
}

func (t *Routed) setUpRouter(c RoutedConfig) error {
	steps := []step{
		t.port("near", router4, router6),
		port{"far", []netip.Prefix{routerFar4, routerFar6}},
		route{Server4.Masked(), netip.Addr{}, "far", c.MTU}, route{Server6.Masked(), netip.Addr{}, "far", c.MTU},
		route{Near4.Masked(), netip.Addr{}, "near", c.MTU}, route{Near6.Masked(), netip.Addr{}, "near", c.MTU},
	}
	if !c.NoReturn {
		steps = append(steps,
			route{Stack4.Masked(), Near4.Addr(), "near", c.MTU}, route{Stack6.Masked(), Near6.Addr(), "near", c.MTU})
	}
	return t.Router.setUp(true, steps...)
}

func (t *Routed) setUpServer() error {
	return t.Server.setUp(false,
		port{"up", []netip.Prefix{Server4, Server6}},
		route{netip.Prefix{}, routerFar4.Addr(), "up", 0}, route{netip.Prefix{}, routerFar6.Addr(), "up", 0})
}

// step is one thing to set up in the namespace of the calling thread.
type step interface{ do() error }

func (h *Host) setUp(forward bool, steps ...step) error {
	return h.Do(func() error {
		value := "0"
		if forward {
			value = "1"
		}
		errs := []error{sysctl("net/ipv4/ip_forward", value), sysctl("net/ipv6/conf/all/forwarding", value)}
		for _, s := range steps {
			errs = append(errs, s.do())
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("set up the %s: %w", h.Name, err)
		}
		return nil
	})
}

// connect lays a cable: a veth pair with one end on each host.
func connect(a *Host, nameA string, b *Host, nameB string) error {
	peer, err := os.Open(b.Path())
	if err != nil {
		return err
	}
	defer peer.Close()
	cable := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: nameA}, PeerName: nameB, PeerNamespace: netlink.NsFd(peer.Fd()),
	}
	if err := a.Do(func() error { return netlink.LinkAdd(cable) }); err != nil {
		return fmt.Errorf("connect the %s with the %s: %w", a.Name, b.Name, err)
	}
	for _, end := range []struct {
		host *Host
		name string
	}{{a, nameA}, {b, nameB}} {
		if err := end.host.Do(func() error { return bringUp(end.name) }); err != nil {
			return fmt.Errorf("set %s of the %s up: %w", end.name, end.host.Name, err)
		}
	}
	return nil
}

func bringUp(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

// port gives an interface addresses. They are valid at once: nobody else is on
// the cable.
type port struct {
	name      string
	addresses []netip.Prefix
}

func (p port) do() error {
	l, err := netlink.LinkByName(p.name)
	if err != nil {
		return err
	}
	for _, prefix := range p.addresses {
		a := &netlink.Addr{IPNet: ipNet(prefix), Flags: unix.IFA_F_NODAD}
		if prefix.Addr().Is4() {
			a.Flags = 0
		}
		if err := netlink.AddrAdd(l, a); err != nil {
			return fmt.Errorf("address %s: %w", prefix, err)
		}
	}
	return nil
}

// route is a way to a network: through a gateway, or on the link where there is
// none. It takes the place of one to the same network.
type route struct {
	to      netip.Prefix // zero: the default route of the gateway's family
	gateway netip.Addr
	port    string
	mtu     int
}

func (r route) do() error {
	l, err := netlink.LinkByName(r.port)
	if err != nil {
		return err
	}
	way := &netlink.Route{LinkIndex: l.Attrs().Index, MTU: r.mtu, MTULock: r.mtu != 0}
	if r.to.IsValid() {
		way.Dst = ipNet(r.to)
	}
	if r.gateway.IsValid() {
		way.Gw = r.gateway.AsSlice()
	} else {
		way.Scope = netlink.SCOPE_LINK
		if r.to.Addr().Is6() {
			way.Scope = netlink.SCOPE_UNIVERSE
			way.Priority = 256 // of the kernel's own route to the network, which this one replaces
			way.Protocol = unix.RTPROT_KERNEL
		}
	}
	if err := netlink.RouteReplace(way); err != nil {
		return fmt.Errorf("route to %s: %w", r.to, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
