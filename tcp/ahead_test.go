package tcp_test

import (
	"bytes"
	"slices"
	"testing"

	"gonetx/ip/driven"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// What comes ahead of something that is missing, and what no peer would send.

// ahead is a world in driven time in which A sends to B, and the test says what becomes
// of A's segments.
type ahead struct {
	*driven.World
	t              *testing.T
	a, b           *host
	client, server *tcp.Socket
	last           []byte // A's last frame
	change         func(h header.TCP, length int) ram.Verdict
}

func newAhead(t *testing.T, family string) *ahead {
	t.Helper()
	return newAheadWith(t, family, hostConfig{}, 8192)
}

// newAheadWith is newAhead with another pool and window of B.
func newAheadWith(t *testing.T, family string, b hostConfig, window uint32) *ahead {
	t.Helper()
	w := &ahead{t: t}
	w.World = driven.New(driven.Config{Verdict: func(f ram.Frame) ram.Verdict {
		if f.From != "A" {
			return ram.Pass
		}
		w.last = slices.Clone(f.Data)
		if w.change == nil {
			return ram.Pass
		}
		h, length := segmentIn(f.Data)
		verdict := w.change(h, length)
		resum(f.Data)
		return verdict
	}})
	t.Cleanup(w.Close)
	b.ip.Clock = w.Clock
	w.a, w.b = pairOn(t, w.Network, hostConfig{ip: b.ip}, b)
	w.client, w.server = w.a.socket(t, 8192, nil), w.b.socket(t, window, nil)
	w.do(func() {
		require.NoError(t, tcp.ServerSocketListen(&w.b.inst, port, w.server, 5, nil))
		requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(w.server, nx.NoWait))
		require.NoError(t, tcp.ClientSocketBind(w.client, tcp.AnyPort, nx.NoWait))
		require.NoError(t, tcp.ClientSocketConnect(w.client, w.b.addr[family], port, 100))
	})
	t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&w.b.inst, port) })
	return w
}

// segmentIn is the TCP header in a datagram without options, and how much data is
// behind it.
func segmentIn(datagram []byte) (header.TCP, int) {
	at := header.IPv4MinimumSize
	if header.IPVersion(datagram) == header.IPv6Version {
		at = header.IPv6MinimumSize
	}
	h := header.TCP(datagram[at:])
	return h, len(h) - int(h.DataOffset())
}

// resum makes the checksums of a datagram right again.
func resum(datagram []byte) {
	h, _ := segmentIn(datagram)
	var network header.Network = header.IPv6(datagram)
	if header.IPVersion(datagram) == header.IPv4Version {
		v4 := header.IPv4(datagram)
		v4.SetChecksum(0)
		v4.SetChecksum(^v4.CalculateChecksum())
		network = v4
	}
	h.SetChecksum(0)
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, network.SourceAddress(), network.DestinationAddress(), uint16(len(h)))
	h.SetChecksum(^checksum.Checksum(h, sum))
}

// forge sends a segment as if it came from A, so many bytes ahead of what A sends next.
func (w *ahead) forge(flags header.TCPFlags, offset uint32, data ...byte) {
	_, length := segmentIn(w.last)
	frame := append(slices.Clone(w.last[:len(w.last)-length]), data...)
	if header.IPVersion(frame) == header.IPv4Version {
		header.IPv4(frame).SetTotalLength(uint16(len(frame)))
	} else {
		header.IPv6(frame).SetPayloadLength(uint16(len(frame) - header.IPv6MinimumSize))
	}
	h, _ := segmentIn(frame)
	h.SetSequenceNumber(h.SequenceNumber() + uint32(length) + offset)
	h.SetFlags(uint8(flags))
	resum(frame)
	w.Network.Inject(frame)
	w.Settle()
}

func (w *ahead) do(f func()) {
	w.t.Helper()
	require.True(w.t, w.Wait(w.Go(driven.Thread{}, f, nil), 10_000), "it does not return")
}

const piece = 700

// send sends some segments of A's stream, from the first one on.
func (w *ahead) send(first, segments int) {
	w.do(func() {
		for i := first; i < first+segments; i++ {
			require.NoError(w.t, tcp.SocketSend(w.client, w.a.message(w.t, bytes.Repeat([]byte{byte(i + 1)}, piece)), nx.NoWait))
		}
	})
}

// arrives demands that B receives them.
func (w *ahead) arrives(first, segments int) {
	w.t.Helper()
	for i := first; i < first+segments; i++ {
		var got []byte
		w.do(func() { got = receive(w.t, w.server, 1000) })
		require.Equal(w.t, bytes.Repeat([]byte{byte(i + 1)}, piece), got, "segment %d", i)
		require.Contains(w.t, []tcp.State{tcp.Established, tcp.CloseWait}, stateOf(w.t, w.server))
	}
}

// Data beyond the window that the peer was told takes no packets and becomes no part of
// the stream when that has got there, although gVisor's own window is larger.
func TestDataBeyondTheWindow(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		w := newAhead(t, family)
		w.send(0, 1)
		w.arrives(0, 1)
		for _, offset := range []uint32{8192, 8193, 9000, 20_000, 60_000, 70_000, 1 << 20} {
			w.forge(header.TCPFlagAck, offset, bytes.Repeat([]byte("forged"), 20)...)
			assert.Empty(t, w.b.pool.Holders(), "%d bytes ahead", offset)
		}
		for i := 1; i < 40; i++ {
			w.send(i, 1)
			w.arrives(i, 1)
		}
	})
}

// More segments than the gate remembers come ahead of one that is missing: those that it
// cannot remember are sent again, and the stream comes whole.
func TestManySegmentsAhead(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		w := newAheadWith(t, family, hostConfig{payload: 1536, packets: 6000}, 65535)
		w.send(0, 1)
		w.arrives(0, 1)
		for i := range uint32(tcp.MaxAhead + 100) {
			w.forge(header.TCPFlagAck, 1+2*i, 2) // a byte of the segments below
		}
		info, err := tcp.InfoGet(&w.b.inst)
		require.NoError(t, err)
		assert.EqualValues(t, 100, info.ReceivePacketsDropped)
		const segments = (tcp.MaxAhead+100)*2/piece + 2
		for range segments {
			w.send(1, 1)
			for left := piece; left > 0; {
				w.do(func() {
					got := receive(t, w.server, 1000)
					assert.Equal(t, bytes.Repeat([]byte{2}, len(got)), got)
					left -= len(got)
					require.GreaterOrEqual(t, left, 0)
				})
			}
		}
		assert.Equal(t, tcp.Established, stateOf(t, w.server))
		assert.Empty(t, w.b.pool.Holders())
	})
}
