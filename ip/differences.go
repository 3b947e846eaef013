package ip

import "gonetx/packetpool/nx"

// Differences lists what is not as in NetX Duo.
var Differences = []nx.Difference{
	{
		Name: "NoLinkLayer",
		NetX: "resolves addresses with ARP and neighbor discovery, and holds four packets for a neighbor that does not answer",
		Here: "a datagram leaves at once; ARP, RARP, IGMP reports and the neighbor cache are books without an effect",
		Why:  "the links carry datagrams: a TUN device and a network in memory have no hardware addresses",
		Test: "TestNothingIsResolved",
	},
	{
		Name: "DriverFails",
		NetX: "NX_SUCCESS from nx_ip_create, and a link that never comes up",
		Here: "NX_NOT_SUCCESSFUL from Create, with the cause",
		Why:  "a device that cannot be opened is known at once, and so is why",
		Test: "TestCreateChecks",
	},
	{
		Name: "InitializedAtOnce",
		NetX: "the IP thread initializes the link when it first runs",
		Here: "the link is up when Create returns",
		Why:  "there is no scheduler that could hold the IP thread back",
		Test: "TestCreateChecks",
	},
	{
		Name: "MemoryIsASize",
		NetX: "NX_PTR_ERROR from nx_ip_create and nx_arp_enable without memory",
		Here: "NX_SIZE_ERROR for zero bytes",
		Why:  "a memory area is its size in Go",
		Test: "TestCreateChecks",
	},
	{
		Name: "DeleteInCallback",
		NetX: "nx_ip_delete of an instance in its own callback is undefined",
		Here: "NX_CALLER_ERROR",
		Why:  "Delete waits for the callbacks to end",
		Test: "TestDeleteInCallback",
	},
	{
		Name: "Windows",
		NetX: "advertises the window of the socket, also when the pool can never hold it; the connection stalls",
		Here: "window and MSS never exceed what the default pool can hold",
		Why:  "frames live in the pool's packets; Config.NoWindowRule restores the original",
		Test: "TestReceiveLimit",
	},
	{
		Name: "ICMPErrorsReachTCP",
		NetX: "counts ICMP errors as unhandled and lets a connection run into its time-out",
		Here: "ICMP errors end a connection attempt at once and name its cause, whether ICMP is enabled or not",
		Why:  "without a neighbor to resolve, the network's answer is the only sign of a destination that is not there",
		Test: "TestICMPErrorsReachTCP",
	},
	{
		Name: "RouterAdvertisements",
		NetX: "makes addresses and default routers of router advertisements",
		Here: "does not process them, and solicits none",
		Why:  "no router answers on such a link; routers are set with IPv6DefaultRouterAdd",
		Test: "TestRouterAdvertisementIgnored",
	},
	{
		Name: "LoopbackMTU",
		NetX: "the loopback interface carries datagrams of 65535 bytes",
		Here: "connections of the instance with itself use the MTU of interface 0",
		Why:  "both interfaces share one interface of the stack",
		Test: "TestLoopbackHasTheLinksMTU",
	},
	{
		Name: "LoopbackFromTheWire",
		NetX: "accepts datagrams from and to 127.0.0.0/8 and ::1 from the link",
		Here: "drops and counts them",
		Why:  "RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3",
		Test: "TestGateRefuses",
	},
	{
		Name: "OverlappingFragments",
		NetX: "takes overlapping fragments",
		Here: "drops the datagram",
		Why:  "RFC 5722",
		Test: "TestBadFragments",
	},
	{
		Name: "SecondInterface",
		NetX: "nx_ip_interface_attach after nx_ip_interface_detach attaches another driver",
		Here: "NX_NO_MORE_ENTRIES, always",
		Why:  "an instance has the link that it was created with",
		Test: "TestInterfaceDetach",
	},
	{
		Name: "Identification",
		NetX: "counts the identification of all IPv4 datagrams from 1",
		Here: "counts that of pings and raw packets; TCP segments carry gVisor's",
		Why:  "gVisor derives it from addresses and a secret (RFC 7739)",
		Test: "TestIdentifications",
	},
	{
		Name: "SuperSegments",
		NetX: "nx_ip_info_get counts datagrams",
		Here: "counts what crosses the link: with offload a super-segment is one",
		Why:  "the device makes the segments of it",
		Test: "TestSuperSegmentIsOne",
	},
	{
		Name: "RawIPv6WithoutAddress",
		NetX: "nxd_ip_raw_packet_send sends from :: when no address has the index",
		Here: "NX_NO_INTERFACE_ADDRESS, and the packet stays the caller's",
		Why:  "nobody could answer",
		Test: "TestRawChecks",
	},
}
