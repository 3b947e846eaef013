package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/tun"
	"gonetx/ip/link/tun/netns"
	"gonetx/netns-tests/topology"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/ports"
)

// entered is what netns.Enter answered: nil in namespaces of our own. All
// kernel sockets of the tests live in these.
var entered error

func TestMain(m *testing.M) {
	entered = netns.Enter()
	nxtest.Main(m)
}

// family is the two ends of the TUN device in one family.
type family struct {
	name          string
	stack, kernel netip.Addr
}

// families runs a test over both.
func families(t *testing.T, f func(t *testing.T, family family)) {
	for _, ends := range []family{
		{"IPv4", topology.Stack4.Addr(), topology.Gateway4.Addr()},
		{"IPv6", topology.Stack6.Addr(), topology.Gateway6.Addr()},
	} {
		t.Run(ends.name, func(t *testing.T) { f(t, ends) })
	}
}

// world is an instance on a TUN device; the other end is the kernel of the
// namespace that the test runs in.
type world struct {
	inst   ip.Instance
	pool   *packetpool.Pool // the instance's: what comes in
	data   *packetpool.Pool // what the program sends
	device string
}

// newWorld makes the instance, with pools that are large enough for anything.
// recorder may be nil.
func newWorld(t *testing.T, recorder nx.Recorder) *world {
	t.Helper()
	return newWorldWith(t, recorder, 1536, 1024, 256)
}

// newWorldWith makes the instance with pools of so many packets of a payload,
// for what comes in and for what the program sends. The end of the test takes it
// down and demands that nothing is left: see (*world).down.
func newWorldWith(t *testing.T, recorder nx.Recorder, payload, inbound, outbound uint32) *world {
	t.Helper()
	return newWorldOn(t, plain, recorder, payload, inbound, outbound)
}

// plain is a driver as it is.
func plain(d link.Driver) link.Driver { return d }

// newWorldOn makes the instance on a wire that wrap makes of the device.
func newWorldOn(t *testing.T, wrap func(link.Driver) link.Driver, recorder nx.Recorder, payload, inbound, outbound uint32) *world {
	t.Helper()
	if entered != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("namespaces: %v", entered)
		}
		t.Skipf("SKIP: namespaces: %v", entered)
	}
	w := &world{pool: nxtest.NewPool(t, payload, inbound), data: nxtest.NewPool(t, payload, outbound)}
	w.inst.Config = &ip.Config{NoDAD: true, Recorder: recorder}
	driver := tun.New(tun.Config{Addresses: []netip.Prefix{topology.Gateway4, topology.Gateway6}})
	require.NoError(t, ip.Create(&w.inst, "stack", topology.Stack4.Addr(), ip.IPAddress(255, 255, 255, 0), w.pool, wrap(driver), 2048, 1))
	t.Cleanup(func() { w.down(t) })
	w.device = w.inst.Link().Device
	require.NoError(t, ip.IPv6Enable(&w.inst))
	_, err := ip.IPv6AddressSet(&w.inst, 0, topology.Stack6.Addr(), uint32(topology.Stack6.Bits()))
	require.NoError(t, err)
	require.NoError(t, tcp.Enable(&w.inst))
	return w
}

// down ends the instance. All sockets are deleted by now, so gVisor has no
// endpoint of TCP. Tests of many connections look at the ports as well.
func (w *world) down(t *testing.T) {
	nothing(t, "endpoints of the stack", func() int {
		return len(w.inst.Stack().RegisteredEndpoints()) + len(w.inst.Stack().CleanupEndpoints())
	})
	assert.NoError(t, ip.Delete(&w.inst))
}

// lost tries to reserve every port of gVisor's, on all addresses, and answers
// those that it refuses.
func (w *world) lost(t *testing.T) (lost []string) {
	t.Helper()
	stack := w.inst.Stack()
	for name, number := range map[string]tcpip.NetworkProtocolNumber{"IPv4": header.IPv4ProtocolNumber, "IPv6": header.IPv6ProtocolNumber} {
		for port := 1; port <= tcp.MaxPort; port++ {
			r := ports.Reservation{
				Networks: []tcpip.NetworkProtocolNumber{number}, Transport: header.TCPProtocolNumber, Port: uint16(port),
			}
			if _, err := stack.ReservePort(stack.SecureRNG(), r, nil); err != nil {
				lost = append(lost, fmt.Sprintf("%s port %d: %s", name, port, err))
				continue
			}
			stack.ReleasePort(r)
		}
	}
	return lost
}

// nothing demands that a count comes down to zero. Goroutines of the stack may
// be about to give something back; they get some seconds for it.
func nothing(t *testing.T, of string, count func() int) {
	t.Helper()
	limit := time.Now().Add(5 * time.Second)
	for count() > 0 && time.Now().Before(limit) {
		runtime.Gosched()
	}
	assert.Zero(t, count(), of)
}

