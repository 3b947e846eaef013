package tun

import (
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/linktest"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// cable is the far end of a driver whose device is one end of a socket pair: a
// read takes one frame, as of a device, and a test decides what is in it.
type cable struct {
	driver *Driver
	device *device
	fd     int
}

func newCable(t testing.TB, vnet bool) *cable {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	c := &cable{driver: New(Config{}), fd: pair[1]}
	c.device = &device{file: os.NewFile(uintptr(pair[0]), "cable"), name: "cable", mtu: 1500, vnet: vnet}
	if vnet {
		c.device.tso = superSegment
	}
	t.Cleanup(func() { _ = unix.Close(c.fd) })
	return c
}

// Open implements link.Driver.
func (c *cable) Open(a link.Attachment) (link.Endpoint, error) {
	return newEndpoint(c.driver, c.device, a)
}

// send puts a frame on the cable, as it is, vnet header included.
func (c *cable) send(t testing.TB, frame []byte) {
	t.Helper()
	require.NoError(t, unix.Send(c.fd, frame, 0))
}

// receive takes a frame off the cable.
func (c *cable) receive(t testing.TB) []byte {
	t.Helper()
	buf := make([]byte, 1<<17)
	for limit := time.Now().Add(10 * time.Second); ; {
		n, err := unix.Read(c.fd, buf)
		if err == nil {
			return buf[:n]
		}
		require.ErrorIs(t, err, unix.EAGAIN)
		require.False(t, time.Now().After(limit), "nothing comes")
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, 100)
	}
}

// super makes a frame with a vnet header.
func super(flags, kind byte, size uint16, frame []byte) []byte {
	h := make([]byte, vnetBytes, vnetBytes+len(frame))
	h[0], h[1] = flags, kind
	binary.NativeEndian.PutUint16(h[4:], size)
	return append(h, frame...)
}

var (
	peer4 = netip.MustParseAddrPort("192.0.2.1:1000")
	own4  = netip.MustParseAddrPort("192.0.2.2:25")
	peer6 = netip.MustParseAddrPort("[2001:db8::1]:1000")
	own6  = netip.MustParseAddrPort("[2001:db8::2]:25")
)

// What the driver cannot read is dropped with its reason; the packets serve the
// next frame.
func TestBadFrames(t *testing.T) {
	good := linktest.TCP(peer4, own4, 1, 0, header.TCPFlagSyn, nil)
	good6 := linktest.TCP(peer6, own6, 1, 0, header.TCPFlagSyn, nil)
	for _, c := range []struct {
		name   string
		frame  []byte
		reason string
	}{
		{"half a vnet header", make([]byte, 5), DropVNetShort},
		{"vnet header alone", make([]byte, vnetBytes), link.DropEmpty},
		{"unknown kind", super(1, 77, 1000, good), DropVNetType},
		{"UDP kind", super(1, 3, 1000, good), DropVNetType},
		{"IPv6 kind, IPv4 frame", super(1, vnetGSOTCPv6, 1000, good), DropVNetType},
		{"IPv4 kind, IPv6 frame", super(1, vnetGSOTCPv4, 1000, good6), DropVNetType},
		{"IPv4 kind, neither", super(1, vnetGSOTCPv4, 1000, []byte{0}), DropVNetType},
		{"segments of no size", super(1, vnetGSOTCPv4, 0, good), DropVNetSize},
		{"longer than a super-segment", super(0, 0, 0, slices.Concat(good, make([]byte, 1<<16))), link.DropTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			cable := newCable(t, true)
			pool := nxtest.NewPool(t, 256, 600)
			events := &nxtest.Recorder{}
			e, err := cable.Open(link.Attachment{Pool: pool, Recorder: events})
			require.NoError(t, err)
			stack := &linktest.Listener{}
			e.Attach(stack)
			cable.send(t, c.frame)
			drop := nxtest.Await(t, events, func(nx.DropEvent) bool { return true })
			assert.Equal(t, c.reason, drop.Reason)
			assert.Equal(t, nx.Received, drop.Direction)
			cable.send(t, super(0, 0, 0, good))
			require.Eventually(t, func() bool { return e.Info().InFrames == 2 }, 5*time.Second, time.Millisecond)
			e.Stop()
			assert.Equal(t, [][]byte{good}, stack.Seen(), "the next frame is whole")
			assert.Equal(t, map[string]uint64{c.reason: 1}, e.Info().Drops)
			require.NoError(t, e.Release())
		})
	}
}

