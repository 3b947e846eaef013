package ip

import (
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// nic is the one network interface of an instance's gVisor stack. Interface 0
// and the loopback interface share it: what the instance sends to itself is
// turned round at the gate, so that it takes packets as every frame does.
const nic tcpip.NICID = 1

// newStack makes the gVisor stack of an instance. Each knob says which
// behaviour of NetX Duo it reproduces.
func newStack(name string, clock nx.Clock, release bool, recorder nx.Recorder) *stack.Stack {
	s := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			// 127.0.0.1 and ::1 come in through the gate, which is not a loopback
			// NIC; the gate itself refuses them from the wire. IGMP and MLD stay
			// off, and so do router solicitations, SLAAC and duplicate address
			// detection: all of gVisor's that would send on its own. The instance
			// does its own detection, with NetX Duo's timing.
			ipv4.NewProtocolWithOptions(ipv4.Options{AllowExternalLoopbackTraffic: true}),
			ipv6.NewProtocolWithOptions(ipv6.Options{AllowExternalLoopbackTraffic: true}),
		},
		// Pings and raw packets never reach the stack, so that TCP is its only
		// transport; echo requests are answered by the network protocols.
		TransportProtocols: []stack.TransportProtocolFactory{newTCP(name, release, recorder)},
		Clock:              newStackClock(clock),
		// A segment to an address of the instance's own goes to the link, where
		// the gate sees it in both directions, counts it, and takes packets for it.
		HandleLocal: false,
	})

	// NX_IP_TIME_TO_LIVE is 128 for what the instance itself answers with; the
	// hop limit that nxd_ipv6_enable sets is 255.
	ttl, hops := tcpip.DefaultTTLOption(128), tcpip.DefaultTTLOption(255)
	must(s.SetNetworkProtocolOption(header.IPv4ProtocolNumber, &ttl))
	must(s.SetNetworkProtocolOption(header.IPv6ProtocolNumber, &hops))

	// The routes of the stack lead everywhere: which destinations can be
	// reached, from where and by which hop, RouteFind decides, and the links have
	// no link-layer address that a next hop would stand for.
	s.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nic},
		{Destination: header.IPv6EmptySubnet, NIC: nic},
	})
	setTiming(s, release)
	return s
}

// setTiming prepares the stack for the timing of release 6.4.2, which package
// tcp keeps: gVisor sends nothing again by itself, and there are no selective
// acknowledgements. Otherwise gVisor keeps its own timing, which is better: SACK,
// and times taken from the round trip.
//
// In both, what is lost is sent again without RACK and tail loss probes (RFC 8985).
// gVisor's take a queue for loss: where one grows, the probe is too early, and the
// acknowledgement of what it asked for halves the congestion window, whether the
// probe had been needed or not (rack.go, detectTLPRecovery). And with the probe a
// connection can stand still for ever: the timer that comes after it is not set
// when what is outstanding was counted wrong (snd.go, postXmit, SetPipe).
//
// The handshake has a timer of its own in gVisor (connect.go, InitialRTO doubled
// up to the constant MaxRTO), which these options do not reach; package tcp keeps
// back what it sends.
func setTiming(s *stack.Stack, release bool) {
	recovery := tcpip.TCPRecovery(0)
	longest := tcpip.TCPMaxRTOOption(longestTimeout)
	options := []tcpip.SettableTransportProtocolOption{&recovery, &longest}
	if release {
		const never = 1000 * time.Hour
		sack := tcpip.TCPSACKEnabled(false)
		longest = tcpip.TCPMaxRTOOption(never)
		shortest := tcpip.TCPMinRTOOption(never)
		handshake := tcpip.TCPSynRetriesOption(255)
		// The longest first: gVisor refuses a shortest above it.
		options = append(options, &sack, &shortest, &handshake)
	}
	for _, option := range options {
		must(s.SetTransportProtocolOption(tcp.ProtocolNumber, option))
	}
}

// longestTimeout is where gVisor's time-out stops to double. The original sends again
// each second, ten times, and gives up (NX_TCP_TRANSMIT_TIMER_RATE,
// NX_TCP_MAXIMUM_RETRIES); in that time gVisor alone would try five times, and with
// this eight times. No shorter: a time-out below the round trip is always too early.
const longestTimeout = 2 * time.Second

// must turns an answer of gVisor's that only a change of gVisor can make into a
// panic at the place that has to change with it. Nothing that a caller passes
// leads here.
func must(err tcpip.Error) {
	if err != nil {
		panic(fmt.Sprintf("ip: gVisor refused a constant setting: %s", err))
	}
}

// addAddress and removeAddress keep gVisor's addresses like the instance's, as
// far as gVisor needs them: to take what is addressed to them, and to send from
// them.
func (inst *Instance) addAddress(a netip.Addr, prefix int) {
	err := inst.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{
		Protocol:          protocolOf(a),
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: toStack(a), PrefixLen: prefix},
	}, stack.AddressProperties{})
	inst.warn(err, "add", a)
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

func (inst *Instance) removeAddress(a netip.Addr) {
	inst.warn(inst.stack.RemoveAddress(nic, toStack(a)), "remove", a)
}

// warn records what gVisor has against an address. There is nothing that the
// caller could do about it.
func (inst *Instance) warn(err tcpip.Error, what string, a netip.Addr) {
	if err == nil || inst.recorder == nil {
		return
	}
	inst.recorder.Record(nx.WarningEvent{Where: inst.name, Text: fmt.Sprintf("cannot %s address %s: %s", what, a, err)})
}

// prefixOf is the length of an IPv4 mask for gVisor, which knows only those
// without gaps: it makes the subnet whose broadcasts gVisor takes. Of a mask
// with gaps the leading ones count; the gate has filtered by the whole mask
// before.
func prefixOf(mask uint32) int { return bits.LeadingZeros32(^mask) }

// joinGroup and leaveGroup make gVisor take datagrams to a multicast group. It
// is in the all-systems group (224.0.0.1) by itself; the gate keeps that from
// it until the program joins.
func (inst *Instance) joinGroup(a netip.Addr) {
	inst.warn(inst.stack.JoinGroup(header.IPv4ProtocolNumber, nic, toStack(a)), "join", a)
}

func (inst *Instance) leaveGroup(a netip.Addr) {
	inst.warn(inst.stack.LeaveGroup(header.IPv4ProtocolNumber, nic, toStack(a)), "leave", a)
}
