package tcp

import (
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// dress writes what the socket wants into the IP header of a segment that
// leaves: time to live, type of service, and whether it may be fragmented, for
// IPv4 only, as in NetX Duo, where IPv6 takes the hop limit of the instance.
// gVisor would do so for its own segments, but not for the SYN-ACK of an
// endpoint that a forwarder makes; nor has what is sent past it any of this. The
// caller holds the protocol's lock.
func (c *connection) dress(pkt *stack.PacketBuffer) {
	s := c.socket
	h := header.IPv4(pkt.NetworkHeader().Slice())
	if s == nil || !c.flow.local.Addr().Is4() || len(h) < header.IPv4MinimumSize {
		return
	}
	flags := h.Flags() &^ header.IPv4FlagDontFragment
	if s.fragment == DontFragment {
		flags |= header.IPv4FlagDontFragment
	}
	if tos, _ := h.TOS(); tos == s.typeOfService && h.TTL() == s.timeToLive && h.Flags() == flags {
		return
	}
	h.SetTOS(s.typeOfService, 0)
	h.SetTTL(s.timeToLive)
	h.SetFlagsFragmentOffset(flags, h.FragmentOffset())
	h.SetChecksum(0)
	h.SetChecksum(^h.CalculateChecksum())
}
