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
}

// shareFor is how long a connection counts that receives no more.
const shareFor = time.Second

// firstShare is the window of a connection before it has received anything:
// all that exist may begin at the same time.
func (c *connection) firstShare() { c.shareOf(len(c.p.connections)) }

// noteUse counts a connection that receives, and tells it of its share.
func (c *connection) noteUse() {
	p, s := c.p, &c.p.shares
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

// shareOf makes the share of a connection, one of n. Two segments it always has,
// so that an acknowledgement comes before the window is full; what does not fit
// then, TCP repairs.
func (c *connection) shareOf(n int) {
	r := &c.receiver
	r.share = r.size
	if c.budget != math.MaxUint32 {
		r.share = min(r.size, max(c.budget/uint32(max(n, 1)), 2*r.mss))
	}
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
