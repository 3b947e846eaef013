package tcp_test

import (
	"testing"

	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConversation(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		client, server := established(t, a, b, family)

		a.send(t, client, []byte("hello"))
		assert.Equal(t, "hello", string(receive(t, server, 500)))
		b.send(t, server, []byte("hello yourself"))
		assert.Equal(t, "hello yourself", string(receive(t, client, 500)))

		done := make(chan error)
		go func() { done <- tcp.SocketDisconnect(client, 500) }()
		_, err := tcp.SocketReceive(server, 500)
		requireStatus(t, nx.NotConnected, err)
		assert.ErrorIs(t, err, tcp.ErrPeerClosed)
		require.NoError(t, tcp.SocketDisconnect(server, 500))
		require.NoError(t, <-done)

		info, err := tcp.SocketInfoGet(client)
		require.NoError(t, err)
		assert.Equal(t, tcp.TimedWait, info.State)
		info, err = tcp.SocketInfoGet(server)
		require.NoError(t, err)
		assert.Equal(t, tcp.ListenState, info.State)
		require.NoError(t, tcp.ClientSocketUnbind(client))
		require.NoError(t, tcp.ServerSocketUnaccept(server))
		require.NoError(t, tcp.SocketDelete(client))
		require.NoError(t, tcp.SocketDelete(server))
	})
}
