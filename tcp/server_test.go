package tcp_test

import (
	"slices"
	"testing"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func stateOf(t testing.TB, s *tcp.Socket) tcp.State {
	t.Helper()
	info, err := tcp.SocketInfoGet(s)
	require.NoError(t, err)
	return info.State
}

// A SYN is not answered before accept. Further ones wait, and the oldest one
// gives way; relisten takes the oldest that is left.
func TestServerGoesRound(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		server := b.socket(t, 8192, nil)
		heard := make(chan uint, 8)
		require.NoError(t, tcp.ServerSocketListen(&b.inst, port, server, 2, func(s *tcp.Socket, p uint) { heard <- p }))
		t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&b.inst, port) })
		var clients [4]*tcp.Socket
		for i := range clients {
			clients[i] = a.socket(t, 8192, nil)
			require.NoError(t, tcp.ClientSocketBind(clients[i], tcp.AnyPort, nx.NoWait))
			requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(clients[i], b.addr[family], port, nx.NoWait))
			want := i + 1
			for seen := 0; seen < want; { // the SYN has reached B
				info, err := tcp.InfoGet(&b.inst)
				require.NoError(t, err)
				seen = int(info.Connections + info.ConnectionsDropped)
			}
		}
		assert.EqualValues(t, port, <-heard)
		assert.Equal(t, tcp.ListenState, stateOf(t, server))
		for _, e := range nxtest.Of[nx.SegmentEvent](b.rec) {
			assert.Equal(t, nx.Received, e.Direction, "nothing is answered")
		}
		for _, e := range nxtest.Of[nx.DropEvent](b.rec) {
			assert.Equal(t, "the oldest connection request of a full listen queue", e.Reason, "the others are kept")
		}
		requireStatus(t, nx.AlreadyBound, tcp.ClientSocketBind(server, tcp.AnyPort, nx.NoWait))
		queue := packetpool.Holding{Owner: packetpool.Owner{Kind: packetpool.ReceiveQueue, Name: "port 7"}, Packets: 2}
		require.Eventually(t, func() bool { return slices.Equal([]packetpool.Holding{queue}, b.pool.Holders()) }, // the reader has the last frame a little longer
			10*time.Second, time.Millisecond, "each of the two that wait, in its packet")

		require.NoError(t, tcp.ServerSocketAccept(server, 500))
		require.NoError(t, tcp.ServerSocketAccept(server, nx.NoWait), "established")
		require.NoError(t, tcp.SocketStateWait(clients[0], tcp.Established, 500))
		requireStatus(t, nx.NotListenState, tcp.ServerSocketUnaccept(server))
		requireStatus(t, nx.NotClosed, tcp.ServerSocketRelisten(&b.inst, port, server))
		requireStatus(t, nx.InProgress, tcp.SocketDisconnect(server, nx.NoWait))
		assert.Equal(t, tcp.ListenState, stateOf(t, server))
		require.NoError(t, tcp.ServerSocketUnaccept(server))
		assert.Equal(t, tcp.Closed, stateOf(t, server))

		// Of the three that waited the oldest was dropped: the next is the third.
		requireStatus(t, nx.ConnectionPending, tcp.ServerSocketRelisten(&b.inst, port, server))
		assert.EqualValues(t, port, <-heard, "in the caller's goroutine")
		require.NoError(t, tcp.ServerSocketAccept(server, 500))
		require.NoError(t, tcp.SocketStateWait(clients[2], tcp.Established, 500))
		assert.Equal(t, tcp.SynSent, stateOf(t, clients[1]))
		address, peerPort, err := tcp.SocketPeerInfoGet(server)
		require.NoError(t, err)
		assert.Equal(t, a.addr[family], address)
		bound, err := tcp.ClientSocketPortGet(clients[2])
		require.NoError(t, err)
		assert.Equal(t, bound, peerPort)
		for _, c := range clients {
			_ = tcp.SocketDisconnect(c, nx.NoWait)
		}
	})
}

