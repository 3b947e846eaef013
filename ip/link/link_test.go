package link_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"

	"gonetx/ip/link"
	"gonetx/ip/link/linktest"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

var (
	here4  = netip.MustParseAddrPort("192.0.2.1:1000")
	there4 = netip.MustParseAddrPort("192.0.2.2:25")
	here6  = netip.MustParseAddrPort("[2001:db8::1]:1000")
	there6 = netip.MustParseAddrPort("[2001:db8::2]:25")
)

// Dissect reads whole headers only, from the begin of a frame.
func TestDissectRefuses(t *testing.T) {
	v4 := linktest.UDP(here4, there4, []byte("data"))
	v6 := linktest.UDP(here6, there6, []byte("data"))
	for _, c := range []struct {
		name  string
		frame []byte
		ok    bool
	}{
		{"nothing", nil, false},
		{"version 0", make([]byte, 40), false},
		{"version 5", append([]byte{0x55}, v4[1:]...), false},
		{"IPv4", v4, true},
		{"IPv4 with padding", append(v4[:len(v4):len(v4)], 0, 0), true},
		{"IPv4 cut in the header", v4[:19], false},
		{"IPv4 cut in the data", v4[:len(v4)-1], false},
		{"IPv4 header of 4 words", append([]byte{0x44}, v4[1:]...), false},
		{"IPv4 header longer than the datagram", append([]byte{0x4F}, v4[1:]...), false},
		{"IPv6", v6, true},
		{"IPv6 cut in the header", v6[:39], false},
		{"IPv6 cut in the data", v6[:len(v6)-1], false},
		{"IPv6 extension header behind the end", linktest.IP(here6.Addr(), there6.Addr(), 0, []byte{59, 9, 0, 0, 0, 0, 0, 0}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ok := link.Dissect(c.frame, len(c.frame))
			assert.Equal(t, c.ok, ok)
		})
	}
	assert.Equal(t, header.IPv4ProtocolNumber, link.Protocol(0x45))
	assert.Equal(t, header.IPv6ProtocolNumber, link.Protocol(0x60))
	assert.Zero(t, link.Protocol(0x50))
}

func TestDissect(t *testing.T) {
	for name, side := range map[string][2]netip.AddrPort{"IPv4": {here4, there4}, "IPv6": {here6, there6}} {
		t.Run(name, func(t *testing.T) {
			frame := linktest.TCP(side[0], side[1], 77, 5, header.TCPFlagPsh|header.TCPFlagAck, []byte("hello"))
			d, ok := link.Dissect(frame, len(frame))
			require.True(t, ok)
			assert.Equal(t, side[0], d.From)
			assert.Equal(t, side[1], d.To)
			assert.Equal(t, header.TCPProtocolNumber, d.Transport)
			assert.Equal(t, header.TCPFlagPsh|header.TCPFlagAck, d.Flags)
			assert.EqualValues(t, 77, d.Sequence)
			assert.Equal(t, 5, d.Length)
			assert.Equal(t, "hello", string(frame[d.Payload:]))
			assert.False(t, d.Fragment)

			d, ok = link.Dissect(frame[:d.Payload], len(frame))
			require.True(t, ok)
			assert.Equal(t, 5, d.Length, "the data need not be at hand")

			frame = linktest.UDP(side[0], side[1], []byte("hi"))
			d, ok = link.Dissect(frame, len(frame))
			require.True(t, ok)
			assert.Equal(t, header.UDPProtocolNumber, d.Transport)
			assert.Equal(t, 2, d.Length)

			short := linktest.IP(side[0].Addr(), side[1].Addr(), header.TCPProtocolNumber, make([]byte, 19))
			_, ok = link.Dissect(short, len(short))
			assert.False(t, ok, "no whole TCP header")
			long := linktest.TCP(side[0], side[1], 1, 1, header.TCPFlagAck, nil)
			long[len(long)-header.TCPMinimumSize+12] = 0xF0 // 60 bytes of header in 20
			_, ok = link.Dissect(long, len(long))
			assert.False(t, ok, "TCP header longer than the datagram")
		})
	}
}

