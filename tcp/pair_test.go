package tcp_test

import (
	"net/netip"
	"sync/atomic"
	"testing"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/require"
)

// The addresses of the recorded original.
var (
	mask24    = ip.IPAddress(255, 255, 255, 0)
	addressA  = ip.IPAddress(1, 2, 3, 4)
	addressB  = ip.IPAddress(1, 2, 3, 5)
	address6A = netip.MustParseAddr("2001:db8:1::1:4")
	address6B = netip.MustParseAddr("2001:db8:1::1:5")
)

// host is an instance with TCP, both families, and a pool of its own.
type host struct {
	inst ip.Instance
	pool *packetpool.Pool
	rec  *nxtest.Recorder
	addr map[string]netip.Addr // by family, "IPv4" and "IPv6"
}

type hostConfig struct {
	payload, packets uint32
	ip               ip.Config
	unrecorded       bool // nobody hears of events
}

func newHost(t testing.TB, name string, driver link.Driver, v4, v6 netip.Addr, config hostConfig) *host {
	t.Helper()
	if config.payload == 0 {
		config.payload, config.packets = 1536, 64
	}
	h := &host{
		rec:  new(nxtest.Recorder),
		addr: map[string]netip.Addr{"IPv4": v4, "IPv6": v6},
	}
	var options []nxtest.Option
	if config.ip.Clock != nil {
		options = append(options, nxtest.On(config.ip.Clock))
	}
	h.pool = nxtest.NewPool(t, config.payload, config.packets, options...)
	config.ip.NoDAD = true
	if config.ip.Recorder == nil && !config.unrecorded {
		config.ip.Recorder = h.rec
	}
	h.inst.Config = &config.ip
	require.NoError(t, ip.Create(&h.inst, name, v4, mask24, h.pool, driver, 2048, 1))
	t.Cleanup(func() {
		if h.inst.Created() {
			require.NoError(t, ip.Delete(&h.inst))
		}
	})
	require.NoError(t, ip.IPv6Enable(&h.inst))
	_, err := ip.IPv6AddressSet(&h.inst, 0, v6, 64)
	require.NoError(t, err)
	require.NoError(t, tcp.Enable(&h.inst))
	return h
}

// pair is two hosts on a network of their own.
func pair(t testing.TB) (a, b *host) {
	t.Helper()
	return pairOn(t, ram.NewNetwork(ram.Config{}), hostConfig{}, hostConfig{})
}

func pairWith(t testing.TB, configA, configB hostConfig) (a, b *host) {
	t.Helper()
	return pairOn(t, ram.NewNetwork(ram.Config{}), configA, configB)
}

func pairOn(t testing.TB, network *ram.Network, configA, configB hostConfig) (a, b *host) {
	t.Helper()
	a = newHost(t, "A", network.Driver(), addressA, address6A, configA)
	b = newHost(t, "B", network.Driver(), addressB, address6B, configB)
	return a, b
}

// families runs a test over both.
func families(t *testing.T, f func(t *testing.T, family string)) {
	for _, family := range []string{"IPv4", "IPv6"} {
		t.Run(family, func(t *testing.T) { f(t, family) })
	}
}

// requireStatus checks the status that an error carries; nx.Success stands for
// nil.
func requireStatus(t testing.TB, want nx.Status, err error) {
	t.Helper()
	if want == nx.Success {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, want, "%v", err)
}

// socket creates a socket, which the end of the test takes down in whatever
// state it is.
func (h *host) socket(t testing.TB, window uint32, config *tcp.Config) *tcp.Socket {
	t.Helper()
	s := &tcp.Socket{Config: config}
	require.NoError(t, tcp.SocketCreate(&h.inst, s, t.Name(), tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, window, nil, nil))
	t.Cleanup(func() { takeDown(t, h, s) })
	return s
}

func takeDown(t testing.TB, h *host, s *tcp.Socket) {
	if _, err := tcp.SocketInfoGet(s); err != nil {
		return // deleted
	}
	_ = tcp.SocketDisconnect(s, nx.NoWait)
	_ = tcp.ClientSocketUnbind(s)
	_ = tcp.ServerSocketUnaccept(s)
	require.NoError(t, tcp.SocketDelete(s))
}

// message makes a packet with data.
func (h *host) message(t testing.TB, data []byte) packetpool.Packet {
	t.Helper()
	packet, err := packetpool.Allocate(h.pool, packetpool.TCPPacket, nx.NoWait)
	require.NoError(t, err)
	if len(data) > 0 {
		require.NoError(t, packetpool.DataAppend(packet, data, h.pool, nx.NoWait))
	}
	return packet
}

// send sends data, and waits as long as it takes.
func (h *host) send(t testing.TB, s *tcp.Socket, data []byte) {
	t.Helper()
	require.NoError(t, tcp.SocketSend(s, h.message(t, data), nx.WaitForever))
}

// receive answers the bytes of the next message.
func receive(t testing.TB, s *tcp.Socket, wait nx.Wait) []byte {
	t.Helper()
	packet, err := tcp.SocketReceive(s, wait)
	require.NoError(t, err)
	return contents(t, packet)
}

func contents(t testing.TB, packet packetpool.Packet) []byte {
	t.Helper()
	length, err := packetpool.LengthGet(packet)
	require.NoError(t, err)
	data := make([]byte, length)
	_, err = packetpool.DataRetrieve(packet, data)
	require.NoError(t, err)
	require.NoError(t, packetpool.Release(packet))
	return data
}

const port = 7

// established makes a connection from a to b.
func established(t testing.TB, a, b *host, family string) (client, server *tcp.Socket) {
	t.Helper()
	return establishedWith(t, a, b, family, 8192, 8192, nil)
}

func establishedWith(t testing.TB, a, b *host, family string, windowA, windowB uint32, config *tcp.Config) (client, server *tcp.Socket) {
	t.Helper()
	server = b.socket(t, windowB, config)
	require.NoError(t, tcp.ServerSocketListen(&b.inst, port, server, 5, nil))
	t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&b.inst, port) })
	client = a.socket(t, windowA, config)
	require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
	requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(client, b.addr[family], port, nx.NoWait))
	require.NoError(t, tcp.ServerSocketAccept(server, 1000))
	require.NoError(t, tcp.SocketStateWait(client, tcp.Established, 1000))
	return client, server
}

// gateway holds back what goes to the address of host A, as long as it is shut.
type gateway struct{ shut atomic.Bool }

func (g *gateway) set(shut bool) { g.shut.Store(shut) }

func (g *gateway) verdict(f ram.Frame) ram.Verdict {
	if g.shut.Load() && f.From == "B" {
		return ram.Drop
	}
	return ram.Pass
}
