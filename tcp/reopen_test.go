package tcp_test

import (
	"testing"

	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A client that comes again from the same port, while the server's socket is in
// TIMED_WAIT, is served once the socket listens again: its first SYN is not lost,
// and not answered with a RST.
func TestSamePortAgain(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		client, server := established(t, a, b, family)
		own, err := tcp.ClientSocketPortGet(client)
		require.NoError(t, err)

		closed := make(chan error)
		go func() { closed <- tcp.SocketDisconnect(server, 500) }()
		require.NoError(t, tcp.SocketStateWait(client, tcp.CloseWait, 500))
		require.NoError(t, tcp.SocketDisconnect(client, 500))
		require.NoError(t, <-closed)
		require.NoError(t, tcp.SocketStateWait(server, tcp.TimedWait, 500))
		require.NoError(t, tcp.ClientSocketUnbind(client))

		b.rec.Reset()
		require.NoError(t, tcp.ClientSocketBind(client, own, nx.NoWait))
		requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(client, b.addr[family], port, nx.NoWait))
		isSYN := func(e nx.SegmentEvent) bool { return e.Direction == nx.Received && e.Flags == 2 }
		nxtest.Await(t, b.rec, isSYN)
		require.NoError(t, tcp.ServerSocketUnaccept(server))
		requireStatus(t, nx.ConnectionPending, tcp.ServerSocketRelisten(&b.inst, port, server))
		require.NoError(t, tcp.ServerSocketAccept(server, 500))
		require.NoError(t, tcp.SocketStateWait(client, tcp.Established, 500))
		requests := 0
		for _, e := range nxtest.Of[nx.SegmentEvent](b.rec) {
			if isSYN(e) {
				requests++
			}
		}
		assert.Equal(t, 1, requests, "the request was sent once")
	})
}
