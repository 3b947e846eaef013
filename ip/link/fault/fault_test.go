package fault_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/linktest"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

// ends are a client, this instance, and a server, per family.
var ends = map[string][2]netip.AddrPort{
	"IPv4": {netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("192.0.2.2:25")},
	"IPv6": {netip.MustParseAddrPort("[2001:db8::1]:1000"), netip.MustParseAddrPort("[2001:db8::2]:25")},
}

// bench is a fault driver between a stack that listens and a device.
type bench struct {
	driver   *fault.Driver
	device   *linktest.Device
	endpoint link.Endpoint
	stack    *linktest.Listener
	events   *nxtest.Recorder
	clock    *nxtest.Clock
}

func newBench(t *testing.T, c fault.Config) *bench {
	t.Helper()
	b := &bench{device: &linktest.Device{}, stack: &linktest.Listener{}, events: &nxtest.Recorder{}, clock: &nxtest.Clock{}}
	b.driver = fault.Wrap(b.device, c)
	var err error
	b.endpoint, err = b.driver.Open(link.Attachment{Recorder: b.events, Clock: b.clock})
	require.NoError(t, err)
	b.endpoint.Attach(b.stack)
	t.Cleanup(func() {
		b.endpoint.Stop()
		_ = b.endpoint.Release()
	})
	return b
}

// numbered is the n-th of many frames.
func numbered(n int) []byte {
	e := ends["IPv4"]
	return linktest.UDP(e[0], e[1], fmt.Appendf(nil, "%d", n))
}

// numbers tells which of the numbered frames these are.
func numbers(t *testing.T, frames [][]byte) (list []int) {
	t.Helper()
	for _, f := range frames {
		d, ok := link.Dissect(f, len(f))
		require.True(t, ok)
		var n int
		_, err := fmt.Sscan(string(f[d.Payload:]), &n)
		require.NoError(t, err)
		list = append(list, n)
	}
	return list
}

func TestNoFaultsNoTraces(t *testing.T) {
	b := newBench(t, fault.Config{})
	pkt := linktest.Packet(numbered(1))
	defer pkt.DecRef()
	linktest.WritePacket(b.endpoint, pkt)
	assert.Equal(t, []*stack.PacketBuffer{pkt}, b.device.SentPackets(), "the very packet")
	b.device.Arrive(numbered(2))
	assert.Equal(t, [][]byte{numbered(2)}, b.stack.Seen())
	assert.Empty(t, b.events.Events())
	in, out := b.driver.Counters()
	assert.Equal(t, fault.Counters{Frames: 1}, in)
	assert.Equal(t, fault.Counters{Frames: 1}, out)
	info := b.endpoint.Info()
	assert.Equal(t, []string{"fault"}, info.Wrappers)
	assert.Equal(t, "test", info.Kind)
	assert.Empty(t, info.Drops)
}

// The wrapper asks for frames in memory of their own, as they are on the wire,
// and offers no super-segments.
func TestWorksOnWireSegments(t *testing.T) {
	device := &linktest.Device{GSO: stack.HostGSOSupported}
	pool := nxtest.NewPool(t, 256, 4)
	e, err := fault.Wrap(device, fault.Config{}).Open(link.Attachment{Pool: pool})
	require.NoError(t, err)
	assert.Equal(t, stack.GSONotSupported, e.(stack.GSOEndpoint).SupportedGSO())
	assert.Zero(t, e.(stack.GSOEndpoint).GSOMaxSize())
	assert.Equal(t, "fault", device.Attachment().WireSegments)
	assert.Nil(t, device.Attachment().Pool)
	e.Stop()
	require.NoError(t, e.Release())
	assert.Equal(t, []string{"stop", "release"}, device.Ended())
}

func fates(t *testing.T, c fault.Config, frames int, noise bool) []int {
	b := newBench(t, c)
	for i := range frames {
		b.device.Arrive(numbered(i))
		if noise { // the other direction
			linktest.Write(b.endpoint, numbered(i))
		}
	}
	return numbers(t, b.stack.Seen())
}

