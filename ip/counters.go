package ip

import (
	"maps"
	"sync"
	"sync/atomic"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"
)

// counters are those of nx_ip_info_get and nx_icmp_info_get, with NetX Duo's
// meaning, and what was dropped by reason.
type counters struct {
	packetsSent, bytesSent               atomic.Uint32
	packetsReceived, bytesReceived       atomic.Uint32
	invalid, receiveDropped, checksum    atomic.Uint32
	sendDropped                          atomic.Uint32
	fragmentsSent, fragmentsReceived     atomic.Uint32
	pingsSent, pingTimeouts, pingReplies atomic.Uint32
	icmpChecksum, icmpUnhandled          atomic.Uint32

	mu    sync.Mutex // guards the field below
	drops map[string]uint64
}

// Reasons for a drop at the gate between stack and link.
const (
	dropNotIP            = link.DropNotIP
	dropTruncated        = link.DropTruncatedIP
	dropBadHeader        = link.DropBadIPHeader
	dropNoIPv6           = "IPv6 is not enabled"
	dropIPChecksum       = "wrong IPv4 header checksum"
	dropTCPChecksum      = "wrong TCP checksum"
	dropICMPChecksum     = "wrong ICMP checksum"
	dropBadSegment       = "malformed TCP header"
	dropNotMine          = "addressed to somebody else"
	dropMartian          = "a loopback address came from the wire"
	dropBadSource        = "sent by a broadcast or multicast address"
	dropNoTCP            = "TCP is not enabled"
	dropNoUDP            = "there is no UDP"
	dropNoICMP           = "ICMP is not enabled"
	dropNoIGMP           = "IGMP is not enabled"
	dropUnhandledICMP    = "an ICMP message that nobody handles"
	dropTentative        = "addressed to an address still under duplicate address detection"
	dropNoFragments      = "a fragment, and fragmentation is not enabled"
	dropBadFragment      = "a fragment that fits no datagram"
	dropFragmentTimeout  = "fragments whose rest never came"
	dropFragmentsFlushed = "fragments thrown away when fragmentation was disabled"
	dropTooLong          = link.DropTooLong
	dropNoRoute          = "no route to the destination"
	dropPoolEmpty        = link.DropPoolEmpty
	dropByTransport      = "dropped by TCP"
	dropNoWaiter         = "an echo reply that nobody waits for"
	dropRawQueueFull     = "the raw packet queue is full"
	dropUnknown          = "a protocol that nobody handles"
	dropForeignND        = "a neighbor discovery message that was forwarded"
)

// drop counts a datagram that goes no further at the gate, and makes the event.
// head is its begin.
func (inst *Instance) drop(direction nx.Direction, reason string, size int, head []byte) {
	c := &inst.counters
	if direction == nx.Received {
		c.receiveDropped.Add(1)
	} else {
		c.sendDropped.Add(1)
	}
	inst.note(direction, reason, size, head)
}

// note is drop for what NetX Duo does not count among the dropped packets.
func (inst *Instance) note(direction nx.Direction, reason string, size int, head []byte) {
	c := &inst.counters
	c.mu.Lock()
	if c.drops == nil {
		c.drops = make(map[string]uint64)
	}
	c.drops[reason]++
	c.mu.Unlock()
	link.RecordDrop(inst.recorder, inst.name, direction, reason, size, head)
}

// resetCounters begins a new life of the block.
func (inst *Instance) resetCounters() {
	c := &inst.counters
	for _, n := range []*atomic.Uint32{
		&c.packetsSent, &c.bytesSent, &c.packetsReceived, &c.bytesReceived,
		&c.invalid, &c.receiveDropped, &c.checksum, &c.sendDropped,
		&c.fragmentsSent, &c.fragmentsReceived,
		&c.pingsSent, &c.pingTimeouts, &c.pingReplies, &c.icmpChecksum, &c.icmpUnhandled,
	} {
		n.Store(0)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops = nil
}

func (c *counters) dropped() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.drops)
}
