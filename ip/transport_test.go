package ip

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// passing is a transport that lets everything pass and keeps what it saw.
type passing struct {
	mu      sync.Mutex // guards the fields below
	in, out []Segment  // without the pointers into packets
	down    int

	changed chan struct{} // one token when something was seen; nil: nobody waits

	// edit, when set, changes a segment and says whether it passes.
	edit func(s *Segment, out bool) bool
}

func (p *passing) SegmentIn(s *Segment) bool  { return p.see(s, &p.in, false) }
func (p *passing) SegmentOut(s *Segment) bool { return p.see(s, &p.out, true) }

func (p *passing) see(s *Segment, list *[]Segment, out bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pass := p.edit == nil || p.edit(s, out)
	kept := *s
	kept.TCP, kept.Packet = append([]byte(nil), s.TCP...), nil
	*list = append(*list, kept)
	select {
	case p.changed <- struct{}{}:
	default:
	}
	return pass
}

func (p *passing) Uses(netip.Addr) bool { return false }

func (p *passing) InterfaceDown() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down++
}

func (p *passing) Close() {}

// requireMirror waits until what left either side has come in at the other, and
// compares it. Both sides may be one.
func requireMirror(t *testing.T, a, b *passing) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		inA, outA := a.seen()
		inB, outB := b.seen()
		if len(inA) == len(outB) && len(inB) == len(outA) {
			requireSame(t, outA, inB)
			requireSame(t, outB, inA)
			return
		}
		select {
		case <-a.changed:
		case <-b.changed:
		case <-deadline:
			require.FailNow(t, "segments are missing")
		}
	}
}

// requireSame compares what left one side with what came in at the other.
func requireSame(t *testing.T, out, in []Segment) {
	t.Helper()
	for i := range out {
		require.Equal(t, out[i].TCP, in[i].TCP)
		require.Equal(t, out[i].Local, in[i].Remote)
		require.Equal(t, out[i].Remote, in[i].Local)
		require.Equal(t, out[i].Payload, in[i].Payload)
	}
}

func (p *passing) seen() (in, out []Segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Segment(nil), p.in...), append([]Segment(nil), p.out...)
}

// TestTransportSeesSegments: every segment of a connection crosses the gate
// once on each side, with the addresses as seen from that side, also a
// connection of an instance with itself.
func TestTransportSeesSegments(t *testing.T) {
	a, b, _ := pair(t)
	ta, tb := &passing{changed: make(chan struct{}, 1)}, &passing{changed: make(chan struct{}, 1)}
	a.SetTransport(ta)
	b.SetTransport(tb)
	exchange(t, a, b, addressB)
	requireMirror(t, ta, tb)
	in, out := ta.seen()
	assert.Equal(t, header.TCPFlagSyn, out[0].TCP.Flags())
	assert.Equal(t, ap(addressB, 80), out[0].Remote)
	assert.Equal(t, addressA, out[0].Local.Addr())
	assert.Equal(t, header.TCPFlagSyn|header.TCPFlagAck, in[0].TCP.Flags())
	assert.Equal(t, out[0].Remote, in[0].Remote)
	assert.Equal(t, out[0].Local, in[0].Local)
	total := 0
	for _, s := range out {
		assert.False(t, s.Damaged)
		assert.Zero(t, s.GSOSize)
		total += s.Payload
	}
	assert.Equal(t, len("hello"), total)

	exchange(t, a, b, address6B)
	requireMirror(t, ta, tb)
	assert.Empty(t, infoOf(t, a).Drops)
	assert.Empty(t, infoOf(t, b).Drops)
	a.SetTransport(nil)
	b.SetTransport(nil)
}

// TestTransportSeesItself: a connection of an instance with itself crosses the
// gate twice.
func TestTransportSeesItself(t *testing.T) {
	a, _, _ := pair(t)
	transport := &passing{changed: make(chan struct{}, 1)}
	a.SetTransport(transport)
	for _, address := range []netip.Addr{addressA, IPAddress(127, 0, 0, 1), address6A, loopbackIPv6} {
		exchange(t, a, a, address)
		requireMirror(t, transport, transport)
	}
	assert.Empty(t, infoOf(t, a).Drops)
	a.SetTransport(nil)
}