func TestChancesComeFromTheSeed(t *testing.T) {
	const frames = 4000
	c := fault.Config{Seed: 7, In: fault.Chances{Drop: 0.1, Duplicate: 0.05}, Out: fault.Chances{Drop: 0.5}}
	first := fates(t, c, frames, false)
	assert.Equal(t, first, fates(t, c, frames, false), "the same seed, the same fates")
	assert.Equal(t, first, fates(t, c, frames, true), "whatever the other direction does")
	c.Seed = 8
	assert.NotEqual(t, first, fates(t, c, frames, false))

	c.In = fault.Chances{Drop: 0.1}
	dropped := frames - len(fates(t, c, frames, false))
	assert.InDelta(t, 0.1*frames, dropped, 0.03*frames)
	c.In = fault.Chances{Duplicate: 0.1}
	assert.InDelta(t, 1.1*frames, len(fates(t, c, frames, false)), 0.03*frames)
	c.In = fault.Chances{Drop: 1}
	assert.Empty(t, fates(t, c, frames, false))
}

func TestDropsAreCountedWithTheirReason(t *testing.T) {
	b := newBench(t, fault.Config{
		In:    fault.Chances{Drop: 1},
		Rules: []fault.Rule{{Match: fault.Match{Direction: nx.Sent, First: 1}, Verdict: fault.Verdict{Drop: true}}},
		Hook: func(f fault.Frame) fault.Verdict {
			return fault.Verdict{Drop: f.Direction == nx.Sent && f.Number == 2}
		},
	})
	b.device.Arrive(numbered(0))
	for i := range 3 {
		linktest.Write(b.endpoint, numbered(i))
	}
	assert.Equal(t, []int{2}, numbers(t, b.device.Sent()))
	info := b.endpoint.Info()
	assert.Equal(t, map[string]uint64{fault.DropChance: 1, fault.DropRule: 1, fault.DropHook: 1}, info.Drops)
	assert.EqualValues(t, 1, info.InDrops)
	assert.EqualValues(t, 2, info.OutDrops)
	drops := nxtest.Of[nx.DropEvent](b.events)
	require.Len(t, drops, 3)
	assert.Equal(t, nx.DropEvent{
		Where: "fault", Direction: nx.Received, Reason: fault.DropChance, Bytes: len(numbered(0)), Packet: numbered(0),
	}, drops[0])
	_, out := b.driver.Counters()
	assert.EqualValues(t, 2, out.Dropped)
}

// at runs steps at their times on the clock.
func (b *bench) at(t *testing.T, steps map[time.Duration]func()) {
	for when, do := range steps {
		b.clock.AfterFunc(when, do)
	}
	last := nx.NewSuspension(b.clock)
	b.clock.AfterFunc(time.Hour, func() { last.Resume() })
	b.clock.Go(func() { last.Await(nx.WaitForever) })
	b.clock.Wait(t)
}

func TestDelay(t *testing.T) {
	b := newBench(t, fault.Config{In: fault.Chances{Delay: 30 * time.Millisecond}})
	var early, late []int
	b.at(t, map[time.Duration]func(){
		0:                     func() { b.device.Arrive(numbered(0)) },
		time.Millisecond:      func() { b.device.Arrive(numbered(1)) },
		29 * time.Millisecond: func() { early = numbers(t, b.stack.Seen()) },
		32 * time.Millisecond: func() { late = numbers(t, b.stack.Seen()) },
	})
	assert.Empty(t, early)
	assert.Equal(t, []int{0, 1}, late)
	done := nxtest.Of[nx.FaultEvent](b.events)
	require.Len(t, done, 2)
	assert.Equal(t, "delayed 30ms", done[0].Done)
	assert.Equal(t, nx.Received, done[0].Direction)
}

