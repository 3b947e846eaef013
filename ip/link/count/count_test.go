package count_test

import (
	"net/netip"
	"testing"

	"gonetx/ip/link"
	"gonetx/ip/link/count"
	"gonetx/ip/link/linktest"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

var (
	here  = netip.MustParsePrefix("192.0.2.1/24")
	there = netip.MustParsePrefix("192.0.2.2/24")
	port  = netip.MustParseAddrPort("192.0.2.2:7")
)

func TestCountsBothDirections(t *testing.T) {
	n := ram.NewNetwork(ram.Config{})
	left, right := count.Wrap(n.Driver()), count.Wrap(n.Driver())
	client := linktest.NewHost(t, left, link.Attachment{}, here)
	server := linktest.NewHost(t, right, link.Attachment{}, there)
	l := server.Listen(t, port)
	const size = 100_000
	linktest.Transfer(t, client.Dial(t, port), l.Accept, size)
	client.Endpoint.Stop()
	server.Endpoint.Stop()

	c, info := left.Counters(), client.Endpoint.Info()
	assert.Equal(t, []string{"count"}, info.Wrappers)
	assert.Equal(t, "ram", info.Kind)
	assert.Equal(t, info.OutFrames, c.Out.Frames)
	assert.Equal(t, info.InFrames, c.In.Frames)
	assert.EqualValues(t, 1, c.Out.SYN)
	assert.EqualValues(t, 1, c.In.SYN)
	assert.GreaterOrEqual(t, c.Out.DataBytes, uint64(size))
	assert.GreaterOrEqual(t, c.In.DataBytes, uint64(size))
	assert.Equal(t, c.Out.Frames, c.Out.IPv4+c.Out.IPv6)
	assert.Equal(t, c.Out.Frames, c.Out.Segments, "no super-segments here")
	assert.Equal(t, right.Counters().In.DataBytes, c.Out.DataBytes)
}

func TestCountsByKind(t *testing.T) {
	n := ram.NewNetwork(ram.Config{Manual: true})
	counted := count.Wrap(n.Driver())
	e, err := counted.Open(link.Attachment{})
	assert.NoError(t, err)
	defer e.Release()
	e.Attach(new(linktest.Listener))
	from6, to6 := netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[2001:db8::2]:2")
	for _, frame := range [][]byte{
		linktest.TCP(port, port, 1, 1, header.TCPFlagRst|header.TCPFlagAck, nil),
		linktest.TCP(from6, to6, 1, 1, header.TCPFlagFin|header.TCPFlagAck, []byte("bye")),
		linktest.UDP(from6, to6, []byte("datagram")),
		linktest.IP(from6.Addr(), to6.Addr(), header.ICMPv6ProtocolNumber, make([]byte, 8)),
		linktest.IP(from6.Addr(), to6.Addr(), 99, make([]byte, 8)),
		linktest.IP(from6.Addr(), to6.Addr(), header.TCPProtocolNumber, make([]byte, 8)), // no whole header
	} {
		n.Inject(frame)
		n.Step()
	}
	in := counted.Counters().In
	assert.EqualValues(t, 6, in.Frames)
	in.Bytes = 0
	assert.Equal(t, count.Direction{
		Frames: 6, Segments: 6, IPv4: 1, IPv6: 4, TCP: 2, UDP: 1, ICMP: 1, Other: 2,
		Data: 1, DataBytes: 3, FIN: 1, RST: 1,
	}, in)
}

// A super-segment passes as one, and counts as what it is cut into.
func TestSuperSegment(t *testing.T) {
	below := &linktest.Device{GSO: stack.HostGSOSupported}
	counted := count.Wrap(below)
	e, err := counted.Open(link.Attachment{})
	assert.NoError(t, err)
	gso := e.(stack.GSOEndpoint)
	assert.Equal(t, stack.HostGSOSupported, gso.SupportedGSO())
	assert.EqualValues(t, 65535, gso.GSOMaxSize())

	pkt := linktest.Packet(linktest.TCP(port, port, 1, 1, header.TCPFlagAck, make([]byte, 3001)))
	defer pkt.DecRef()
	pkt.GSOOptions = stack.GSO{Type: stack.GSOTCPv4, MSS: 1000}
	linktest.WritePacket(e, pkt)
	assert.Equal(t, []*stack.PacketBuffer{pkt}, below.SentPackets(), "the very packet")
	assert.EqualValues(t, 1, counted.Counters().Out.Frames)
	assert.EqualValues(t, 4, counted.Counters().Out.Segments)
}
