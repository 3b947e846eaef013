package replay

import (
	"encoding/hex"
	"fmt"
	"net/netip"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/packetpool"
)

// What the harness of the recording does itself.

func (r *run) sleep(s Step, _ map[string]any) { r.world.Sleep(uint32(s.number("ticks"))) }

// drop loses all segments of the client (1), of the server (2), or both.
func (r *run) drop(s Step, _ map[string]any) { r.wire.Lose = Lose(s.number("mask")) }

// Lose is the sides that a mask of the recordings names.
func Lose(mask int) map[string]bool { return map[string]bool{"C": mask&1 != 0, "S": mask&2 != 0} }

// dropData loses the data segment with the given index, counted from here.
func (r *run) dropData(s Step, _ map[string]any) {
	r.wire.LoseData([...]string{"C", "S"}[s.number("direction")&1], s.number("index"))
}

// link plugs the cables of all instances, or of one, in or out.
func (r *run) link(s Step, _ map[string]any) {
	for name, n := range r.instances {
		if one := s.text("ip"); one != "" && one != name {
			continue
		}
		if s.number("up") != 0 {
			n.driver.Plug()
		} else {
			n.driver.Unplug()
		}
	}
}

func (r *run) pools(_ Step, out map[string]any) {
	var pools []any
	for _, side := range []string{"A", "B"} {
		info, err := packetpool.PoolInfoGet(&r.named(side).pool)
		if err != nil {
			answered(out, err)
			return
		}
		pools = append(pools, []any{float64(info.TotalPackets), float64(info.FreePackets)})
	}
	out["pools"] = pools
}

// Instances.

func (r *run) poolCreate(s Step, out map[string]any) {
	answered(out, r.makePoolOf(&r.small, "small", s.number("payload"), s.number("size")))
}

// Faults of ip_create.
const (
	nullPool = iota + 1
	zeroedPool
	smallPool
	nullDriver
	nullStack
	stackOf100
	stackOf0
	priority32
	priority1000
)

func (r *run) ipCreate(s Step, out map[string]any) {
	n := r.named("null")
	if !s.null("ip") {
		n = r.named(s.text("ip"))
	}
	pool, memory, priority := &r.named("A").pool, uint32(memorySize), uint(priority)
	driver := link.Driver(n.driver)
	switch s.fault() {
	case nullPool:
		pool = nil
	case zeroedPool:
		pool = &packetpool.Pool{}
	case smallPool:
		pool = &r.small
	case nullDriver:
		driver = nil
	case nullStack:
		out[Inexpressible] = MemoryArea
		return
	case stackOf100:
		memory = 100
	case stackOf0:
		memory = 0
	case priority32:
		priority = 32
	case priority1000:
		priority = 1000
	case 0:
	default:
		r.doubt("ip_create: unknown fault %d", s.fault())
	}
	n.block.Config = r.config(n)
	err := ip.Create(r.instance(s), n.name, r.pick(createAddresses, s.number("address_kind")), r.pick(createMasks, s.number("mask_kind")),
		pool, driver, memory, priority)
	if err == nil {
		r.ended = append(r.ended, func() error { return r.deleteInstance(n) })
	}
	answered(out, err)
}

func (r *run) status(s Step, out map[string]any) {
	if s.number("null_out") != 0 {
		nullOutput(r, s, out)
		out["actual"] = 0.
		return
	}
	actual, err := ip.StatusCheck(r.instance(s), uint32(s.number("needed")), s.wait())
	answered(out, err)
	out["actual"] = float64(actual)
}

func (r *run) interfaceStatus(s Step, out map[string]any) {
	actual, err := ip.InterfaceStatusCheck(r.instance(s), uint(s.number("interface")), uint32(s.number("needed")), s.wait())
	answered(out, err)
	out["actual"] = float64(actual)
}

func (r *run) addressGet(s Step, out map[string]any) {
	if s.number("null_arg") != 0 {
		nullOutput(r, s, out)
		return
	}
	address, mask, err := ip.AddressGet(r.instance(s))
	answered(out, err)
	out["address"], out["mask"] = dotted(address), hex.EncodeToString(v4(mask))
}

// dotted and v4 show the zero Addr as the zero word.
func dotted(a netip.Addr) string {
	b := v4(a)
	return fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], b[3])
}

func v4(a netip.Addr) []byte {
	if !a.Is4() {
		return make([]byte, 4)
	}
	return a.AsSlice()
}

func (r *run) addressSet(s Step, out map[string]any) {
	answered(out, ip.AddressSet(r.instance(s), r.pick(setAddresses, s.number("address_kind")), r.pick(setMasks, s.number("mask_kind"))))
}

func (r *run) interfaceAddressSet(s Step, out map[string]any) {
	answered(out, ip.InterfaceAddressSet(r.instance(s), uint(s.number("interface")), setAddresses[0], setMasks[0]))
}

func (r *run) interfaceInfo(s Step, out map[string]any) {
	info, err := ip.InterfaceInfoGet(r.instance(s), uint(s.number("interface")))
	answered(out, err)
	out["mtu"], out["name"] = float64(info.MTU), info.Name
}

func (r *run) mtuSet(s Step, out map[string]any) {
	answered(out, ip.InterfaceMTUSet(r.instance(s), uint(s.number("interface")), uint32(s.number("mtu"))))
}

