package trace

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

var (
	here  = netip.MustParseAddrPort("192.0.2.2:1000")
	there = netip.MustParseAddrPort("192.0.2.1:25")
)

// clock is moved by the test.
type clock struct {
	nx.Clock
	now time.Duration
}

func (c *clock) Now() time.Duration      { return c.now }
func (c *clock) advance(d time.Duration) { c.now += d }

// script drives a side with a clock of its own.
type script struct {
	t     *testing.T
	clock *clock
	w     *Writer
	side  *Side
	file  bytes.Buffer
	seen  nxtest.Recorder
}

func newScript(t *testing.T) *script {
	s := &script{t: t, clock: &clock{}}
	s.w = NewWriter(&s.file, s.clock, nil)
	require.NoError(t, s.w.Start(Header{Families: []Family{{Family: "IPv4", Pools: []Pool{}}}, Command: []string{}}))
	s.side = s.w.Side("IPv4", &s.seen)
	s.side.Begin("test")
	return s
}

// end answers the trace, which conforms.
func (s *script) end() *Trace {
	require.NoError(s.t, s.w.Close(false, ""))
	checked, err := Check(bytes.NewReader(s.file.Bytes()), 10)
	require.NoError(s.t, err)
	tr, err := Read(&s.file)
	require.NoError(s.t, err)
	for _, p := range checked.Problems {
		s.t.Error(p)
	}
	return tr
}

// The sequence numbers wrap in the middle of what is sent.
const (
	isn  = 0xFFFFFF00
	peer = 0x7FFFFFF0
)

func (s *script) sent(flags uint8, seq, ack uint32, length int) {
	s.side.Record(nx.SegmentEvent{
		Direction: nx.Sent, Local: here, Remote: there, Flags: flags, Sequence: isn + seq, Ack: peer + ack,
		Length: length, Scaled: 65535, Scale: -1, Selective: flags&syn != 0,
	})
}

func (s *script) got(flags uint8, seq, ack uint32, length int, sack ...nx.Block) {
	for i := range sack {
		sack[i].Left, sack[i].Right = sack[i].Left+isn, sack[i].Right+isn
	}
	s.side.Record(nx.SegmentEvent{
		Direction: nx.Received, Local: here, Remote: there, Flags: flags, Sequence: peer + seq, Ack: isn + ack,
		Length: length, Scaled: 65535, Scale: -1, Selective: flags&syn != 0, SACK: sack,
	})
}

func (s *script) state(words string) {
	s.side.Record(nx.CongestionEvent{Local: here, Remote: there, Window: 10, MSS: 100, SRTT: 40 * time.Millisecond, RTO: 200 * time.Millisecond, State: words})
}

