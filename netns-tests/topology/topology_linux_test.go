package topology

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gonetx/ip/link/tun/netns"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// entered is what netns.Enter answered: nil in namespaces of our own.
var entered error

// role makes a re-executed test binary play another part than running tests.
const role = "TOPOLOGY_TEST_ROLE"

func TestMain(m *testing.M) {
	entered = netns.Enter()
	if os.Getenv(role) == "dies" {
		buildAndWait()
	}
	goleak.VerifyTestMain(m)
}

// namespaces skips a test where there are none, loudly; in CI that is a failure.
func namespaces(t *testing.T) {
	t.Helper()
	if entered == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("namespaces: %v", entered)
	}
	t.Skipf("SKIP: namespaces: %v", entered)
}

func routed(t *testing.T, c RoutedConfig) *Routed {
	t.Helper()
	namespaces(t)
	r, err := NewRouted(c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Close()) })
	return r
}

// dial connects from the host.
func dial(h *Host, patience time.Duration, from, to string) (c net.Conn, err error) {
	d := net.Dialer{Timeout: patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	err = h.Do(func() (err error) {
		c, err = d.Dial("tcp", to)
		return err
	})
	return c, err
}

// pass sends size bytes from one end to the other and compares their number.
func pass(t *testing.T, from, to net.Conn, size int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	require.NoError(t, from.SetDeadline(deadline))
	require.NoError(t, to.SetDeadline(deadline))
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, size))
		sent <- err
	}()
	n, err := io.Copy(io.Discard, io.LimitReader(to, int64(size)))
	require.NoError(t, err)
	require.NoError(t, <-sent)
	require.EqualValues(t, size, n)
}

func TestRoutedReachesTheServer(t *testing.T) {
	r := routed(t, RoutedConfig{})
	for _, server := range []netip.Prefix{Server4, Server6} {
		passBothWays(t, r.Near, r.Server, server, 10*time.Second)
	}
}

// passBothWays connects the near host to an address of the far one, and sends bytes each
// way.
func passBothWays(t *testing.T, near, far *Host, address netip.Prefix, patience time.Duration) {
	t.Helper()
	l, err := far.Listen(netip.AddrPortFrom(address.Addr(), 0).String())
	require.NoError(t, err)
	defer l.Close()
	c, err := dial(near, patience, "", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	s, err := l.Accept()
	require.NoError(t, err)
	defer s.Close()
	pass(t, c, s, 100_000)
	pass(t, s, c, 100_000)
}

func TestDirectReachesTheFarHost(t *testing.T) {
	namespaces(t)
	d, err := NewDirect()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, d.Close()) })
	for _, far := range []netip.Prefix{Far4, Far6} {
		passBothWays(t, d.Near, d.Far, far, 5*time.Second)
	}
}

// withStack gives the near host the stack's addresses, so that the kernel
// plays the stack.
func withStack(t *testing.T, h *Host) {
	t.Helper()
	require.NoError(t, h.Do(port{"lo", []netip.Prefix{Stack4, Stack6}}.do))
}

func TestRoutesBack(t *testing.T) {
	for _, noReturn := range []bool{false, true} {
		t.Run(fmt.Sprintf("NoReturn=%v", noReturn), func(t *testing.T) {
			r := routed(t, RoutedConfig{NoReturn: noReturn})
			patience := 5 * time.Second
			if noReturn {
				patience = 300 * time.Millisecond // nothing comes
			}
			withStack(t, r.Near)
			for _, family := range []struct{ stack, server netip.Prefix }{{Stack4, Server4}, {Stack6, Server6}} {
				l, err := r.Server.Listen(netip.AddrPortFrom(family.server.Addr(), 0).String())
				require.NoError(t, err)
				defer l.Close()
				c, err := dial(r.Near, patience, family.stack.Addr().String(), l.Addr().String())
				if noReturn {
					require.Error(t, err, "%v", family.stack)
					continue
				}
				require.NoError(t, err)
				require.NoError(t, c.Close())
			}
		})
	}
}