// socket creates a socket, which the end of the test takes down in whatever
// state it is.
func (w *world) socket(t *testing.T, window uint32, config *tcp.Config, disconnect func(*tcp.Socket)) *tcp.Socket {
	t.Helper()
	s := &tcp.Socket{Config: config}
	require.NoError(t, tcp.SocketCreate(&w.inst, s, t.Name(), tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, window, nil, disconnect))
	t.Cleanup(func() {
		if _, err := tcp.SocketInfoGet(s); err != nil {
			return // deleted
		}
		_ = tcp.SocketDisconnect(s, nx.NoWait)
		_ = tcp.ClientSocketUnbind(s)
		_ = tcp.ServerSocketUnaccept(s)
		require.NoError(t, tcp.SocketDelete(s))
	})
	return s
}

// connect connects a new socket to a port of the kernel's.
func (w *world) connect(t *testing.T, f family, l net.Listener, window uint32, config *tcp.Config) *tcp.Socket {
	t.Helper()
	s := w.socket(t, window, config, nil)
	w.connectSocket(t, s, f, l)
	return s
}

func (w *world) connectSocket(t *testing.T, s *tcp.Socket, f family, l net.Listener) {
	t.Helper()
	require.NoError(t, tcp.ClientSocketBind(s, tcp.AnyPort, nx.NoWait))
	require.NoError(t, tcp.ClientSocketConnect(s, f.kernel, portOf(l), 500))
}

// listen opens a port of the kernel's.
func listen(t *testing.T, f family, options ...option) net.Listener {
	t.Helper()
	config := net.ListenConfig{Control: control(options)}
	l, err := config.Listen(t.Context(), "tcp", netip.AddrPortFrom(f.kernel, 0).String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// option is a socket option of the kernel's, set before a connection is made.
type option struct{ level, name, value int }

func control(options []option) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var errs []error
		err := c.Control(func(fd uintptr) {
			for _, o := range options {
				errs = append(errs, unix.SetsockoptInt(int(fd), o.level, o.name, o.value))
			}
		})
		return errors.Join(append(errs, err)...)
	}
}

func portOf(l net.Listener) uint { return uint(l.Addr().(*net.TCPAddr).Port) }

// accept takes the next connection on the kernel's side.
func accept(t *testing.T, l net.Listener) *net.TCPConn {
	t.Helper()
	c, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return c.(*net.TCPConn)
}

// joined is a connection, made from either side.
type joined struct {
	socket *tcp.Socket
	kernel *net.TCPConn
}

const servicePort = 7

// join makes a connection: the stack is the client or the server.
func (w *world) join(t *testing.T, f family, server bool, window uint32, config *tcp.Config, options ...option) joined {
	t.Helper()
	if !server {
		l := listen(t, f, options...)
		s := w.connect(t, f, l, window, config)
		return joined{s, accept(t, l)}
	}
	s := w.socket(t, window, config, nil)
	require.NoError(t, tcp.ServerSocketListen(&w.inst, servicePort, s, 5, nil))
	t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&w.inst, servicePort) })
	dialed := make(chan *net.TCPConn, 1)
	go func() {
		c, _ := dial(f, servicePort, options...)
		dialed <- c
	}()
	require.NoError(t, tcp.ServerSocketAccept(s, 1000))
	c := <-dialed
	require.NotNil(t, c, "the kernel has connected")
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return joined{s, c}
}

// dial connects from the kernel's side.
func dial(f family, port uint16, options ...option) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: time.Minute, Control: control(options)}
	c, err := d.Dial("tcp", netip.AddrPortFrom(f.stack, port).String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// roles runs a test over both families, with the stack as client and as server.
func roles(t *testing.T, f func(t *testing.T, family family, server bool)) {
	families(t, func(t *testing.T, family family) {
		for _, server := range []bool{false, true} {
			t.Run(map[bool]string{false: "client", true: "server"}[server], func(t *testing.T) { f(t, family, server) })
		}
	})
}

// message makes a packet with data.
func (w *world) message(data []byte) (packetpool.Packet, error) {
	packet, err := packetpool.Allocate(w.data, packetpool.TCPPacket, nx.WaitForever)
	if err != nil {
		return packet, err
	}
	if err := packetpool.DataAppend(packet, data, w.data, nx.WaitForever); err != nil {
		_ = packetpool.Release(packet)
		return packetpool.Packet{}, err
	}
	return packet, nil
}

// send sends data, and waits as long as it takes.
func (w *world) send(s *tcp.Socket, data []byte) error {
	packet, err := w.message(data)
	if err != nil {
		return err
	}
	if err := tcp.SocketSend(s, packet, nx.WaitForever); err != nil {
		_ = packetpool.Release(packet)
		return err
	}
	return nil
}

// receive copies the next message to b, as far as it fits.
func receive(s *tcp.Socket, b []byte, wait nx.Wait) (int, error) {
	packet, err := tcp.SocketReceive(s, wait)
	if err != nil {
		return 0, err
	}
	n, err := packetpool.DataExtractOffset(packet, 0, b)
	if releaseErr := packetpool.Release(packet); err == nil {
		err = releaseErr
	}
	return int(n), err
}

// running is the other side of a test, in a goroutine. Its error fails the
// test, whether the test waits for it or has failed by itself.
func running(t *testing.T, f func() error) (wait func()) {
	t.Helper()
	var done sync.WaitGroup
	var err error
	done.Add(1)
	go func() {
		defer done.Done()
		if err = f(); err != nil {
			t.Errorf("the other side: %v", err)
		}
	}()
	return func() {
		t.Helper()
		done.Wait()
		require.NoError(t, err)
	}
}
