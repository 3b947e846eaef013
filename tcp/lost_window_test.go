package tcp_test

import (
	"fmt"
	"io"
	"net"
	"testing"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recovery is what it took to get a lost window across.
type recovery struct {
	ticks  uint32 // until the peer had all of it
	again  int    // segments that were sent again, by whomever
	mended int    // of those, by the watch
}

// loseWindow sends a window of so many segments over a round trip of two ticks,
// and loses all of them once, but for the last.
func loseWindow(t *testing.T, family string, segments int, unwatched bool) (r recovery) {
	t.Helper()
	lose := 0
	w := driven.New(driven.Config{Latency: nx.Tick, Verdict: func(f ram.Frame) ram.Verdict {
		if lose > 0 && f.From == "A" && len(f.Data) > 1000 {
			lose--
			return ram.Drop
		}
		return ram.Pass
	}})
	t.Cleanup(w.Close) // after the instances are deleted
	with := hostConfig{payload: 1536, packets: 256, ip: ip.Config{Clock: w.Clock}}
	a := newHost(t, "A", w.Network.Driver(), addressA, address6A, with)
	b := newHost(t, "B", w.Network.Driver(), addressB, address6B, with)
	tcp.WithoutDelay(&b.inst) // the sooner the window opens
	if unwatched {
		tcp.WithoutWatch(&a.inst)
	}
	listener, err := tcp.Listen(&b.inst, port, nil)
	require.NoError(t, err)

	var client, server net.Conn
	await := func(call *driven.Call, ticks uint32) {
		t.Helper()
		require.True(t, w.Wait(call, ticks), "not within %d ticks", ticks)
		require.False(t, t.Failed())
	}
	begin := func(f func() error) *driven.Call {
		return w.Go(driven.Thread{}, func() { assert.NoError(t, f()) }, nil)
	}
	accepted := begin(func() (err error) { server, err = listener.Accept(); return err })
	await(begin(func() (err error) {
		client, err = tcp.Dial(t.Context(), &a.inst, net.JoinHostPort(b.addr[family].String(), fmt.Sprint(port)), nil)
		return err
	}), 100)
	await(accepted, 100)

	const mss = 1440 // of IPv6; fits one of IPv4
	transfer := func(segments int) (ticks uint32) {
		t.Helper()
		data, began := make([]byte, segments*mss), w.Tick()
		read := begin(func() error { _, err := io.ReadFull(server, make([]byte, len(data))); return err })
		await(begin(func() error { _, err := client.Write(data); return err }), 100)
		await(read, 20_000)
		return w.Tick() - began
	}
	transfer(4 * segments) // the congestion window opens
	lose = segments - 1
	r.ticks = transfer(segments)
	require.Zero(t, lose)
	await(begin(client.Close), 100)
	await(begin(server.Close), 100)
	require.NoError(t, listener.Close())
	w.Sleep(1000)
	info, err := tcp.InfoGet(&a.inst)
	require.NoError(t, err)
	r.again, r.mended = int(info.RetransmittedPackets), a.mended()
	t.Logf("%d segments: %+v", segments, r)
	return r
}

// When a window is lost and its end is not, the watch begins after some time-outs,
// and each acknowledgement brings the next segment.
func TestLostWindowIsSentAgainByAcknowledgements(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		for _, segments := range []int{10, 20, 40} {
			r := loseWindow(t, family, segments, false)
			assert.LessOrEqual(t, r.ticks, uint32(200+2*segments), "two looks of the watch, and a round trip for a segment")
			assert.NotZero(t, r.mended)
			assert.Less(t, r.again, segments+10, "hardly a segment is sent more than twice")
		}
	})
}

// What that is for: gVisor alone sends two segments for each time-out, and the
// time-out doubles.
func TestStackRecoversLostWindowByTimeouts(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		alone := loseWindow(t, family, 20, true)
		assert.Zero(t, alone.mended)
		assert.Greater(t, alone.ticks, uint32(20*200), "gVisor recovers by itself: (*standstill).slow can go")
	})
}
