package ram_test

import (
	"net/netip"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/linktest"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

var (
	client4 = netip.MustParsePrefix("192.0.2.1/24")
	server4 = netip.MustParsePrefix("192.0.2.2/24")
	third4  = netip.MustParsePrefix("192.0.2.3/24")
	client6 = netip.MustParsePrefix("2001:db8::1/64")
	server6 = netip.MustParsePrefix("2001:db8::2/64")
	third6  = netip.MustParsePrefix("2001:db8::3/64")
)

func at(p netip.Prefix, port uint16) netip.AddrPort { return netip.AddrPortFrom(p.Addr(), port) }

func TestTransferBetweenTwoPorts(t *testing.T) {
	for name, server := range map[string]netip.Prefix{"IPv4": server4, "IPv6": server6} {
		t.Run(name, func(t *testing.T) {
			n := ram.NewNetwork(ram.Config{})
			c := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "client"}, client4, client6)
			s := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "server"}, server4, server6)
			l := s.Listen(t, at(server, 7))
			linktest.Transfer(t, c.Dial(t, at(server, 7)), l.Accept, 300_000)

			info := c.Endpoint.Info()
			assert.Equal(t, "ram:net/1", info.Device)
			assert.Equal(t, "ram", info.Kind)
			assert.True(t, info.Up)
			assert.False(t, info.Offload)
			assert.NotZero(t, info.InFrames)
			assert.NotZero(t, info.OutFrames)
			assert.Empty(t, info.Drops)
		})
	}
}

// A hub shows a connection to a third stack, which must not answer it with a
// reset. This holds because gVisor drops what is not addressed to it.
func TestThirdPortKeepsQuiet(t *testing.T) {
	for name, server := range map[string]netip.Prefix{"IPv4": server4, "IPv6": server6} {
		t.Run(name, func(t *testing.T) {
			n := ram.NewNetwork(ram.Config{})
			c := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "client"}, client4, client6)
			s := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "server"}, server4, server6)
			third := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "third"}, third4, third6)
			before := third.Endpoint.Info().OutFrames // router solicitation and multicast reports
			l := s.Listen(t, at(server, 7))
			linktest.Transfer(t, c.Dial(t, at(server, 7)), l.Accept, 30_000)

			// Its reader may come later than those of the two that talk.
			frames := c.Endpoint.Info().OutFrames
			assert.Eventually(t, func() bool { return third.Endpoint.Info().InFrames >= frames },
				10*time.Second, time.Millisecond, "the third port sees the traffic")
			assert.Zero(t, third.Stack.Stats().TCP.ResetsSent.Value())
			assert.Zero(t, third.Stack.Stats().TCP.ValidSegmentsReceived.Value())
			assert.LessOrEqual(t, third.Endpoint.Info().OutFrames-before, uint64(3), "nothing but its own IPv6 housekeeping")
		})
	}
}

func TestManualNetworkMovesOnStep(t *testing.T) {
	n := ram.NewNetwork(ram.Config{Manual: true})
	h := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "host"}, server4)
	for n.Pending() > 0 { // what IPv6 sends of itself
		_, ok := n.Step()
		require.True(t, ok)
	}

	syn := linktest.TCP(at(client4, 1000), at(server4, 25), 100, 0, header.TCPFlagSyn, nil)
	n.Inject(syn)
	assert.Equal(t, 1, n.Pending())
	assert.Zero(t, h.Endpoint.Info().InFrames)

	f, ok := n.Step()
	require.True(t, ok)
	assert.Equal(t, syn, f.Data)
	assert.Empty(t, f.From)
	assert.EqualValues(t, 1, h.Endpoint.Info().InFrames)

	// No listener: the stack has answered, in this very goroutine.
	require.Equal(t, 1, n.Pending())
	f, ok = n.Step()
	require.True(t, ok)
	assert.Equal(t, "host", f.From)
	reset := header.TCP(header.IPv4(f.Data).Payload())
	assert.Equal(t, header.TCPFlagRst|header.TCPFlagAck, reset.Flags())
	assert.EqualValues(t, 101, reset.AckNumber())

	_, ok = n.Step()
	assert.False(t, ok, "the wire is empty")
}

func TestHookDropsWithEvent(t *testing.T) {
	seen := 0
	n := ram.NewNetwork(ram.Config{Manual: true, Hook: func(f ram.Frame) ram.Verdict {
		seen++
		if f.From == "" {
			return ram.Pass
		}
		return ram.Drop
	}})
	watcher := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "watcher"}, third4)
	h := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "host"}, server4)
	n.Inject(linktest.TCP(at(client4, 1000), at(server4, 25), 1, 0, header.TCPFlagSyn, nil))
	steps := 0
	for _, ok := n.Step(); ok; _, ok = n.Step() {
		steps++
	}
	assert.Equal(t, steps, seen, "the hook sees each frame once")
	assert.EqualValues(t, 1, watcher.Endpoint.Info().InFrames, "only what was injected arrives")
	drops := h.Endpoint.Info().Drops[ram.DropHook]
	assert.NotZero(t, drops)
	assert.EqualValues(t, drops, linktest.Reasons(h.Events)[ram.DropHook])
}

