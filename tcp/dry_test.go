package tcp_test

import (
	"testing"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A receiver that needs a packet of a pool that is dry waits for one as long as its
// wait says, looks at the connection each second, and leaves none out.
func TestReceiverWaitsForPackets(t *testing.T) {
	w := driven.New(driven.Config{})
	t.Cleanup(w.Close)
	h := newHost(t, "A", w.Network.Driver(), addressA, address6A, hostConfig{ip: ip.Config{Clock: w.Clock}})
	var held []packetpool.Packet
	for {
		packet, err := packetpool.Allocate(h.pool, packetpool.ReceivePacket, nx.NoWait)
		if err != nil {
			break
		}
		held = append(held, packet)
	}
	require.NotEmpty(t, held)
	for _, row := range []struct {
		wait  nx.Wait
		ticks uint32
		again bool
	}{{5, 5, false}, {100, 100, false}, {250, 100, true}, {nx.WaitForever, 100, true}} {
		var again bool
		call := w.Go(driven.Thread{}, func() { again = tcp.PacketComes(&h.inst, row.wait) }, nil)
		require.True(t, w.Wait(call, 1000))
		assert.Equal(t, row.again, again, "wait %d", row.wait)
		assert.Equal(t, row.ticks, call.Finished-call.Started, "wait %d", row.wait)
	}
	var comes bool
	call := w.Go(driven.Thread{}, func() { comes = tcp.PacketComes(&h.inst, nx.WaitForever) }, nil)
	w.Sleep(10)
	require.NoError(t, packetpool.Release(held[0]))
	require.True(t, w.Wait(call, 1000))
	assert.True(t, comes)
	assert.Less(t, call.Finished-call.Started, uint32(20))
	for _, packet := range held[1:] {
		require.NoError(t, packetpool.Release(packet))
	}
}
