package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
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
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

var (
	host4  = netip.MustParsePrefix("192.0.2.1/24")
	stack4 = netip.MustParsePrefix("192.0.2.2/24")
	host6  = netip.MustParsePrefix("2001:db8::1/64")
	stack6 = netip.MustParsePrefix("2001:db8::2/64")
	hosts  = []netip.Prefix{host4, host6}
)

func at(p netip.Prefix, port uint16) netip.AddrPort { return netip.AddrPortFrom(p.Addr(), port) }

// variants are the ways in which a device can carry frames.
var variants = []struct {
	name             string
	config           Config
	payload, packets uint32 // of the pool; zero: none
	why              string
	offload          bool
}{
	{"offload", Config{}, 0, 0, "", true},
	{"offload without spin", Config{Spin: -1}, 1536, 4096, "", true},
	{"large packets", Config{}, 65536, 64, "", true},
	{"small packets", Config{}, 128, 40000, "", true},
	{"large MTU", Config{MTU: 65535}, 2048, 4096, "", true},
	{"plain", Config{Offload: OffloadOff}, 1536, 4096, "offload is switched off", false},
	{"plain without pool", Config{Offload: OffloadOff}, 0, 0, "offload is switched off", false},
}

// TestTransfer moves bytes between the stack and the kernel, opened from
// either side, on both families.
func TestTransfer(t *testing.T) {
	namespaces(t)
	for _, v := range variants {
		for family, side := range map[string][2]netip.Prefix{"IPv4": {host4, stack4}, "IPv6": {host6, stack6}} {
			t.Run(v.name+" "+family, func(t *testing.T) {
				v.config.Name, v.config.Addresses = "nxt0", hosts
				a := link.Attachment{Instance: "stack"}
				if v.payload > 0 {
					a.Pool = nxtest.NewPool(t, v.payload, v.packets)
				}
				h := linktest.NewHost(t, New(v.config), a, stack4, stack6)
				info := h.Endpoint.Info()
				assert.Equal(t, "nxt0", info.Device)
				assert.Equal(t, "tun", info.Kind)
				assert.True(t, info.Up)
				assert.Equal(t, v.offload, info.Offload)
				assert.Equal(t, v.why, info.Why)

				l, err := net.Listen("tcp", at(side[0], 0).String())
				require.NoError(t, err)
				defer l.Close()
				const size = 1 << 20
				port := uint16(l.Addr().(*net.TCPAddr).Port)
				linktest.Transfer(t, h.Dial(t, at(side[0], port)), l.Accept, size)

				in := h.Listen(t, at(side[1], 7))
				c, err := net.DialTimeout("tcp", at(side[1], 7).String(), 5*time.Second)
				require.NoError(t, err)
				linktest.Transfer(t, c, in.Accept, size)

				info = h.Endpoint.Info()
				assert.Empty(t, info.Drops)
				frames := info.InFrames + info.OutFrames
				if v.offload {
					assert.Less(t, frames, uint64(4*size/4000), "super-segments crossed the device")
				} else {
					assert.Greater(t, frames, uint64(4*size/1500), "wire segments crossed the device")
				}
			})
		}
	}
}

func TestDeviceIsGoneAfterRelease(t *testing.T) {
	namespaces(t)
	d := New(Config{MTU: 1400, Addresses: hosts})
	e, err := d.Open(link.Attachment{})
	require.NoError(t, err)
	name := e.Info().Device
	require.NotEmpty(t, name)
	assert.EqualValues(t, 1400, e.MTU())

	dev, err := net.InterfaceByName(name)
	require.NoError(t, err)
	assert.Equal(t, 1400, dev.MTU)
	assert.NotZero(t, dev.Flags&net.FlagUp)
	addresses, err := dev.Addrs()
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprint(addresses), host4.String())
	assert.Contains(t, fmt.Sprint(addresses), host6.String())

	_, err = d.Open(link.Attachment{})
	assert.ErrorIs(t, err, link.ErrInUse)
	require.NoError(t, e.Release())
	require.NoError(t, e.Release())
	assert.False(t, e.Info().Up)
	_, err = net.InterfaceByName(name)
	assert.Error(t, err)

	e, err = d.Open(link.Attachment{})
	require.NoError(t, err, "a driver can be opened again")
	require.NoError(t, e.Release())
}

