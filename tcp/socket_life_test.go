package tcp

import (
	"testing"
	"testing/synctest"

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
