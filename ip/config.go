package ip

import "gonetx/packetpool/nx"

// Config holds what NetX Duo fixes when it is compiled, and what it takes from
// ThreadX. It is hung on the control block before [Create], which copies it;
// nil and the zero Config mean NetX Duo's default build on the machine's
// clock.
type Config struct {
	// Clock counts the ticks of everything on this instance: waits, timers, the
	// retransmissions of its connections. Nil: nx.RealClock.
	Clock nx.Clock

	// Recorder sees what the instance does. Nil: nobody looks.
	Recorder nx.Recorder

	// Release gives TCP the timing of release 6.4.2 instead of gVisor's better
	// one: a segment is sent again every second, ten times, and there are no
	// selective acknowledgements (NX_TCP_TRANSMIT_TIMER_RATE,
	// NX_TCP_MAXIMUM_RETRIES, NX_TCP_RETRY_SHIFT). A connection request to the
	// broadcast address is answered as any other.
	Release bool

	// NoWindowRule restores the original's windows: a connection advertises what
	// its socket asks for, also when the packet pool can never hold it, and then
	// stalls for ever. See [Instance.ReceiveLimit].
	NoWindowRule bool

	// NoDAD is NX_DISABLE_IPV6_DAD: an IPv6 address is valid at once.
	NoDAD bool

	// StaticRouting is NX_ENABLE_IP_STATIC_ROUTING.
	StaticRouting bool

	// IPv6AddressChangeNotify is NX_ENABLE_IPV6_ADDRESS_CHANGE_NOTIFY.
	IPv6AddressChangeNotify bool

	// RawQueueDepth is NX_IP_RAW_MAX_QUEUE_DEPTH. Zero: 20.
	RawQueueDepth uint32

	// MTU is the longest datagram of the interface, when it shall be less than
	// what the link carries. Zero: the link's.
	MTU uint32

	// PhysicalAddress is the hardware address that the interface reports and
	// that its IPv6 link-local address is made of. No frame carries it: the
	// links here have no link header. Zero: one made of the instance's name.
	PhysicalAddress [6]byte
}

// withDefaults answers the configuration in force.
func (c *Config) withDefaults() Config {
	var in Config
	if c != nil {
		in = *c
	}
	if in.Clock == nil {
		in.Clock = nx.RealClock
	}
	if in.RawQueueDepth == 0 {
		in.RawQueueDepth = 20
	}
	return in
}
