package parity

import (
	"net/netip"
	"sync"
	"time"

	"gonetx/ip/driven"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// The place "ram": two stacks and a router that is a few lines, in driven time.

// The addresses there.
var ramAddresses = map[int]struct {
	stack, peer, router          netip.Prefix
	absent, unreachable, nowhere netip.Addr
}{
	4: {
		netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.254/24"),
		netip.MustParseAddr("192.0.2.99"), netip.MustParseAddr("192.0.2.66"), netip.MustParseAddr("203.0.113.1"),
	},
	6: {
		netip.MustParsePrefix("2001:db8::2/64"), netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("2001:db8::fe/64"),
		netip.MustParseAddr("2001:db8::99"), netip.MustParseAddr("2001:db8::66"), netip.MustParseAddr("2001:db8:1::1"),
	},
}

// oneWorld is held by the world that is open: it looks at all goroutines of the
// process.
var oneWorld sync.Mutex

func openRAM(r *run) (*scene, error) {
	oneWorld.Lock()
	s, err := r.openRAM()
	if err != nil {
		oneWorld.Unlock()
	}
	return s, err
}

func (r *run) openRAM() (*scene, error) {
	a := ramAddresses[r.family]
	router := &ramRouter{address: a.router.Addr(), unreachable: a.unreachable, mtu: r.scenario.Settings.PathMTU, watch: r.watch}
	w := driven.New(driven.Config{MTU: 1500, Latency: nx.Tick, Verdict: router.verdict})
	router.network = w.Network
	r.log.now = w.Clock.Now
	r.log.nameOf(a.stack.Addr(), "STACK", a.peer.Addr(), "PEER")

	faults, err := r.faultConfig(r.scenario.Settings.Faults)
	if err != nil {
		w.Close()
		return nil, err
	}
	cable := w.Network.Driver()
	bad := fault.Wrap(cable, faults)

	c := r.stackConfig(a.stack, way{a.stack.Addr(), a.peer.Addr(), a.absent, a.unreachable, a.nowhere})
	c.driver, c.clock = newTap(bad, r.log), w.Clock
	p := r.peerConfig(a.peer, way{a.peer.Addr(), a.stack.Addr(), a.absent, a.unreachable, a.nowhere})
	p.driver, p.clock = w.Network.Driver(), w.Clock
	stack, err := newStack(c)
	if err != nil {
		w.Close()
		return nil, err
	}
	peer, err := newStack(p)
	if err != nil {
		stack.down()
		w.Close()
		return nil, err
	}
	w.Sleep(100) // what an interface says when it comes up
	return &scene{
		stack: stack, peer: peer, ours: stack, time: drivenTime{w}, faults: bad, cable: cable,
		down: func() []string {
			w.Sleep(100) // a delayed frame is on the wire
			failures := append(stack.down(), peer.down()...)
			w.Close()
			oneWorld.Unlock()
			return failures
		},
	}, nil
}

// drivenTime is the stage of a driven world.
type drivenTime struct{ world *driven.World }

func (d drivenTime) start(f func()) call { return d.world.Go(driven.Thread{}, f, nil) }

// drivenLimit is more ticks than any scenario takes.
const drivenLimit = uint32(maxWait / nx.Tick * 4)

func (d drivenTime) wait(calls []call) bool {
	for _, c := range calls {
		if !d.world.Wait(c.(*driven.Call), drivenLimit) {
			return false
		}
	}
	return true
}

func (d drivenTime) sleep(t time.Duration) { d.world.Sleep(uint32(t / nx.Tick)) }

// settle lets what is on its way arrive, and the answer to it, so that each
// step begins in silence.
func (d drivenTime) settle() { d.world.Sleep(5) }

// ramRouter stands between the two hosts: it answers for what cannot be
// reached, and for what is too long for the way. Routers are what ICMP errors
// come from; a network in memory has none.
type ramRouter struct {
	network     *ram.Network
	address     netip.Addr
	unreachable netip.Addr
	mtu         int // of the way; 0: as wide as the links
	watch       func(ram.Frame)
}

// verdict looks at a frame that is about to be delivered.
func (r *ramRouter) verdict(f ram.Frame) ram.Verdict {
	if f.From == "" {
		return ram.Pass // what the router says itself
	}
	if r.watch != nil {
		r.watch(f)
	}
	from, to, ok := ends(f.Data)
	switch {
	case !ok || to.IsMulticast():
		return ram.Pass
	case to == r.unreachable:
		r.network.Inject(icmpError(r.address, from, f.Data, 0))
		return ram.Drop
	case r.mtu != 0 && len(f.Data) > r.mtu && !mayCut(f.Data):
		r.network.Inject(icmpError(r.address, from, f.Data, r.mtu))
		return ram.Drop
	}
	return ram.Pass
}

// mayCut tells that a router may cut a datagram into fragments: IPv4 without
// DF. Here it passes whole, as if the receiver had put it together again.
func mayCut(frame []byte) bool {
	return header.IPVersion(frame) == header.IPv4Version && header.IPv4(frame).Flags()&header.IPv4FlagDontFragment == 0
}

// ends are the addresses of a datagram.
func ends(frame []byte) (from, to netip.Addr, ok bool) {
	switch header.IPVersion(frame) {
	case header.IPv4Version:
		if len(frame) < header.IPv4MinimumSize {
			return from, to, false
		}
		from, _ = netip.AddrFromSlice(frame[12:16])
		to, _ = netip.AddrFromSlice(frame[16:20])
	case header.IPv6Version:
		if len(frame) < header.IPv6MinimumSize {
			return from, to, false
		}
		from, _ = netip.AddrFromSlice(frame[8:24])
		to, _ = netip.AddrFromSlice(frame[24:40])
	}
	return from, to, from.IsValid()
}

// icmpError is what a router answers to a datagram: that it is too long for a
// way of mtu bytes, or, with 0, that the host cannot be reached (RFC 792, RFC
// 1191, RFC 4443).
func icmpError(router, to netip.Addr, about []byte, mtu int) []byte {
	quoted := about[:min(len(about), 200)]
	if router.Is4() {
		b := make([]byte, header.IPv4MinimumSize+header.ICMPv4MinimumSize+len(quoted))
		header.IPv4(b).Encode(&header.IPv4Fields{
			TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.ICMPv4ProtocolNumber),
			SrcAddr: tcpip.AddrFromSlice(router.AsSlice()), DstAddr: tcpip.AddrFromSlice(to.AsSlice()),
		})
		header.IPv4(b).SetChecksum(^header.IPv4(b).CalculateChecksum())
		m := header.ICMPv4(b[header.IPv4MinimumSize:])
		m.SetType(header.ICMPv4DstUnreachable)
		m.SetCode(header.ICMPv4HostUnreachable)
		if mtu != 0 {
			m.SetCode(header.ICMPv4FragmentationNeeded)
			m.SetMTU(uint16(mtu))
		}
		copy(m[header.ICMPv4MinimumSize:], quoted)
		m.SetChecksum(^checksum.Checksum(m, 0))
		return b
	}
	b := make([]byte, header.IPv6MinimumSize+header.ICMPv6MinimumSize+len(quoted))
	length := len(b) - header.IPv6MinimumSize
	src, dst := tcpip.AddrFromSlice(router.AsSlice()), tcpip.AddrFromSlice(to.AsSlice())
	header.IPv6(b).Encode(&header.IPv6Fields{
		PayloadLength: uint16(length), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 64, SrcAddr: src, DstAddr: dst,
	})
	m := header.ICMPv6(b[header.IPv6MinimumSize:])
	m.SetType(header.ICMPv6DstUnreachable)
	m.SetCode(header.ICMPv6AddressUnreachable)
	if mtu != 0 {
		m.SetType(header.ICMPv6PacketTooBig)
		m.SetCode(0)
		m.SetMTU(uint32(mtu))
	}
	copy(m[header.ICMPv6MinimumSize:], quoted)
	m.SetChecksum(^checksum.Checksum(m, header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, src, dst, uint16(length))))
	return b
}
