package smtp

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/require"
)

// A scripted server in the place of the TCP socket: sessions run without a
// stack, in no time, and at every byte something can be made to go wrong.

// instantClock is a clock on which every wait is over at once.
type instantClock struct {
	mu  sync.Mutex
	now time.Duration
}

func (c *instantClock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *instantClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += d
}

func (c *instantClock) AfterFunc(d time.Duration, f func()) nx.Timer {
	if d < 1<<40 { // not nx.WaitForever
		c.advance(d)
		go f()
	}
	return instantTimer{}
}

type instantTimer struct{}

func (instantTimer) Stop() bool          { return false }
func (instantTimer) Reset(time.Duration) {}

// fault is what happens when a number of bytes has gone in one direction.
type fault string

const (
	cut   fault = "cut"   // the server ends its side
	reset fault = "reset" // the connection is reset
	stall fault = "stall" // nothing comes or is acknowledged any more
	split fault = "split" // a segment ends there
)

// turnOf is one turn of the server: what it sends once the client has sent
// lines.
type turnOf struct {
	lines int      // of the client, awaited
	sends []string // segments; see the verbs below
}

// Verbs among the segments of a turn.
const (
	verbClose = "\x00close"
	verbReset = "\x00reset"
)

// script is a transport with a server that follows a list of turns.
type script struct {
	clock *instantClock
	pool  *packetpool.Pool // of the packets that the client receives
	turns []turnOf         // of one connection
	from  netip.Addr

	connectError error
	busy         int // packets that the peer does not acknowledge at once

	gap, next time.Duration   // between segments of the server; when the next one comes
	onReceive func(s *script) // before each receive
	onHeard   func(s *script) // after each send
	onBreak   func(s *script) // when a fault has ended the connection

	onlyEstablished bool // remove was told
	quiet           bool // no log
	scratch         []byte

	toServer, toClient fault
	after              int // bytes in the direction of the fault

	at        int // next turn
	heard     bytes.Buffer
	segments  []string // what each send carried
	lines     int      // heard in this turn
	queue     []string
	delivered int // bytes
	all       strings.Builder
	closed    bool
	broken    bool
	stalled   bool
	held      []packetpool.Packet
	log       strings.Builder // the dialogue
	unlogged  string          // the client's unfinished line
	ends      []string        // "disconnect 500"
	aborts    atomic.Int32
	connects  int
	maxWait   nx.Wait // the longest wait of a receive that timed out
}

func (s *script) connect(ctx context.Context, server netip.AddrPort, wait nx.Wait) error {
	s.connects++
	if s.connectError != nil {
		return s.connectError
	}
	s.at, s.lines, s.queue, s.closed, s.broken, s.stalled = 0, 0, nil, false, false, false
	s.heard.Reset()
	s.segments = nil
	s.proceed()
	return ctx.Err()
}

func (s *script) source() netip.Addr { return s.from }

// proceed lets the server take the turns that are due.
func (s *script) proceed() {
	for s.at < len(s.turns) && s.lines >= s.turns[s.at].lines {
		s.lines -= s.turns[s.at].lines
		s.queue = append(s.queue, s.turns[s.at].sends...)
		s.at++
	}
}

func (s *script) send(packet packetpool.Packet, wait nx.Wait) error {
	data := s.scratch[:0]
	for piece := range packetpool.Pieces(packet) {
		data = append(data, piece...)
	}
	s.scratch = data
	if s.busy > 0 && len(s.held) < s.busy {
		s.held = append(s.held, packet)
	} else if err := packetpool.Release(packet); err != nil {
		return err
	}
	if s.closed || s.broken {
		return nx.Fail("tcp.SocketSend", nx.NotConnected, nil)
	}
	if s.stalled {
		s.clock.advance(wait.Duration())
		return nx.Fail("tcp.SocketSend", nx.WindowOverflow, nil)
	}
	var err error
	if s.toServer != "" && s.heard.Len()+len(data) > s.after {
		data = data[:s.after-s.heard.Len()]
		switch s.toServer {
		case reset:
			s.broken = true
			err = nx.Fail("tcp.SocketSend", nx.NotConnected, nil)
			if s.onBreak != nil {
				s.onBreak(s)
			}
		case cut:
			s.closed = true
		case stall:
			s.stalled = true
		}
	}
	if !s.quiet {
		s.segments = append(s.segments, string(data))
	}
	s.heard.Write(data)
	if s.onHeard != nil {
		s.onHeard(s)
	}
	if !s.quiet {
		s.unlogged += string(data)
	}
	for {
		line, rest, found := strings.Cut(s.unlogged, "\n")
		if !found {
			break
		}
		fmt.Fprintf(&s.log, "C: %s\n", strings.TrimSuffix(line, "\r"))
		s.unlogged = rest
	}
	s.lines += bytes.Count(data, []byte("\n"))
	if !s.closed && !s.broken && !s.stalled {
		s.proceed()
	}
	return err
}

