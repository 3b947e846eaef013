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

// road is the way between two hosts in driven time, and how they use it.
type road struct {
	latency time.Duration
	rate    int64 // bytes a second; zero: no limit
	seed    uint64
	percent int    // of the frames that get lost, but never more than three in a row
	pause   uint32 // ticks that the receiver waits between two reads
	dies    int    // frames with data after which nothing comes through any more; zero: never
	delays  bool   // acknowledgements wait for data
	rack    bool   // with gVisor's RACK
}

// journey is the two hosts and what happened between them.
type journey struct {
	*driven.World
	t        *testing.T
	road     road
	a, b     *host
	family   string
	listener net.Listener
	lose     func(ram.Frame) bool // what is lost now; nil: nothing
}

func (r road) open(t *testing.T, family string) *journey {
	t.Helper()
	j := &journey{t: t, road: r, family: family}
	j.World = driven.New(driven.Config{Latency: r.latency, Rate: r.rate, Verdict: func(f ram.Frame) ram.Verdict {
		if j.lose != nil && j.lose(f) {
			return ram.Drop
		}
		return ram.Pass
	}})
	t.Cleanup(j.Close) // after the instances are deleted
	with := hostConfig{payload: 1536, packets: 256, ip: ip.Config{Clock: j.Clock}}
	j.a = newHost(t, "A", j.Network.Driver(), addressA, address6A, with)
	j.b = newHost(t, "B", j.Network.Driver(), addressB, address6B, with)
	for _, h := range []*host{j.a, j.b} {
		if !r.delays {
			tcp.WithoutDelay(&h.inst)
		}
		if r.rack {
			tcp.WithRACK(&h.inst)
		}
	}
	var err error
	j.listener, err = tcp.Listen(&j.b.inst, port, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.listener.Close() })
	return j
}

// byChance loses frames of both directions.
func (r road) byChance() func(ram.Frame) bool {
	chance, lost, sent := rand.New(rand.NewPCG(r.seed, 1)), 0, 0
	return func(f ram.Frame) bool {
		if len(f.Data) > 200 {
			sent++
		}
		if r.dies > 0 && sent > r.dies {
			return true
		}
		// Not many in a row: both sides would run out of patience, and rightly.
		if lost++; lost > 3 || chance.IntN(100) >= r.percent {
			lost = 0
		}
		return lost > 0
	}
}

func (j *journey) begin(f func() error) *driven.Call {
	return j.Go(driven.Thread{}, func() { assert.NoError(j.t, f()) }, nil)
}

func (j *journey) await(call *driven.Call, ticks uint32) {
	j.t.Helper()
	require.True(j.t, j.Wait(call, ticks), "not within %d ticks", ticks)
	require.False(j.t, j.t.Failed())
}

func (j *journey) connect() (client, server net.Conn) {
	j.t.Helper()
	accepted := j.begin(func() (err error) { server, err = j.listener.Accept(); return err })
	j.await(j.begin(func() (err error) {
		client, err = tcp.Dial(j.t.Context(), &j.a.inst, net.JoinHostPort(j.b.addr[j.family].String(), fmt.Sprint(port)), nil)
		return err
	}), 12_000)
	j.await(accepted, 12_000)
	return client, server
}

func (j *journey) hangUp(client, server net.Conn) {
	j.Go(driven.Thread{}, func() { _ = client.Close(); _ = server.Close() }, nil)
	j.Sleep(1000)
}

// carry transfers n bytes with the FIN right behind them. It answers how long that
// took, in ticks, and how it ended: io.EOF when all is well.
func (j *journey) carry(client, server net.Conn, n int) (ticks uint32, err error) {
	j.t.Helper()
	stream := make([]byte, n)
	for i := range stream {
		stream[i] = byte(i ^ i>>8*7)
	}
	began, limit := j.Tick(), j.Tick()+30_000
	j.Go(driven.Thread{}, func() {
		_, _ = client.Write(stream)
		_ = client.(*tcp.Conn).CloseWrite()
	}, nil)
	got, buf := 0, make([]byte, 4096)
	for err == nil {
		n := 0
		read := j.Go(driven.Thread{}, func() { n, err = server.Read(buf) }, nil)
		if !j.Wait(read, limit-j.Tick()) {
			return j.Tick() - began, fmt.Errorf("stands still after %d of %d bytes", got, len(stream))
		}
		require.True(j.t, bytes.Equal(stream[got:got+n], buf[:n]), "other bytes than were sent, from %d on", got)
		got += n
		if j.road.pause > 0 {
			j.Sleep(j.road.pause)
		}
	}
	if got < n && err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return j.Tick() - began, err
}

