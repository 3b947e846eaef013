package parity

import "strings"

// Rule is something that must differ between the families.
type Rule struct {
	Name string `json:"name"`
	What string `json:"what"` // that differs
	Why  string `json:"why"`  // with the source
}

// Rules are all of them. Anything else that differs is a failure.
var Rules = []Rule{
	{"HeaderBytes",
		"a full segment has 20 bytes of data less over IPv6, and so has the MSS",
		"the header of IPv6 has 40 bytes, that of IPv4 20 (RFC 8200 section 3, RFC 791 section 3.1); RFC 9293 section 3.7.1"},
	{"SegmentCount",
		"the same bytes are cut into more segments over IPv6",
		"the same; the bytes of each direction are the same, and IPv6 has at most one segment more for each 72, one of 1440 bytes being 20 short"},
	{"PacketCount",
		"a frame or a message takes a packet more over IPv6, where its 20 bytes do not fit the last one",
		"frames live in the packets of the pool, headers included (design of packetpool.Inbound, nx_packet_data_append.c)"},
	{"CopyOnReceive",
		"a frame takes its packets twice for a moment, in either family",
		"the program was faster than the reader of the link, which has not given the frame up yet (packetpool.Arrival)"},
	{"AddressError",
		"NX_IP_ADDRESS_ERROR over IPv4 is NX_NO_INTERFACE_ADDRESS over IPv6",
		"nxd_tcp_client_socket_connect.c and nx_icmp_interface_ping.c look for a route, nx_icmp_interface_ping6.c and _nxd_ipv6_interface_find for an address"},
	{"UnreachableKind",
		"a host that cannot be reached is \"no route to host\" over IPv4 and \"network is unreachable\" over IPv6",
		"gVisor has one word for what ICMPv6 says of a destination (network/ipv6/icmp.go, handleICMP)"},
	{"PingOverflow",
		"an echo request that the pool cannot hold is NX_NO_PACKET over IPv4 and NX_OVERFLOW over IPv6",
		"nx_icmp_interface_ping.c hands the status of nx_packet_data_append on, nx_icmp_interface_ping6.c has one of its own"},
}

// Names of the rules.
const (
	headerBytes   = "HeaderBytes"
	segmentCount  = "SegmentCount"
	packetCount   = "PacketCount"
	copyOnReceive = "CopyOnReceive"
	addressError  = "AddressError"
	pingOverflow  = "PingOverflow"

	unreachableKind = "UnreachableKind"
)

// text is the rule for a text that differs; "": there is none.
func (c *comparison) text(four, six Event) string {
	for _, r := range []struct {
		rule, with, four, six string
		lane                  Lane
	}{
		{addressError, "", "NX_IP_ADDRESS_ERROR", "NX_NO_INTERFACE_ADDRESS", Steps},
		{pingOverflow, " ping ", "NX_NO_PACKET", "NX_OVERFLOW", Steps},
		{unreachableKind, "destination unreachable", "no route to host", "network is unreachable", States},
	} {
		if four.Lane == r.lane && strings.Contains(four.What, r.with) && strings.Contains(four.What, r.four) &&
			strings.ReplaceAll(four.What, r.four, r.six) == six.What {
			return r.rule
		}
	}
	return ""
}

// number is the rule for a number that differs; "": there is none.
func (c *comparison) number(four, six Event, name string, a, b int) string {
	switch four.Lane {
	case Wire:
		if name == "mss" && a-b == 20 || name == "data" && a-b == 20 && a <= c.four.MSS {
			return headerBytes
		}
	case WireSent, WireGot:
		if name == "mss" && a-b == 20 || name == "data" && inSegments(a, b, c.unit()) {
			return headerBytes
		}
	case Steps:
		if name == "bytes" && inSegments(a, b, c.unit()) {
			return headerBytes
		}
	case Counts:
		if strings.HasSuffix(name, "-bytes") && inSegments(a, b, c.unit()) {
			return headerBytes
		}
		if way := map[string]string{"sent": "sends", "received": "gets"}[name]; way != "" && a != b && b-a == c.more[way] {
			return segmentCount
		}
	case Pools:
		if c.onePacketMore(four, name, a, b) {
			return packetCount
		}
		if frame := (c.four.MTU + c.four.pool - 1) / c.four.pool; name == "pool-lowest" && max(a-b, b-a) <= frame {
			return copyOnReceive
		}
	}
	return ""
}

// onePacketMore tells that more packets were out over IPv6, in a pool whose
// packets do not hold a whole frame: not more than frames crossed the link.
func (c *comparison) onePacketMore(e Event, name string, a, b int) bool {
	payload, way := c.four.pool, "gets"
	switch name {
	case "pool-lowest":
	case "sending-lowest":
		payload, way = c.four.units.Payload, "sends"
	default:
		return false
	}
	frames := 0
	for _, w := range c.six.lane(Wire) {
		if w.Step == e.Step && wayOf(w) == way {
			frames++
		}
	}
	return payload < c.four.MTU && a > b && a-b <= frames
}

// mustDiffer tells that a number may not be the same in both families.
func mustDiffer(name string) bool { return name == "mss" }

// inSegments tells that two numbers of bytes are the same number of full
// segments, of size bytes each over IPv4, and the same rest.
func inSegments(a, b, size int) bool {
	k := (a - b) / 20
	return a > b && (a-b)%20 == 0 && k*(size-20) <= a
}
