package parity

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/linktest"
	"gonetx/ip/link/ram"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// live is a connection between two stacks, into which a test forges datagrams:
// what an attacker can send who knows addresses and ports, and what a broken
// host sends.
type live struct {
	*run
	t    testing.TB
	sent []ram.Frame // by the stack
	ours link.Datagram
	head header.TCP // of the stack's latest segment

	closed bool
}

func newLive(t testing.TB, family int) *live {
	t.Helper()
	list, err := Parse("live", "scenario live\nshows A connection under attack.\npeer listen 7\n")
	require.NoError(t, err)
	l := &live{t: t, run: &run{scenario: &list[0], place: place("ram"), family: family, seed: 1}}
	l.log = &log{}
	l.trace = &Trace{Family: family, driven: true}
	l.watch = func(f ram.Frame) {
		if f.From == "stack" {
			l.sent = append(l.sent, f)
		}
	}
	l.scene, err = openRAM(l.run)
	require.NoError(t, err)
	t.Cleanup(l.close)
	l.units = l.unitsAtFirst()
	l.log.begin(0)
	l.do("peer listen 7")
	l.do("stack connect 7 | peer accept")
	l.do("stack send 10 | peer receive 10")
	l.do("peer send 10 | stack receive 10")
	return l
}

// do does a step, which must end as it says.
func (l *live) do(line string) {
	l.t.Helper()
	list, err := Parse("live", "scenario live\nshows x\n"+line+"\n")
	require.NoError(l.t, err)
	require.True(l.t, l.step(&list[0].Steps[0]), line)
	require.Empty(l.t, l.trace.Failures)
}

// works shows that the connection carries data both ways, that a new one can be
// made, and that nothing is lost in the end.
func (l *live) works(alive bool) {
	l.t.Helper()
	if alive {
		l.do("stack send 2mss+1 | peer receive 2mss+1")
		l.do("peer send 2mss+1 | stack receive 2mss+1")
		l.do("stack disconnect | peer finish")
	}
	l.do("peer listen 8 at=next")
	l.do("stack connect 8 at=new | peer accept at=next")
	l.do("stack send mss at=new | peer receive mss at=next")
	l.do("stack disconnect at=new | peer finish at=next")
	l.close()
}

// close takes the scene away, once.
func (l *live) close() {
	l.t.Helper()
	if l.closed {
		return
	}
	l.closed = true
	l.trace.Failures = nil
	l.end(false)
	assert.Empty(l.t, l.trace.Failures)
}

// look takes the numbers of the stack's latest segment.
func (l *live) look() {
	l.t.Helper()
	for _, f := range slices.Backward(l.sent) {
		if d, ok := link.Dissect(f.Data, len(f.Data)); ok && d.Transport == header.TCPProtocolNumber {
			l.ours, l.head = d, header.TCP(f.Data[d.At:])
			return
		}
	}
	require.Fail(l.t, "the stack has sent no segment")
}

// expects is the sequence number that the stack expects next.
func (l *live) expects() uint32 { return l.head.AckNumber() }

// next is the sequence number that the stack sends next.
func (l *live) next() uint32 { return l.ours.Sequence + uint32(l.ours.Length) }

// segment forges a segment of the peer's.
func (l *live) segment(seq, ack uint32, flags header.TCPFlags, data []byte) []byte {
	return linktest.TCP(l.ours.To, l.ours.From, seq, ack, flags, data)
}

// inject puts frames on the wire, and answers what the stack has sent since.
func (l *live) inject(frames ...[]byte) (answers []string) {
	l.t.Helper()
	before := len(l.sent)
	for _, f := range frames {
		l.scene.time.(drivenTime).world.Network.Inject(f)
	}
	l.scene.time.settle()
	l.scene.time.settle()
	for _, f := range l.sent[before:] {
		d, _ := link.Dissect(f.Data, len(f.Data))
		answers = append(answers, fmt.Sprintf("%v %d", d.Flags, d.Length))
	}
	return answers
}

func (l *live) counted() uint64 {
	info, err := ip.InfoGet(&l.scene.ours.inst)
	require.NoError(l.t, err)
	n := uint64(info.InvalidPackets + info.ReceivePacketsDropped)
	for _, d := range info.Drops {
		n += d
	}
	return n
}

