package ip

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gonetx/packetpool/nx"
)

// Route is the way that a datagram takes.
type Route struct {
	Source         netip.Addr
	NextHop        netip.Addr
	InterfaceIndex uint   // 1 is the loopback interface
	MTU            uint32 // of the link, IP header included
}

var (
	errLinkDown   = errors.New("the link is down")
	errDetached   = errors.New("the interface is detached")
	errNoIPv6     = errors.New("IPv6 is not enabled")
	errNoSource   = errors.New("no valid address to send from")
	errNoRoute    = errors.New("no route, and no gateway")
	errBadAddress = errors.New("not an address of either family")
)

// RouteFind answers how a datagram to destination leaves, by NetX Duo's order
// of selection: nx_ip_route_find.c for IPv4, nxd_ipv6_interface_find.c for
// IPv6. No route is NX_IP_ADDRESS_ERROR for IPv4; for IPv6 it is
// NX_NO_INTERFACE_ADDRESS.
//
// It is the one truth about routes: the gate drops what the stack sends
// against it.
func (inst *Instance) RouteFind(destination netip.Addr) (Route, error) {
	route, status, cause := inst.routeFind(destination)
	return route, nx.Fail("ip.RouteFind", status, cause)
}

func (inst *Instance) routeFind(destination netip.Addr) (Route, nx.Status, error) {
	destination = destination.Unmap().WithZone("")
	s, up := inst.settings.Load(), inst.linkUp.Load()
	switch {
	case destination.Is4():
		word, _ := wordOf(destination)
		source, nextHop, index, ok := s.routeIPv4(word, up)
		if !ok {
			return Route{}, nx.IPAddressError, whyNot(destination, s, up, errNoRoute)
		}
		return Route{addrOf(source), addrOf(nextHop), index, s.mtu}, nx.Success, nil
	case destination.Is6():
		source, nextHop, index, ok := s.routeIPv6(destination, up, inst.clock)
		if !ok {
			cause := errNoSource
			if !s.ipv6 {
				cause = errNoIPv6
			}
			return Route{}, nx.NoInterfaceAddress, whyNot(destination, s, up, cause)
		}
		return Route{source, nextHop, index, s.mtu}, nx.Success, nil
	}
	return Route{}, nx.IPAddressError, errBadAddress
}

func whyNot(destination netip.Addr, s *settings, up bool, cause error) error {
	if !s.attached {
		cause = errDetached
	} else if !up {
		cause = errLinkDown
	}
	return fmt.Errorf("%s: %w", destination, cause)
}

// routeIPv4 is the order of _nx_ip_route_find for one interface and the
// loopback interface.
func (s *settings) routeIPv4(a uint32, up bool) (source, nextHop uint32, index uint, ok bool) {
	up = up && s.attached
	if isMulticast(a) || a == limitedBroadcast {
		return s.address, a, 0, up
	}
	if up && a == s.address {
		return s.address, a, 0, true
	}
	for _, r := range s.routes {
		if up && a&r.mask == r.network && r.nextHop&s.mask == s.network() {
			return s.address, r.nextHop, 0, true
		}
	}
	if up && a&s.mask == s.network() {
		return s.address, a, 0, true
	}
	if a&loopbackMask == loopbackAddress&loopbackMask {
		return loopbackAddress, a, loopbackInterface, true
	}
	if up && a&linkLocalMask == linkLocalNetwork { // RFC 3927 section 2.6
		return s.address, a, 0, true
	}
	if up && s.gateway != 0 {
		return s.address, s.gateway, 0, s.gateway&s.mask == s.network()
	}
	if up && s.address&linkLocalMask == linkLocalNetwork {
		return s.address, a, 0, true
	}
	return 0, 0, 0, false
}

// routeIPv6 is the order of _nxd_ipv6_interface_find. A tentative address is
// never a source.
func (s *settings) routeIPv6(a netip.Addr, up bool, clock nx.Clock) (source, nextHop netip.Addr, index uint, ok bool) {
	if !s.ipv6 {
		return netip.Addr{}, netip.Addr{}, 0, false
	}
	up = up && s.attached
	if i := s.ipv6AddressOf(a); i >= 0 && s.ipv6At[i].state == AddressValid {
		if i == loopbackIPv6Index {
			return a, a, loopbackInterface, true
		}
		return a, a, 0, true
	}
	if !up {
		return netip.Addr{}, netip.Addr{}, 0, false
	}
	for _, i := range s.ipv6Order {
		e := &s.ipv6At[i]
		if e.state == AddressValid && e.reaches(a) {
			return e.address, a, 0, true
		}
	}
	if len(s.routers) == 0 || !isGlobalUnicast(a) {
		return netip.Addr{}, netip.Addr{}, 0, false
	}
	router, found := s.defaultRouter(clock.Now())
	if !found {
		return netip.Addr{}, netip.Addr{}, 0, false
	}
	for _, i := range s.ipv6Order {
		e := &s.ipv6At[i]
		if e.state == AddressValid && !e.address.IsLinkLocalUnicast() {
			return e.address, router, 0, true
		}
	}
	return netip.Addr{}, netip.Addr{}, 0, false
}

// reaches tells whether a is on the link as seen from this address: a
// link-local destination wants a link-local source, a multicast one a source of
// its scope.
func (e *ipv6Address) reaches(a netip.Addr) bool {
	linkLocal := e.address.IsLinkLocalUnicast()
	switch {
	case a.IsLinkLocalUnicast():
		return linkLocal
	case e.contains(a):
		return true
	case a.IsMulticast():
		if a.As16()[1]&0x0F == 2 {
			return linkLocal
		}
		return !linkLocal
	}
	return false
}

// isGlobalUnicast is IPV6_ADDRESS_GLOBAL with IPV6_ADDRESS_UNICAST: everything
// that is neither multicast, link-local, loopback nor unspecified.
func isGlobalUnicast(a netip.Addr) bool {
	return a.Is6() && !a.IsMulticast() && !a.IsLinkLocalUnicast() && !a.IsLoopback() && !a.IsUnspecified()
}

// defaultRouter answers the first router whose lifetime has not run out.
func (s *settings) defaultRouter(now time.Duration) (netip.Addr, bool) {
	for i := range s.routers {
		if r := &s.routers[i]; r.alive(now) {
			return r.address, true
		}
	}
	return netip.Addr{}, false
}
