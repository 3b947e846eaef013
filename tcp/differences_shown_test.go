package tcp_test

import (
	"fmt"
	"strings"
	"testing"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Tests of what Differences lists and no other test shows: with gVisor's ways,
// and with the release's where ip.Config.Release restores them.

// slow is two hosts in driven time, and what crosses their wire.
type slow struct {
	*driven.World
	t              *testing.T
	wire           driven.Segments
	change         func(header.IPv4) // a frame before it is delivered
	a, b           *host
	client, server *tcp.Socket
}

// newSlow makes a connection from A to B whose server has that window.
func newSlow(t *testing.T, release bool, window uint32, urgent func(*tcp.Socket)) *slow {
	t.Helper()
	w := &slow{t: t}
	w.World = driven.New(driven.Config{Sent: w.wire.Sent, Verdict: func(f ram.Frame) ram.Verdict {
		if w.change != nil {
			w.change(header.IPv4(f.Data))
		}
		return w.wire.Verdict(f)
	}})
	t.Cleanup(w.Close)
	w.wire.Tick, w.wire.Sides, w.wire.Limit = w.Tick, map[string]string{"A": "A", "B": "B"}, 1000
	config := hostConfig{ip: ip.Config{Clock: w.Clock, Release: release}}
	w.a, w.b = pairOn(t, w.Network, config, config)
	w.server, w.client = w.b.socket(t, window, nil), new(tcp.Socket)
	require.NoError(t, tcp.SocketCreate(&w.a.inst, w.client, "client", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 8192, urgent, nil))
	t.Cleanup(func() { takeDown(t, w.a, w.client) })
	w.do(func() {
		require.NoError(t, tcp.ServerSocketListen(&w.b.inst, port, w.server, 5, nil))
		requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(w.server, nx.NoWait))
		require.NoError(t, tcp.ClientSocketBind(w.client, tcp.AnyPort, nx.NoWait))
		require.NoError(t, tcp.ClientSocketConnect(w.client, addressB, port, 100))
	})
	t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&w.b.inst, port) })
	return w
}

// do makes calls, to their end.
func (w *slow) do(f func()) {
	w.t.Helper()
	require.True(w.t, w.Wait(w.Go(driven.Thread{}, f, nil), 100_000), "it does not return")
}

// send sends without waiting.
func (w *slow) send(data string) {
	w.do(func() { require.NoError(w.t, tcp.SocketSend(w.client, w.a.message(w.t, []byte(data)), nx.NoWait)) })
}

// ticks are the times of the segments of a side with these flags and so much
// data.
func (w *slow) ticks(side, flags string, length int) (list []uint32) {
	for _, line := range w.wire.List {
		var tick, sequence, ack, window uint32
		var who, what string
		var n int
		_, err := fmt.Sscan(line, &tick, &who, &what, &sequence, &ack, &window, &n)
		require.NoError(w.t, err)
		if who == side && what == flags && n == length {
			list = append(list, tick)
		}
	}
	return list
}

// withAndWithout runs a test with gVisor's ways and with the release's.
func withAndWithout(t *testing.T, f func(t *testing.T, release bool)) {
	for _, release := range []bool{false, true} {
		t.Run(fmt.Sprint("release ", release), func(t *testing.T) { f(t, release) })
	}
}

// An acknowledgement waits for data to ride on: 40 ms, and the second in a row not
// at all when nobody answers; up to 200 ms with the release's timing.
func TestAcknowledgementsWait(t *testing.T) {
	withAndWithout(t, func(t *testing.T, release bool) {
		w := newSlow(t, release, 8192, nil)
		w.Sleep(5)
		delay := func() uint32 {
			sent, before := w.Tick(), len(w.ticks("B", "A", 0))
			w.send("data")
			w.Sleep(100)
			acks := w.ticks("B", "A", 0)
			require.Len(t, acks, before+1)
			return acks[before] - sent
		}
		answer := func() {
			w.do(func() { require.NoError(t, tcp.SocketSend(w.server, w.b.message(t, []byte("answer")), nx.NoWait)) })
			w.Sleep(100)
		}
		if release {
			took := delay()
			assert.Greater(t, took, uint32(10))
			assert.LessOrEqual(t, took, uint32(20))
			return
		}
		assert.Equal(t, uint32(4), delay())
		assert.Zero(t, delay(), "nobody has answered")
		answer()
		assert.Equal(t, uint32(4), delay())

		answer()
		before := len(w.ticks("B", "A", 0))
		w.send("question")
		answer()
		assert.Len(t, w.ticks("B", "A", 0), before, "the answer carries it")
		w.send("one")
		w.send("two")
		acks := w.ticks("B", "A", 0)
		require.Len(t, acks, before+1, "the second segment")
		assert.Equal(t, w.Tick(), acks[before])
	})
}