func TestNearHostForwardsOnlyWhenAsked(t *testing.T) {
	for _, off := range []bool{false, true} {
		r := routed(t, RoutedConfig{NoForwarding: off})
		require.NoError(t, r.Near.Do(func() error {
			for _, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				assert.Equal(t, off, strings.TrimSpace(string(b)) == "0", path)
			}
			return nil
		}))
	}
}

func TestPathMTUIsFoundInBothDirections(t *testing.T) {
	r := routed(t, RoutedConfig{MTU: 1280})
	for _, server := range []netip.Prefix{Server4, Server6} {
		l, err := r.Server.Listen(netip.AddrPortFrom(server.Addr(), 0).String())
		require.NoError(t, err)
		defer l.Close()
		c, err := dial(r.Near, 5*time.Second, "", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		s, err := l.Accept()
		require.NoError(t, err)
		defer s.Close()
		require.Greater(t, maxSegment(t, c), 1280-60, "the ends do not know of the narrow path before they use it")
		pass(t, c, s, 100_000)
		pass(t, s, c, 100_000)
		assert.Less(t, maxSegment(t, c), 1280-40)
		assert.Less(t, maxSegment(t, s), 1280-40)
	}
}

// maxSegment is the MSS that the kernel sends with.
func maxSegment(t *testing.T, c net.Conn) int {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	mss := 0
	require.NoError(t, raw.Control(func(fd uintptr) {
		mss, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG)
	}))
	require.NoError(t, err)
	return mss
}

func TestLocalHoldsTheDevice(t *testing.T) {
	namespaces(t)
	l, err := NewLocal()
	require.NoError(t, err)
	device := l.Device()
	assert.Equal(t, l.Path(), device.Namespace)
	assert.Equal(t, []netip.Prefix{Gateway4, Gateway6}, device.Addresses)
	require.NoError(t, l.Close())
}

func TestProgramsEndWithTheHost(t *testing.T) {
	r := routed(t, RoutedConfig{})
	program := exec.Command("/bin/sh", "-c", "sleep 1000 & echo started; wait")
	out := output(t, program)
	require.NoError(t, r.Server.Start(program))
	require.NoError(t, program.Stdout.(*os.File).Close())
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)
	require.NoError(t, r.Server.Close())
	r.Server = nil
	assert.NotNil(t, program.ProcessState, "Close waited for it")
	_, err = out.ReadString('\n')
	assert.ErrorIs(t, err, io.EOF, "what the program started has ended too, or the pipe would be open")
}

// output is what the program writes. It comes to its end when nobody holds the
// pipe open any more; the test closes its own end after the start.
func output(t *testing.T, program *exec.Cmd) *bufio.Reader {
	t.Helper()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = read.Close() })
	require.NoError(t, read.SetReadDeadline(time.Now().Add(20*time.Second)))
	program.Stdout = write
	return bufio.NewReader(read)
}

// buildAndWait makes a topology with a program in it and waits to be killed.
func buildAndWait() {
	r, err := NewRouted(RoutedConfig{})
	if err != nil {
		fmt.Println("cannot:", err)
		os.Exit(1)
	}
	program := exec.Command("/bin/sh", "-c", "echo up; sleep 1000 & wait")
	program.Stdout = os.Stdout
	if err := r.Server.Start(program); err != nil {
		fmt.Println("cannot:", err)
		os.Exit(1)
	}
	select {}
}

func TestNothingIsLeftOfAProcessThatDies(t *testing.T) {
	namespaces(t)
	before, _ := os.ReadDir("/run/netns") // somebody's own
	self, err := os.Executable()
	require.NoError(t, err)
	program := exec.Command(self, "-test.run", "^$")
	program.Env = append(os.Environ(), role+"=dies")
	out := output(t, program)
	require.NoError(t, program.Start())
	require.NoError(t, program.Stdout.(*os.File).Close())
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "up\n", line, "the program of the server runs")

	require.NoError(t, program.Process.Kill())
	_ = program.Wait()
	_, err = out.ReadString('\n')
	require.ErrorIs(t, err, io.EOF, "all that held the pipe open has ended")

	after, _ := os.ReadDir("/run/netns")
	assert.Subset(t, names(before), names(after), "no names are left")
}

func names(entries []os.DirEntry) []string {
	list := []string{}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
