// Package topology builds small networks out of namespaces, through netlink:
//
//	NewLocal    stack ──TUN── kernel, in one namespace
//	NewDirect   near ──veth── far, in two: the kernel at both ends
//	NewRouted   stack ──TUN── near ──veth── router ──veth── server, in three
//
// A stack is an IP instance whose TUN device is opened in the first namespace;
// the far end is the Linux kernel. Both families have addresses and routes
// everywhere.
//
// The cable to the router can be a [Forwarder], which makes the faults of package
// fault, or has the kernel's netem and tbf on it where there are such.
//
// Nothing is left behind, however the process ends: namespaces have no names
// and are held by descriptors, devices go with their namespaces, and programs
// that a [Host] started are killed by the kernel when the process dies.
//
// The process must be root of its network, as after netns.Enter; no privilege
// outside of it is needed.
package topology

import "net/netip"

// The addresses of all topologies. The stack's network is on the TUN device,
// with the kernel's side as its gateway.
var (
	Stack4, Stack6     = netip.MustParsePrefix("10.77.0.2/24"), netip.MustParsePrefix("fd77::2/64")
	Gateway4, Gateway6 = netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("fd77::1/64")

	// The far end of a routed topology, and a host on its link that is not there.
	Server4, Server6 = netip.MustParsePrefix("10.79.0.2/24"), netip.MustParsePrefix("fd79::2/64")
	Absent4, Absent6 = netip.MustParseAddr("10.79.0.99"), netip.MustParseAddr("fd79::99")

	// The far end of a direct topology.
	Far4, Far6 = netip.MustParsePrefix("10.78.0.2/24"), netip.MustParsePrefix("fd78::2/64")

	Near4, Near6           = netip.MustParsePrefix("10.78.0.1/24"), netip.MustParsePrefix("fd78::1/64")
	router4, router6       = netip.MustParsePrefix("10.78.0.2/24"), netip.MustParsePrefix("fd78::2/64")
	routerFar4, routerFar6 = netip.MustParsePrefix("10.79.0.1/24"), netip.MustParsePrefix("fd79::1/64")
)