// TestBlindAttacks is RFC 5961: who does not know the sequence numbers exactly
// ends no connection and gets no data in. What is in the window is answered by a
// challenge ACK, what is not by nothing or an ACK.
func TestBlindAttacks(t *testing.T) {
	const rst, syn, ack, fin = header.TCPFlagRst, header.TCPFlagSyn, header.TCPFlagAck, header.TCPFlagFin
	for _, c := range []struct {
		name      string
		forge     func(l *live) []byte
		challenge bool // it is answered by an ACK
		ends      bool
	}{
		{"RST at the exact number", func(l *live) []byte { return l.segment(l.expects(), 0, rst, nil) }, false, true},
		{"RST in the window", func(l *live) []byte { return l.segment(l.expects()+100, 0, rst, nil) }, true, false},
		{"RST and ACK in the window", func(l *live) []byte { return l.segment(l.expects()+1, l.next(), rst|ack, nil) }, true, false},
		{"RST before the window", func(l *live) []byte { return l.segment(l.expects()-1, 0, rst, nil) }, false, false},
		{"RST behind the window", func(l *live) []byte { return l.segment(l.expects()+1<<20, 0, rst, nil) }, false, false},
		{"RST half a space away", func(l *live) []byte { return l.segment(l.expects()+1<<31, 0, rst, nil) }, false, false},
		{"SYN at the exact number", func(l *live) []byte { return l.segment(l.expects(), 0, syn, nil) }, true, false},
		{"SYN in the window", func(l *live) []byte { return l.segment(l.expects()+100, 0, syn, nil) }, true, false},
		{"SYN before the window", func(l *live) []byte { return l.segment(l.expects()-1000, 0, syn, nil) }, true, false},
		{"SYN-ACK in the window", func(l *live) []byte { return l.segment(l.expects(), l.next(), syn|ack, nil) }, true, false},
		{"data with an old acknowledgement", func(l *live) []byte {
			return l.segment(l.expects(), l.next()-1<<30, ack, []byte("evil"))
		}, true, false},
		{"data that acknowledges what was not sent", func(l *live) []byte {
			return l.segment(l.expects(), l.next()+1000, ack, []byte("evil"))
		}, true, false},
		{"FIN that acknowledges what was not sent", func(l *live) []byte { return l.segment(l.expects(), l.next()+1, fin|ack, nil) }, true, false},
		{"an acknowledgement of what was not sent", func(l *live) []byte { return l.segment(l.expects(), l.next()+1, ack, nil) }, true, false},
		{"data behind the window", func(l *live) []byte { return l.segment(l.expects()+1<<20, l.next(), ack, []byte("evil")) }, true, false},
		{"FIN behind the window", func(l *live) []byte { return l.segment(l.expects()+1<<20, l.next(), fin|ack, nil) }, true, false},
		{"data without ACK", func(l *live) []byte { return l.segment(l.expects(), 0, 0, []byte("evil")) }, false, false},
		{"no flags at all", func(l *live) []byte { return l.segment(l.expects(), l.next(), 0, nil) }, false, false},
	} {
		for _, family := range families {
			t.Run(fmt.Sprintf("%s, IPv%d", c.name, family), func(t *testing.T) {
				l := newLive(t, family)
				l.look()
				answers := l.inject(c.forge(l))
				t.Log(answers)
				for _, a := range answers {
					assert.NotContains(t, a, "R", "no RST for a segment of a live connection")
				}
				if c.challenge {
					assert.Len(t, answers, 1, "one challenge ACK (RFC 5961 sections 3.2, 4.2, 5.2)")
				} else {
					assert.LessOrEqual(t, len(answers), 1)
				}
				if c.ends {
					l.do("stack state -> CLOSED")
				} else {
					l.do("stack state -> ESTABLISHED")
				}
				l.works(!c.ends)
			})
		}
	}
}

