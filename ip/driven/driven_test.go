package driven_test

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"gonetx/ip/driven"
	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClockFiresInOrder(t *testing.T) {
	w := driven.New(driven.Config{})
	defer w.Close()
	var fired []string
	at := func(ticks int, name string) nx.Timer {
		return w.Clock.AfterFunc(time.Duration(ticks)*nx.Tick, func() {
			fired = append(fired, fmt.Sprint(name, "@", w.Tick()))
		})
	}
	at(30, "c")
	at(10, "a")
	at(10, "b")
	stopped := at(20, "never")
	assert.True(t, stopped.Stop())
	assert.False(t, stopped.Stop())
	moved := at(5, "moved")
	moved.Reset(25 * nx.Tick)
	far := at(0, "far")
	far.Reset(1<<63 - 1)
	w.Sleep(10)
	assert.Equal(t, []string{"a@10", "b@10"}, fired)
	w.Sleep(40)
	assert.Equal(t, []string{"a@10", "b@10", "moved@25", "c@30"}, fired)
	assert.EqualValues(t, 50, w.Tick(), "time goes on without timers")
	moved.Reset(nx.Tick)
	w.Sleep(1)
	assert.Equal(t, "moved@51", fired[4], "a timer that has fired can be set again")
}

// Suspended callers end in time, and calls that end at one moment are reported
// by priority, then in the order in which they were made.
func TestCallsEndInOrder(t *testing.T) {
	w := driven.New(driven.Config{})
	defer w.Close()
	var ended []string
	wait := func(name string, priority int, ticks nx.Wait) *driven.Call {
		return w.Go(driven.Thread{Priority: priority},
			func() { nx.NewSuspension(w.Clock).Await(ticks) },
			func(c *driven.Call) { ended = append(ended, fmt.Sprint(name, "@", c.Finished-c.Started)) })
	}
	wait("low", 6, 50)
	wait("high", 5, 50)
	wait("high too", 5, 50)
	wait("short", 6, 20)
	assert.Equal(t, 4, w.Clock.Parked())
	last := wait("last", 5, 1000)
	started := time.Now()
	require.True(t, w.Wait(last, 2000))
	assert.Less(t, time.Since(started), time.Second, "a thousand ticks cost next to nothing")
	assert.Equal(t, []string{"short@20", "high@50", "high too@50", "low@50", "last@1000"}, ended)
	assert.Zero(t, w.Clock.Parked())

	served := nx.NewSuspension(w.Clock)
	never := w.Go(driven.Thread{}, func() { served.Await(nx.WaitForever) }, nil)
	assert.False(t, w.Wait(never, 100_000), "no timer can end it")
	served.Resume()
	w.Settle()
	assert.True(t, never.Done())
}

// The same program gives the same events in the same order, retransmissions
// included, though the stacks work in goroutines of their own.
func TestSameRunSameEvents(t *testing.T) {
	first := conversation(t)
	t.Log("\n" + strings.Join(first, "\n"))
	require.Contains(t, first, "tick 0 client SA dropped", "the handshake is disturbed")
	runs := 300
	if testing.Short() {
		runs = 30
	}
	for n := range runs {
		require.Equal(t, first, conversation(t), "run %d", n)
	}
}

// conversation is two bare stacks: a client sends 20 kB to a server that
// answers each 1000 bytes; the third frame to the client and some data are lost.
func conversation(t *testing.T) []string {
	var events []string
	var w *driven.World
	seen := 0
	w = driven.New(driven.Config{Verdict: func(f ram.Frame) ram.Verdict {
		ip := header.IPv4(f.Data)
		segment := header.TCP(ip.Payload())
		to := map[string]string{"client": "server", "server": "client"}[f.From]
		flags := strings.ReplaceAll(segment.Flags().String(), " ", "")
		event := fmt.Sprintf("tick %d %s %s", w.Tick(), to, flags)
		seen++
		if seen == 2 || seen%11 == 0 {
			events = append(events, event+" dropped")
			return ram.Drop
		}
		events = append(events, event)
		return ram.Pass
	}})
	defer w.Close()
	client, closeClient := newStack(t, w, "client", "10.0.0.1")
	defer closeClient()
	server, closeServer := newStack(t, w, "server", "10.0.0.2")
	defer closeServer()

	listener, err := gonet.ListenTCP(server, tcpip.FullAddress{Port: 7}, header.IPv4ProtocolNumber)
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	w.Go(driven.Thread{Priority: 5}, func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		buf := make([]byte, 1000)
		for {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			_, _ = c.Write([]byte("ok"))
		}
	}, func(*driven.Call) { events = append(events, "server ended") })
	done := w.Go(driven.Thread{Priority: 6}, func() {
		c, err := gonet.DialTCP(client, tcpip.FullAddress{Addr: tcpip.AddrFrom4([4]byte{10, 0, 0, 2}), Port: 7}, header.IPv4ProtocolNumber)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		answer := make([]byte, 2)
		for range 20 {
			_, _ = c.Write(make([]byte, 1000))
			_, _ = io.ReadFull(c, answer)
		}
	}, func(*driven.Call) { events = append(events, "client ended") })
	require.True(t, w.Wait(done, 100_000))
	w.Sleep(1000)
	return events
}