func (s *script) receive(wait nx.Wait) (packetpool.Packet, error) {
	if s.onReceive != nil {
		s.onReceive(s)
	}
	if s.gap > 0 && len(s.queue) > 0 {
		if s.clock.Now()+wait.Duration() < s.next {
			s.clock.advance(wait.Duration())
			return packetpool.Packet{}, nx.Fail("tcp.SocketReceive", nx.NoPacket, nil)
		}
		s.clock.advance(max(0, s.next-s.clock.Now()))
		s.next += s.gap
	}
	for len(s.queue) > 0 && !s.stalled {
		segment := s.queue[0]
		switch segment {
		case verbClose:
			s.closed, s.queue = true, nil
			continue
		case verbReset:
			s.broken, s.queue = true, nil
			continue
		}
		s.queue = s.queue[1:]
		if s.toClient != "" && s.delivered+len(segment) > s.after {
			rest := segment[s.after-s.delivered:]
			segment = segment[:s.after-s.delivered]
			switch s.toClient {
			case cut:
				s.queue = []string{verbClose}
			case reset:
				s.queue = []string{verbReset}
			case stall:
				s.stalled = true
			case split:
				s.queue = append([]string{rest}, s.queue...)
			}
			s.toClient = ""
		}
		if segment == "" {
			continue
		}
		s.delivered += len(segment)
		if s.onHeard != nil {
			s.all.WriteString(segment)
		}
		for _, line := range strings.SplitAfter(segment, "\n") {
			if s.quiet {
				break
			}
			if line != "" {
				fmt.Fprintf(&s.log, "S: %s\n", strings.TrimSuffix(line, "\r\n"))
			}
		}
		packet, err := packetpool.Allocate(s.pool, packetpool.ReceivePacket, nx.NoWait)
		if err == nil {
			err = packetpool.DataAppend(packet, []byte(segment), s.pool, nx.NoWait)
		}
		return packet, err
	}
	if s.closed || s.broken {
		return packetpool.Packet{}, nx.Fail("tcp.SocketReceive", nx.NotConnected, nil)
	}
	s.clock.advance(wait.Duration())
	s.maxWait = max(s.maxWait, wait)
	return packetpool.Packet{}, nx.Fail("tcp.SocketReceive", nx.NoPacket, nil)
}

func (s *script) inFlight() bool {
	if len(s.held) == 0 {
		return false
	}
	_ = packetpool.Release(s.held[0]) // the acknowledgement comes
	s.held = s.held[1:]
	return true
}

func (s *script) disconnect(wait nx.Wait) {
	s.ends = append(s.ends, fmt.Sprintf("disconnect %d", wait))
	for _, packet := range s.held {
		_ = packetpool.Release(packet)
	}
	s.held = nil
	s.closed = true
}

func (s *script) abort() { s.aborts.Add(1) }

func (s *script) remove(wait nx.Wait, onlyEstablished bool) error {
	s.onlyEstablished = onlyEstablished
	return nil
}

// identity is what a test client is created with.
type identity struct {
	username, password, from, domain string
	auth                             AuthType
}

var someone = identity{"user", "secret", "my@mycompany.com", "mycompany.com", AuthNone}

func (i identity) with(auth AuthType) identity {
	i.auth = auth
	return i
}

// bench is a client on a scripted server.
type bench struct {
	*script
	client   *Client
	sendPool *packetpool.Pool
	events   *nxtest.Recorder
}

// text is all that the recorder has seen.
func (b *bench) text() string {
	var text strings.Builder
	for _, event := range b.events.Events() {
		fmt.Fprintf(&text, "%+v\n", event)
	}
	return text.String()
}