// What never returns in the original answers here.
func TestAcceptReturns(t *testing.T) {
	a, b := pair(t)
	client, server := established(t, a, b, "IPv4")
	requireStatus(t, nx.InProgress, tcp.SocketDisconnect(client, nx.NoWait))
	require.NoError(t, tcp.SocketStateWait(server, tcp.ListenState, 500))
	requireStatus(t, nx.NotListenState, tcp.ServerSocketAccept(server, nx.NoWait))
	requireStatus(t, nx.NotListenState, tcp.ServerSocketAccept(server, 10))
	require.NoError(t, tcp.ServerSocketUnaccept(server))
	require.NoError(t, tcp.ServerSocketRelisten(&b.inst, port, server))
	err := tcp.ServerSocketAccept(server, 2)
	requireStatus(t, nx.NotConnected, err)
	assert.ErrorIs(t, err, tcp.ErrTimedOut)
	assert.Equal(t, tcp.ListenState, stateOf(t, server))
	requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(server, nx.NoWait))
	requireStatus(t, nx.NotListenState, tcp.ServerSocketUnlisten(&b.inst, port))
	require.NoError(t, tcp.SocketDisconnect(server, nx.NoWait))
}

// The callbacks come in order, from one goroutine, in which waiting services
// do not wait.
func TestCallbacks(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		told := make(chan string, 16)
		config := &tcp.Config{ExtendedNotify: true}
		server := &tcp.Socket{Config: config}
		require.NoError(t, tcp.SocketCreate(&b.inst, server, "server", 0, 0, 128, 8192, nil, func(s *tcp.Socket) { told <- "disconnect" }))
		t.Cleanup(func() { takeDown(t, b, server) })
		require.NoError(t, tcp.SocketEstablishNotify(server, func(*tcp.Socket) { told <- "established" }))
		require.NoError(t, tcp.SocketDisconnectCompleteNotify(server, func(*tcp.Socket) { told <- "complete" }))
		require.NoError(t, tcp.SocketReceiveNotify(server, func(s *tcp.Socket) {
			data := string(receive(t, s, nx.WaitForever))
			_, err := tcp.SocketReceive(s, nx.WaitForever)
			assert.ErrorIs(t, err, nx.NoPacket)
			told <- data // after it the next message may come
		}))
		require.NoError(t, tcp.ServerSocketListen(&b.inst, port, server, 5, func(*tcp.Socket, uint) { told <- "listen" }))
		requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(server, nx.NoWait))
		client := a.socket(t, 8192, nil)
		require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
		require.NoError(t, tcp.ClientSocketConnect(client, b.addr[family], port, 500))
		a.send(t, client, []byte("one"))
		assert.Equal(t, []string{"listen", "established", "one"}, []string{<-told, <-told, <-told})
		a.send(t, client, []byte("two"))
		assert.Equal(t, "two", <-told)
		requireStatus(t, nx.InProgress, tcp.SocketDisconnect(client, nx.NoWait))
		assert.Equal(t, []string{"disconnect", "complete"}, []string{<-told, <-told})
		require.NoError(t, tcp.ServerSocketUnlisten(&b.inst, port))
	})
}

// Ports and gVisor's endpoints come back: many connections in a row from
// one port, and each one clean.
func TestManyConnections(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 30
	}
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		server := b.socket(t, 8192, nil)
		require.NoError(t, tcp.ServerSocketListen(&b.inst, port, server, 5, nil))
		client := a.socket(t, 8192, nil)
		for i := range n {
			require.NoError(t, tcp.ClientSocketBind(client, 5000, nx.NoWait), "%d", i)
			requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(client, b.addr[family], port, nx.NoWait))
			require.NoError(t, tcp.ServerSocketAccept(server, 500), "%d", i)
			require.NoError(t, tcp.SocketStateWait(client, tcp.Established, 500), "%d", i)
			if i%2 == 0 {
				requireStatus(t, nx.InProgress, tcp.SocketDisconnect(client, nx.NoWait))
			} else {
				done := make(chan error)
				go func() { done <- tcp.SocketDisconnect(client, 500) }()
				_, err := tcp.SocketReceive(server, 500)
				requireStatus(t, nx.NotConnected, err)
				require.NoError(t, tcp.SocketDisconnect(server, 500))
				require.NoError(t, <-done)
			}
			require.NoError(t, tcp.SocketStateWait(server, tcp.ListenState, 500))
			require.NoError(t, tcp.ClientSocketUnbind(client))
			require.NoError(t, tcp.ServerSocketUnaccept(server))
			require.NoError(t, tcp.ServerSocketRelisten(&b.inst, port, server))
		}
		require.NoError(t, tcp.ServerSocketUnlisten(&b.inst, port))
	})
}