func (r *run) gatewaySet(s Step, out map[string]any) {
	answered(out, ip.GatewayAddressSet(r.instance(s), r.pick(gateways, s.number("kind"))))
}

func (r *run) gatewayGet(s Step, out map[string]any) {
	gateway, err := ip.GatewayAddressGet(r.instance(s))
	answered(out, err)
	out["gateway"] = dotted(gateway)
}

func (r *run) ipInfo(s Step, out map[string]any) {
	info, err := ip.InfoGet(r.instance(s))
	answered(out, err)
	out["ip_info"] = map[string]any{
		"packets_sent": float64(info.TotalPacketsSent), "bytes_sent": float64(info.TotalBytesSent),
		"packets_received": float64(info.TotalPacketsReceived), "bytes_received": float64(info.TotalBytesReceived),
		"invalid": float64(info.InvalidPackets), "receive_dropped": float64(info.ReceivePacketsDropped),
		"checksum_errors": float64(info.ReceiveChecksumErrors), "send_dropped": float64(info.SendPacketsDropped),
		"fragments_sent": float64(info.TotalFragmentsSent), "fragments_received": float64(info.TotalFragmentsReceived),
	}
}

func (r *run) arpEnable(s Step, out map[string]any) {
	size := uint32(memorySize)
	switch s.fault() {
	case 1:
		out[Inexpressible] = MemoryArea
		return
	case 2:
		size = 10
	case 0:
	default:
		r.doubt("arp_enable: unknown fault %d", s.fault())
	}
	answered(out, ip.ARPEnable(r.instance(s), size))
}

// ICMP.

func (r *run) icmpEnable(s Step, out map[string]any) {
	if s.number("v4_call") != 0 {
		answered(out, ip.ICMPv4Enable(r.instance(s)))
		return
	}
	answered(out, ip.ICMPEnable(r.instance(s)))
}

func (r *run) icmpInfo(s Step, out map[string]any) {
	info, err := ip.ICMPInfoGet(r.instance(s))
	answered(out, err)
	out["icmp_info"] = map[string]any{
		"sent": float64(info.PingsSent), "timeouts": float64(info.PingTimeouts), "suspended": float64(info.PingThreadsSuspended),
		"responses": float64(info.PingResponsesReceived), "checksum_errors": float64(info.ICMPChecksumErrors),
		"unhandled": float64(info.ICMPUnhandledMessages),
	}
}

// ping makes all forms of the call, as connect does.
func (r *run) ping(s Step, out map[string]any) {
	destination := r.host(s.text("host"), r.trace.AF)
	switch s.Op() {
	case "ping4":
		destination = r.host(s.text("host"), 4)
	case "ping_ver":
		destination = Host("B", s.number("version"))
	case "ping_null":
		if s.number("null_arg") == 2 {
			nullOutput(r, s, out)
			return
		}
		destination = netip.Addr{}
	}
	data := make([]byte, s.number("size"))
	for i := range data {
		data[i] = 'a' + byte(i%26)
	}
	response, err := ip.ICMPPing(r.instance(s), destination, data, s.wait())
	answered(out, err)
	if err != nil {
		return
	}
	length, _ := packetpool.LengthGet(response)
	out["response_length"] = float64(length)
	_ = packetpool.Release(response)
}

// IPv6.

// ipv6Set sets an address by its kind: A's usual one plus an offset, B's,
// multicast, unspecified or link-local.
func (r *run) ipv6Set(s Step, out map[string]any) {
	var address netip.Addr
	prefix, iface := uint32(s.number("prefix")), uint(0)
	if s.Op() == "v6_ll" {
		prefix = 10
	} else {
		switch s.number("address_kind") {
		case 9:
			b := clientV6.As16()
			b[15] += byte(s.number("offset"))
			address = netip.AddrFrom16(b)
		case 1:
			address = serverV6
		case 7:
			address = Host("multicast", 6)
		case 3:
			address = netip.IPv6Unspecified()
		case 8:
			address = netip.MustParseAddr("fe80::1:2:3:4")
		default:
			r.doubt("v6_set: unknown address %d", s.number("address_kind"))
		}
		switch s.fault() {
		case 1:
			address = clientV4
		case 2:
			iface = 5
		case 3:
			address = netip.Addr{}
		case 0:
		default:
			r.doubt("v6_set: unknown fault %d", s.fault())
		}
	}
	index, err := ip.IPv6AddressSet(r.instance(s), iface, address, prefix)
	answered(out, err)
	out["index"] = float64(index)
	if err != nil {
		out["index"] = untouched
	}
}

// untouched is what the recording finds in an output that was not written.
const untouched = 99.

func (r *run) ipv6Get(s Step, out map[string]any) {
	if s.number("null_arg") != 0 {
		nullOutput(r, s, out)
		return
	}
	address, prefix, iface, err := ip.IPv6AddressGet(r.instance(s), uint(s.number("index")))
	answered(out, err)
	if err != nil {
		return
	}
	out["address"] = hex.EncodeToString(address.AsSlice())
	out["prefix"], out["interface"] = float64(prefix), float64(iface)
	out["version"] = 6.
}

func (r *run) ipv6Delete(s Step, out map[string]any) {
	answered(out, ip.IPv6AddressDelete(r.instance(s), uint(s.number("index"))))
}

func (r *run) ipv6State(s Step, out map[string]any) {
	state, _ := ip.IPv6AddressStateGet(r.instance(s), uint(s.number("index")))
	out["addr_state"] = float64(state)
}