// TestBrokenDatagrams: what is malformed is dropped and counted, and disturbs
// nobody.
func TestBrokenDatagrams(t *testing.T) {
	type forge func(l *live) [][]byte
	one := func(f func(l *live) []byte) forge { return func(l *live) [][]byte { return [][]byte{f(l)} } }
	good := func(l *live) []byte {
		return l.segment(l.expects(), l.next(), header.TCPFlagAck, []byte("evil"))
	}
	broken := func(change func(f []byte, at int) []byte) forge {
		return one(func(l *live) []byte {
			f := good(l)
			d, _ := link.Dissect(f, len(f))
			return change(f, d.At)
		})
	}
	for _, c := range []struct {
		name   string
		only   int // family; 0: both
		counts bool
		forge  forge
	}{
		{"TCP checksum", 0, true, broken(func(f []byte, at int) []byte { f[at+16] ^= 1; return f })},
		{"data offset of 4", 0, true, broken(func(f []byte, at int) []byte { f[at+12] = 4 << 4; return f })},
		{"data offset behind the end", 0, true, broken(func(f []byte, at int) []byte { f[at+12] = 15 << 4; return f })},
		{"a header cut short", 0, true, broken(func(f []byte, at int) []byte { return f[:at+7] })},
		{"IP header alone", 0, true, broken(func(f []byte, at int) []byte { return f[:at] })},
		{"half an IP header", 0, true, broken(func(f []byte, at int) []byte { return f[:11] })},
		{"one byte", 0, true, broken(func(f []byte, _ int) []byte { return f[:1] })},
		{"version 5", 0, true, broken(func(f []byte, _ int) []byte { f[0] = 5<<4 | f[0]&15; return f })},
		{"header length of 4 words", 4, true, broken(func(f []byte, _ int) []byte { f[0] = 0x44; return f })},
		{"total length too long", 4, true, broken(func(f []byte, _ int) []byte { f[3] += 9; return sum4(f) })},
		{"total length too short", 4, true, broken(func(f []byte, _ int) []byte { f[2], f[3] = 0, 19; return sum4(f) })},
		{"IPv4 checksum", 4, true, broken(func(f []byte, _ int) []byte { f[10] ^= 1; return f })},
		{"payload length too long", 6, true, broken(func(f []byte, _ int) []byte { f[5] += 9; return f })},
		{"no next header", 6, true, broken(func(f []byte, _ int) []byte { f[6] = 59; return f })},
		{"an unknown protocol", 0, true, broken(func(f []byte, at int) []byte {
			if at == 20 {
				f[9] = 253
				return sum4(f)
			}
			f[6] = 253
			return f
		})},
		{"extension headers without an end", 6, true, one(func(l *live) []byte { return extended(l, 60, 0, 60, 0, 60, 200) })},
		// gVisor answers these two with a parameter problem (RFC 8200 sections
		// 4.1 and 4.4), and counts them itself.
		{"a hop-by-hop header in the middle", 6, false, one(func(l *live) []byte { return extended(l, 60, 0, 0, 0) })},
		{"routing header of type 0", 6, false, one(func(l *live) []byte { return routed0(l) })},
		{"tiny fragments: half a TCP header", 0, true, func(l *live) [][]byte { return fragments(l, good(l), [2]int{0, 8}, [2]int{8, 24}) }},
		{"overlapping fragments", 0, true, func(l *live) [][]byte { return fragments(l, good(l), [2]int{0, 16}, [2]int{8, 24}) }},
		{"a fragment that ends behind 65535", 0, true, func(l *live) [][]byte {
			return [][]byte{fragment(l, make([]byte, 1000), 65528, false)}
		}},
		{"a last fragment alone", 0, true, func(l *live) [][]byte { return [][]byte{fragment(l, make([]byte, 64), 128, false)} }},
		{"a fragment of no bytes", 0, true, func(l *live) [][]byte { return [][]byte{fragment(l, nil, 64, true)} }},
		{"source is the own address", 0, false, one(func(l *live) []byte {
			return linktest.TCP(netip.AddrPortFrom(l.ours.From.Addr(), 9), l.ours.From, 1, 0, header.TCPFlagAck, nil)
		})},
		{"source is loopback", 0, true, one(func(l *live) []byte {
			from := netip.MustParseAddr("127.0.0.1")
			if l.family == 6 {
				from = netip.IPv6Loopback()
			}
			return linktest.TCP(netip.AddrPortFrom(from, 9), l.ours.From, 1, 0, header.TCPFlagSyn, nil)
		})},
		{"ICMP error without its quotation", 0, false, one(func(l *live) []byte { return icmpError(l.ours.To.Addr(), l.ours.From.Addr(), nil, 0) })},
		{"ICMP error about half a header", 0, false, one(func(l *live) []byte {
			return icmpError(l.ours.To.Addr(), l.ours.From.Addr(), l.sent[len(l.sent)-1].Data[:12], 0)
		})},
		{"ICMP: unreachable, of this connection", 0, false, one(func(l *live) []byte {
			return icmpError(l.ours.To.Addr(), l.ours.From.Addr(), l.sent[len(l.sent)-1].Data, 0)
		})},
		{"ICMP: too long for a way of 8 bytes", 0, false, one(func(l *live) []byte {
			return icmpError(l.ours.To.Addr(), l.ours.From.Addr(), l.sent[len(l.sent)-1].Data, 8)
		})},
	} {
		for _, family := range families {
			if c.only != 0 && c.only != family {
				continue
			}
			t.Run(fmt.Sprintf("%s, IPv%d", c.name, family), func(t *testing.T) {
				l := newLive(t, family)
				l.look()
				before := l.counted()
				answers := l.inject(c.forge(l)...)
				if c.counts {
					assert.Greater(t, l.counted(), before, "it is counted")
				}
				for _, a := range answers {
					assert.False(t, strings.Contains(a, "R") && c.name != "source is the own address", "no RST: %s", a)
				}
				l.do("stack state -> ESTABLISHED")
				l.works(true)
			})
		}
	}
}

