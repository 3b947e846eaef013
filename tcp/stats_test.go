package tcp_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func statsOf(t *testing.T, s *tcp.Socket) tcp.SocketStats {
	t.Helper()
	stats, err := tcp.SocketStatsGet(s)
	require.NoError(t, err)
	return stats
}

// What is shown is what was done: bytes that are not acknowledged while the
// way back is shut, bytes that are not taken, and the congestion window that
// grows with what is acknowledged.
func TestSocketStats(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		way := &gateway{}
		a, b := pairOn(t, ram.NewNetwork(ram.Config{Hook: way.verdict}), hostConfig{}, hostConfig{})
		client, server := establishedWith(t, a, b, family, 4000, 8192, nil)

		idle := statsOf(t, client)
		assert.Equal(t, tcp.Established, idle.State)
		assert.False(t, idle.Server)
		assert.Equal(t, a.addr[family], idle.Local.Addr())
		assert.Equal(t, netip.AddrPortFrom(b.addr[family], port), idle.Remote)
		assert.EqualValues(t, 4000, idle.Window)
		assert.EqualValues(t, 8192, idle.PeerWindow)
		assert.Zero(t, idle.Unacknowledged)
		assert.Equal(t, "open", idle.Congestion.State)
		assert.EqualValues(t, 10, idle.Congestion.Window, "RFC 6928")
		assert.Zero(t, idle.Congestion.Threshold)
		of := statsOf(t, server)
		assert.True(t, of.Server)
		assert.Equal(t, idle.Local, of.Remote)
		assert.Equal(t, idle.Remote, of.Local)

		way.set(true)
		a.send(t, client, make([]byte, 700))
		a.send(t, client, make([]byte, 300))
		stalled := statsOf(t, client)
		assert.EqualValues(t, 1000, stalled.Unacknowledged)
		assert.EqualValues(t, 2, stalled.TransmitQueueDepth)
		assert.EqualValues(t, 20, stalled.QueueMaximum)
		require.Eventually(t, func() bool { return statsOf(t, server).Unread == 1000 }, 5*time.Second, time.Millisecond)

		way.set(false)
		require.Eventually(t, func() bool { return statsOf(t, client).Unacknowledged == 0 }, 5*time.Second, time.Millisecond)
		after := statsOf(t, client)
		assert.NotZero(t, after.Congestion.RTO)
		assert.Len(t, receive(t, server, 100), 700)
		assert.EqualValues(t, 300, statsOf(t, server).Unread)

		require.NoError(t, noErr(tcp.StatsGet(&a.inst)))
		all, err := tcp.StatsGet(&b.inst)
		require.NoError(t, err)
		require.Len(t, all.Sockets, 1)
		assert.Equal(t, []tcp.ListenStats{{Port: port, Maximum: 5}}, all.Listens)
	})
}

// A suspended caller is seen, and so is a socket that a Conn has given up and
// whose FIN is not acknowledged.
func TestStatsOfWhoWaits(t *testing.T) {
	way := &gateway{}
	a, b := pairOn(t, ram.NewNetwork(ram.Config{Hook: way.verdict}), hostConfig{}, hostConfig{})
	client, server := established(t, a, b, "IPv4")
	done := make(chan error)
	go func() { done <- noErr(tcp.SocketReceive(client, nx.WaitForever)) }()
	require.Eventually(t, func() bool { return statsOf(t, client).Receivers == 1 }, 5*time.Second, time.Millisecond)
	requireStatus(t, nx.InProgress, tcp.SocketDisconnect(client, nx.NoWait))
	requireStatus(t, nx.NotConnected, <-done)
	assert.Zero(t, statsOf(t, client).Congestion, "there is no connection")
	require.NoError(t, noErr(tcp.SocketStatsGet(server)))

	require.NoError(t, tcp.ServerSocketUnlisten(&b.inst, port))
	l, err := tcp.Listen(&b.inst, 8, nil)
	require.NoError(t, err)
	accepted := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		assert.NoError(t, err)
		accepted <- c
	}()
	c, err := tcp.Dial(t.Context(), &a.inst, "1.2.3.5:8", nil)
	require.NoError(t, err)
	peer := <-accepted
	way.set(true)
	require.NoError(t, c.Close())
	stats, err := tcp.StatsGet(&a.inst)
	require.NoError(t, err)
	closing := stats.Sockets[len(stats.Sockets)-1]
	assert.True(t, closing.Deleted)
	assert.Equal(t, tcp.FinWait1, closing.State)
	way.set(false)
	require.NoError(t, peer.Close())
	require.NoError(t, l.Close())
}

func TestStatsChecks(t *testing.T) {
	_, err := tcp.StatsGet(nil)
	requireStatus(t, nx.PtrError, err)
	_, err = tcp.StatsGet(new(ip.Instance))
	requireStatus(t, nx.PtrError, err)
}