// The stack trusts the checksums of a frame that the kernel vouches for, and of
// no other. It rests on nic.DeliverNetworkPacket asking for the capability once
// a frame.
func TestChecksumsAreTrustedByFrame(t *testing.T) {
	for name, side := range map[string][2]netip.AddrPort{"IPv4": {peer4, own4}, "IPv6": {peer6, own6}} {
		t.Run(name, func(t *testing.T) {
			cable := newCable(t, true)
			bits := netip.PrefixFrom(side[1].Addr(), side[1].Addr().BitLen())
			h := linktest.NewHost(t, cable, link.Attachment{}, bits)
			send := func(flags byte, n uint32) {
				bad := linktest.TCP(side[0], side[1], n, 0, header.TCPFlagSyn, nil)
				bad[len(bad)-4] ^= 0xFF // the checksum
				cable.send(t, super(flags, 0, 0, bad))
			}
			for i, flags := range []byte{0, vnetNeedsChecksum, 0, vnetDataValid, 0} {
				send(flags, uint32(i))
				require.Eventually(t, func() bool { return h.Endpoint.Info().InFrames == uint64(i+1) }, 5*time.Second, time.Millisecond)
			}
			h.Endpoint.Stop()
			assert.EqualValues(t, 2, h.Stack.Stats().TCP.ResetsSent.Value(), "only these are answered")
		})
	}
}

// A super-segment tells the stack above of what size its segments are.
func TestInboundSuperSegment(t *testing.T) {
	cable := newCable(t, true)
	e, err := cable.Open(link.Attachment{Pool: nxtest.NewPool(t, 256, 600)})
	require.NoError(t, err)
	seen := make(chan stack.GSO, 2)
	e.Attach(&examiner{func(pkt *stack.PacketBuffer) { seen <- pkt.GSOOptions }})
	frame := linktest.TCP(peer6, own6, 1, 1, header.TCPFlagAck, make([]byte, 5000))
	cable.send(t, super(vnetNeedsChecksum, vnetGSOTCPv6|vnetGSOECN, 1440, frame))
	cable.send(t, super(0, 0, 0, frame))
	gso := <-seen
	assert.Equal(t, stack.GSOTCPv6, gso.Type)
	assert.EqualValues(t, 1440, gso.MSS)
	assert.Equal(t, stack.GSONone, (<-seen).Type)
	require.NoError(t, e.Release())
}

type examiner struct{ examine func(*stack.PacketBuffer) }

func (x *examiner) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	x.examine(pkt)
}
func (*examiner) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// The vnet headers of what the stack sends, field by field.
func TestOutboundHeaders(t *testing.T) {
	cable := newCable(t, true)
	e, err := cable.Open(link.Attachment{})
	require.NoError(t, err)
	defer e.Release()
	frame := linktest.TCP(own4, peer4, 1, 1, header.TCPFlagAck, make([]byte, 3000))
	send := func(gso stack.GSO) []byte {
		pkt := linktest.Packet(frame)
		defer pkt.DecRef()
		_, ok := pkt.NetworkHeader().Consume(header.IPv4MinimumSize)
		require.True(t, ok)
		_, ok = pkt.TransportHeader().Consume(header.TCPMinimumSize)
		require.True(t, ok)
		pkt.GSOOptions = gso
		linktest.WritePacket(e, pkt)
		got := cable.receive(t)
		assert.Equal(t, frame, got[vnetBytes:])
		return got[:vnetBytes]
	}
	offload := stack.GSO{Type: stack.GSOTCPv4, NeedsCsum: true, CsumOffset: 16, L3HdrLen: 20, MSS: 1460}
	header := func(flags, kind byte, fields ...uint16) []byte {
		h := []byte{flags, kind}
		for _, f := range fields {
			h = binary.NativeEndian.AppendUint16(h, f)
		}
		return h
	}
	assert.Equal(t, make([]byte, vnetBytes), send(stack.GSO{}), "SYN and RST bring their checksum")
	assert.Equal(t, header(1, vnetGSOTCPv4, 40, 1460, 20, 16), send(offload))
	offload.Type = stack.GSOTCPv6
	assert.Equal(t, header(1, vnetGSOTCPv6, 40, 1460, 20, 16), send(offload))
	offload.MSS = 3000
	assert.Equal(t, header(1, vnetGSONone, 40, 0, 20, 16), send(offload), "one segment")
}