// A segment that is lost comes again after a time taken from the round trip,
// or, with the release's timing, at the next tenth of a second before a whole
// one is over. Either way a peer that never answers is given up after the same
// time.
func TestRetransmissionTimes(t *testing.T) {
	withAndWithout(t, func(t *testing.T, release bool) {
		w := newSlow(t, release, 8192, nil)
		w.send("first") // its acknowledgement tells the round trip
		w.Sleep(50)
		w.wire.LoseData("A", 0)
		w.send("data")
		w.Sleep(200)
		times := w.ticks("A", "PA", 4)
		require.Len(t, times, 2)
		if took := times[1] - times[0]; release {
			assert.Greater(t, took, uint32(90))
			assert.LessOrEqual(t, took, uint32(100))
		} else {
			assert.LessOrEqual(t, took, uint32(50))
		}

		w.wire.Lose = map[string]bool{"B": true}
		began := w.Tick()
		w.send("lost")
		var err error
		w.do(func() { _, err = tcp.SocketReceive(w.client, nx.WaitForever) })
		requireStatus(t, nx.NotConnected, err)
		assert.ErrorIs(t, err, tcp.ErrTimedOut)
		assert.InDelta(t, 1100, w.Tick()-began, 20)
		tries := len(w.ticks("A", "PA", 4)) - len(times)
		assert.Equal(t, map[bool]int{false: 9, true: 11}[release], tries)
	})
}

// Without the release's congestion window a send takes what the peer's window
// takes.
func TestSendTakesThePeersWindow(t *testing.T) {
	withAndWithout(t, func(t *testing.T, release bool) {
		w := newSlow(t, release, 8192, nil)
		w.do(func() {
			packet := w.a.message(t, make([]byte, 8192))
			err := tcp.SocketSend(w.client, packet, nx.NoWait)
			if !release {
				require.NoError(t, err)
				return
			}
			requireStatus(t, nx.WindowOverflow, err)
			left, _ := packetpool.LengthGet(packet)
			assert.EqualValues(t, 8192-3*1460, left, "three segments were sent")
			require.NoError(t, packetpool.Release(packet))
		})
		info, err := tcp.SocketInfoGet(w.server)
		require.NoError(t, err)
		assert.EqualValues(t, map[bool]int{false: 8192, true: 3 * 1460}[release], info.BytesReceived)
	})
}

// gVisor's SYN offers selective acknowledgements beside the MSS, and nothing
// else; the release's offers the MSS.
func TestSYNOptions(t *testing.T) {
	withAndWithout(t, func(t *testing.T, release bool) {
		w := newSlow(t, release, 8192, nil)
		seen := 0
		w.change = func(h header.IPv4) {
			segment := header.TCP(h.Payload())
			if !segment.Flags().Contains(header.TCPFlagSyn) {
				return
			}
			seen++
			options := header.ParseSynOptions(segment.Options(), false)
			assert.EqualValues(t, 1460, options.MSS)
			assert.Equal(t, !release, options.SACKPermitted)
			assert.False(t, options.TS)
			assert.Equal(t, -1, options.WS)
		}
		w.do(func() {
			requireStatus(t, nx.InProgress, tcp.SocketDisconnect(w.client, nx.NoWait))
		})
		w.do(func() {
			require.NoError(t, tcp.ServerSocketUnaccept(w.server))
			require.NoError(t, tcp.ServerSocketRelisten(&w.b.inst, port, w.server))
			requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(w.server, nx.NoWait))
			require.NoError(t, tcp.ClientSocketConnect(w.client, addressB, port, 100))
		})
		assert.Equal(t, 2, seen, "SYN and SYN-ACK")
	})
}

// The probe of a closed window repeats the last byte that the peer has
// acknowledged: nothing of the message that waits reaches it before its window
// opens.
func TestProbeCarriesNothingNew(t *testing.T) {
	withAndWithout(t, func(t *testing.T, release bool) {
		w := newSlow(t, release, 100, nil)
		w.send(strings.Repeat("x", 100))
		w.Sleep(50)
		sending := w.Go(driven.Thread{}, func() {
			assert.NoError(t, tcp.SocketSend(w.client, w.a.message(t, []byte("more")), nx.WaitForever))
		}, nil)
		w.Sleep(350)
		probes := w.ticks("A", "A", 1)
		require.GreaterOrEqual(t, len(probes), 3)
		assert.EqualValues(t, 100, probes[2]-probes[1], "one a second")
		for _, line := range w.wire.List {
			if fields := strings.Fields(line); fields[1] == "A" && fields[2] == "A" && fields[6] == "1" {
				assert.Equal(t, "100", fields[3], "the sequence number of the hundredth byte")
			}
		}
		info, err := tcp.SocketInfoGet(w.server)
		require.NoError(t, err)
		assert.EqualValues(t, 100, info.BytesReceived)
		w.do(func() {
			assert.Len(t, receive(t, w.server, nx.NoWait), 100)
			assert.Equal(t, "more", string(receive(t, w.server, 300)))
		})
		assert.True(t, sending.Done())
	})
}

