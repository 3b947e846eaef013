package tcp_test

import (
	"testing"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The address of an instance is replaced under a connection: what the client
// sends leaves from the new one, the peer knows nobody there, and the reset
// ends the connection. The next one is made from the new address.
func TestAddressReplaced(t *testing.T) {
	for _, release := range []bool{false, true} {
		config := hostConfig{ip: ip.Config{Release: release}}
		a, b := pairWith(t, config, config)
		client, server := established(t, a, b, "IPv4")
		moved := ip.IPAddress(1, 2, 3, 77)
		require.NoError(t, ip.AddressSet(&a.inst, moved, mask24))
		a.send(t, client, []byte("nobody hears this"))
		require.NoError(t, tcp.SocketStateWait(client, tcp.Closed, 500))
		_, err := tcp.SocketReceive(client, nx.NoWait)
		assert.ErrorIs(t, err, tcp.ErrReset)
		nxtest.Full(t, a.pool)
		info, err := tcp.SocketInfoGet(server)
		require.NoError(t, err)
		assert.Zero(t, info.PacketsReceived)
		assert.Equal(t, tcp.Established, info.State, "the server has heard nothing")

		require.NoError(t, tcp.ClientSocketUnbind(client))
		require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
		second := b.socket(t, 8192, nil)
		require.NoError(t, tcp.ServerSocketRelisten(&b.inst, port, second))
		requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(client, addressB, port, nx.NoWait))
		require.NoError(t, tcp.ServerSocketAccept(second, 500))
		peer, _, err := tcp.SocketPeerInfoGet(second)
		require.NoError(t, err)
		assert.Equal(t, moved, peer)

		// And back: what the first connection's server sends finds nobody.
		require.NoError(t, ip.AddressSet(&a.inst, addressA, mask24))
		b.send(t, server, []byte("late"))
		require.NoError(t, tcp.SocketStateWait(server, tcp.ListenState, 500))
		takeDown(t, b, second)
	}
}

// A connection request to the subnet's broadcast address is nobody's: it is
// dropped and counted (RFC 1122 section 4.2.3.10). With the release's behaviour
// it is answered as any other, from the own address, which the client does not
// know.
func TestBroadcastRequest(t *testing.T) {
	withAndWithout(t, func(t *testing.T, release bool) {
		w := driven.New(driven.Config{})
		t.Cleanup(w.Close)
		config := hostConfig{ip: ip.Config{Clock: w.Clock, Release: release}}
		a, b := pairOn(t, w.Network, config, config)
		client := a.socket(t, 8192, nil)
		require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
		connect := func() {
			t.Helper()
			var err error
			require.True(t, w.Wait(w.Go(driven.Thread{}, func() {
				err = tcp.ClientSocketConnect(client, ip.IPAddress(1, 2, 3, 255), port, 5)
			}, nil), 100))
			requireStatus(t, nx.NotConnected, err)
		}
		answers := func(flags uint8) int {
			n := 0
			for _, e := range nxtest.Of[nx.SegmentEvent](a.rec) {
				if e.Direction == nx.Received && e.Flags == flags {
					n++
				}
			}
			return n
		}
		connect()
		info, err := tcp.InfoGet(&b.inst)
		require.NoError(t, err)
		assert.EqualValues(t, 1, info.ReceivePacketsDropped)
		if !release {
			assert.Zero(t, info.ConnectionsDropped)
			assert.Zero(t, answers(20))
			return
		}
		assert.EqualValues(t, 1, info.ConnectionsDropped)
		assert.Equal(t, 1, answers(20), "RST, ACK")

		server := b.socket(t, 8192, nil)
		require.NoError(t, tcp.ServerSocketListen(&b.inst, port, server, 5, nil))
		t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&b.inst, port) })
		requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(server, nx.NoWait))
		connect()
		assert.Equal(t, 1, answers(18), "SYN, ACK, from an address that the client does not know")
		assert.Equal(t, tcp.ListenState, stateOf(t, server), "its RST")
	})
}
