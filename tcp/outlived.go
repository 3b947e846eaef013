package tcp

import (
	"cmp"
	"slices"
	"time"
)

// NetX Duo is patient: it gives a connection up when the peer has acknowledged nothing
// for the time of all retries. gVisor's user timeout counts from the first
// retransmission until everything is acknowledged, so that it ends connections that move
// slowly, and what has come out of order stays in gVisor for ever then, with its packets
// (snd.go, retransmitTimerExpired). So gVisor has none, and a timer of the protocol
// counts here. The release's timing counts retries instead.

// lookEvery is how often the timer looks at least, while something is not
// acknowledged: a connection with less patience than the others may have begun.
const lookEvery = 500 * time.Millisecond

// reach notes how far has been sent. The patience with the peer begins with what
// is sent when nothing else is on its way.
func (c *connection) reach(to uint32) {
	t := &c.sender
	if !before(t.max, to) {
		return
	}
	if t.una == t.max {
		c.moved = c.p.clock.Now()
	}
	t.max = to
}

// awaits tells that something was sent that is not acknowledged, and that gVisor
// sends it again.
func (c *connection) awaits() bool {
	t := &c.sender
	return c.release == nil && c.socket != nil && c.ready && !c.over && !c.mute && before(t.una, t.max) && !t.finDone
}

// left is how long the connection may go on without an acknowledgement; nothing,
// or less, when its time is over.
func (c *connection) left(now time.Duration) time.Duration {
	patience := c.socket.patience()
	if patience == 0 {
		return lookEvery
	}
	return c.moved + patience - now
}

// expect sets the timer: something is awaited. The caller holds the protocol's lock.
func (p *protocol) expect() {
	if !p.expecting {
		p.expecting = true
		p.clock.AfterFunc(lookEvery, p.look)
	}
}

// look gives up the connections whose time is over.
func (p *protocol) look() {
	p.mu.Lock()
	now := p.clock.Now()
	var over []*connection
	next := time.Duration(0) // zero: nothing is awaited
	for _, c := range p.connections {
		if !c.awaits() {
			continue
		}
		if left := c.left(now); left > 0 {
			next = min(cmp.Or(next, lookEvery), left)
		} else {
			over = append(over, c)
		}
	}
	if p.expecting = next > 0; p.expecting {
		p.clock.AfterFunc(next, p.look)
	}
	slices.SortFunc(over, func(a, b *connection) int { return cmp.Compare(a.socket.serial, b.socket.serial) })
	p.mu.Unlock()
	for _, c := range over {
		c.outlived(now)
	}
}

// outlived gives the connection up unless something has come meanwhile. The peer
// hears nothing, as in the original. It is called without the protocol's lock.
func (c *connection) outlived(now time.Duration) {
	p := c.p
	p.mu.Lock()
	if !c.awaits() || c.left(now) > 0 {
		p.mu.Unlock()
		return
	}
	c.noteCause(ErrTimedOut)
	c.mute = true
	c.socket.reset(ErrTimedOut)
	p.mu.Unlock()
	c.end()
}