// A window that closes when somebody waits already, for the acknowledgement of what
// filled it, is probed as well: the window update may be lost.
func TestWindowThatClosesMeanwhileIsProbed(t *testing.T) {
	withAndWithout(t, func(t *testing.T, release bool) {
		w := newSlow(t, release, 100, nil)
		sending := w.Go(driven.Thread{}, func() {
			assert.NoError(t, tcp.SocketSend(w.client, w.a.message(t, []byte(strings.Repeat("x", 100)+"more")), nx.WaitForever))
		}, nil)
		w.Sleep(400)
		assert.GreaterOrEqual(t, len(w.ticks("A", "A", 1)), 3)
		w.do(func() {
			assert.Len(t, receive(t, w.server, nx.NoWait), 100)
			assert.Equal(t, "more", string(receive(t, w.server, 300)))
		})
		assert.True(t, sending.Done())
	})
}

// A segment with URG is data like any other.
func TestUrgentDataIsData(t *testing.T) {
	urgent := 0
	w := newSlow(t, true, 8192, func(*tcp.Socket) { urgent++ })
	marked := 0
	w.change = func(h header.IPv4) {
		segment := header.TCP(h.Payload())
		if len(segment.Payload()) == 0 {
			return
		}
		marked++
		segment.SetFlags(uint8(segment.Flags() | header.TCPFlagUrg))
		segment.SetUrgentPointer(1)
		segment.SetChecksum(0)
		sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, h.SourceAddress(), h.DestinationAddress(), uint16(len(segment)))
		segment.SetChecksum(^checksum.Checksum(segment, sum))
	}
	w.do(func() {
		require.NoError(t, tcp.SocketSend(w.server, w.b.message(t, []byte("urgent")), nx.NoWait))
		assert.Equal(t, "urgent", string(receive(t, w.client, 100)))
	})
	assert.Equal(t, 1, marked)
	assert.Zero(t, urgent)
}

// Who waits in bind for the port of a server socket inherits it when that is
// unaccepted.
func TestPortOfServerIsInherited(t *testing.T) {
	w := newSlow(t, true, 8192, nil)
	heir := w.b.socket(t, 8192, nil)
	binding := w.Go(driven.Thread{}, func() { assert.NoError(t, tcp.ClientSocketBind(heir, port, nx.WaitForever)) }, nil)
	w.do(func() { requireStatus(t, nx.InProgress, tcp.SocketDisconnect(w.server, nx.NoWait)) })
	assert.False(t, binding.Done())
	w.do(func() { require.NoError(t, tcp.ServerSocketUnaccept(w.server)) })
	require.True(t, binding.Done())
	number, err := tcp.ClientSocketPortGet(heir)
	require.NoError(t, err)
	assert.EqualValues(t, port, number)
}

// A receiver that waits while its server socket is unaccepted is told.
func TestUnacceptEndsReceive(t *testing.T) {
	w := newSlow(t, true, 8192, nil)
	var received, closed error
	receiving := w.Go(driven.Thread{}, func() { received = noErr(tcp.SocketReceive(w.server, nx.WaitForever)) }, nil)
	closing := w.Go(driven.Thread{}, func() { closed = tcp.SocketDisconnect(w.server, nx.WaitForever) }, nil)
	assert.Equal(t, tcp.FinWait2, stateOf(t, w.server))
	w.do(func() { require.NoError(t, tcp.ServerSocketUnaccept(w.server)) })
	require.True(t, receiving.Done() && closing.Done())
	requireStatus(t, nx.DisconnectFailed, closed)
	requireStatus(t, nx.NotConnected, received)
}

func TestForeignSocketIsRefused(t *testing.T) {
	a, b := pair(t)
	foreign := a.socket(t, 8192, nil)
	requireStatus(t, nx.PtrError, tcp.ServerSocketListen(&b.inst, port, foreign, 5, nil))
	require.NoError(t, tcp.ServerSocketListen(&b.inst, port, b.socket(t, 8192, nil), 5, nil))
	requireStatus(t, nx.PtrError, tcp.ServerSocketRelisten(&b.inst, port, foreign))
	require.NoError(t, tcp.ServerSocketUnlisten(&b.inst, port))
	assert.Equal(t, tcp.Closed, stateOf(t, foreign))
}
