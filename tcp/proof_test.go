package tcp_test

import (
	"bytes"
	"testing"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stalled is a network on which what b sends to a can be held back.
func stalled(t *testing.T) (a, b *host, stall func(bool)) {
	t.Helper()
	var held gateway
	network := ram.NewNetwork(ram.Config{Hook: held.verdict})
	a, b = pairOn(t, network, hostConfig{}, hostConfig{})
	return a, b, held.set
}

// A packet that was sent is the stack's until its data is acknowledged: it is
// found with the transmit queue of its socket, a release is refused, and what
// the program writes into its memory afterwards does not reach the peer.
func TestPacketIsHeldUntilAcknowledged(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b, stall := stalled(t)
		client, server := established(t, a, b, family)
		stall(true)
		data := bytes.Repeat([]byte("original"), 100)
		packet := a.message(t, data)
		require.NoError(t, tcp.SocketSend(client, packet, nx.NoWait))

		requireStatus(t, nx.PtrError, packetpool.Release(packet))
		assert.Contains(t, a.pool.Holders(), packetpool.Holding{
			Owner:   packetpool.Owner{Kind: packetpool.TransmitQueue, Name: t.Name()},
			Packets: 1,
		})
		info, err := tcp.SocketInfoGet(client)
		require.NoError(t, err)
		assert.EqualValues(t, 1, info.TransmitQueueDepth)
		got := receive(t, server, 500)

		stall(false)
		// The next one is acknowledged, and the first one with it.
		a.send(t, client, []byte("more"))
		receive(t, server, 500)
		nxtest.Full(t, a.pool)
		again, err := packetpool.Allocate(a.pool, packetpool.TCPPacket, nx.NoWait)
		require.NoError(t, err)
		require.NoError(t, packetpool.DataAppend(again, bytes.Repeat([]byte("PATTERN!"), 100), a.pool, nx.NoWait))
		assert.Equal(t, data, got)
		require.NoError(t, packetpool.Release(again))
	})
}

// The transmit queue has a limit, and what does not fit stays the caller's.
func TestTransmitQueueDepth(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b, stall := stalled(t)
		client, server := established(t, a, b, family)
		require.NoError(t, tcp.SocketTransmitConfigure(client, 2, 100, 10, 0))
		stall(true)
		for range 2 {
			require.NoError(t, tcp.SocketSend(client, a.message(t, make([]byte, 10)), nx.NoWait))
		}
		third := a.message(t, make([]byte, 10))
		requireStatus(t, nx.TxQueueDepth, tcp.SocketSend(client, third, nx.NoWait))
		requireStatus(t, nx.TxQueueDepth, tcp.SocketSend(client, third, 2))
		sent := make(chan error)
		go func() { sent <- tcp.SocketSend(client, third, nx.WaitForever) }()
		stall(false)
		require.NoError(t, <-sent, "the acknowledgement of a retransmission lets it go on")
		for range 3 {
			assert.Len(t, receive(t, server, 500), 10)
		}
	})
}

// A send that the window does not take whole sends what it takes; the rest
// stays in the packet, and sending it goes on where it stopped.
func TestPartialSend(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		client, server := establishedWith(t, a, b, family, 8192, 100, nil)
		data := []byte(bytes.Repeat([]byte("0123456789"), 25))
		packet := a.message(t, data)
		requireStatus(t, nx.WindowOverflow, tcp.SocketSend(client, packet, nx.NoWait))
		left, err := packetpool.LengthGet(packet)
		require.NoError(t, err)
		assert.EqualValues(t, 150, left)
		requireStatus(t, nx.WindowOverflow, tcp.SocketSend(client, packet, 3))
		got := receive(t, server, 500)
		sent := make(chan error)
		go func() { sent <- tcp.SocketSend(client, packet, nx.WaitForever) }()
		for len(got) < len(data) {
			got = append(got, receive(t, server, 500)...)
		}
		require.NoError(t, <-sent)
		assert.Equal(t, data, got)
	})
}

// What came before a reset, and before a FIN, is read first.
func TestQueuedDataOutlivesTheConnection(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		for name, end := range map[string]func(*tcp.Socket){
			"reset":          func(s *tcp.Socket) { requireStatus(t, nx.InProgress, tcp.SocketDisconnect(s, nx.NoWait)) },
			"FIN, abandoned": func(s *tcp.Socket) { requireStatus(t, nx.DisconnectFailed, tcp.SocketDisconnect(s, 1)) },
		} {
			t.Run(name, func(t *testing.T) {
				a, b := pair(t)
				client, server := established(t, a, b, family)
				a.send(t, client, []byte("one"))
				a.send(t, client, []byte("two"))
				arrived := make(chan struct{})
				require.NoError(t, tcp.SocketReceiveNotify(client, func(*tcp.Socket) { close(arrived) }))
				b.send(t, server, []byte("back"))
				<-arrived
				end(client)
				assert.Equal(t, "back", string(receive(t, client, nx.NoWait)), "of the side that ended it")
				requireStatus(t, nx.NotConnected, noErr(tcp.SocketReceive(client, nx.NoWait)))
				assert.Equal(t, "one", string(receive(t, server, 100)))
				assert.Equal(t, "two", string(receive(t, server, 100)))
				_, err := tcp.SocketReceive(server, 100)
				requireStatus(t, nx.NotConnected, err)
			})
		}
	})
}
