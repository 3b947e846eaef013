package ip

import (
	"net/netip"
	"slices"
	"time"
)

// Limits of the default build (nx_user.h).
const (
	maxPhysicalInterfaces = 1 // NX_MAX_PHYSICAL_INTERFACES
	loopbackInterface     = 1 // NX_LOOPBACK_INTERFACE
	maxIPv6Addresses      = 3 // NX_MAX_IPV6_ADDRESSES
	loopbackIPv6Index     = 3 // where nxd_ipv6_enable puts ::1
	maxRoutes             = 8 // NX_IP_ROUTING_TABLE_SIZE
	maxRouters            = 8 // NX_IPV6_DEFAULT_ROUTER_TABLE_SIZE
	maxMulticastGroups    = 7 // NX_MAX_MULTICAST_GROUPS
)

const (
	limitedBroadcast = 0xFFFFFFFF
	loopbackAddress  = 0x7F000001
	loopbackMask     = 0xFF000000
	linkLocalNetwork = 0xA9FE0000 // 169.254/16
	linkLocalMask    = 0xFFFF0000
)

// settings is what the program has set on an instance, as the data path reads
// it: never changed once it is in force, so that a frame on its way takes no
// lock. A service that changes something puts a changed copy in its place.
type settings struct {
	attached bool // nx_interface_valid of interface 0
	address  uint32
	mask     uint32
	mtu      uint32
	gateway  uint32        // 0: none
	routes   []staticRoute // by mask, longest first

	icmp      bool // ICMPv4 is enabled
	icmpv6    bool
	igmp      bool
	raw       bool
	fragments bool // in both directions
	ipv6      bool

	groups    []group // IPv4 multicast groups joined
	ipv6At    [maxIPv6Addresses + 1]ipv6Address
	ipv6Order []int // indexes of the interface's IPv6 addresses, as they were set
	routers   []router
}

type staticRoute struct{ network, mask, nextHop uint32 }

type group struct {
	address uint32
	joins   uint
}

// AddressState is the state of an IPv6 address (NX_IPV6_ADDR_STATE_…).
type AddressState uint

const (
	AddressUnknown    AddressState = 0 // the slot is free
	AddressTentative  AddressState = 1 // duplicate address detection is under way
	AddressPreferred  AddressState = 2 // never seen in this release
	AddressDeprecated AddressState = 3 // never seen in this release
	AddressValid      AddressState = 4
)

func (s AddressState) String() string {
	names := [...]string{"UNKNOWN", "TENTATIVE", "PREFERRED", "DEPRECATED", "VALID"}
	if int(s) < len(names) {
		return names[s]
	}
	return "UNKNOWN"
}

type ipv6Address struct {
	state   AddressState
	address netip.Addr
	prefix  uint32 // as set, 129 too
}

// contains tells whether a lies in the address's prefix.
func (e *ipv6Address) contains(a netip.Addr) bool {
	return samePrefix(e.address, a, e.prefix)
}

// samePrefix compares the first bits of two IPv6 addresses. No two addresses
// have more than 128 bits in common, so that a prefix of 129 holds none.
func samePrefix(a, b netip.Addr, bits uint32) bool {
	if bits > 128 {
		return false
	}
	p, err := a.Prefix(int(bits))
	return err == nil && p.Contains(b)
}

type router struct {
	address  netip.Addr
	expires  time.Duration // on the instance's clock; meaningless when infinite
	infinite bool
	method   uint
}

func (s *settings) network() uint32 { return s.address & s.mask }

// isBroadcast tells the limited broadcast and that of the interface's subnet.
func (s *settings) isBroadcast(a uint32) bool {
	return a == limitedBroadcast || s.attached && a&s.mask == s.network() && a&^s.mask == ^s.mask
}

// isOwn tells whether a datagram to a never leaves the instance.
func (s *settings) isOwn(a netip.Addr) bool {
	if a.Is4() {
		word, _ := wordOf(a)
		return word&loopbackMask == loopbackAddress&loopbackMask || word == s.address && s.attached && word != 0
	}
	return s.ipv6AddressOf(a) >= 0
}

// ipv6AddressOf answers the index of a valid or tentative address, -1 if none.
func (s *settings) ipv6AddressOf(a netip.Addr) int {
	for i := range s.ipv6At {
		if e := &s.ipv6At[i]; e.state != AddressUnknown && e.address == a {
			return i
		}
	}
	return -1
}

func (s *settings) joined(address uint32) bool {
	return slices.ContainsFunc(s.groups, func(g group) bool { return g.address == address })
}

func isMulticast(word uint32) bool { return word>>28 == 0xE }