// sum4 makes the checksum of an IPv4 header right.
func sum4(f []byte) []byte {
	h := header.IPv4(f)
	h.SetChecksum(0)
	n := min(int(h.HeaderLength()), len(f))
	h.SetChecksum(^header.IPv4(f[:n]).CalculateChecksum())
	return f
}

// extended puts extension headers before a segment: pairs of a kind and a
// length in units of 8 bytes beyond the first.
func extended(l *live, pairs ...int) []byte {
	f := l.segment(l.expects(), l.next(), header.TCPFlagAck, []byte("evil"))
	var chain []byte
	for i := 0; i < len(pairs); i += 2 {
		next := byte(6)
		if i+2 < len(pairs) {
			next = byte(pairs[i+2])
		}
		chain = append(chain, next, byte(pairs[i+1]), 1, 4, 0, 0, 0, 0) // PadN
	}
	g := slices.Concat(f[:40], chain, f[40:])
	g[6] = byte(pairs[0])
	binary.BigEndian.PutUint16(g[4:], uint16(len(g)-40))
	return g
}

// routed0 is a routing header of type 0 with one more hop, which RFC 5095
// forbids.
func routed0(l *live) []byte {
	f := l.segment(l.expects(), l.next(), header.TCPFlagAck, []byte("evil"))
	hop := l.ours.To.Addr().As16()
	g := slices.Concat(f[:40], []byte{6, 2, 0, 1, 0, 0, 0, 0}, hop[:], f[40:])
	g[6] = 43
	binary.BigEndian.PutUint16(g[4:], uint16(len(g)-40))
	return g
}

// fragments cuts the payload of a datagram into parts that may overlap.
func fragments(l *live, f []byte, parts ...[2]int) (list [][]byte) {
	at := 20
	if l.family == 6 {
		at = 40
	}
	for i, p := range parts {
		list = append(list, fragment(l, f[at:][p[0]:min(p[1], len(f)-at)], p[0], i < len(parts)-1))
	}
	return list
}

// fragment is a fragment of the peer's, of a TCP segment.
func fragment(l *live, payload []byte, offset int, more bool) []byte {
	from, to := l.ours.To.Addr(), l.ours.From.Addr()
	word := uint16(offset / 8)
	if l.family == 4 {
		f := linktest.IP(from, to, header.TCPProtocolNumber, payload)
		if more {
			word |= 0x2000
		}
		binary.BigEndian.PutUint16(f[4:], 77)
		binary.BigEndian.PutUint16(f[6:], word)
		return sum4(f)
	}
	h := make([]byte, 8, 8+len(payload))
	h[0], h[7] = 6, 77
	word <<= 3
	if more {
		word |= 1
	}
	binary.BigEndian.PutUint16(h[2:], word)
	return linktest.IP(from, to, 44, append(h, payload...))
}

// TestForgedByChance throws datagrams at a stack with a live connection, whole
// ones with some bytes changed, cut or added: the connection stands, a new one
// can be made, and every packet is back in the end. (A fuzz worker has goroutines
// of its own, which driven time cannot wait for; the fuzz targets of ip and of
// the TUN driver feed the same gate.)
func TestForgedByChance(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	for _, family := range families {
		t.Run(fmt.Sprintf("IPv%d", family), func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(family), 5961))
			l := newLive(t, family)
			for n := range rounds {
				l.look()
				seeds := [][]byte{
					l.segment(l.expects(), l.next(), header.TCPFlagAck, []byte("data")), l.segment(l.expects()+99, 0, header.TCPFlagRst, nil),
					l.segment(random.Uint32(), random.Uint32(), header.TCPFlags(random.Uint32()), make([]byte, random.IntN(100))),
					fragment(l, make([]byte, 64), 0, true), fragment(l, make([]byte, 64), 64, n%2 == 0),
					icmpError(l.ours.To.Addr(), l.ours.From.Addr(), l.sent[len(l.sent)-1].Data, random.IntN(1500)),
					linktest.IP(l.ours.To.Addr(), l.ours.From.Addr(), 17, []byte{0, 1, 0, 2, 0, 9, 0, 0, 0}),
				}
				f := seeds[random.IntN(len(seeds))]
				changed := false
				for range 1 + random.IntN(4) {
					switch random.IntN(4) {
					case 0:
						f = f[:1+random.IntN(len(f))]
					case 1:
						f = append(f, make([]byte, random.IntN(40))...)
					default:
						f[random.IntN(len(f))] ^= 1 << random.IntN(8)
					}
					changed = true
				}
				if d, ok := link.Dissect(f, len(f)); !changed || ok && d.Transport == header.TCPProtocolNumber && d.Sequence-l.expects() < 1<<16 && sound(f, d) {
					continue // somebody who knows the numbers
				}
				answers := l.inject(f)
				if info, _ := tcp.SocketInfoGet(&l.scene.ours.socket("c").Socket); info.State != tcp.Established {
					d, ok := link.Dissect(f, len(f))
					t.Fatalf("round %d: %x makes it %v; %+v %v, answers %v, expects %d", n, f, info.State, d, ok, answers, l.expects())
				}
				if n%50 == 49 {
					l.do("stack state -> ESTABLISHED")
					l.do("stack send mss+1 | peer receive mss+1")
					l.do("peer send mss+1 | stack receive mss+1")
				}
			}
			l.works(true)
		})
	}
}

