package tcp

import (
	"testing"
	"testing/synctest"
	"time"

	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A receiver that was resumed comes back in the next life of its socket: those who
// receive there have their turn.
func TestResumedReceiverComesBackLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &protocol{clock: nx.RealClock}
		s := &Socket{bound: true, state: Established}
		came := make(chan nx.Status)
		go func() {
			_, _, status, _ := p.receive(s, nx.WaitForever)
			came <- status
		}()
		synctest.Wait()

		p.mu.Lock()
		require.True(t, s.receiving.resume(nx.Success, nil))
		s.resumed++
		s.clear()
		p.mu.Unlock()
		assert.Equal(t, nx.NotBound, <-came)
		assert.Zero(t, s.resumed)
	})
}

// A connection attempt is over, and its caller lets go of the connection before the one
// who ended it comes to that: there is nothing left to do then.
func TestTwoEndAConnection(t *testing.T) {
	p := &protocol{clock: nx.RealClock, connections: map[flow]*connection{}}
	s := &Socket{p: p, bound: true, state: Closed}
	c := &connection{p: p, socket: s}
	s.conn = c

	s.control.Lock()
	ended := make(chan struct{})
	go func() {
		c.end()
		close(ended)
	}()
	time.Sleep(20 * time.Millisecond) // it waits for the control lock then; if it does not, nothing is shown
	c.abandon(false, false)
	s.control.Unlock()
	<-ended
}
