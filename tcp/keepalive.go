package tcp

import (
	"time"

	"gonetx/packetpool/nx"
)

// keepalive is NX_ENABLE_TCP_KEEPALIVE, _nx_tcp_periodic_processing: a peer of
// which nothing was heard for some time is asked, and given up when it does not
// answer several questions. gVisor has its own, which ends a connection as soon
// as one question is open and the user timeout is over (connect.go,
// keepaliveTimerExpired), and that is seconds here. It is guarded by the
// protocol's lock.
type keepalive struct {
	timer nx.Timer
	heard time.Duration // when a segment came last, or the connection began
	asked uint32        // questions that are open
}

// keepAlive starts the questions, if the socket wants them. The connection has
// just been established.
func (c *connection) keepAlive() {
	s := c.socket
	if !s.config.Keepalive {
		return
	}
	k := &c.alive
	k.heard = c.p.clock.Now()
	k.timer = c.p.clock.AfterFunc(s.config.KeepaliveInitial, func() { c.askPeer() })
}

// hear notes that a segment has come. The timer goes on and sees it when it
// fires.
func (c *connection) hear() {
	if k := &c.alive; k.timer != nil {
		k.heard, k.asked = c.p.clock.Now(), 0
	}
}

// stopAsking is for the end of the connection.
func (k *keepalive) stopAsking() {
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

// askPeer is the timer. A question is an acknowledgement that is one byte behind
// (RFC 9293 section 3.8.4). As in the original only an established connection is
// asked after, and the end comes without a RST.
func (c *connection) askPeer() {
	p := c.p
	p.mu.Lock()
	k, s := &c.alive, c.socket
	if k.timer == nil || s == nil || s.conn != c || c.over || s.refresh() != Established {
		k.timer = nil
		p.mu.Unlock()
		return
	}
	quiet := p.clock.Now() - k.heard
	if k.asked == 0 && quiet < s.config.KeepaliveInitial {
		k.timer = p.clock.AfterFunc(s.config.KeepaliveInitial-quiet, func() { c.askPeer() })
		p.mu.Unlock()
		return
	}
	if k.asked >= s.config.KeepaliveRetries {
		k.timer = nil
		c.mute = true
		s.reset(ErrTimedOut)
		p.mu.Unlock()
		c.end()
		return
	}
	k.asked++
	k.timer = p.clock.AfterFunc(s.config.KeepaliveInterval, func() { c.askPeer() })
	question := c.acknowledgement()
	question.seq--
	p.mu.Unlock()
	c.send([]control{question})
}