// options of newBench. The zero value is a client of the guide's size on IPv4.
type options struct {
	config  *Config
	who     identity
	ipv6    bool
	payload uint32 // of the client's pool; 0: 800
	packets uint32 // in it; 0: 9
	fast    bool   // no log, no account of who has packets
}

func newBench(t testing.TB, o options, turns ...turnOf) *bench {
	t.Helper()
	if o.who == (identity{}) {
		o.who = someone
	}
	payload, packets := o.payload, o.packets
	if payload == 0 {
		payload = 800
	}
	if packets == 0 {
		packets = 9
	}
	clock := &instantClock{}
	sites := func(c *packetpool.Config) { c.Sites = !o.fast }
	b := &bench{
		script:   &script{clock: clock, turns: turns, pool: nxtest.NewPool(t, 512, 64, nxtest.On(clock), sites), from: netip.MustParseAddr("1.2.3.5")},
		sendPool: nxtest.NewPool(t, payload, packets, nxtest.On(clock), sites),
		events:   new(nxtest.Recorder),
	}
	b.quiet = o.fast
	server := netip.MustParseAddr("1.2.3.4")
	if o.ipv6 {
		server, b.from = netip.MustParseAddr("2001::4"), netip.MustParseAddr("2001::5")
	}
	config := Config{}
	if o.config != nil {
		config = *o.config
	}
	if config.Now == nil {
		config.Now = func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }
	}
	b.client = &Client{Config: &config}
	err := b.client.create(creation{
		pool: b.sendPool, clock: clock, recorder: b.events, name: "test",
		username: o.who.username, password: o.who.password, from: o.who.from, domain: o.who.domain,
		authType: o.who.auth, server: server, port: 25, t: b.script,
	}, func(uint32, *tcp.Config) error { return nil })
	require.NoError(t, err)
	return b
}

// send sends a short mail.
func (b *bench) sendMail(body string) error {
	return MailSend(b.client, "your@yourcompany.com", PriorityNormal, "Subject", []byte(body))
}

// transcript is the dialogue with the parts that change taken out.
func (b *bench) transcript() string {
	lines := strings.Split(b.log.String(), "\n")
	for i, line := range lines {
		if id, ok := strings.CutPrefix(line, "C: Message-ID: <"); ok {
			_, domain, _ := strings.Cut(id, "@")
			lines[i] = "C: Message-ID: <id@" + domain
		}
	}
	return strings.Join(lines, "\n")
}

// dialogue runs one mail against a transcript: lines that begin with S: are
// sent by the server, one segment for each run of them, once the client's
// lines before them have come; lines that begin with C: are what the client
// must have sent in the end.
func dialogue(t *testing.T, o options, want string, send func(*bench) error) (*bench, error) {
	t.Helper()
	want = strings.TrimPrefix(want, "\n")
	b := newBench(t, o, turnsOf(want)...)
	err := send(b)
	require.Equal(t, want, b.transcript())
	b.balanced(t)
	return b, err
}

// turnsOf makes the server's turns of a transcript.
func turnsOf(transcript string) []turnOf {
	var turns []turnOf
	clients := 0
	for _, line := range strings.Split(transcript, "\n") {
		who, text, _ := strings.Cut(line, ": ")
		switch {
		case who == "C" || line == "C:":
			clients++
		case who == "S" || line == "S:":
			if clients > 0 || len(turns) == 0 {
				turns = append(turns, turnOf{lines: clients, sends: []string{""}})
				clients = 0
			}
			turns[len(turns)-1].sends[0] += text + "\r\n"
		}
	}
	return turns
}

// full checks the same for many sessions.
func (b *bench) full(t testing.TB, what string) {
	for _, pool := range []*packetpool.Pool{b.pool, b.sendPool} {
		if info, err := packetpool.PoolInfoGet(pool); err != nil || info.FreePackets != info.TotalPackets {
			t.Fatalf("%s: %+v %v", what, info, err)
		}
	}
}

// balanced checks that all packets are back.
func (b *bench) balanced(t testing.TB) {
	t.Helper()
	for _, pool := range []*packetpool.Pool{b.pool, b.sendPool} {
		info, err := packetpool.PoolInfoGet(pool)
		require.NoError(t, err)
		require.Equal(t, info.TotalPackets, info.FreePackets, "all packets are back")
	}
}