// again is how many segments the sender has sent more than once.
func (j *journey) again() int {
	info, err := tcp.InfoGet(&j.a.inst)
	require.NoError(j.t, err)
	return int(info.RetransmittedPackets)
}

// gaveUp is how many connections ended without an answer.
func (j *journey) gaveUp() (n int) {
	for _, h := range []*host{j.a, j.b} {
		for _, e := range nxtest.Of[nx.SocketEvent](h.rec) {
			if e.Cause == tcp.ErrTimedOut.Error() {
				n++
			}
		}
	}
	return n
}

// transfers carries one stream after the other, and answers how many did not arrive,
// and how long all took.
func (j *journey) transfers(count, bytes int) (failed int, took uint32) {
	j.t.Helper()
	for range count {
		client, server := j.connect()
		j.lose = j.road.byChance()
		j.road.seed++
		ticks, err := j.carry(client, server, bytes)
		j.lose = nil
		took += ticks
		if err != io.EOF {
			j.t.Logf("after %d ticks: %v", ticks, err)
			failed++
		}
		j.hangUp(client, server)
	}
	return failed, took
}

// Whatever is lost is sent again, and nobody is given up for it: a sixth of all
// segments and acknowledgements, with the FIN among them.
func TestLossIsMended(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		rounds := uint64(8)
		if testing.Short() {
			rounds = 2
		}
		for _, delays := range []bool{false, true} {
			for seed := range rounds {
				t.Run(fmt.Sprintf("seed %d, acknowledgements that wait: %v", seed, delays), func(t *testing.T) {
					j := road{latency: nx.Tick, percent: 15, seed: 1000 * seed, delays: delays}.open(t, family)
					failed, _ := j.transfers(100, 20_000)
					assert.Zero(t, failed)
					assert.Zero(t, j.gaveUp())
					assert.NotZero(t, j.again(), "nothing was lost: nothing was shown")
				})
			}
		}
	})
}

// When a window is lost but for its end, each acknowledgement brings what follows:
// one time-out, and some round trips of two ticks.
func TestLostWindow(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		for _, segments := range []int{10, 20, 40} {
			t.Run(fmt.Sprint(segments, " segments"), func(t *testing.T) {
				j := road{latency: nx.Tick}.open(t, family)
				client, server := j.connect()
				const mss = 1440 // of IPv6; fits one of IPv4
				transfer := func(segments int) uint32 {
					t.Helper()
					data, began := make([]byte, segments*mss), j.Tick()
					read := j.begin(func() error { _, err := io.ReadFull(server, make([]byte, len(data))); return err })
					j.await(j.begin(func() error { _, err := client.Write(data); return err }), 100)
					j.await(read, 20_000)
					return j.Tick() - began
				}
				transfer(4 * segments) // the congestion window opens
				lost := 0
				j.lose = func(f ram.Frame) bool {
					if lost == segments-1 || f.From != "A" || len(f.Data) < 1000 {
						return false
					}
					lost++
					return true
				}
				ticks := transfer(segments)
				assert.Equal(t, segments-1, lost)
				assert.LessOrEqual(t, ticks, uint32(50))
				assert.Equal(t, lost, j.again(), "each is sent twice")
				j.lose = nil
				j.hangUp(client, server)
			})
		}
	})
}

