package tcp_test

import (
	"slices"
	"testing"

	"gonetx/ip/driven"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A FIN ends the stream where it stands, when everything before it has come (RFC 9293
// section 3.10.7.4). gVisor forgets one without data that comes ahead of something: the
// peer repeats its own, and one that is forged does no harm. One that rides on data it
// keeps with that (SHLD-31); who can put data there can say anything.

// ends demands that the stream ends when A says so, and not before.
func (w *ahead) ends() {
	w.t.Helper()
	assert.Equal(w.t, tcp.Established, stateOf(w.t, w.server))
	var why, closed error
	receiving := w.Go(driven.Thread{}, func() { _, why = tcp.SocketReceive(w.server, nx.WaitForever) }, nil)
	w.Sleep(200)
	assert.False(w.t, receiving.Done())
	closing := w.Go(driven.Thread{}, func() { closed = tcp.SocketDisconnect(w.client, 1000) }, nil)
	w.Sleep(200)
	require.True(w.t, receiving.Done())
	requireStatus(w.t, nx.NotConnected, why)
	assert.ErrorIs(w.t, why, tcp.ErrPeerClosed)
	assert.Equal(w.t, tcp.CloseWait, stateOf(w.t, w.server))
	w.do(func() { require.NoError(w.t, tcp.SocketDisconnect(w.server, 1000)) })
	require.True(w.t, w.Wait(closing, 1000))
	require.NoError(w.t, closed)
}

// A FIN that is forged somewhere in the window ends nothing, whether the stream goes on
// past it in one segment or has a segment that ends there, and whether it comes before
// that or after.
func TestForgedFIN(t *testing.T) {
	const ack = header.TCPFlagAck
	for _, offset := range []uint32{1, piece - 1, piece, 2 * piece, 2*piece + 1, 5000} {
		families(t, func(t *testing.T, family string) {
			w := newAhead(t, family)
			w.send(0, 1)
			w.arrives(0, 1)
			w.forge(header.TCPFlagFin|ack, offset)
			w.send(1, 4)
			w.forge(header.TCPFlagFin|ack, offset)
			w.arrives(1, 4)
			w.ends()
		})
	}
}

// A segment with known data and a FIN, which gVisor does not look at, ends nothing
// either: the stream goes on, and its own FIN counts.
func TestFINWithKnownData(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		w := newAhead(t, family)
		w.send(0, 2)
		again := slices.Clone(w.last)
		h, length := segmentIn(again)
		require.Equal(t, piece, length)
		h.SetFlags(uint8(h.Flags() | header.TCPFlagFin))
		resum(again)
		w.arrives(0, 2)
		w.Network.Inject(again)
		w.Sleep(1)
		w.send(2, 2)
		w.arrives(2, 2)
		w.ends()
	})
}

// Nothing comes behind the end: what says so takes no packets, and is no part of the
// stream.
func TestDataBehindTheFIN(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		w := newAhead(t, family)
		w.send(0, 1)
		w.arrives(0, 1)
		var closed error
		closing := w.Go(driven.Thread{}, func() { closed = tcp.SocketDisconnect(w.client, 1000) }, nil)
		require.Equal(t, tcp.CloseWait, stateOf(t, w.server))
		for _, offset := range []uint32{0, 1, 2, 100} {
			w.forge(header.TCPFlagAck, offset, []byte("behind it")...)
		}
		w.Sleep(10)
		stats, err := tcp.SocketStatsGet(w.server)
		require.NoError(t, err)
		assert.Zero(t, stats.Unread)
		assert.EqualValues(t, 8192, stats.ReceiveWindow)
		assert.Empty(t, w.b.pool.Holders())
		w.do(func() {
			_, err := tcp.SocketReceive(w.server, 100)
			requireStatus(t, nx.NotConnected, err)
			require.NoError(t, tcp.SocketDisconnect(w.server, 1000))
		})
		require.True(t, w.Wait(closing, 1000))
		require.NoError(t, closed)
	})
}

// Where a FIN rides on data that came ahead, the stream ends there when the gap is
// filled. If it was none of the peer's, who goes on, neither side stands still for it.
func TestFINWithDataAhead(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		w := newAhead(t, family)
		n := 0
		w.change = func(h header.TCP, length int) ram.Verdict {
			if length > 0 {
				n++
			}
			switch {
			case length > 0 && n == 2:
				return ram.Drop
			case length > 0 && n == 4:
				h.SetFlags(uint8(h.Flags() | header.TCPFlagFin))
			}
			return ram.Pass
		}
		w.send(0, 6)
		w.arrives(0, 4)
		w.do(func() {
			_, err := tcp.SocketReceive(w.server, nx.WaitForever)
			requireStatus(t, nx.NotConnected, err)
			assert.ErrorIs(t, err, tcp.ErrPeerClosed)
			_ = tcp.SocketDisconnect(w.server, 1000)
		})
		w.Sleep(1000)
		assert.Equal(t, tcp.Closed, stateOf(t, w.client))
		assert.NotContains(t, []tcp.State{tcp.CloseWait, tcp.LastAck}, stateOf(t, w.server))
	})
}

// A peer whose FIN comes ahead of data that was lost is heard when it repeats it, also
// one that repeats the last segment and the FIN as one.
func TestFINComesAgain(t *testing.T) {
	for _, together := range []bool{false, true} {
		families(t, func(t *testing.T, family string) {
			w := newAhead(t, family)
			n, last := 0, uint32(0)
			w.change = func(h header.TCP, length int) ram.Verdict {
				if length > 0 {
					n++
				}
				switch {
				case length > 0 && n == 1:
					last = h.SequenceNumber() + 2*piece
					return ram.Drop
				case length > 0 && h.SequenceNumber() == last && together:
					h.SetFlags(uint8(h.Flags() | header.TCPFlagFin))
				case h.Flags().Contains(header.TCPFlagFin) && together:
					return ram.Drop
				}
				return ram.Pass
			}
			var closed error
			w.send(0, 3)
			closing := w.Go(driven.Thread{}, func() { closed = tcp.SocketDisconnect(w.client, 1000) }, nil)
			w.arrives(0, 3)
			w.do(func() {
				_, err := tcp.SocketReceive(w.server, 1000)
				requireStatus(t, nx.NotConnected, err)
				assert.ErrorIs(t, err, tcp.ErrPeerClosed)
			})
			assert.Equal(t, tcp.CloseWait, stateOf(t, w.server))
			w.do(func() { require.NoError(t, tcp.SocketDisconnect(w.server, 1000)) })
			require.True(t, w.Wait(closing, 1000))
			require.NoError(t, closed)
		})
	}
}
