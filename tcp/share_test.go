package tcp_test

import (
	"sync"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crowd makes connections from a to b, and answers the sockets of both sides
// and the windows that b's SYN-ACKs told.
func crowd(t *testing.T, a, b *host, n int, window uint32) (clients, servers []*tcp.Socket, told []uint32) {
	t.Helper()
	listening := b.socket(t, window, nil)
	require.NoError(t, tcp.ServerSocketListen(&b.inst, port, listening, 5, nil))
	t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&b.inst, port) })
	for range n {
		client := a.socket(t, 8192, nil)
		require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
		requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(client, addressB, port, nx.NoWait))
		require.NoError(t, tcp.ServerSocketAccept(listening, 500))
		require.NoError(t, tcp.SocketStateWait(client, tcp.Established, 500))
		clients, servers = append(clients, client), append(servers, listening)
		listening = b.socket(t, window, nil)
		require.NoError(t, tcp.ServerSocketRelisten(&b.inst, port, listening))
	}
	const syn = 2
	for _, e := range b.rec.Events() {
		if s, ok := e.(nx.SegmentEvent); ok && s.Direction == nx.Sent && s.Flags&syn != 0 {
			told = append(told, s.Window)
		}
	}
	return clients, servers, told
}

// Together the windows of many connections do not promise more than the pool
// can hold; of a few each is what the socket asks for.
func TestWindowsShareThePool(t *testing.T) {
	const window = 16384
	a, b := pair(t)
	budget, mss := b.inst.ReceiveLimit(false)
	_, _, told := crowd(t, a, b, 40, window)
	require.Len(t, told, 40)
	for i, w := range told {
		connections := uint32(i + 1)
		switch {
		case budget >= connections*window:
			assert.EqualValues(t, window, w, "connection %d", i)
		default:
			assert.Equal(t, min(window, max(budget/connections, 2*mss)), w, "connection %d", i)
		}
	}

	a, b = pairWith(t, hostConfig{}, hostConfig{ip: ip.Config{NoWindowRule: true}})
	_, _, told = crowd(t, a, b, 40, window)
	for _, w := range told {
		assert.EqualValues(t, window, w, "the original's windows do not look at the pool")
	}
}

// Many senders at once do not starve each other: each of them comes to its end,
// and the pool is whole again.
func TestManySendersOnOnePool(t *testing.T) {
	const senders, messages, size = 16, 40, 1400
	a, b := pairWith(t, hostConfig{payload: 1536, packets: 2 * senders * 20}, hostConfig{})
	clients, servers, _ := crowd(t, a, b, senders, 65535)
	var all sync.WaitGroup
	for i, client := range clients {
		all.Go(func() {
			for range messages {
				if !assert.NoError(t, tcp.SocketSend(client, a.message(t, make([]byte, size)), nx.WaitForever)) {
					return
				}
			}
		})
		all.Go(func() {
			for got := 0; got < messages*size; {
				packet, err := tcp.SocketReceive(servers[i], nx.WaitForever)
				if !assert.NoError(t, err) {
					return
				}
				n, _ := packetpool.LengthGet(packet)
				got += int(n)
				assert.NoError(t, packetpool.Release(packet))
			}
		})
	}
	all.Wait()
	// What the program has read and not released yet is beyond the windows, so a
	// busy machine drops some; windows that promised too much dropped most.
	assert.Less(t, b.inst.Link().Drops[link.DropPoolEmpty], uint64(senders*messages/3))
}

// Who has the packets of what was received: the socket's receive queue while
// it is in the stack, and when one of its segments was handed out those that
// were not; then the program.
func TestHoldersOfReceivedPackets(t *testing.T) {
	a, b := pair(t)
	client, server := established(t, a, b, "IPv4")
	for range 3 {
		a.send(t, client, make([]byte, 100))
	}
	queue := packetpool.Owner{Kind: packetpool.ReceiveQueue, Name: t.Name()}
	holds := func(o packetpool.Owner) (n int) {
		for _, h := range b.pool.Holders() {
			if h.Owner == o {
				n = h.Packets
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return holds(queue) == 3 }, 10*time.Second, time.Millisecond)
	for left := 2; left >= 0; left-- {
		packet, err := tcp.SocketReceive(server, nx.WaitForever)
		require.NoError(t, err)
		assert.Equal(t, left, holds(queue))
		assert.Equal(t, 1, holds(packetpool.Owner{}))
		require.NoError(t, packetpool.Release(packet))
	}
}
