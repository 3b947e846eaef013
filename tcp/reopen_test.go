package tcp_test

import (
	"testing"

	"gonetx/ip/driven"
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
		p := newDrivenPair(t, family, nil)
		own, err := tcp.ClientSocketPortGet(p.client)
		require.NoError(t, err)

		closing := p.Go(driven.Thread{}, func() { assert.NoError(t, tcp.SocketDisconnect(p.server, 500)) }, nil)
		require.Equal(t, tcp.CloseWait, stateOf(t, p.client))
		p.call(t, func() error { return tcp.SocketDisconnect(p.client, 500) })
		require.True(t, p.Wait(closing, 500))
		require.Equal(t, tcp.TimedWait, stateOf(t, p.server))
		require.NoError(t, tcp.ClientSocketUnbind(p.client))

		p.b.rec.Reset()
		require.NoError(t, tcp.ClientSocketBind(p.client, own, nx.NoWait))
		requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(p.client, p.b.addr[family], port, nx.NoWait))
		p.Settle()
		require.NoError(t, tcp.ServerSocketUnaccept(p.server))
		requireStatus(t, nx.ConnectionPending, tcp.ServerSocketRelisten(&p.b.inst, port, p.server))
		p.call(t, func() error { return tcp.ServerSocketAccept(p.server, 500) })
		require.Equal(t, tcp.Established, stateOf(t, p.client))
		requests := 0
		for _, e := range nxtest.Of[nx.SegmentEvent](p.b.rec) {
			if e.Direction == nx.Received && e.Flags == 2 {
				requests++
			}
		}
		assert.Equal(t, 1, requests, "the request was sent once")
	})
}
