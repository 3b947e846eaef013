package kernel

import (
	"bytes"
	"net"
	"os"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// pinger sends echo requests out of the kernel.
type pinger struct {
	*icmp.PacketConn
	f        family
	sequence int
}

func newPinger(t *testing.T, f family) *pinger {
	t.Helper()
	network := "ip4:icmp"
	if f.kernel.Is6() {
		network = "ip6:ipv6-icmp"
	}
	c, err := icmp.ListenPacket(network, f.kernel.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return &pinger{PacketConn: c, f: f}
}

// ping answers the time to live of the reply; os.ErrDeadlineExceeded when none
// comes.
func (p *pinger) ping(t *testing.T, size int, patience time.Duration) (hops int, err error) {
	t.Helper()
	p.sequence++
	kind, reply, protocol := icmp.Type(ipv4.ICMPTypeEcho), icmp.Type(ipv4.ICMPTypeEchoReply), 1
	if p.f.kernel.Is6() {
		kind, reply, protocol = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, 58
		require.NoError(t, p.IPv6PacketConn().SetControlMessage(ipv6.FlagHopLimit, true))
	} else {
		require.NoError(t, p.IPv4PacketConn().SetControlMessage(ipv4.FlagTTL, true))
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i)
	}
	request, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{ID: 77, Seq: p.sequence, Data: data}}).Marshal(nil)
	require.NoError(t, err)
	_, err = p.WriteTo(request, &net.IPAddr{IP: p.f.stack.AsSlice()})
	require.NoError(t, err)
	require.NoError(t, p.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 65536)
	for {
		var n int
		if p.f.kernel.Is6() {
			var m *ipv6.ControlMessage
			if n, m, _, err = p.IPv6PacketConn().ReadFrom(b); err == nil && m != nil {
				hops = m.HopLimit
			}
		} else {
			var m *ipv4.ControlMessage
			if n, m, _, err = p.IPv4PacketConn().ReadFrom(b); err == nil && m != nil {
				hops = m.TTL
			}
		}
		if err != nil {
			return 0, err
		}
		came, err := icmp.ParseMessage(protocol, b[:n])
		require.NoError(t, err)
		echo, ok := came.Body.(*icmp.Echo)
		if came.Type == reply && ok && echo.ID == 77 && echo.Seq == p.sequence {
			require.True(t, bytes.Equal(data, echo.Data), "the data that came back")
			return hops, nil
		}
	}
}

// The kernel's echo requests are answered when ICMP is enabled, and not before;
// and those that come in fragments when fragmentation is.
func TestEchoOnlyWhenEnabled(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		w := newWorld(t, nil)
		p := newPinger(t, f)
		const little = 100 * time.Millisecond
		_, err := p.ping(t, 56, little)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, ip.ICMPEnable(&w.inst))
		for _, size := range []int{0, 1, 56, 1400} {
			hops, err := p.ping(t, size, 5*time.Second)
			require.NoError(t, err)
			assert.Equal(t, map[bool]int{true: 128, false: 255}[f.kernel.Is4()], hops)
		}
		_, err = p.ping(t, 3000, little)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, ip.FragmentEnable(&w.inst))
		for _, size := range []int{1500, 3000, 60_000} {
			_, err := p.ping(t, size, 5*time.Second)
			require.NoError(t, err, "%d bytes", size)
		}
		require.NoError(t, ip.FragmentDisable(&w.inst))
		_, err = p.ping(t, 3000, little)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

// The stack pings the kernel, in fragments too.
func TestPingKernel(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		w := newWorld(t, nil)
		require.NoError(t, ip.ICMPEnable(&w.inst))
		require.NoError(t, ip.FragmentEnable(&w.inst))
		for _, size := range []int{0, 56, 1472, 20_000} {
			packet, err := ip.ICMPPing(&w.inst, f.kernel, make([]byte, size), 500)
			require.NoError(t, err, "%d bytes", size)
			length, err := packetpool.LengthGet(packet)
			require.NoError(t, err)
			assert.EqualValues(t, size, length)
			require.NoError(t, packetpool.Release(packet))
		}
	})
}

// Raw packets, of a protocol that nobody knows, both ways.
func TestRawPackets(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		w := newWorld(t, nil)
		require.NoError(t, ip.RawPacketEnable(&w.inst))
		network := map[bool]string{true: "ip4:200", false: "ip6:200"}[f.kernel.Is4()]
		c, err := net.ListenIP(network, &net.IPAddr{IP: f.kernel.AsSlice()})
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))

		_, err = c.WriteTo([]byte("to the stack"), &net.IPAddr{IP: f.stack.AsSlice()})
		require.NoError(t, err)
		packet, err := ip.RawPacketReceive(&w.inst, 500)
		require.NoError(t, err)
		b := make([]byte, 100)
		n, err := packetpool.DataRetrieve(packet, b)
		require.NoError(t, err)
		assert.Equal(t, "to the stack", string(b[:n]))
		require.NoError(t, packetpool.Release(packet))
		_, err = ip.RawPacketReceive(&w.inst, nx.NoWait)
		requireStatus(t, nx.NoPacket, err)

		packet, err = w.message([]byte("to the kernel"))
		require.NoError(t, err)
		require.NoError(t, ip.RawPacketSend(&w.inst, packet, f.kernel, 200, 9, 0))
		got, from, err := c.ReadFrom(b)
		require.NoError(t, err)
		assert.Equal(t, "to the kernel", string(b[:got]))
		assert.Equal(t, f.stack.String(), from.String())
	})
}