func TestJitterReorders(t *testing.T) {
	b := newBench(t, fault.Config{Seed: 3, Out: fault.Chances{Delay: 50 * time.Millisecond, Jitter: 40 * time.Millisecond}})
	b.at(t, map[time.Duration]func(){0: func() {
		for i := range 50 {
			linktest.Write(b.endpoint, numbered(i))
		}
	}})
	got := numbers(t, b.device.Sent())
	assert.Len(t, got, 50)
	assert.False(t, slices.IsSorted(got))
	assert.ElementsMatch(t, fromTo(0, 49), got)
}

func fromTo(from, to int) (list []int) {
	for ; from <= to; from++ {
		list = append(list, from)
	}
	return list
}

func TestReorder(t *testing.T) {
	rules := []fault.Rule{{Match: fault.Match{First: 2}, Verdict: fault.Verdict{Reorder: true}}}
	b := newBench(t, fault.Config{Rules: rules})
	b.at(t, map[time.Duration]func(){0: func() {
		for i := range 4 {
			linktest.Write(b.endpoint, numbered(i))
		}
		assert.Equal(t, []int{0, 2, 1, 3}, numbers(t, b.device.Sent()), "behind the next one, at once")
	}})

	b = newBench(t, fault.Config{Rules: rules})
	var early, late []int
	b.at(t, map[time.Duration]func(){
		0: func() {
			linktest.Write(b.endpoint, numbered(0))
			linktest.Write(b.endpoint, numbered(1))
			b.device.Arrive(numbered(5)) // the other direction does not overtake
		},
		19 * time.Millisecond: func() { early = numbers(t, b.device.Sent()) },
		21 * time.Millisecond: func() { late = numbers(t, b.device.Sent()) },
	})
	assert.Equal(t, []int{0}, early)
	assert.Equal(t, []int{1}, late, "no next one")

	b = newBench(t, fault.Config{Rules: rules, Out: fault.Chances{Delay: time.Second}})
	b.at(t, map[time.Duration]func(){0: func() {
		for i := range 4 {
			linktest.Write(b.endpoint, numbered(i))
		}
	}})
	assert.Equal(t, []int{0, 2, 1, 3}, numbers(t, b.device.Sent()), "also when all are late")
}

func TestRateLimit(t *testing.T) {
	size := uint64(len(numbered(0)))
	b := newBench(t, fault.Config{Out: fault.Chances{Rate: 10 * size, Queue: 4 * size}}) // ten frames a second
	var counts []int
	look := func() { counts = append(counts, len(b.device.Sent())) }
	b.at(t, map[time.Duration]func(){
		0: func() {
			for i := range 7 {
				linktest.Write(b.endpoint, numbered(i))
			}
		},
		99 * time.Millisecond:  look,
		101 * time.Millisecond: look,
		450 * time.Millisecond: look,
		2 * time.Second:        func() { look(); linktest.Write(b.endpoint, numbered(9)) },
		3 * time.Second:        look,
	})
	assert.Equal(t, []int{0, 1, 3, 1, 1}, counts)
	assert.EqualValues(t, 2, b.endpoint.Info().Drops[fault.DropRate])
}

func TestCorrupt(t *testing.T) {
	for name, e := range ends {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, fault.Config{In: fault.Chances{Corrupt: 1}})
			for i := range 200 {
				frame := linktest.TCP(e[1], e[0], uint32(i), 5, header.TCPFlagAck, []byte("payload"))
				b.device.Arrive(frame)
				got := b.stack.Seen()
				require.Len(t, got, 1)
				bits := 0
				for j := range frame {
					for x := frame[j] ^ got[0][j]; x != 0; x &= x - 1 {
						bits++
					}
				}
				require.Equal(t, 1, bits)
				require.False(t, sound(got[0]), "the checksum finds it")
			}
		})
	}
}

// sound tells whether the checksums of a segment are right.
func sound(frame []byte) bool {
	at := header.IPv6MinimumSize
	if frame[0]>>4 == 4 {
		h := header.IPv4(frame)
		if !h.IsChecksumValid() {
			return false
		}
		at = int(h.HeaderLength())
	}
	var from, to = header.IPv6(frame).SourceAddress, header.IPv6(frame).DestinationAddress
	if frame[0]>>4 == 4 {
		from, to = header.IPv4(frame).SourceAddress, header.IPv4(frame).DestinationAddress
	}
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, from(), to(), uint16(len(frame)-at))
	return checksum.Checksum(frame[at:], sum) == 0xFFFF
}

