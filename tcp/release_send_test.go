package tcp_test

import (
	"testing"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// With the release's timing its own rules alone decide what leaves: twenty
// segments without an acknowledgement, where gVisor's congestion window begins
// with ten, and no more than three times the MSS of bytes.
func TestReleaseSends(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		hold := new(gateway)
		network := ram.NewNetwork(ram.Config{Hook: hold.verdict})
		config := hostConfig{ip: ip.Config{Release: true}}
		a, b := pairOn(t, network, config, config)
		client, server := establishedWith(t, a, b, family, 65535, 65535, nil)
		hold.set(true)
		const small = 20
		for i := range small {
			require.NoError(t, tcp.SocketSend(client, a.message(t, []byte{byte(i)}), nx.NoWait))
		}
		more := a.message(t, []byte("one too many"))
		requireStatus(t, nx.TxQueueDepth, tcp.SocketSend(client, more, nx.NoWait))
		require.NoError(t, packetpool.Release(more))
		for i := range small {
			assert.Equal(t, []byte{byte(i)}, receive(t, server, 500))
		}
		hold.set(false)
		a.send(t, client, make([]byte, 20_000)) // the queue is empty again: what was lost is acknowledged with what is sent again
		got := 0
		for got < 20_000 {
			got += len(receive(t, server, 500))
		}
	})
	families(t, func(t *testing.T, family string) {
		hold := new(gateway)
		network := ram.NewNetwork(ram.Config{Hook: hold.verdict})
		config := hostConfig{ip: ip.Config{Release: true}}
		a, b := pairOn(t, network, config, config)
		client, server := establishedWith(t, a, b, family, 65535, 65535, nil)
		hold.set(true)
		mss, err := tcp.SocketMSSGet(client)
		require.NoError(t, err)
		large := a.message(t, make([]byte, 5*mss))
		requireStatus(t, nx.WindowOverflow, tcp.SocketSend(client, large, nx.NoWait))
		left, err := packetpool.LengthGet(large)
		require.NoError(t, err)
		assert.Equal(t, 2*mss, left, "three segments have left")
		require.NoError(t, packetpool.Release(large))
		for range 3 {
			assert.Len(t, receive(t, server, 500), int(mss))
		}
		hold.set(false)
	})
}
