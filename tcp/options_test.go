package tcp_test

import (
	"net/netip"
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
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// What NetX Duo has or has not, as it was compiled. That the services answer
// NX_NOT_SUPPORTED without the option is in TestOptionalServices.

// drivenPair is a connection of two hosts in driven time. cut, set, loses all
// that A is sent.
type drivenPair struct {
	*driven.World
	a, b           *host
	client, server *tcp.Socket
	cut            bool
	ended          []string // disconnect callbacks
}

func newDrivenPair(t *testing.T, family string, config *tcp.Config) *drivenPair {
	t.Helper()
	p := &drivenPair{}
	p.World = driven.New(driven.Config{Verdict: func(f ram.Frame) ram.Verdict {
		if p.cut && f.From == "B" {
			return ram.Drop
		}
		return ram.Pass
	}})
	t.Cleanup(p.World.Close)
	with := hostConfig{ip: ip.Config{Clock: p.Clock}}
	p.a = newHost(t, "A", p.Network.Driver(), addressA, address6A, with)
	p.b = newHost(t, "B", p.Network.Driver(), addressB, address6B, with)
	make := func(h *host, name string) *tcp.Socket {
		s := &tcp.Socket{Config: config}
		require.NoError(t, tcp.SocketCreate(&h.inst, s, name, tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 8192, nil,
			func(*tcp.Socket) { p.ended = append(p.ended, name) }))
		t.Cleanup(func() { takeDown(t, h, s) })
		return s
	}
	p.server = make(p.b, "server")
	require.NoError(t, tcp.ServerSocketListen(&p.b.inst, port, p.server, 5, nil))
	t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&p.b.inst, port) })
	requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(p.server, nx.NoWait))
	p.client = make(p.a, "client")
	require.NoError(t, tcp.ClientSocketBind(p.client, tcp.AnyPort, nx.NoWait))
	p.connect(t, p.b.addr[family])
	return p
}

func (p *drivenPair) connect(t *testing.T, to netip.Addr) {
	t.Helper()
	p.call(t, func() error { return tcp.ClientSocketConnect(p.client, to, port, 1000) })
	p.Sleep(1)
	require.Equal(t, tcp.Established, stateOf(t, p.server))
}

// call runs a service that waits to its end.
func (p *drivenPair) call(t *testing.T, f func() error) {
	t.Helper()
	var err error
	require.True(t, p.Wait(p.Go(driven.Thread{}, func() { err = f() }, nil), 100_000))
	require.NoError(t, err)
}

// exchange sends a byte and takes it.
func (p *drivenPair) exchange(t *testing.T) {
	t.Helper()
	p.call(t, func() error { return tcp.SocketSend(p.client, p.a.message(t, []byte("x")), nx.NoWait) })
	p.Sleep(1)
	receive(t, p.server, nx.NoWait)
	p.Sleep(5) // its acknowledgement waits 40 ms
}

const ticksPerHour = 3600 * nx.TicksPerSecond

// Without keepalive an idle connection sends nothing, for days.
func TestWithoutKeepalive(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		p := newDrivenPair(t, family, nil)
		p.a.rec.Reset()
		p.cut = true
		p.Sleep(50 * ticksPerHour)
		assert.Empty(t, nxtest.Of[nx.SegmentEvent](p.a.rec))
		assert.Equal(t, tcp.Established, stateOf(t, p.client))
	})
}