// A link without offload cannot carry a super-segment, whoever made it.
func TestSuperSegmentWithoutOffload(t *testing.T) {
	cable := newCable(t, false)
	e, err := cable.Open(link.Attachment{})
	require.NoError(t, err)
	pkt := linktest.Packet(linktest.TCP(own4, peer4, 1, 1, header.TCPFlagAck, make([]byte, 3000)))
	defer pkt.DecRef()
	pkt.GSOOptions.Type = stack.GSOTCPv4
	linktest.WritePacket(e, pkt)
	linktest.Write(e, make([]byte, 1<<20)) // the socket refuses it: EMSGSIZE
	require.NoError(t, e.Release())
	linktest.Write(e, []byte("late"))
	info := e.Info()
	assert.Equal(t, map[string]uint64{DropSuper: 1, DropDeviceError + "message too long": 1, link.DropReleased: 1}, info.Drops)
	assert.EqualValues(t, 3, info.OutDrops)
}

// Whatever comes from the device, the stack answers the next SYN.
func FuzzWire(f *testing.F) {
	syn := linktest.TCP(peer4, own4, 1, 0, header.TCPFlagSyn, []byte("data"))
	for _, frame := range [][]byte{
		syn, syn[:30], syn[:20], syn[:1], linktest.TCP(peer6, own6, 1, 0, header.TCPFlagRst, nil), linktest.UDP(peer6, own6, []byte("x")),
		linktest.IP(peer4.Addr(), own4.Addr(), header.ICMPv4ProtocolNumber, []byte{8, 0, 0, 0, 0, 0, 0, 0}),
		linktest.IP(peer6.Addr(), own6.Addr(), 0, []byte{44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 9}),
	} {
		f.Add(super(0, 0, 0, frame), true)
		f.Add(super(1, vnetGSOTCPv4, 536, frame), true)
		f.Add(super(3, vnetGSOTCPv6, 65535, frame), true)
		f.Add(frame, false)
	}
	hosts := map[bool]*cable{true: newCable(f, true), false: newCable(f, false)}
	for _, c := range hosts {
		linktest.NewHost(f, c, link.Attachment{}, netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("2001:db8::2/64"))
	}
	probe := uint32(1000)
	f.Fuzz(func(t *testing.T, frame []byte, vnet bool) {
		if len(frame) == 0 || len(frame) > 1<<16 {
			return // no device gives that
		}
		c := hosts[vnet]
		c.send(t, frame)
		probe++
		question := linktest.TCP(netip.AddrPortFrom(peer4.Addr(), 9), own4, probe, 0, header.TCPFlagSyn, nil)
		if vnet {
			question = super(0, 0, 0, question)
		}
		c.send(t, question)
		for {
			answer := c.receive(t)
			if vnet {
				answer = answer[vnetBytes:]
			}
			d, ok := link.Dissect(answer, len(answer))
			require.True(t, ok, "what the stack sends is whole")
			if d.Flags.Contains(header.TCPFlagRst) && header.TCP(answer[d.At:]).AckNumber() == probe+1 {
				return
			}
		}
	})
}
