package packetpool_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAllocateContext(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 1)
	ended, cancel := context.WithCancelCause(context.Background())
	why := errors.New("changed my mind")
	cancel(why)
	p, err := packetpool.AllocateContext(ended, pool, 0, nx.WaitForever)
	require.NoError(t, err, "what is there is taken")
	_, err = packetpool.AllocateContext(ended, pool, 0, nx.WaitForever)
	status(t, nx.WaitAborted, "AllocateContext", err)
	assert.ErrorIs(t, err, why)
	err = packetpool.DataAppendContext(ended, p, counting(200), pool, nx.WaitForever)
	status(t, nx.WaitAborted, "DataAppendContext", err)
	assert.ErrorIs(t, err, why)
	_, err = packetpool.AllocateContext(ended, pool, 0, nx.NoWait)
	status(t, nx.NoPacket, "AllocateContext", err)
	require.NoError(t, packetpool.Release(p))
}

// A wait in a suspension of the caller's ends when that is resumed, also before it
// begins; a packet that comes first is not lost.
func TestAllocateOn(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 1)
	on := nx.NewSuspension(nx.RealClock)
	p, err := packetpool.AllocateOn(on, pool, 0, nx.WaitForever)
	require.NoError(t, err)
	on.Resume()
	_, err = packetpool.AllocateOn(on, pool, 0, nx.WaitForever)
	status(t, nx.WaitAborted, "AllocateOn", err)
	assert.Zero(t, packetpool.Suspended(pool))
	_, err = packetpool.AllocateOn(nx.NewSuspension(nx.RealClock), pool, 0, 1)
	status(t, nx.NoPacket, "AllocateOn", err)
	require.NoError(t, packetpool.Release(p))

	for range rounds {
		on, held := nx.NewSuspension(nx.RealClock), take(t, pool, 0)
		var wg sync.WaitGroup
		wg.Go(func() {
			p, err := packetpool.AllocateOn(on, pool, 0, nx.WaitForever)
			if err == nil {
				err = packetpool.Release(p)
			} else {
				assert.ErrorIs(t, err, nx.WaitAborted)
				err = nil
			}
			assert.NoError(t, err)
		})
		wg.Go(func() { on.Resume() })
		wg.Go(func() { assert.NoError(t, packetpool.Release(held)) })
		wg.Wait()
		require.Equal(t, 1, free(t, pool))
	}
}
