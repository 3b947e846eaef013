package tcp_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lossy is transfers one after the other in driven time, each with the FIN right
// behind the data.
type lossy struct {
	transfers, bytes int
	percent          int           // of the segments that the link loses
	latency          time.Duration // of the link
	pause            uint32        // ticks that the receiver waits between two reads
	dies             bool          // the peer, once the watch does something
	unwatched        bool
	delays           bool // acknowledgements wait for data
}

// outcome is what came of them.
type outcome struct {
	done, stalled int
	again         int // segments with data that were sent again
	mended        int // segments that the watch sent
	gaveUp        int // connections without an answer
}

func (l lossy) run(t *testing.T, family string, seed uint64) (o outcome) {
	t.Helper()
	chance, losing, lost := rand.New(rand.NewPCG(seed, 1)), false, 0
	var a *host
	w := driven.New(driven.Config{Latency: l.latency, Verdict: func(ram.Frame) ram.Verdict {
		// Not many in a row: gVisor would run out of patience, and rightly.
		if losing && lost < 3 && chance.IntN(100) < l.percent {
			lost++
			return ram.Drop
		}
		lost = 0
		if l.dies && a.mended() > 0 {
			return ram.Drop
		}
		return ram.Pass
	}})
	t.Cleanup(w.Close)
	with := hostConfig{ip: ip.Config{Clock: w.Clock}}
	a = newHost(t, "A", w.Network.Driver(), addressA, address6A, with)
	b := newHost(t, "B", w.Network.Driver(), addressB, address6B, with)
	if !l.delays {
		tcp.WithoutDelay(&a.inst)
		tcp.WithoutDelay(&b.inst)
	}
	if l.unwatched {
		tcp.WithoutWatch(&a.inst)
		tcp.WithoutWatch(&b.inst)
	}
	listener, err := tcp.Listen(&b.inst, port, nil)
	require.NoError(t, err)
	stream := make([]byte, l.bytes)
	for i := range stream {
		stream[i] = byte(i ^ i>>8*7)
	}
	for range l.transfers {
		var client, server net.Conn
		var got int
		connected := w.Go(driven.Thread{}, func() {
			c, err := tcp.Dial(t.Context(), &a.inst, net.JoinHostPort(b.addr[family].String(), fmt.Sprint(port)), nil)
			if assert.NoError(t, err) {
				client = c
			}
		}, nil)
		accepted := w.Go(driven.Thread{}, func() {
			c, err := listener.Accept()
			if assert.NoError(t, err) {
				server = c
			}
		}, nil)
		require.True(t, w.Wait(connected, 12_000))
		require.True(t, w.Wait(accepted, 12_000))
		require.False(t, t.Failed())
		losing = true
		w.Go(driven.Thread{}, func() {
			_, _ = client.Write(stream)
			_ = client.(*tcp.Conn).CloseWrite()
		}, nil)
		buf := make([]byte, 4096)
		for end := w.Tick() + 12_000; w.Tick() < end; {
			var n int
			read := w.Go(driven.Thread{}, func() { n, err = server.Read(buf) }, nil)
			if !w.Wait(read, end-w.Tick()) || err != nil {
				break
			}
			require.True(t, bytes.Equal(stream[got:got+n], buf[:n]), "other bytes than were sent, from %d on", got)
			got += n
			if l.pause > 0 {
				w.Sleep(l.pause)
			}
		}
		if got == l.bytes && err == io.EOF {
			o.done++
		} else {
			o.stalled++
			t.Logf("%d of %d bytes after %v: %v", got, l.bytes, w.Clock.Now(), err)
		}
		losing, err = false, nil
		w.Go(driven.Thread{}, func() { _ = client.Close(); _ = server.Close() }, nil)
		w.Sleep(1000)
		if l.dies && a.mended() > 0 {
			break
		}
	}
	require.NoError(t, listener.Close())
	o.mended = a.mended()
	for _, e := range nxtest.Of[nx.SocketEvent](a.rec) {
		if e.Cause == tcp.ErrTimedOut.Error() {
			o.gaveUp++
		}
	}
	info, err := tcp.InfoGet(&a.inst)
	require.NoError(t, err)
	o.again = int(info.RetransmittedPackets)
	t.Logf("%+v", o)
	return o
}

// mended counts the segments that the watch sent.
func (h *host) mended() (n int) {
	for _, e := range nxtest.Of[nx.SegmentEvent](h.rec) {
		if e.Direction == nx.Sent && e.Cause == nx.CauseStandstill {
			n++
		}
	}
	return n
}

// losses is a load on which gVisor alone stands still now and then.
var losses = lossy{transfers: 100, bytes: 20_000, percent: 15, latency: nx.Tick}

// A connection never stands still, whatever is lost, and the watch does something
// only where gVisor alone would.
func TestNeverStandsStill(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		mended, rounds := 0, uint64(12)
		if testing.Short() {
			rounds = 3
		}
		for seed := range rounds {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				alone := losses
				alone.unwatched = true
				watched := losses.run(t, family, seed)
				assert.Zero(t, watched.stalled)
				assert.Equal(t, alone.run(t, family, seed).stalled > 0, watched.mended > 0)
				mended += watched.mended
				delays := losses
				delays.delays = true
				assert.Zero(t, delays.run(t, family, seed).stalled, "with delayed acknowledgements")
			})
		}
		assert.NotZero(t, mended, "no connection stood still: nothing was shown")
	})
}

// A peer that is gone while gVisor has no timer is given up as any other, after
// the time of all retries.
func TestWatchGivesUp(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		l := losses
		l.dies = true
		seeds := uint64(12)
		if testing.Short() {
			seeds = 1 // for the race detector, which is slow; whether one stands still is for the plain run
		}
		for seed := range seeds {
			if o := l.run(t, family, seed); o.mended > 0 {
				assert.Equal(t, 1, o.gaveUp)
				assert.Equal(t, 2, o.mended, "after 1.6 s, and 3.2 s; 6.4 s later it is over: patience is 11 s")
				return
			}
		}
		if !testing.Short() {
			t.Error("no connection stood still")
		}
	})
}

// What the watch is for: gVisor alone forgets what is on its way. When this test
// fails because nothing stands still any more, gVisor has been mended, and the
// watch can go.
func TestStackForgetsWhatIsOutstanding(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		stalled := 0
		for seed := range uint64(3) {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				l := losses
				l.unwatched = true
				o := l.run(t, family, seed)
				assert.Zero(t, o.mended)
				stalled += o.stalled
			})
		}
		assert.NotZero(t, stalled)
	})
}

// The watch does nothing where gVisor has its timers: over a long way, and to a
// peer that reads slowly and closes its window.
func TestWatchLeavesHealthyConnectionsAlone(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		for name, l := range map[string]lossy{
			"long way":    {latency: 3 * time.Second},
			"slow reader": {latency: nx.Tick, pause: 300},
			"both":        {latency: 2 * time.Second, pause: 400},
		} {
			t.Run(name, func(t *testing.T) {
				l.transfers, l.bytes = 1, 100_000
				o := l.run(t, family, 1)
				assert.Equal(t, 1, o.done)
				assert.Zero(t, o.mended)
			})
		}
	})
}