func TestSplit(t *testing.T) {
	for name, e := range ends {
		t.Run(name, func(t *testing.T) {
			c, err := fault.Parse("split(5, server data 1)")
			require.NoError(t, err)
			b := newBench(t, c)
			flags := header.TCPFlagAck | header.TCPFlagPsh | header.TCPFlagFin
			linktest.Write(b.endpoint, linktest.TCP(e[0], e[1], 1, 0, header.TCPFlagSyn, nil))
			b.device.Arrive(linktest.TCP(e[1], e[0], 100, 2, flags, []byte("250 done\r\n")))
			got := b.stack.Seen()
			require.Len(t, got, 2)
			for i, want := range []struct {
				text  string
				seq   uint32
				flags header.TCPFlags
			}{{"250 d", 100, header.TCPFlagAck}, {"one\r\n", 105, flags}} {
				d, ok := link.Dissect(got[i], len(got[i]))
				require.True(t, ok)
				assert.Equal(t, want.text, string(got[i][d.Payload:d.Payload+d.Length]))
				assert.Equal(t, want.seq, d.Sequence)
				assert.Equal(t, want.flags, d.Flags)
				assert.True(t, sound(got[i]))
			}
			b.device.Arrive(linktest.TCP(e[1], e[0], 111, 2, flags, []byte("221 bye\r\n")))
			assert.Len(t, b.stack.Seen(), 1, "only the first")
		})
	}
	// What cannot be cut stays whole.
	b := newBench(t, fault.Config{Rules: []fault.Rule{{Verdict: fault.Verdict{Split: 5}}}})
	e := ends["IPv4"]
	whole := [][]byte{
		linktest.TCP(e[1], e[0], 1, 1, header.TCPFlagAck, []byte("12345")),
		linktest.TCP(e[1], e[0], 1, 1, header.TCPFlagAck, nil),
		numbered(1234567),
		{0x45, 0},
	}
	for _, frame := range whole {
		b.device.Arrive(frame)
	}
	assert.Equal(t, whole, b.stack.Seen())
}

func TestTargets(t *testing.T) {
	type sent struct {
		fromServer bool
		flags      header.TCPFlags
		data       string
	}
	const ack = header.TCPFlagAck
	story := []sent{ // a connection, as the client sees it
		{false, header.TCPFlagSyn, ""},      // 0
		{true, header.TCPFlagSyn | ack, ""}, // 1
		{false, ack, ""},                    // 2
		{true, ack, "220 hello"},            // 3
		{false, ack, "EHLO"},                // 4
		{true, ack, "250-one"},              // 5
		{true, ack, "250 two"},              // 6
		{false, ack, "QUIT"},                // 7
		{true, ack, "221 bye"},              // 8
		{true, header.TCPFlagFin | ack, ""}, // 9
		{false, header.TCPFlagRst, ""},      // 10
	}
	for _, c := range []struct {
		rule string
		hits []int
	}{
		{"drop(server data 3)", []int{6}},
		{"drop(synack)", []int{1}},
		{"drop(syn)", []int{0}},
		{"drop(client data)", []int{4, 7}},
		{"drop(in data 2-3)", []int{5, 6}},
		{"drop(in data 3+)", []int{6, 8}},
		{"drop(out ack)", []int{2}},
		{"drop(fin)", []int{9}},
		{"drop(rst)", []int{10}},
		{"drop(from 25 data 1)", []int{3}},
		{"drop(to 25 any 2)", []int{2}},
		{"drop(out tcp 1)", []int{0}},
		{"drop(udp)", nil},
		{"drop(icmp)", nil},
		{"drop(server data 1),drop(server data 4)", []int{3, 8}},
	} {
		for name, e := range ends {
			t.Run(c.rule+" "+name, func(t *testing.T) {
				config, err := fault.Parse(c.rule)
				require.NoError(t, err)
				b := newBench(t, config)
				var hits []int
				for i, s := range story {
					from, to := e[0], e[1]
					if s.fromServer {
						from, to = to, from
					}
					frame := linktest.TCP(from, to, uint32(i), 0, s.flags, []byte(s.data))
					if s.fromServer {
						b.device.Arrive(frame)
					} else {
						linktest.Write(b.endpoint, frame)
					}
					if len(b.stack.Seen())+len(b.device.Sent()) == 0 {
						hits = append(hits, i)
					}
				}
				assert.Equal(t, c.hits, hits)
			})
		}
	}
}

