package tcp_test

import (
	"bytes"
	"testing"

	"gonetx/ip/driven"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// The acknowledgement of a segment that fills a gap does not wait: the peer, who
// repairs a loss, needs it (RFC 5681 section 4.2).
func TestGapIsAcknowledgedAtOnce(t *testing.T) {
	w := newSlow(t, false, 8192, nil)
	w.Sleep(5)
	w.wire.LoseData("A", 0)
	w.send("lost")
	w.send("after it")
	w.Sleep(200)
	sent := w.ticks("A", "PA", len("lost"))
	require.Len(t, sent, 2, "it came again")
	acks := w.ticks("B", "A", 0)
	assert.Equal(t, sent[1], acks[len(acks)-1])
}

// A peer that sends again what waits to be acknowledged is told at once.
func TestRepetitionIsAcknowledgedAtOnce(t *testing.T) {
	w := newSlow(t, false, 8192, nil)
	w.Sleep(5)
	var data []byte
	w.change = func(h header.IPv4) {
		if len(header.TCP(h.Payload()).Payload()) > 0 {
			data = bytes.Clone(h)
		}
	}
	before := len(w.ticks("B", "A", 0))
	w.send("twice")
	require.Len(t, w.ticks("B", "A", 0), before, "it waits")
	w.Sleep(1)
	w.Network.Inject(data)
	w.Settle()
	acks := w.ticks("B", "A", 0)
	require.Len(t, acks, before+1)
	assert.Equal(t, w.Tick(), acks[before])
	w.Sleep(100)
	assert.Len(t, w.ticks("B", "A", 0), before+1, "nothing waits any more")
}

// That of a FIN waits like another one, for a program that closes too, and leaves
// with that program's FIN or by itself.
func TestAcknowledgementOfAFIN(t *testing.T) {
	for _, closes := range []bool{true, false} {
		w := newSlow(t, false, 8192, nil)
		w.Sleep(5)
		before, began := len(w.ticks("B", "A", 0)), w.Tick()
		closing := w.Go(driven.Thread{}, func() { assert.NoError(t, tcp.SocketDisconnect(w.client, nx.WaitForever)) }, nil)
		assert.Equal(t, tcp.CloseWait, stateOf(t, w.server))
		require.Len(t, w.ticks("B", "A", 0), before, "it waits")
		if closes {
			w.do(func() { require.NoError(t, tcp.SocketDisconnect(w.server, 100)) })
			w.Sleep(100)
			assert.Len(t, w.ticks("B", "A", 0), before)
		} else {
			w.Sleep(100)
			assert.Equal(t, []uint32{began + 4}, w.ticks("B", "A", 0)[before:])
			assert.Equal(t, tcp.FinWait2, stateOf(t, w.client))
			w.do(func() { require.NoError(t, tcp.SocketDisconnect(w.server, 100)) })
		}
		assert.True(t, closing.Done())
		assert.Equal(t, tcp.TimedWait, stateOf(t, w.client))
	}
}

// In a dialogue through a window of one segment, that of package smtp, no
// acknowledgement goes by itself but the one that ends the handshake: each rides on the
// next request, also that of the greeting.
func TestDialogueThroughASmallWindow(t *testing.T) {
	w := newSlow(t, false, 1460, nil)
	w.Sleep(5)
	for range 5 {
		w.do(func() {
			require.NoError(t, tcp.SocketSend(w.server, w.b.message(t, []byte("250 go on\r\n")), nx.NoWait))
		})
		receive(t, w.client, nx.NoWait)
		w.send("MAIL FROM:<somebody>\r\n")
		receive(t, w.server, nx.NoWait)
	}
	assert.Len(t, w.ticks("A", "A", 0), 1)
	assert.Empty(t, w.ticks("B", "A", 0))
}
