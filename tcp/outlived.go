package tcp

import "time"

// NetX Duo is patient: it gives a connection up when the peer has acknowledged nothing
// for the time of all retries. gVisor's user timeout counts from the first
// retransmission until everything is acknowledged, so that it ends connections that move
// slowly, and what has come out of order stays in gVisor for ever then, with its packets
// (snd.go, retransmitTimerExpired). So gVisor has none, and the timer of the watch
// counts here.

// reach notes how far has been sent. The patience with the peer begins with what
// is sent when nothing else is on its way.
func (c *connection) reach(to uint32) {
	t := &c.sender
	if !before(t.max, to) {
		return
	}
	if t.una == t.max && c.release == nil {
		c.still.moved = c.p.clock.Now()
	}
	t.max = to
}

// left is how long the connection may go on without an acknowledgement; nothing,
// or less, when its time is over.
func (c *connection) left(now time.Duration) time.Duration {
	patience := c.socket.patience()
	if patience == 0 {
		return watchEvery
	}
	return c.still.moved + patience - now
}

// outlived gives the connection up when its time is over. The peer hears
// nothing, as in the original. It is called without the protocol's lock.
func (c *connection) outlived(now time.Duration) bool {
	p := c.p
	p.mu.Lock()
	if !c.awaits() || c.left(now) > 0 {
		p.mu.Unlock()
		return false
	}
	c.noteCause(ErrTimedOut)
	c.mute = true
	c.socket.reset(ErrTimedOut)
	p.mu.Unlock()
	c.end()
	return true
}