// What the driver opens must not live on in a program that the process starts.
// When Open returns, the kernel takes what is sent to the host's addresses.
func TestAddressesAreThereAtOnce(t *testing.T) {
	namespaces(t)
	for range 20 {
		e, err := New(Config{Addresses: hosts}).Open(link.Attachment{})
		require.NoError(t, err)
		for _, p := range hosts {
			assert.True(t, isLocal(p.Addr()), p)
		}
		require.NoError(t, e.Release())
	}
}

func TestDescriptorIsNotInherited(t *testing.T) {
	namespaces(t)
	e, err := New(Config{}).Open(link.Attachment{})
	require.NoError(t, err)
	defer e.Release()
	assert.Equal(t, 1, descriptors(t, "/proc/self/fd"), "one descriptor, water's")

	child := exec.Command("sleep", "60")
	require.NoError(t, child.Start())
	assert.Zero(t, descriptors(t, fmt.Sprintf("/proc/%d/fd", child.Process.Pid)))
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
}

// descriptors counts those of a TUN device.
func descriptors(t *testing.T, dir string) (n int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && to == clone {
			n++
		}
	}
	return n
}

// persistent makes a device as `ip tuntap add` does.
func persistent(t *testing.T, name string, mode netlink.TuntapMode, flags netlink.TuntapFlag) netlink.Link {
	t.Helper()
	l := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: mode, Flags: flags | unix.IFF_NO_PI}
	if flags&unix.IFF_MULTI_QUEUE != 0 {
		l.Queues = 1
	}
	require.NoError(t, netlink.LinkAdd(l))
	for _, f := range l.Fds {
		require.NoError(t, f.Close())
	}
	t.Cleanup(func() { _ = netlink.LinkDel(l) })
	return l
}

// A device that somebody made is used and stays; with one queue only, there is
// no offload, and the reason says what to do.
func TestDeviceThatExists(t *testing.T) {
	namespaces(t)
	for _, c := range []struct {
		name    string
		flags   netlink.TuntapFlag
		offload bool
		why     string
	}{
		{"many queues", unix.IFF_MULTI_QUEUE, true, ""},
		{"one queue", 0, false, "nxp0 was made for one queue: offload needs `ip tuntap add … multi_queue`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := persistent(t, "nxp0", netlink.TUNTAP_MODE_TUN, c.flags)
			require.NoError(t, netlink.LinkSetMTU(l, 1300))
			h := linktest.NewHost(t, New(Config{Name: "nxp0", Addresses: hosts}), link.Attachment{}, stack4)
			assert.EqualValues(t, 1300, h.Endpoint.MTU(), "the MTU is the device's")
			assert.Equal(t, c.offload, h.Endpoint.Info().Offload)
			assert.Equal(t, c.why, h.Endpoint.Info().Why)

			in := h.Listen(t, at(stack4, 7))
			conn, err := net.DialTimeout("tcp", at(stack4, 7).String(), 5*time.Second)
			require.NoError(t, err)
			linktest.Transfer(t, conn, in.Accept, 100_000)

			require.NoError(t, h.Endpoint.Release())
			_, err = net.InterfaceByName("nxp0")
			assert.NoError(t, err, "the device is its owner's")
		})
	}
}