func TestDissectFragments(t *testing.T) {
	first := linktest.UDP(here4, there4, make([]byte, 24))
	header.IPv4(first).SetFlagsFragmentOffset(header.IPv4FlagMoreFragments, 0)
	d, ok := link.Dissect(first, len(first))
	require.True(t, ok)
	assert.True(t, d.Fragment)
	assert.Equal(t, there4, d.To)

	later := linktest.UDP(here4, there4, make([]byte, 24))
	header.IPv4(later).SetFlagsFragmentOffset(0, 1480)
	d, ok = link.Dissect(later, len(later))
	require.True(t, ok)
	assert.True(t, d.Fragment)
	assert.Zero(t, d.To.Port(), "only the first part has ports")

	udp := linktest.UDP(here6, there6, make([]byte, 24))[header.IPv6MinimumSize:]
	fragment := append([]byte{byte(header.UDPProtocolNumber), 0, 0, 1, 0, 0, 0, 9}, udp...)
	hop := append([]byte{byte(header.IPv6FragmentExtHdrIdentifier), 0, 1, 4, 0, 0, 0, 0}, fragment...)
	frame := linktest.IP(here6.Addr(), there6.Addr(), 0, hop)
	d, ok = link.Dissect(frame, len(frame))
	require.True(t, ok)
	assert.True(t, d.Fragment)
	assert.Equal(t, header.UDPProtocolNumber, d.Transport, "behind hop-by-hop options and fragment header")
	assert.Equal(t, there6, d.To)
	assert.Equal(t, 24, d.Length)
	_, ok = link.Dissect(frame[:44], len(frame))
	assert.False(t, ok)
}

func TestHeaderBytes(t *testing.T) {
	fragment := linktest.UDP(here4, there4, make([]byte, 24))
	header.IPv4(fragment).SetFlagsFragmentOffset(0, 1480)
	for _, c := range []struct {
		name  string
		frame []byte
		want  int
	}{
		{"TCP over IPv4", linktest.TCP(here4, there4, 1, 1, header.TCPFlagAck, []byte("data")), 40},
		{"a connection request", linktest.TCP(here4, there4, 1, 1, header.TCPFlagSyn, nil), 0},
		{"its answer", linktest.TCP(here6, there6, 1, 1, header.TCPFlagSyn|header.TCPFlagAck, nil), 60},
		{"TCP over IPv6", linktest.TCP(here6, there6, 1, 1, header.TCPFlagAck, nil), 60},
		{"UDP over IPv4", linktest.UDP(here4, there4, []byte("data")), 28},
		{"UDP over IPv6", linktest.UDP(here6, there6, []byte("data")), 48},
		{"ICMP", linktest.IP(here4.Addr(), there4.Addr(), header.ICMPv4ProtocolNumber, make([]byte, 30)), 28},
		{"another protocol", linktest.IP(here6.Addr(), there6.Addr(), 99, make([]byte, 30)), 40},
		{"a later fragment", fragment, 20},
		{"a fragment of IPv6", linktest.IP(here6.Addr(), there6.Addr(), 44, append([]byte{17, 0, 0, 1, 0, 0, 0, 9}, make([]byte, 20)...)), 56},
		{"TCP cut", linktest.IP(here4.Addr(), there4.Addr(), header.TCPProtocolNumber, append(make([]byte, 12), 0x50)), 0},
		{"nothing", nil, 0},
		{"not IP", make([]byte, 60), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, link.HeaderBytes([][]byte{c.frame}, len(c.frame)))
			var pieces [][]byte
			for at := 0; at < len(c.frame); at += 7 { // packets of 7 bytes
				pieces = append(pieces, c.frame[at:min(at+7, len(c.frame))])
			}
			assert.Equal(t, c.want, link.HeaderBytes(pieces, len(c.frame)))
		})
	}
}

// Whatever comes, dissecting reads no byte beyond the frame.
func FuzzDissect(f *testing.F) {
	f.Add(linktest.TCP(here4, there4, 1, 2, header.TCPFlagSyn, []byte("data")))
	f.Add(linktest.UDP(here6, there6, []byte("data")))
	f.Add(linktest.IP(here6.Addr(), there6.Addr(), 0, []byte{44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 9, 0, 1, 0, 2, 0, 8, 0, 0}))
	f.Fuzz(func(t *testing.T, frame []byte) {
		frame = frame[:len(frame):len(frame)]
		d, ok := link.Dissect(frame, len(frame))
		headers := link.HeaderBytes([][]byte{frame}, len(frame))
		assert.LessOrEqual(t, headers, len(frame))
		if !ok {
			return
		}
		assert.LessOrEqual(t, d.Payload+d.Length, len(frame))
		assert.GreaterOrEqual(t, d.Length, 0)
		assert.True(t, d.From.Addr().Is4() == (d.Version == 4))
	})
}

