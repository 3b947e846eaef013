package ip

import (
	"math"
	"net/netip"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// newTCP is gVisor's TCP. With a recorder it tells of each connection's sender
// after each segment that it has received; gVisor has no such hook for what is
// sent, nor for its timers. With the release's timing gVisor's sender decides
// nothing, and is not told of.
func newTCP(instance string, release bool, recorder nx.Recorder) stack.TransportProtocolFactory {
	if recorder == nil || release {
		return tcp.NewProtocol
	}
	return tcp.NewProtocolProbe(func(s *tcp.TCPEndpointState) {
		recorder.Record(congestion(instance, s))
	})
}

func congestion(instance string, s *tcp.TCPEndpointState) nx.CongestionEvent {
	e := nx.CongestionEvent{
		Instance: instance,
		Local:    toAddrPort(s.ID.LocalAddress, s.ID.LocalPort),
		Remote:   toAddrPort(s.ID.RemoteAddress, s.ID.RemotePort),
		Window:   s.Sender.SndCwnd, Threshold: s.Sender.Ssthresh, MSS: s.Sender.MaxPayloadSize,
		Outstanding: s.Sender.Outstanding, InFlight: uint32(s.Sender.SndUna.Size(s.Sender.SndNxt)),
		RTO: s.Sender.RTO, State: "open",
	}
	if e.Threshold == math.MaxInt { // snd.go, InitialSsthresh
		e.Threshold = 0
	}
	if s.Sender.RTTState.SRTTInited {
		e.SRTT, e.RTTVar = s.Sender.RTTState.SRTT, s.Sender.RTTState.RTTVar
	}
	switch {
	case s.Sender.FastRecovery.Active:
		e.State = "recovery"
	case s.Sender.DupAckCount > 0 || s.Sender.SackedOut > 0:
		e.State = "disorder"
	}
	return e
}

func toAddrPort(a tcpip.Address, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return netip.AddrPortFrom(addr, port)
}
