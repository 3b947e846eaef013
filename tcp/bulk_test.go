package tcp_test

import (
	"testing"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// While much is on its way, a sender who can wait sends its messages whole,
// although there is room for a part of one now and then. One that cannot wait
// sends what there is room for.
func TestMessagesStayWhole(t *testing.T) {
	const messages, size, queue = 40, 20_000, 60
	families(t, func(t *testing.T, family string) {
		big := hostConfig{payload: 1536, packets: 1024}
		var gate gateway
		a, b := pairOn(t, ram.NewNetwork(ram.Config{Hook: gate.verdict}), big, big)
		client, server := establishedWith(t, a, b, family, 200_000, 200_000,
			&tcp.Config{WindowScaling: true, TransmitQueue: queue})
		mss, err := tcp.SocketMSSGet(client)
		require.NoError(t, err)
		received := make(chan int)
		go func() {
			n := 0
			for n < messages*size {
				n += len(receive(t, server, nx.WaitForever))
			}
			received <- n
		}()
		for range messages {
			a.send(t, client, make([]byte, size))
		}
		assert.Equal(t, messages*size, <-received)
		for _, e := range nxtest.Of[nx.SegmentEvent](a.rec) {
			if e.Direction == nx.Sent && e.Length > 0 {
				assert.Contains(t, []int{int(mss), size % int(mss)}, e.Length)
			}
		}

		require.Eventually(t, func() bool { // the peer tells of half its window, which takes a whole queue
			info, err := tcp.SocketInfoGet(client)
			return assert.NoError(t, err) && info.TransmitQueueDepth == 0 && info.TransmitWindow > 100_000
		}, 10*time.Second, time.Millisecond)
		gate.set(true) // nothing is acknowledged
		var left uint32
		for range queue {
			packet := a.message(t, make([]byte, size))
			if err = tcp.SocketSend(client, packet, nx.NoWait); err != nil {
				left, _ = packetpool.LengthGet(packet)
				require.NoError(t, packetpool.Release(packet))
				break
			}
		}
		requireStatus(t, nx.TxQueueDepth, err)
		assert.Less(t, left, uint32(size), "a part was sent")
		assert.Positive(t, left)
	})
}