// TestForgedByOneWhoKnows throws segments at a connection whose sequence numbers
// are known to who forges them, among those of the peer, while both programs go on.
// The connection may end in any way. But whatever waits returns, a new one can be
// made, and every packet is back in the end.
func TestForgedByOneWhoKnows(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 4
	}
	for _, family := range families {
		t.Run(fmt.Sprintf("IPv%d", family), func(t *testing.T) {
			ends := map[tcp.State]int{}
			for seed := range seeds {
				random := rand.New(rand.NewPCG(uint64(seed), uint64(family)))
				l := newLive(t, family)
				s := &l.scene.ours.socket("c").Socket
				for range 10 + random.IntN(50) {
					l.look()
					switch random.IntN(6) {
					case 0:
						l.try(random, "stack send 1", "stack send 3000", "stack receive 1", "stack disconnect")
					case 1:
						l.try(random, "peer send 1", "peer send 5000", "peer receive 1", "peer disconnect")
					default:
						l.inject(l.known(random))
					}
				}
				info, err := tcp.SocketInfoGet(s)
				require.NoError(t, err)
				ends[info.State]++
				l.works(false)
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
			t.Log(ends)
		})
	}
}

// try does one of some steps, which may end as it likes, but ends.
func (l *live) try(random *rand.Rand, lines ...string) {
	l.t.Helper()
	line := lines[random.IntN(len(lines))] + " wait=1s"
	list, err := Parse("live", "scenario live\nshows x\n"+line+"\n")
	require.NoError(l.t, err)
	require.True(l.t, l.step(&list[0].Steps[0]), line)
	l.trace.Failures = nil
}

// known forges a segment close to what the connection expects.
func (l *live) known(random *rand.Rand) []byte {
	const syn, rst, fin, ack = header.TCPFlagSyn, header.TCPFlagRst, header.TCPFlagFin, header.TCPFlagAck
	pick := func(list ...int) int { return list[random.IntN(len(list))] }
	seq := l.expects() + uint32(pick(0, 0, 0, -1, 1, 500, -1000, random.IntN(1<<17)-1<<16))
	acked := l.next() + uint32(pick(0, 0, 0, -1, 1, -1000, random.IntN(1<<17)-1<<16))
	flags := header.TCPFlags(pick(int(ack), int(ack), int(ack), int(ack|header.TCPFlagPsh), int(fin|ack), int(fin), int(ack|header.TCPFlagUrg)))
	if random.IntN(60) == 0 {
		flags = header.TCPFlags(pick(int(rst), int(rst|ack), int(syn), int(syn|ack), random.IntN(256)))
	}
	f := l.segment(seq, acked, flags, make([]byte, pick(0, 0, 1, 100, 1400)))
	h := header.TCP(f[l.ours.At:]) // without options or extension headers, as ours
	before := h.WindowSize()
	h.SetWindowSize(uint16(pick(0, 1, 100, 5000, int(before))))
	h.SetChecksum(^checksum.Combine(checksum.Combine(^h.Checksum(), ^before), h.WindowSize()))
	return f
}

// sound tells that the checksum of a segment is right.
func sound(f []byte, d link.Datagram) bool {
	from, to := tcpip.AddrFromSlice(d.From.Addr().AsSlice()), tcpip.AddrFromSlice(d.To.Addr().AsSlice())
	segment := f[d.At : d.Payload+d.Length]
	return checksum.Checksum(segment, header.PseudoHeaderChecksum(header.TCPProtocolNumber, from, to, uint16(len(segment)))) == 0xFFFF
}