func TestDropsAreCountedByReason(t *testing.T) {
	n := ram.NewNetwork(ram.Config{Manual: true, MTU: 1280, Queue: 2})
	d := n.Driver()
	h := linktest.NewHost(t, d, link.Attachment{Instance: "host"})
	drain := func() {
		for _, ok := n.Step(); ok; _, ok = n.Step() {
		}
	}
	drain()
	step := func(frame []byte) {
		n.Inject(frame)
		drain()
	}
	good := linktest.UDP(at(client4, 1), at(server4, 2), []byte("hello"))

	step(nil)
	step([]byte{0x00}) // for the instance to judge
	assert.Equal(t, map[string]uint64{link.DropEmpty: 1}, h.Endpoint.Info().Drops)
	assert.EqualValues(t, 1, h.Endpoint.Info().InDrops)
	assert.Zero(t, h.Endpoint.Info().OutDrops)

	d.Unplug()
	step(good)
	d.Plug()
	assert.EqualValues(t, 1, h.Endpoint.Info().Drops[link.DropLinkDown])

	h.Endpoint.Stop()
	h.Endpoint.Stop()
	step(good)
	assert.EqualValues(t, 1, h.Endpoint.Info().Drops[link.DropStopped])
}

func TestCableTellsTheInstance(t *testing.T) {
	n := ram.NewNetwork(ram.Config{})
	d := n.Driver()
	var changes []bool
	var why []error
	e, err := d.Open(link.Attachment{LinkChange: func(up bool, err error) {
		changes, why = append(changes, up), append(why, err)
	}})
	require.NoError(t, err)
	d.Unplug()
	d.Unplug()
	assert.False(t, e.Info().Up)
	assert.Equal(t, "the cable is unplugged", e.Info().Why)
	d.Plug()
	assert.True(t, e.Info().Up)
	assert.Equal(t, []bool{false, true}, changes, "no news, no call")
	assert.Equal(t, []error{ram.ErrUnplugged, nil}, why)
	require.NoError(t, e.Release())
	assert.False(t, e.Info().Up)
}

func TestOneInstanceAtATime(t *testing.T) {
	d := ram.NewNetwork(ram.Config{}).Driver()
	e, err := d.Open(link.Attachment{})
	require.NoError(t, err)
	_, err = d.Open(link.Attachment{})
	assert.ErrorIs(t, err, link.ErrInUse)
	require.NoError(t, e.Release())
	e, err = d.Open(link.Attachment{})
	require.NoError(t, err)
	require.NoError(t, e.Release())
	require.NoError(t, e.Release())
}

// A reader that waits is counted by a clock that counts waiters, and the count
// is given back before the reader can run.
func TestReaderParksOnTheClock(t *testing.T) {
	n := ram.NewNetwork(ram.Config{})
	clock := &linktest.CountingClock{}
	h := linktest.NewHost(t, n.Driver(), link.Attachment{Clock: clock}, server4)
	require.Eventually(t, func() bool { return clock.Parked() == 1 }, 10*time.Second, time.Millisecond)
	for range 100 {
		n.Inject(linktest.UDP(at(client4, 1), at(server4, 2), []byte("hello")))
	}
	require.Eventually(t, func() bool { return clock.Parked() == 1 && h.Endpoint.Info().InFrames == 100 }, 10*time.Second, time.Millisecond)
	h.Endpoint.Stop()
	assert.Zero(t, clock.Parked())
}

// A test chooses which frame moves; the rest keep their order.
func TestStepWhere(t *testing.T) {
	n := ram.NewNetwork(ram.Config{Manual: true})
	for _, text := range []string{"a1", "b1", "a2", "b2", "a3"} {
		n.Inject([]byte(text))
	}
	order := func(frames []ram.Frame) (texts []string, numbers []uint64) {
		for _, f := range frames {
			texts, numbers = append(texts, string(f.Data)), append(numbers, f.Number)
		}
		return texts, numbers
	}
	of := func(letter byte) func(ram.Frame) bool {
		return func(f ram.Frame) bool { return f.Data[0] == letter }
	}
	for _, want := range []string{"b1", "b2"} {
		f, ok := n.StepWhere(of('b'))
		require.True(t, ok)
		assert.Equal(t, want, string(f.Data))
	}
	_, ok := n.StepWhere(of('b'))
	assert.False(t, ok, "no frame is accepted")
	texts, numbers := order(n.Waiting())
	assert.Equal(t, []string{"a1", "a2", "a3"}, texts)
	assert.Equal(t, []uint64{1, 3, 5}, numbers)
	f, ok := n.Step()
	require.True(t, ok)
	assert.Equal(t, "a1", string(f.Data))
	assert.Equal(t, 2, n.Pending())
}

// Frames that have arrived lie in packets of the receiver's pool until Step; the
// one too many is lost when it arrives, not when it is its turn.
func TestFramesArriveBeforeTheirTurn(t *testing.T) {
	n := ram.NewNetwork(ram.Config{Manual: true})
	pool := nxtest.NewPool(t, 128, 2)
	h := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "host", Pool: pool}, server4)
	for n.Pending() > 0 { // what IPv6 sends of itself
		n.Step()
	}
	before := h.Endpoint.Info()
	frame := linktest.UDP(at(client4, 1), at(server4, 2), []byte("data"))
	for range 3 {
		n.Inject(frame)
	}
	n.Arrive()
	n.Arrive()
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	assert.Zero(t, info.FreePackets)
	assert.Equal(t, 3, n.Pending(), "they are still on their way to the stack")
	for range 3 {
		_, ok := n.Step()
		assert.True(t, ok)
	}
	after := h.Endpoint.Info()
	assert.EqualValues(t, 3, after.InFrames-before.InFrames)
	assert.EqualValues(t, 1, after.Drops[link.DropPoolEmpty])
	assert.EqualValues(t, 2, h.Stack.Stats().UDP.UnknownPortErrors.Value())
	nxtest.Full(t, pool)

	// A port that has stopped meanwhile gives the packets back.
	n.Inject(frame)
	n.Arrive()
	h.Endpoint.Stop()
	for n.Pending() > 0 {
		n.Step()
	}
	nxtest.Full(t, pool)
}