// What is late when the endpoint stops has an end: outwards it leaves, in
// order; inwards it is dropped and counted, and nothing is delivered any more.
func TestStopEndsWhatIsLate(t *testing.T) {
	b := newBench(t, fault.Config{In: fault.Chances{Delay: time.Hour}, Out: fault.Chances{Delay: time.Hour}})
	for i := range 3 {
		b.device.Arrive(numbered(i))
		linktest.Write(b.endpoint, numbered(i))
	}
	assert.Empty(t, b.device.Sent())
	b.endpoint.Stop()
	assert.Equal(t, []int{0, 1, 2}, numbers(t, b.device.Sent()))
	assert.Empty(t, b.stack.Seen())
	assert.EqualValues(t, 3, b.endpoint.Info().Drops[fault.DropStop])
	assert.Equal(t, 3, linktest.Reasons(b.events)[fault.DropStop])

	linktest.Write(b.endpoint, numbered(4))
	assert.Equal(t, []int{4}, numbers(t, b.device.Sent()), "sending still works, without faults")
	b.endpoint.Stop()
}

func TestSetWhileTrafficFlows(t *testing.T) {
	b := newBench(t, fault.Config{In: fault.Chances{Drop: 1}})
	b.device.Arrive(numbered(1))
	b.driver.Set(fault.Config{Seed: 5})
	assert.EqualValues(t, 5, b.driver.Config().Seed)
	b.device.Arrive(numbered(2))
	assert.Equal(t, []int{2}, numbers(t, b.stack.Seen()))
	in, _ := b.driver.Counters()
	assert.Equal(t, fault.Counters{Frames: 2, Dropped: 1}, in)
}

// Connections come through everything at once, on both families.
func TestTransferThroughFaults(t *testing.T) {
	for name, e := range ends {
		t.Run(name, func(t *testing.T) {
			bits := 24
			if name == "IPv6" {
				bits = 64
			}
			n := ram.NewNetwork(ram.Config{})
			way := fault.Chances{
				Drop: 0.01, Duplicate: 0.02, Reorder: 0.02, Corrupt: 0.01,
				Delay: time.Millisecond, Jitter: time.Millisecond,
			}
			bad := fault.Wrap(n.Driver(), fault.Config{Seed: 1, In: way, Out: way})
			pool := nxtest.NewPool(t, 1536, 512)
			client := linktest.NewHost(t, bad, link.Attachment{Pool: pool}, netip.PrefixFrom(e[0].Addr(), bits))
			server := linktest.NewHost(t, n.Driver(), link.Attachment{}, netip.PrefixFrom(e[1].Addr(), bits))
			l := server.Listen(t, e[1])
			linktest.Transfer(t, client.Dial(t, e[1]), l.Accept, 300_000)

			in, out := bad.Counters()
			assert.NotZero(t, in.Dropped+out.Dropped)
			assert.NotZero(t, in.Duplicated+out.Duplicated)
			assert.NotZero(t, in.Reordered+out.Reordered)
			assert.NotZero(t, in.Corrupted+out.Corrupted)
			damaged := client.Stack.Stats().TCP.ChecksumErrors.Value() + server.Stack.Stats().TCP.ChecksumErrors.Value()
			assert.NotZero(t, damaged, "the stacks found what was corrupted")
		})
	}
}
