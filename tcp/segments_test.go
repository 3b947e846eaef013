package tcp_test

import (
	"testing"

	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// One message, one segment, one receive: up to the MSS, and behind it in as
// many as it takes (nx_tcp_socket_send.c).
func TestMessageIsSegment(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		client, server := establishedWith(t, a, b, family, 65535, 65535, nil)
		mss, err := tcp.SocketMSSGet(client)
		require.NoError(t, err)
		assert.Equal(t, map[string]uint32{"IPv4": 1460, "IPv6": 1440}[family], mss)
		full := int(mss)
		for _, row := range []struct {
			length int
			want   []int
		}{
			{1, []int{1}},
			{full - 40, []int{full - 40}},
			{full - 1, []int{full - 1}},
			{full, []int{full}},
			{full + 1, []int{full, 1}},
			{4000, []int{full, full, 4000 - 2*full}},
		} {
			a.send(t, client, make([]byte, row.length))
			for _, want := range row.want {
				assert.Len(t, receive(t, server, 500), want, "%d bytes", row.length)
			}
			_, err := tcp.SocketReceive(server, nx.NoWait)
			requireStatus(t, nx.NoPacket, err)
		}
		// Small messages stay apart, also when the peer reads late. Ten are on the
		// wire at once; the transmit queue takes twenty.
		for i := 1; i <= 10; i++ {
			a.send(t, client, make([]byte, i))
		}
		for i := 1; i <= 10; i++ {
			assert.Len(t, receive(t, server, 500), i)
		}
	})
}

// The MSS of a connection is the smaller one of both sides.
func TestMSS(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		server := b.socket(t, 8192, nil)
		require.NoError(t, tcp.SocketMSSSet(server, 400))
		require.NoError(t, tcp.ServerSocketListen(&b.inst, port, server, 5, nil))
		client := a.socket(t, 8192, nil)
		require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
		requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(client, b.addr[family], port, nx.NoWait))
		require.NoError(t, tcp.ServerSocketAccept(server, 500))
		require.NoError(t, tcp.SocketStateWait(client, tcp.Established, 500))
		for _, s := range []*tcp.Socket{client, server} {
			mss, err := tcp.SocketMSSGet(s)
			require.NoError(t, err)
			assert.EqualValues(t, 400, mss)
			requireStatus(t, nx.NotSuccessful, tcp.SocketMSSSet(s, 300))
		}
		mss, err := tcp.SocketMSSPeerGet(client)
		require.NoError(t, err)
		assert.EqualValues(t, 400, mss)
		a.send(t, client, make([]byte, 1000))
		for _, want := range []int{400, 400, 200} {
			assert.Len(t, receive(t, server, 500), want)
		}
		require.NoError(t, tcp.ServerSocketUnlisten(&b.inst, port))
	})
}

// The window on the wire is the socket's, to the byte, and follows what the
// program takes.
func TestExactWindow(t *testing.T) {
	for _, window := range []uint32{1, 100, 200, 1460, 8192, 40000, 65535} {
		families(t, func(t *testing.T, family string) {
			big := hostConfig{payload: 1536, packets: 512}
			a, b := pairWith(t, big, big)
			client, server := establishedWith(t, a, b, family, 8192, window, nil)
			info, err := tcp.SocketInfoGet(client)
			require.NoError(t, err)
			assert.Equal(t, window, info.TransmitWindow)
			a.send(t, client, []byte{1})
			seen := nxtest.Await(t, a.rec, func(e nx.SegmentEvent) bool {
				return e.Direction == nx.Received && e.Flags&2 == 0 && e.Window == window-1
			})
			assert.EqualValues(t, 0, seen.Length)
			info, err = tcp.SocketInfoGet(server)
			require.NoError(t, err)
			assert.Equal(t, window-1, info.ReceiveWindow)
			assert.EqualValues(t, 1, info.PacketsQueued)
			receive(t, server, 500)
			info, err = tcp.SocketInfoGet(server)
			require.NoError(t, err)
			assert.Equal(t, window, info.ReceiveWindow)
		})
	}
}

// What follows the peer's FIN advertises the socket's window and not a byte
// more; so does a RST, and there is one.
func TestWindowBehindAFIN(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		client, server := establishedWith(t, a, b, family, 8192, 8192, nil)
		ended := make(chan error)
		go func() { ended <- tcp.SocketDisconnect(client, 3000) }()
		require.NoError(t, tcp.SocketStateWait(server, tcp.CloseWait, 500))
		for i := range 3 {
			b.send(t, server, []byte{byte(i)})
		}
		// What is under way when the connection is reset is answered with a RST of
		// nobody's, so all is acknowledged before.
		first := nxtest.Await(t, b.rec, func(e nx.SegmentEvent) bool { return e.Direction == nx.Sent && e.Length > 0 })
		nxtest.Await(t, b.rec, func(e nx.SegmentEvent) bool {
			return e.Direction == nx.Received && e.Ack == first.Sequence+3
		})
		requireStatus(t, nx.InProgress, tcp.SocketDisconnect(server, nx.NoWait))
		<-ended
		nxtest.Await(t, a.rec, func(e nx.SegmentEvent) bool { return e.Direction == nx.Received && e.Flags&4 != 0 })
		resets := 0
		for _, e := range nxtest.Of[nx.SegmentEvent](b.rec) {
			if e.Direction == nx.Sent {
				assert.EqualValues(t, 8192, e.Window, "%+v", e)
				resets += int(e.Flags & 4 >> 2)
			}
		}
		assert.Equal(t, 1, resets)
	})
}
