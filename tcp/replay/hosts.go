package replay

import (
	"net/netip"

	"gonetx/ip"
)

// The two sides of a trace: A is the client's, B the server's.
var (
	clientV4 = netip.MustParseAddr("1.2.3.4")
	serverV4 = netip.MustParseAddr("1.2.3.5")
	clientV6 = netip.MustParseAddr("2001:db8:0:1::1:4")
	serverV6 = netip.MustParseAddr("2001:db8:0:1::1:5")
)

// hosts are the destinations that traces name, by family.
var hosts = map[string][2]string{
	"A":                                   {"1.2.3.4", "2001:db8:0:1::1:4"},
	"B":                                   {"1.2.3.5", "2001:db8:0:1::1:5"},
	"absent neighbour":                    {"1.2.3.99", "2001:db8:0:1::1:99"},
	"off-link":                            {"10.20.30.40", "2001:db8:2::1"},
	"loopback":                            {"127.0.0.1", "::1"},
	"multicast":                           {"224.0.0.5", "ff02::5"},
	"zero address":                        {"0.0.0.0", "::"},
	"v4 broadcast / v6 unspecified":       {"255.255.255.255", "::"},
	"v4 subnet broadcast / v6 link-local": {"1.2.3.255", "fe80::1"},
}

// Host answers the address of a destination. A version that is neither 4 nor 6
// has no address in Go: it is the zero Addr, as a NULL pointer is.
func Host(name string, version int) netip.Addr {
	h, ok := hosts[name]
	switch {
	case ok && version == 4:
		return netip.MustParseAddr(h[0])
	case ok && version == 6:
		return netip.MustParseAddr(h[1])
	}
	return netip.Addr{}
}

// host is Host for a destination that a trace names, or spells. No name is a
// NULL pointer.
func (r *run) host(name string, version int) netip.Addr {
	if _, ok := hosts[name]; ok || name == "" {
		return Host(name, version)
	}
	a, err := netip.ParseAddr(name)
	if err != nil {
		r.doubt("unknown host %q", name)
	}
	return a
}

// pick answers the element that a trace numbers. Beyond the list it is the zero
// Addr.
func (r *run) pick(list []netip.Addr, i int) netip.Addr {
	if i < 0 || i >= len(list) {
		r.doubt("unknown kind %d", i)
		return netip.Addr{}
	}
	return list[i]
}

// The addresses and masks that traces number.
var (
	createAddresses = []netip.Addr{ip.IPAddress(1, 2, 3, 10), ip.IPAddress(0, 0, 0, 0), ip.IPAddress(255, 255, 255, 255),
		ip.IPAddress(224, 0, 0, 1), ip.IPAddress(127, 0, 0, 1), ip.IPAddress(240, 0, 0, 1)}
	createMasks  = []netip.Addr{ip.IPAddress(255, 255, 255, 0), ip.IPAddress(0, 0, 0, 0), ip.IPAddress(255, 255, 255, 255)}
	setAddresses = []netip.Addr{ip.IPAddress(1, 2, 3, 77), ip.IPAddress(0, 0, 0, 0), ip.IPAddress(255, 255, 255, 255),
		ip.IPAddress(224, 0, 0, 1), serverV4, ip.IPAddress(240, 0, 0, 1)}
	setMasks = []netip.Addr{ip.IPAddress(255, 255, 255, 0), ip.IPAddress(0, 0, 0, 0), ip.IPAddress(255, 0, 255, 0),
		ip.IPAddress(255, 255, 255, 255)}
	gateways = []netip.Addr{ip.IPAddress(1, 2, 3, 1), ip.IPAddress(0, 0, 0, 0), ip.IPAddress(10, 20, 30, 1)}
)