func TestOpenErrors(t *testing.T) {
	namespaces(t)
	_, err := New(Config{Name: "a-name-that-is-too-long"}).Open(link.Attachment{})
	assert.ErrorIs(t, err, BadName)

	_, err = New(Config{Name: "lo"}).Open(link.Attachment{})
	assert.ErrorIs(t, err, NameTaken)
	persistent(t, "nxtap0", netlink.TUNTAP_MODE_TAP, 0)
	_, err = New(Config{Name: "nxtap0"}).Open(link.Attachment{})
	assert.ErrorIs(t, err, NameTaken)

	persistent(t, "nxp1", netlink.TUNTAP_MODE_TUN, 0)
	e, err := New(Config{Name: "nxp1"}).Open(link.Attachment{})
	require.NoError(t, err)
	defer e.Release()
	_, err = New(Config{Name: "nxp1"}).Open(link.Attachment{})
	assert.ErrorIs(t, err, Busy)
	assert.ErrorIs(t, err, unix.EBUSY)

	_, err = New(Config{Addresses: []netip.Prefix{{}}}).Open(link.Attachment{})
	assert.Error(t, err)
	_, err = New(Config{MTU: 1 << 20}).Open(link.Attachment{})
	assert.Error(t, err)
	_, err = New(Config{Namespace: "/run/netns/there-is-none"}).Open(link.Attachment{})
	assert.ErrorIs(t, err, os.ErrNotExist)

	devices, err := net.Interfaces()
	require.NoError(t, err)
	for _, d := range devices {
		assert.NotContains(t, d.Name, "tun", "a device that could not be set up is gone")
	}
}

func TestCausesOfOpenErrors(t *testing.T) {
	assert.ErrorIs(t, cannotOpen(unix.ENOENT), netns.DeviceMissing)
	assert.ErrorIs(t, cannotOpen(unix.ENODEV), netns.DeviceMissing)
	assert.ErrorIs(t, cannotOpen(unix.EACCES), netns.DeviceClosed)
	assert.ErrorIs(t, cannotOpen(unix.EPERM), netns.DeviceClosed)
	assert.ErrorIs(t, cannotAttach("", nil, unix.EBUSY), Busy)
	assert.ErrorIs(t, cannotAttach("", nil, unix.EINVAL), NameTaken)
	var e *netns.Error
	require.ErrorAs(t, cannotOpen(unix.ENOENT), &e)
	assert.Contains(t, e.Hint, "--device /dev/net/tun")
}

// The device lies in another namespace, and nothing of us stays there.
func TestNamespace(t *testing.T) {
	namespaces(t)
	ns, err := netns.New()
	require.NoError(t, err)
	defer ns.Close()
	h := linktest.NewHost(t, New(Config{Name: "nxn0", Addresses: hosts, Namespace: ns.Path()}), link.Attachment{}, stack4, stack6)
	_, err = net.InterfaceByName("nxn0")
	assert.Error(t, err, "not in our own namespace")

	var l net.Listener
	require.NoError(t, ns.Do(func() (err error) {
		if _, err := net.InterfaceByName("nxn0"); err != nil {
			return err
		}
		l, err = net.Listen("tcp", at(host6, 0).String())
		return err
	}))
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	linktest.Transfer(t, h.Dial(t, at(host6, port)), l.Accept, 100_000)
}

// A device that goes away in the middle of the traffic is reported, and the
// endpoint can still be closed.
func TestDeviceGoesAway(t *testing.T) {
	namespaces(t)
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			changes := make(chan error, 8)
			v.config.Name, v.config.Addresses = "nxg0", hosts
			h := linktest.NewHost(t, New(v.config), link.Attachment{
				LinkChange: func(up bool, why error) {
					assert.False(t, up)
					changes <- why
				},
			}, stack4)
			in := h.Listen(t, at(stack4, 7))
			c, err := net.DialTimeout("tcp", at(stack4, 7).String(), 5*time.Second)
			require.NoError(t, err)
			defer c.Close()
			server, err := in.Accept()
			require.NoError(t, err)
			defer server.Close()
			writing := make(chan struct{})
			go func() {
				defer close(writing)
				for _, err := c.Write(make([]byte, 1<<16)); err == nil; _, err = c.Write(make([]byte, 1<<16)) {
				}
			}()
			_, err = server.Read(make([]byte, 1<<16))
			require.NoError(t, err)

			l, err := netlink.LinkByName("nxg0")
			require.NoError(t, err)
			require.NoError(t, netlink.LinkDel(l))
			for { // a write may have found it down before it was gone
				why := <-changes
				if errors.Is(why, Disappeared) {
					break
				}
				assert.EqualError(t, why, DropDeviceDown)
			}
			assert.False(t, h.Endpoint.Info().Up)
			_, err = server.Write([]byte("into the void"))
			require.NoError(t, err)
			require.Eventually(t, func() bool { return h.Endpoint.Info().Drops[string(Disappeared)] > 0 }, 5*time.Second, time.Millisecond)
			_ = c.Close()
			<-writing
		})
	}
}

