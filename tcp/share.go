package tcp

import (
	"math"
	"time"
)

// shares divides the default pool among the connections that receive. Each
// window alone fits the pool (ip.Instance.ReceiveLimit); many of them together
// would not, and then frames are lost as fast as they are sent again. So a
// connection is told of its share of what the pool can hold, by the number of
// those that use it: they received something in the last second or two, or have
// something that their program has not taken. Where all windows fit, each is
// what its socket asks for, as in NetX Duo, which has no such rule;
// ip.Config.NoWindowRule turns it off.
//
// A right edge that was told is never taken back, so a change takes as long as
// the peer needs to get there.
//
// It is guarded by the protocol's lock.
type shares struct {
	using int           // connections that use the pool
	since time.Duration // when they were counted anew

	// What came lately, and the packets that it took.
	bytes, packets uint64
}

const (
	// shareFor is how long a connection counts that receives no more.
	shareFor = time.Second

	// sharePackets is what counts as lately.
	sharePackets = 4096
)

// firstShare is the window of a connection before it has received anything:
// all that exist may begin at the same time.
func (c *connection) firstShare() { c.shareOf(len(c.p.connections)) }

// noteUse counts a connection that receives a segment of length bytes, and tells it of
// its share.
func (c *connection) noteUse(length uint32) {
	p, s := c.p, &c.p.shares
	s.fill(length, c.packets(length))
	if uint64(c.budget) >= uint64(len(p.connections))*uint64(c.receiver.size) {
		c.receiver.share = c.receiver.size
		return // all windows fit, if they are like this one
	}
	if now := p.clock.Now(); now-s.since >= shareFor {
		s.since = now
		s.recount(p.connections)
	}
	c.received = true
	if !c.using {
		c.using = true
		s.using++
	}
	c.shareOf(s.using)
}

// packets is how many packets of the default pool a segment takes.
func (c *connection) packets(length uint32) uint32 {
	payload := max(c.p.inst.Pool().PayloadSize(), 1) // 0: it has been deleted
	return (length + headerSize(c.flow.local.Addr()) + payload - 1) / payload
}

// shareOf makes the share of a connection, one of n. Two segments it always has,
// so that an acknowledgement comes before the window is full; what does not fit
// then, TCP repairs.
func (c *connection) shareOf(n int) {
	r := &c.receiver
	r.share = r.size
	if c.budget != math.MaxUint32 {
		share := c.p.shares.capacity(c.budget, r.mss, c.packets(r.mss)) / uint64(max(n, 1))
		r.share = uint32(min(uint64(r.size), max(share, 2*uint64(r.mss))))
	}
}

// fill notes that so many bytes took so many packets.
func (s *shares) fill(bytes, packets uint32) {
	s.bytes += uint64(bytes)
	if s.packets += uint64(packets); s.packets >= 2*sharePackets {
		s.bytes, s.packets = s.bytes/2, s.packets/2
	}
}

// capacity is how many bytes the pool can hold that has a budget for segments of mss
// bytes, which take so many packets each: the budget, and more as long as
// super-segments come, which fill their packets. With packets of 4096 bytes and
// segments of 1460 a packet holds two and a half times as much, and where many
// connections share the pool their super-segments are longer by that. A third of it
// stays: what the program takes is messages again, with a packet each.
func (s *shares) capacity(budget, mss, packets uint32) uint64 {
	if s.packets < sharePackets/8 {
		return uint64(budget)
	}
	room := uint64(budget) / uint64(max(mss, 1)) * uint64(packets) * 2 / 3 // packets
	return max(uint64(budget), room*s.bytes/s.packets)
}

// recount finds out who still uses the pool.
func (s *shares) recount(connections map[flow]*connection) {
	s.using = 0
	for _, c := range connections {
		c.using = c.received || c.receiver.unread() > 0
		c.received = false
		if c.using {
			s.using++
		}
	}
}

// leave forgets a connection that has ended.
func (s *shares) leave(c *connection) {
	if c.using {
		c.using = false
		s.using--
	}
}