// dropped is a segment that the link has lost.
func (s *script) dropped(d nx.Direction, seq uint32, length int) {
	from, to, start := here, there, uint32(isn)
	if d == nx.Received {
		from, to, start = to, from, peer
	}
	h := make([]byte, 40+length)
	h[0], h[9] = 0x45, 6
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)))
	copy(h[12:], from.Addr().AsSlice())
	copy(h[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(h[20:], from.Port())
	binary.BigEndian.PutUint16(h[22:], to.Port())
	binary.BigEndian.PutUint32(h[24:], start+seq)
	h[32], h[33] = 0x50, ack|psh
	s.side.Record(nx.DropEvent{Where: "fault", Direction: d, Reason: "by chance", Bytes: len(h), Packet: h})
}

func (s *script) handshake() {
	s.sent(syn, 0, 0, 0)
	s.clock.advance(40 * time.Millisecond)
	s.got(syn|ack, 0, 1, 0)
	s.sent(ack, 1, 1, 0)
	s.state("open")
}

// again are the segments that came again, with their numbers and causes.
func again(tr *Trace) (list []string) {
	for _, e := range tr.Events {
		if d, ok := e.Data.(*Segment); ok && (d.Again || d.OutOfOrder) {
			list = append(list, e.Words())
		}
	}
	return list
}

func TestCauses(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*script)
		want []string
	}{
		{"nothing", func(s *script) {
			s.sent(ack|psh, 1, 1, 100)
			s.got(ack, 1, 101, 0)
			s.got(ack|psh, 1, 101, 50)
		}, nil},
		{"timeout, and what was on its way", func(s *script) {
			for i := range uint32(3) {
				s.sent(ack|psh, 1+100*i, 1, 100)
			}
			s.dropped(nx.Sent, 1, 100)
			s.clock.advance(290 * time.Millisecond)
			s.sent(ack|psh, 1, 1, 100)
			s.clock.advance(40 * time.Millisecond)
			s.got(ack, 1, 101, 0)
			s.sent(ack|psh, 101, 1, 100)
		}, []string{
			"1 --> [PA] seq 1 ack 1 len 100 win 65535, again: timeout after 290 ms; the earlier one: by chance",
			"1 --> [PA] seq 101 ack 1 len 100 win 65535, again: after timeout after 330 ms",
		}},
		{"selective acknowledgements", func(s *script) {
			for i := range uint32(4) {
				s.sent(ack|psh, 1+100*i, 1, 100)
			}
			s.dropped(nx.Sent, 101, 100)
			s.clock.advance(40 * time.Millisecond)
			s.got(ack, 1, 101, 0, nx.Block{Left: 201, Right: 401})
			s.sent(ack|psh, 101, 1, 100)
		}, []string{"1 --> [PA] seq 101 ack 1 len 100 win 65535, again: fast after 40.0 ms; the earlier one: by chance"}},
		{"received again", func(s *script) {
			s.dropped(nx.Received, 1, 50)
			s.got(ack|psh, 51, 1, 50)
			s.clock.advance(time.Second)
			s.got(ack|psh, 1, 1, 50)
			s.sent(ack, 1, 101, 0)
			s.got(ack|psh, 51, 1, 50)
		}, []string{
			"1 <-- [PA] seq 1 ack 1 len 50 win 65535, again: lost after 1000 ms; the earlier one: by chance",
			"1 <-- [PA] seq 51 ack 1 len 50 win 65535, again: unneeded",
		}},
		{"out of order", func(s *script) {
			s.got(ack|psh, 51, 1, 50)
			s.got(ack|psh, 1, 1, 50)
		}, []string{"1 <-- [PA] seq 1 ack 1 len 50 win 65535, out of order"}},
		{"the FIN", func(s *script) {
			s.sent(ack|fin, 1, 1, 0)
			s.clock.advance(400 * time.Millisecond)
			s.sent(ack|fin, 1, 1, 0)
		}, []string{
			"1 --> [FA] seq 1 ack 1 len 0 win 65535, again: timeout after 400 ms",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript(t)
			s.handshake()
			c.do(s)
			tr := s.end()
			assert.Equal(t, c.want, again(tr))
			told := 0
			for _, e := range nxtest.Of[nx.SegmentEvent](&s.seen) {
				if e.Again {
					told++
					assert.NotEmpty(t, e.Cause, "for the capture")
				}
			}
			totals := Summaries(tr)["IPv4"].Totals
			assert.Equal(t, totals.Sent.Again+totals.Received.Again, told)
		})
	}
}

// A handshake that is not answered, and ports that are used again.
func TestHandshakes(t *testing.T) {
	s := newScript(t)
	s.sent(syn, 0, 0, 0)
	s.clock.advance(time.Second)
	s.sent(syn, 0, 0, 0)
	s.got(syn|ack, 0, 1, 0)
	s.side.Record(nx.SegmentEvent{Direction: nx.Sent, Local: here, Remote: there, Flags: syn, Sequence: 5, Scale: -1})
	tr := s.end()
	assert.Equal(t, []string{"1 --> [S] seq 0 len 0 win 65535, again: handshake after 1000 ms"}, again(tr))
	assert.Equal(t, 2, Summaries(tr)["IPv4"].Connections)
}

// When more comes than can be written, a line says so.
func TestTooManyEvents(t *testing.T) {
	s := newScript(t)
	s.w.mu.Lock()
	s.w.most = 10
	for len(s.w.queue) < s.w.most {
		s.w.add(Event{Family: "IPv4", Name: StackWarning, Data: &Warning{}})
	}
	s.w.add(Event{Family: "IPv4", Name: StackWarning, Data: &Warning{}})
	s.w.mu.Unlock()
	require.NoError(t, s.w.Close(false, ""))
	tr, err := Read(&s.file)
	require.NoError(t, err)
	assert.Equal(t, 1, Summaries(tr)["IPv4"].Lost)
}