// exchange opens a connection from one instance to another, sends a word, and
// closes it.
func exchange(t *testing.T, from, to *Instance, address netip.Addr) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client, server, clientQueue, serverQueue := connect(ctx, t, from, to, address)
	defer client.Abort()
	defer server.Abort()
	awaitReady(ctx, t, clientQueue, waiter.WritableEvents, func() tcpip.Error {
		_, terr := client.Write(bytes.NewReader([]byte("hello")), tcpip.WriteOptions{})
		return terr
	})
	var got bytes.Buffer
	awaitReady(ctx, t, serverQueue, waiter.ReadableEvents, func() tcpip.Error {
		_, terr := server.Read(&got, tcpip.ReadOptions{})
		return terr
	})
	require.Equal(t, "hello", got.String())
}

// connect opens a connection between the stacks of two instances.
func connect(ctx context.Context, t *testing.T, from, to *Instance, address netip.Addr) (client, server tcpip.Endpoint, clientQueue, serverQueue *waiter.Queue) {
	t.Helper()
	protocol := protocolOf(address)
	var listening waiter.Queue
	listener, terr := to.stack.NewEndpoint(tcp.ProtocolNumber, protocol, &listening)
	require.Nil(t, terr)
	defer listener.Close()
	// Without the window rule segments that came out of order could take all
	// packets of the pool, and the one that is missing would find none, for ever.
	fixed := tcpip.TCPModerateReceiveBufferOption(false)
	require.Nil(t, to.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &fixed))
	window, _ := to.ReceiveLimit(address.Is6())
	listener.SocketOptions().SetReceiveBufferSize(int64(window), true)
	require.Nil(t, listener.Bind(tcpip.FullAddress{Addr: toStack(address), Port: 80}))
	require.Nil(t, listener.Listen(1))

	route, err := from.RouteFind(address)
	require.NoError(t, err)
	clientQueue = new(waiter.Queue)
	client, terr = from.stack.NewEndpoint(tcp.ProtocolNumber, protocol, clientQueue)
	require.Nil(t, terr)
	require.Nil(t, client.Bind(tcpip.FullAddress{Addr: toStack(route.Source)}))
	terr = client.Connect(tcpip.FullAddress{Addr: toStack(address), Port: 80})
	require.IsType(t, &tcpip.ErrConnectStarted{}, terr)
	awaitReady(ctx, t, &listening, waiter.ReadableEvents, func() (terr tcpip.Error) {
		server, serverQueue, terr = listener.Accept(nil)
		return terr
	})
	return client, server, clientQueue, serverQueue
}

// awaitReady does something again, whenever an endpoint tells of an event, until
// it would not block. False: it failed, and so has the test.
func awaitReady(ctx context.Context, t *testing.T, q *waiter.Queue, events waiter.EventMask, do func() tcpip.Error) bool {
	t.Helper()
	entry, ready := waiter.NewChannelEntry(events)
	q.EventRegister(&entry)
	defer q.EventUnregister(&entry)
	for {
		terr := do()
		if _, again := terr.(*tcpip.ErrWouldBlock); !again {
			return assert.Nil(t, terr, "%v", terr)
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return assert.Fail(t, "nothing happens")
		}
	}
}

// TestTransportEdits: a transport may rewrite headers, in both directions, and
// swallow segments; the checksum is right afterwards.
func TestTransportEdits(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 16))
	transport := &passing{edit: func(s *Segment, out bool) bool {
		if out {
			s.TCP.SetWindowSize(4321)
			s.TCP.SetSequenceNumber(77)
		}
		return s.Remote.Port() != 99
	}}
	inst.SetTransport(transport)
	for _, c := range []struct{ remote, local netip.Addr }{{addressB, addressA}, {address6B, address6A}} {
		frame := func(port uint16) []byte {
			segment := tcpSegment(ap(c.remote, port), ap(c.local, 80), header.TCPFlagSyn, []byte("odd"))
			if c.remote.Is4() {
				return ipv4Frame(c.remote, c.local, protocolTCP, segment)
			}
			return ipv6Frame(c.remote, c.local, protocolTCP, segment)
		}
		network.Inject(frame(98)) // nobody listens: the stack resets it
		network.Inject(frame(99)) // swallowed
		_, _ = network.Step()
		_, _ = network.Step()
		frames := network.Waiting()
		require.Len(t, frames, 1)
		f := frames[0].Data
		offset := len(f) - 20
		reset := header.TCP(f[offset:])
		assert.Equal(t, header.TCPFlagRst|header.TCPFlagAck, reset.Flags())
		assert.EqualValues(t, 4321, reset.WindowSize())
		assert.EqualValues(t, 77, reset.SequenceNumber())
		assert.True(t, reset.IsChecksumValid(toStack(c.local), toStack(c.remote), 0, 0))
		drain(network)
	}
	in, _ := transport.seen()
	assert.Len(t, in, 4)
	assert.Equal(t, map[string]uint64{dropByTransport: 2}, infoOf(t, inst).Drops)
	inst.SetTransport(nil)
}

