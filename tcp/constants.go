package tcp

import "time"

// Values of nx_api.h, without their prefix.
const (
	MaxPort         = 0xFFFF // NX_MAX_PORT
	AnyPort         = 0      // NX_ANY_PORT: bind chooses
	SearchPortStart = 0xC000 // NX_SEARCH_PORT_START: the first port that bind chooses

	// Types of service of a socket, in the place of the IPv4 header's field.
	IPNormal      = 0          // NX_IP_NORMAL
	IPMinDelay    = 0x00100000 // NX_IP_MIN_DELAY
	IPMaxData     = 0x00080000 // NX_IP_MAX_DATA
	IPMaxReliable = 0x00040000 // NX_IP_MAX_RELIABLE
	IPMinCost     = 0x00020000 // NX_IP_MIN_COST
	tosMask       = 0x00FF0000

	FragmentOkay = 0      // NX_FRAGMENT_OKAY
	DontFragment = 0x4000 // NX_DONT_FRAGMENT

	IPTimeToLive  = 128        // NX_IP_TIME_TO_LIVE
	maxTimeToLive = 0xFF000000 // NX_IP_TIME_TO_LIVE_MASK, as nxe_tcp_socket_create.c compares it: never exceeded in practice

	// MSSSize is NX_TCP_MSS_SIZE: the MSS that a socket reports before it is
	// connected.
	MSSSize = 1460

	maxWindow = 0xFFFF // without NX_ENABLE_TCP_WINDOW_SCALING
	// maxScaledWindow is RFC 7323 section 2.3.
	maxScaledWindow = 1 << 30

	// What is assumed of a peer that tells no MSS (RFC 9293 section 3.7.1).
	defaultMSSIPv4 = 536
	defaultMSSIPv6 = 1220
)

// timedWait is NX_TCP_2MSL_TIMER: twice NX_TCP_MAXIMUM_SEGMENT_LIFETIME.
const timedWait = 2 * 120 * time.Second
