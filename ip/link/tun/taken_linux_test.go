package tun

import (
	"net"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/linktest"
	"gonetx/ip/link/tun/netns"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A device that stays keeps its offload when its program ends. Who comes next
// without vnet headers would get segments without checksums, and larger than
// the MTU.
func TestOffloadOfTheProgramBefore(t *testing.T) {
	namespaces(t)
	l := persistent(t, "nxo0", netlink.TUNTAP_MODE_TUN, unix.IFF_MULTI_QUEUE)
	// As a program leaves it that was killed.
	before, err := attach("nxo0", l, "")
	require.NoError(t, err)
	require.NoError(t, control(before.file, func(fd int) error {
		return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6)
	}))
	require.NoError(t, before.file.Close())

	h := linktest.NewHost(t, New(Config{Name: "nxo0", Addresses: hosts, Offload: OffloadOff}), link.Attachment{}, stack4)
	in := h.Listen(t, at(stack4, 7))
	c, err := net.DialTimeout("tcp", at(stack4, 7).String(), 5*time.Second)
	require.NoError(t, err)
	linktest.Transfer(t, c, in.Accept, 100_000)
	assert.Empty(t, h.Endpoint.Info().Drops)
}

// Nor does Release leave anything to the next program, whatever that is: it
// gets whole checksums.
func TestReleaseTakesItsOffloadBack(t *testing.T) {
	namespaces(t)
	l := persistent(t, "nxo1", netlink.TUNTAP_MODE_TUN, unix.IFF_MULTI_QUEUE)
	e, err := New(Config{Name: "nxo1", Addresses: hosts}).Open(link.Attachment{})
	require.NoError(t, err)
	require.True(t, e.Info().Offload)
	require.NoError(t, e.Release())

	next, err := attach("nxo1", l, "a program of another kind")
	require.NoError(t, err)
	defer next.file.Close()
	require.NoError(t, awaitCarrier("nxo1"))
	require.NoError(t, next.file.SetReadDeadline(time.Now().Add(5*time.Second)))
	c, err := net.Dial("udp4", at(stack4, 7).String())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write([]byte("for the next program"))
	require.NoError(t, err)
	for frame := make([]byte, 1500); ; {
		n, err := next.file.Read(frame)
		require.NoError(t, err)
		datagram := header.IPv4(frame[:n])
		if datagram.Protocol() != uint8(header.UDPProtocolNumber) || datagram.DestinationAddressSlice()[3] != stack4.Addr().As4()[3] {
			continue // IPv6, multicast: the kernel's own
		}
		message := header.UDP(datagram.Payload())
		assert.True(t, message.IsChecksumValid(datagram.SourceAddress(), datagram.DestinationAddress(), checksum.Checksum(message.Payload(), 0)))
		return
	}
}

// What the kernel sends to a device that was just opened again is not lost.
func TestDeviceHasItsCarrier(t *testing.T) {
	namespaces(t)
	persistent(t, "nxo4", netlink.TUNTAP_MODE_TUN, unix.IFF_MULTI_QUEUE)
	for range 20 {
		require.Eventually(t, func() bool { return operState(t, "nxo4") == netlink.OperDown }, 5*time.Second, time.Millisecond)
		e, err := New(Config{Name: "nxo4", Addresses: hosts}).Open(link.Attachment{})
		require.NoError(t, err)
		assert.EqualValues(t, netlink.OperUp, operState(t, "nxo4"))
		require.NoError(t, e.Release())
	}
}

// Who waits for the carrier does so until somebody has the device open.
func TestCarrierComesWithAProgram(t *testing.T) {
	namespaces(t)
	l := persistent(t, "nxo5", netlink.TUNTAP_MODE_TUN, unix.IFF_MULTI_QUEUE)
	require.NoError(t, netlink.LinkSetUp(l))
	require.Eventually(t, func() bool { return operState(t, "nxo5") == netlink.OperDown }, 5*time.Second, time.Millisecond)
	began := time.Now()
	require.NoError(t, awaitCarrier("nxo5"))
	assert.GreaterOrEqual(t, time.Since(began), time.Second, "there is no program, and it is left to itself")
	d, err := attach("nxo5", l, "")
	require.NoError(t, err)
	defer d.file.Close()
	require.NoError(t, awaitCarrier("nxo5"))
	assert.EqualValues(t, netlink.OperUp, operState(t, "nxo5"))
}

func operState(t *testing.T, name string) netlink.LinkOperState {
	l, err := netlink.LinkByName(name)
	require.NoError(t, err)
	return l.Attrs().OperState
}

// Two programs on the queues of one device would each get a part of what comes.
func TestDeviceThatIsOpen(t *testing.T) {
	namespaces(t)
	persistent(t, "nxo2", netlink.TUNTAP_MODE_TUN, unix.IFF_MULTI_QUEUE)
	first, err := New(Config{Name: "nxo2"}).Open(link.Attachment{})
	require.NoError(t, err)
	_, err = New(Config{Name: "nxo2"}).Open(link.Attachment{})
	assert.ErrorIs(t, err, Busy)
	assert.ErrorIs(t, err, unix.EBUSY)
	require.NoError(t, first.Release())
	second, err := New(Config{Name: "nxo2"}).Open(link.Attachment{})
	require.NoError(t, err, "the queue is free again")
	require.NoError(t, second.Release())
}

// Where the device keeps to the pool already, nobody has to be asked: a user
// may not set it.
func TestLimitThatRootSet(t *testing.T) {
	namespaces(t)
	l := persistent(t, "nxo3", netlink.TUNTAP_MODE_TUN, unix.IFF_MULTI_QUEUE)
	require.NoError(t, netlink.LinkSetGSOMaxSize(l, 12000))
	e, err := New(Config{Name: "nxo3"}).Open(link.Attachment{Pool: nxtest.NewPool(t, 1000, 40)})
	require.NoError(t, err)
	assert.Empty(t, e.Info().Why)
	require.NoError(t, e.Release())
	l, err = netlink.LinkByName("nxo3")
	require.NoError(t, err)
	assert.EqualValues(t, 12000, l.Attrs().GSOMaxSize, "it is root's")
}

// What refuses a user is told in terms of the device.
func TestWhoseDevice(t *testing.T) {
	refused := func(l netlink.Link) *netns.Error {
		var e *netns.Error
		require.ErrorAs(t, cannotAttach("tun0", l, unix.EPERM), &e)
		return e
	}
	somebody := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun0"}, Owner: 4_000_000}
	assert.ErrorIs(t, refused(somebody), NotYours)
	assert.Equal(t, "attach to tun0: the device was made for another user (operation not permitted); it is for uid 4000000", refused(somebody).Error())
	somebody.Owner, somebody.Group = 0, 4_000_001
	assert.Contains(t, refused(somebody).Error(), "for gid 4000001")
	assert.Equal(t, "make a TUN device", refused(nil).Step)
}