// With it the peer is asked after two idle hours, again and again; a peer that
// does not answer is given up after ten questions, 75 seconds apart.
func TestKeepalive(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		p := newDrivenPair(t, family, &tcp.Config{Keepalive: true})
		questions := func() (n int) {
			for _, e := range nxtest.Of[nx.SegmentEvent](p.a.rec) {
				if e.Direction == nx.Sent && e.Flags == uint8(header.TCPFlagAck) && e.Length <= 1 {
					n++
				}
			}
			p.a.rec.Reset()
			return n
		}
		p.a.rec.Reset()
		p.Sleep(2*ticksPerHour - 100)
		assert.Zero(t, questions())
		p.Sleep(200)
		assert.Positive(t, questions(), "after two hours")
		p.Sleep(20 * ticksPerHour)
		assert.Equal(t, tcp.Established, stateOf(t, p.client))
		assert.Equal(t, tcp.Established, stateOf(t, p.server))
		assert.Empty(t, p.ended)

		p.exchange(t) // the two hours begin
		p.cut = true
		p.Sleep(2*ticksPerHour + 5*7500)
		assert.Equal(t, tcp.Established, stateOf(t, p.client), "five questions are open")
		p.Sleep(7 * 7500)
		assert.Equal(t, tcp.Closed, stateOf(t, p.client))
		assert.Contains(t, p.ended, "client")
		for _, e := range nxtest.Of[nx.SegmentEvent](p.a.rec) {
			assert.Zero(t, e.Flags&uint8(header.TCPFlagRst), "it ends without a word")
		}
		_, err := tcp.SocketReceive(p.client, nx.NoWait)
		requireStatus(t, nx.NotConnected, err)
		require.ErrorIs(t, err, tcp.ErrTimedOut)
	})
}

// The times are those of the Config.
func TestKeepaliveTimes(t *testing.T) {
	p := newDrivenPair(t, "IPv4", &tcp.Config{
		Keepalive: true, KeepaliveInitial: 10 * time.Second, KeepaliveInterval: time.Second, KeepaliveRetries: 2,
	})
	p.exchange(t)
	p.cut = true
	p.a.rec.Reset()
	p.Sleep(1100)
	assert.Equal(t, tcp.Established, stateOf(t, p.client))
	p.Sleep(300)
	assert.Equal(t, tcp.Closed, stateOf(t, p.client))
}

// The callback of the queue depth comes when a full transmit queue has room
// again, once, and not when it was not full.
func TestQueueDepthNotify(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		p := newDrivenPair(t, family, &tcp.Config{QueueDepthNotify: true, TransmitQueue: 2})
		told := 0
		require.NoError(t, tcp.SocketQueueDepthNotifySet(p.client, func(*tcp.Socket) { told++ }))
		send := func() error { return tcp.SocketSend(p.client, p.a.message(t, []byte("one")), nx.NoWait) }
		p.call(t, send)
		p.Sleep(50)
		assert.Zero(t, told, "the queue was not full")
		p.cut = true
		p.call(t, send)
		p.call(t, send)
		p.Sleep(1)
		assert.Zero(t, told)
		p.cut = false
		p.Sleep(200) // it is sent again, and acknowledged
		assert.Equal(t, 1, told)
	})
}

// The extended callbacks of both ends of an orderly close, each once.
func TestExtendedNotify(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		p := newDrivenPair(t, family, &tcp.Config{ExtendedNotify: true})
		var told []string
		for name, s := range map[string]*tcp.Socket{"client": p.client, "server": p.server} {
			require.NoError(t, tcp.SocketEstablishNotify(s, func(*tcp.Socket) { told = append(told, name+" established") }))
			require.NoError(t, tcp.SocketTimedWaitCallback(s, func(*tcp.Socket) { told = append(told, name+" in TIMED_WAIT") }))
			require.NoError(t, tcp.SocketDisconnectCompleteNotify(s, func(*tcp.Socket) { told = append(told, name+" complete") }))
		}
		closing := p.Go(driven.Thread{}, func() { assert.NoError(t, tcp.SocketDisconnect(p.client, 1000)) }, nil)
		p.Sleep(10)
		assert.Empty(t, told, "half closed")
		p.call(t, func() error { return tcp.SocketDisconnect(p.server, 1000) })
		require.True(t, p.Wait(closing, 1000))
		assert.ElementsMatch(t, []string{"client in TIMED_WAIT", "client complete", "server complete"}, told)

		// The client connects again from TIMED_WAIT.
		told = nil
		require.NoError(t, tcp.ServerSocketUnaccept(p.server))
		require.NoError(t, tcp.ServerSocketRelisten(&p.b.inst, port, p.server))
		requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(p.server, nx.NoWait))
		p.connect(t, p.b.addr[family])
		assert.ElementsMatch(t, []string{"client established", "server established"}, told)
	})
}