func newStack(t *testing.T, w *driven.World, name, address string) (*stack.Stack, func()) {
	endpoint, err := w.Network.Driver().Open(link.Attachment{Instance: name, Clock: w.Clock})
	require.NoError(t, err)
	s := stack.New(stack.Options{
		Clock:              stackClock{w.Clock},
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	require.Nil(t, s.CreateNIC(1, endpoint))
	require.Nil(t, s.AddProtocolAddress(1, tcpip.ProtocolAddress{
		Protocol:          header.IPv4ProtocolNumber,
		AddressWithPrefix: tcpip.AddrFromSlice(netip.MustParseAddr(address).AsSlice()).WithPrefix(),
	}, stack.AddressProperties{}))
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	return s, func() {
		s.Close()
		endpoint.Stop()
		s.Wait()
		_ = endpoint.Release()
	}
}

// stackClock is a driven clock as gVisor's.
type stackClock struct{ *driven.Clock }

func (c stackClock) Now() time.Time { return time.Unix(0, 0).Add(c.Clock.Now()) }
func (c stackClock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(c.Clock.Now())
}
func (c stackClock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	return stackTimer{c.Clock.AfterFunc(d, f)}
}

type stackTimer struct{ nx.Timer }

// A caller on the lowest clock that gives way goes on when the frames that it
// has sent, and the answers to them, have been delivered.
func TestLowestGivesWay(t *testing.T) {
	w := driven.New(driven.Config{})
	defer w.Close()
	var mu sync.Mutex // guards order; the race detector does not know that one of both waits
	var order []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	receiver, err := w.Network.Driver().Open(link.Attachment{Instance: "receiver", Clock: w.Clock})
	require.NoError(t, err)
	receiver.Attach(listener(func() { note("delivered") }))
	sender, err := w.Network.Driver().Open(link.Attachment{Instance: "sender", Clock: w.Clock})
	require.NoError(t, err)
	defer func() {
		for _, e := range []link.Endpoint{receiver, sender} {
			e.Stop()
			_ = e.Release()
		}
	}()
	yield := w.Clock.Lowest().(nx.Yielder).Yield
	call := w.Go(driven.Thread{}, func() {
		for range 2 {
			pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData([]byte{0x45})})
			var list stack.PacketBufferList
			list.PushBack(pkt)
			_, _ = sender.WritePackets(list)
			pkt.DecRef()
			note("sent")
			yield()
		}
		note("went on")
	}, nil)
	require.True(t, call.Done())
	assert.Equal(t, []string{"sent", "delivered", "sent", "delivered", "went on"}, order)
}

// listener is a stack that only notes what is delivered.
type listener func()

func (l listener) DeliverNetworkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) { l() }
func (l listener) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer)    {}

// A late timer fires after the others of its moment.
func TestLateTimers(t *testing.T) {
	w := driven.New(driven.Config{})
	defer w.Close()
	var fired []string
	at := func(clock nx.Clock, ticks int, name string) {
		clock.AfterFunc(time.Duration(ticks)*nx.Tick, func() { fired = append(fired, name) })
	}
	at(w.Clock.Late(), 5, "late")
	at(w.Clock.Late(), 5, "late too")
	at(w.Clock, 5, "first")
	at(w.Clock.Late(), 4, "before")
	w.Sleep(10)
	assert.Equal(t, []string{"before", "first", "late", "late too"}, fired)
}

// With a latency a frame arrives in its time, and the order stays.
func TestLatency(t *testing.T) {
	var arrived []string
	var w *driven.World
	w = driven.New(driven.Config{Latency: 3 * nx.Tick, Verdict: func(f ram.Frame) ram.Verdict {
		arrived = append(arrived, fmt.Sprint(string(f.Data), "@", w.Tick()))
		return ram.Pass
	}})
	defer w.Close()
	w.Network.Inject([]byte("a"))
	w.Network.Inject([]byte("b"))
	w.Clock.AfterFunc(2*nx.Tick, func() { w.Network.Inject([]byte("c")) })
	w.Settle()
	assert.Empty(t, arrived)
	w.Sleep(3)
	assert.Equal(t, []string{"a@3", "b@3"}, arrived)
	w.Sleep(1)
	assert.Len(t, arrived, 2)
	w.Sleep(10)
	assert.Equal(t, []string{"a@3", "b@3", "c@5"}, arrived)
	assert.EqualValues(t, 14, w.Tick())
}