// TestTransportSeesDamage: a segment with a wrong checksum is shown, marked, and
// goes no further; one with a malformed header is not even shown.
func TestTransportSeesDamage(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 16))
	transport := new(passing)
	inst.SetTransport(transport)
	segment := tcpSegment(ap(addressB, 1), ap(addressA, 2), header.TCPFlagSyn, []byte("data"))
	segment[20] ^= 1
	malformed := tcpSegment(ap(addressB, 1), ap(addressA, 2), header.TCPFlagSyn, nil)
	malformed[12] = 4 << 4
	beyond := bytes.Clone(malformed)
	beyond[12] = 15 << 4
	deliver(network,
		ipv4Frame(addressB, addressA, protocolTCP, segment),
		ipv4Frame(addressB, addressA, protocolTCP, malformed),
		ipv4Frame(addressB, addressA, protocolTCP, beyond),
		ipv4Frame(addressB, addressA, protocolTCP, malformed[:19]))
	in, out := transport.seen()
	require.Len(t, in, 1)
	assert.True(t, in[0].Damaged)
	assert.Empty(t, out, "no reset")
	assert.Equal(t, map[string]uint64{dropTCPChecksum: 1, dropBadSegment: 3}, infoOf(t, inst).Drops)
	inst.SetTransport(nil)
}

// TestTentativeTakesNoSegments: TCP to an address under detection is dropped.
func TestTentativeTakesNoSegments(t *testing.T) {
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, &Config{Clock: new(nxtest.Clock)})
	require.NoError(t, ICMPEnable(inst))
	require.NoError(t, IPv6Enable(inst))
	_, err := IPv6AddressSet(inst, 0, address6A, 64)
	require.NoError(t, err)
	transport := new(passing)
	inst.SetTransport(transport)
	deliver(network, ipv6Frame(address6B, address6A, protocolTCP, tcpSegment(ap(address6B, 1), ap(address6A, 2), header.TCPFlagSyn, nil)))
	in, _ := transport.seen()
	assert.Empty(t, in)
	assert.Equal(t, map[string]uint64{dropTentative: 1}, infoOf(t, inst).Drops)
	inst.SetTransport(nil)
}

// TestICMPErrorsReachTCP: a connection attempt ends when the network says that
// the destination is not there, though ICMP is not enabled.
func TestICMPErrorsReachTCP(t *testing.T) {
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, nil)
	inst.SetTransport(new(passing))
	var q waiter.Queue
	client, terr := inst.stack.NewEndpoint(tcp.ProtocolNumber, header.IPv4ProtocolNumber, &q)
	require.Nil(t, terr)
	defer client.Abort()
	require.Nil(t, client.Bind(tcpip.FullAddress{Addr: toStack(addressA)}))
	require.IsType(t, &tcpip.ErrConnectStarted{}, client.Connect(tcpip.FullAddress{Addr: toStack(addressB), Port: 80}))
	syn, ok := network.Step()
	require.True(t, ok)
	message := append([]byte{icmpUnreachable, 1, 0, 0, 0, 0, 0, 0}, syn.Data[:28]...)
	sum := ^checksum.Checksum(message, 0)
	message[2], message[3] = byte(sum>>8), byte(sum)
	deliver(network, ipv4Frame(absent, addressA, protocolICMP, message))
	assert.IsType(t, &tcpip.ErrHostUnreachable{}, client.LastError())
	assert.Empty(t, infoOf(t, inst).Drops)
	inst.SetTransport(nil)
}