// A queue that grows, up to a round trip of two seconds, is not taken for loss.
func TestQueueIsNotLoss(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		for _, rate := range []int64{1_000_000, 300_000, 100_000, 30_000} {
			t.Run(fmt.Sprintf("%d bytes a second", rate), func(t *testing.T) {
				const size = 400_000
				j := road{latency: nx.Tick / 10, rate: rate, delays: true}.open(t, family)
				client, server := j.connect()
				ticks, err := j.carry(client, server, size)
				assert.Equal(t, io.EOF, err)
				assert.Zero(t, j.again())
				ideal := 100 * size / rate // ticks, without headers
				assert.LessOrEqual(t, int64(ticks), ideal*108/100+2)
				j.hangUp(client, server)
			})
		}
	})
}

// Over a round trip that is longer than any time-out, and to a peer that reads slowly
// and closes its window, everything arrives.
func TestLongWayAndSlowReader(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		for name, r := range map[string]road{
			"long way":    {latency: 3 * time.Second},
			"slow reader": {latency: nx.Tick, pause: 300},
			"both":        {latency: 2 * time.Second, pause: 400},
		} {
			t.Run(name, func(t *testing.T) {
				j := r.open(t, family)
				client, server := j.connect()
				_, err := j.carry(client, server, 100_000)
				assert.Equal(t, io.EOF, err)
				j.hangUp(client, server)
			})
		}
	})
}

// A peer that is gone while lost segments are sent again is given up as any other,
// after the time of all retries.
func TestGivesUpDuringRecovery(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		j := road{latency: nx.Tick, percent: 15, dies: 40}.open(t, family)
		client, server := j.connect()
		j.lose = j.road.byChance()
		var err error
		began := j.Tick()
		j.await(j.Go(driven.Thread{}, func() { _, err = client.Write(make([]byte, 1_000_000)) }, nil), 3000)
		assert.ErrorIs(t, err, tcp.ErrTimedOut)
		assert.NotZero(t, j.again())
		assert.InDelta(t, 1100, j.Tick()-began, 200, "the patience is 11 s, from the last acknowledgement on")
		j.hangUp(client, server)
	})
}

// Up to 5 % loss of segments, transfers are sooner without RACK, and fewer segments are
// sent twice.
func TestWithoutRACK(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		for _, c := range []struct {
			latency      time.Duration
			percent      int
			count, bytes int
		}{
			{nx.Tick, 5, 200, 20_000},
			{nx.Tick / 100, 1, 40, 400_000},
			{nx.Tick, 5, 40, 400_000},
		} {
			t.Run(fmt.Sprintf("%d bytes, round trip %v, %d %% lost", c.bytes, 2*c.latency, c.percent), func(t *testing.T) {
				var took, again [2]int
				for i, rack := range []bool{false, true} {
					t.Run(fmt.Sprint("RACK: ", rack), func(t *testing.T) {
						j := road{latency: c.latency, percent: c.percent, delays: true, rack: rack}.open(t, family)
						_, ticks := j.transfers(c.count, c.bytes)
						took[i], again[i] = int(ticks), j.again()
					})
				}
				t.Logf("%d transfers of %d bytes: %d ticks, with RACK %d; sent again %d, with RACK %d", c.count, c.bytes, took[0], took[1], again[0], again[1])
				assert.Less(t, took[0], took[1])
				assert.Less(t, again[0], again[1])
			})
		}
	})
}

// Why gVisor's RACK is off (see package ip, setTiming). When this test fails, gVisor
// has been mended, and RACK can come back.
func TestRACK(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		t.Run("takes a queue for loss", func(t *testing.T) {
			j := road{latency: nx.Tick / 10, rate: 100_000, delays: true, rack: true}.open(t, family)
			client, server := j.connect()
			_, err := j.carry(client, server, 400_000)
			assert.Equal(t, io.EOF, err)
			assert.Greater(t, j.again(), 50)
			j.hangUp(client, server)
		})
		t.Run("forgets what is outstanding", func(t *testing.T) {
			failed := 0
			for seed := uint64(0); failed == 0 && seed < 12; seed++ {
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					failed, _ = road{latency: nx.Tick, percent: 15, seed: 1000 * seed, rack: true}.open(t, family).transfers(100, 20_000)
				})
			}
			assert.NotZero(t, failed, "no connection stood still")
		})
	})
}