// What a packet holds is read behind the reserve for headers, whatever pieces
// it lies in.
func TestBytesOfAPacket(t *testing.T) {
	pieces := buffer.MakeWithData([]byte("ab"))
	require.NoError(t, pieces.Append(buffer.NewViewWithData([]byte("cdef"))))
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 10, Payload: pieces})
	defer pkt.DecRef()
	copy(pkt.TransportHeader().Push(3), "123")
	assert.Equal(t, "123abcdef", string(link.Bytes(pkt)))
	assert.Equal(t, "123abcdef", string(link.Head(pkt)))
	var buf [5]byte
	assert.Equal(t, "123ab", string(link.Peek(pkt, buf[:])))
}

// wire is a pair of ends in memory, for link.Frames.
type wire struct{ to, from chan []byte }

func newWire() (wire, wire) {
	a, b := make(chan []byte, 100), make(chan []byte, 100)
	return wire{a, b}, wire{b, a}
}

func (w wire) read(ctx context.Context, frame []byte) (int, error) {
	select {
	case b := <-w.from:
		if b == nil {
			return 0, io.EOF
		}
		return copy(frame, b), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

var errFull = errors.New("the wire is full")

func (w wire) write(frame []byte) error {
	select {
	case w.to <- append([]byte{}, frame...):
		return nil
	default:
		return errFull
	}
}

func TestFramesCarryAConnection(t *testing.T) {
	a, b := newWire()
	client := linktest.NewHost(t, link.Frames(a.read, a.write, link.FramesConfig{Name: "a"}), link.Attachment{}, netip.MustParsePrefix("192.0.2.1/24"))
	server := linktest.NewHost(t, link.Frames(b.read, b.write, link.FramesConfig{}), link.Attachment{}, netip.MustParsePrefix("192.0.2.2/24"))
	l := server.Listen(t, there4)
	linktest.Transfer(t, client.Dial(t, there4), l.Accept, 200_000)
	info := client.Endpoint.Info()
	assert.Equal(t, "a", info.Device)
	assert.Equal(t, "frames", info.Kind)
	assert.True(t, info.Up)
	assert.False(t, info.Offload)
	assert.NotZero(t, info.InFrames)
	assert.Equal(t, "frames", server.Endpoint.Info().Device)
}

func TestFramesEnds(t *testing.T) {
	_, err := link.Frames(nil, nil, link.FramesConfig{}).Open(link.Attachment{})
	assert.Error(t, err)

	a, b := newWire()
	closed := 0
	changes := make(chan error, 1)
	d := link.Frames(a.read, a.write, link.FramesConfig{MTU: 1280, Close: func() error { closed++; return io.ErrClosedPipe }})
	e, err := d.Open(link.Attachment{LinkChange: func(up bool, why error) {
		assert.False(t, up)
		changes <- why
	}})
	require.NoError(t, err)
	_, err = d.Open(link.Attachment{})
	assert.ErrorIs(t, err, link.ErrInUse)
	e.Attach(new(linktest.Listener))
	b.to <- []byte{} // malformed
	b.to <- nil      // the end
	assert.ErrorIs(t, <-changes, io.EOF)
	assert.Equal(t, "EOF", e.Info().Why)
	assert.EqualValues(t, 1, e.Info().Drops[link.DropEmpty])

	send := func(size int) { linktest.Write(e, make([]byte, size)) }
	send(1281)
	for range cap(a.to) + 2 {
		send(1280)
	}
	e.Stop()
	assert.ErrorIs(t, e.Release(), io.ErrClosedPipe)
	assert.NoError(t, e.Release())
	assert.Equal(t, 1, closed)
	send(10)
	info := e.Info()
	assert.False(t, info.Up)
	assert.Equal(t, map[string]uint64{
		link.DropEmpty: 1, link.DropTooLong: 1, errFull.Error(): 2, link.DropReleased: 1,
	}, info.Drops)
	assert.EqualValues(t, 4, info.OutDrops)
	assert.EqualValues(t, cap(a.to), info.OutFrames)

	e, err = d.Open(link.Attachment{})
	require.NoError(t, err, "a driver can be opened again")
	e.Stop() // without a stack
	_ = e.Release()
}