// A device that is set down drops what is sent, says so, and works again when
// it is up.
func TestDeviceIsSetDown(t *testing.T) {
	namespaces(t)
	changes := make(chan bool, 8)
	h := linktest.NewHost(t, New(Config{Name: "nxd0", Addresses: hosts}), link.Attachment{
		LinkChange: func(up bool, _ error) { changes <- up },
	}, stack4)
	l, err := netlink.LinkByName("nxd0")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetDown(l))
	in, err := net.Listen("tcp", ":9")
	require.NoError(t, err)
	defer in.Close()
	dialed := make(chan net.Conn)
	go func() { dialed <- h.Dial(t, at(host4, 9)) }() // the second SYN gets through
	require.False(t, <-changes)
	assert.Equal(t, DropDeviceDown, h.Endpoint.Info().Why)
	require.NoError(t, netlink.LinkSetUp(l))
	require.NoError(t, netlink.AddrReplace(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IP(host4.Addr().AsSlice()), Mask: net.CIDRMask(24, 32)}}))
	require.True(t, <-changes)
	linktest.Transfer(t, <-dialed, in.Accept, 1000)
	assert.EqualValues(t, h.Endpoint.Info().OutDrops, h.Endpoint.Info().Drops[DropDeviceDown])
	assert.NotZero(t, h.Endpoint.Info().OutDrops)
}

// The kernel hands over no more at once than half the pool holds.
func TestSuperSegmentsFollowThePool(t *testing.T) {
	namespaces(t)
	pool := nxtest.NewPool(t, 1000, 40)
	h := linktest.NewHost(t, New(Config{Name: "nxs0", Addresses: hosts}), link.Attachment{Pool: pool}, stack4)
	info := h.Endpoint.Info()
	assert.True(t, info.Offload)
	assert.Empty(t, info.Why)
	l, err := netlink.LinkByName("nxs0")
	require.NoError(t, err)
	assert.EqualValues(t, 20000, l.Attrs().GSOMaxSize)
	assert.EqualValues(t, 20000, l.Attrs().GSOIPv4MaxSize)

	// The window must not promise more than the pool holds: a hole in the
	// stream could not be filled when what lies behind it has all packets.
	h.Window(t, 16_000)
	in := h.Listen(t, at(stack4, 7))
	c, err := net.DialTimeout("tcp", at(stack4, 7).String(), 5*time.Second)
	require.NoError(t, err)
	linktest.Transfer(t, c, in.Accept, 200_000)
	assert.Empty(t, h.Endpoint.Info().Drops)
}

// A wrapper that works on wire segments gets them, and the endpoint says so.
func TestWireSegments(t *testing.T) {
	namespaces(t)
	e, err := New(Config{}).Open(link.Attachment{}.OnWire("fault").OnWire("capture"))
	require.NoError(t, err)
	defer e.Release()
	assert.False(t, e.Info().Offload)
	assert.Equal(t, "wire segments for fault and capture", e.Info().Why)
	assert.Equal(t, stack.GSONotSupported, e.(stack.GSOEndpoint).SupportedGSO())
	assert.Zero(t, e.(stack.GSOEndpoint).GSOMaxSize())
}
