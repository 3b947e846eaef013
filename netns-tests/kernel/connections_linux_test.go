package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// rounds is how many connections a test makes.
func rounds(full int) int {
	switch {
	case os.Getenv("NX_CONNECTIONS") == "full":
		return full
	case testing.Short():
		return full / 500
	}
	return full / 100
}

const (
	onePort = 50_000
	anyPort = 200_000
)

// No port is ever lost: connections in a row, each with a number that is sent
// and comes back, on one port and on any. In every second one the kernel closes
// first, so that the port is still in the kernel's TIME_WAIT when it is used
// again.
func TestConnectionsAsClient(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		for name, row := range map[string]struct {
			port uint
			n    int
		}{"one port": {6000, rounds(onePort)}, "any port": {tcp.AnyPort, rounds(anyPort)}} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, nil)
				l := listen(t, f)
				wait := running(t, func() error { return answerNumbers(l, row.n) })
				clear := account(t, w)
				var s tcp.Socket
				for i := range row.n {
					require.NoError(t, w.connectOnce(&s, f, row.port, portOf(l), uint64(i)), "connection %d", i)
				}
				wait()
				clear(row.n)
			})
		}
	})
}

// connectOnce is the life of one connection.
func (w *world) connectOnce(s *tcp.Socket, f family, own, port uint, number uint64) error {
	if err := tcp.SocketCreate(&w.inst, s, "client", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 8192, nil, nil); err != nil {
		return err
	}
	if err := tcp.ClientSocketBind(s, own, nx.NoWait); err != nil {
		return err
	}
	if err := tcp.ClientSocketConnect(s, f.kernel, port, 500); err != nil {
		return err
	}
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, number)
	if err := w.send(s, b); err != nil {
		return err
	}
	if _, err := receive(s, b, 500); err != nil {
		return err
	}
	if came := binary.BigEndian.Uint64(b); came != number {
		return fmt.Errorf("the number %d came back", came)
	}
	if number%2 == 1 { // the kernel closes first
		if _, err := tcp.SocketReceive(s, 500); !errors.Is(err, tcp.ErrPeerClosed) {
			return fmt.Errorf("in place of the end: %w", err)
		}
	}
	if err := tcp.SocketDisconnect(s, 500); err != nil {
		return err
	}
	if err := tcp.ClientSocketUnbind(s); err != nil {
		return err
	}
	return tcp.SocketDelete(s)
}

// answerNumbers is the kernel's side of n connections, one after the other.
func answerNumbers(l net.Listener, n int) error {
	b := make([]byte, 8)
	for range n {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if _, err = io.ReadFull(c, b); err != nil {
			return err
		}
		if _, err = c.Write(b); err != nil {
			return err
		}
		if binary.BigEndian.Uint64(b)%2 == 0 {
			if n, err := c.Read(b); err != io.EOF {
				return fmt.Errorf("in place of the end: %d bytes, %w", n, err)
			}
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// The same the other way round: one socket of the stack listens, and goes
// round as a NetX Duo program does. The stack closes first, because the kernel
// does not connect again from a port that it has in TIME_WAIT.
func TestConnectionsAsServer(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		for name, row := range map[string]struct{ port, n int }{
			"one port": {6000, rounds(onePort)}, "any port": {0, rounds(anyPort)},
		} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, nil)
				s := w.socket(t, 8192, nil, nil)
				require.NoError(t, tcp.ServerSocketListen(&w.inst, servicePort, s, 5, nil))
				wait := running(t, func() error { return askNumbers(f, row.port, row.n) })
				clear := account(t, w)
				for i := range row.n {
					require.NoError(t, w.acceptOnce(s, uint64(i)), "connection %d", i)
				}
				wait()
				clear(row.n)
				require.NoError(t, tcp.ServerSocketUnlisten(&w.inst, servicePort))
			})
		}
	})
}

// acceptOnce serves one connection, and lets the socket listen again.
func (w *world) acceptOnce(s *tcp.Socket, number uint64) error {
	if err := tcp.ServerSocketAccept(s, 500); err != nil {
		return err
	}
	b := make([]byte, 8)
	if _, err := receive(s, b, 500); err != nil {
		return err
	}
	if came := binary.BigEndian.Uint64(b); came != number {
		return fmt.Errorf("the number %d came", came)
	}
	if err := w.send(s, b); err != nil {
		return err
	}
	if err := tcp.SocketDisconnect(s, 500); err != nil {
		return err
	}
	if err := tcp.ServerSocketUnaccept(s); err != nil {
		return err
	}
	if err := tcp.ServerSocketRelisten(&w.inst, servicePort, s); !errors.Is(err, nx.ConnectionPending) {
		return err
	}
	return nil
}

// askNumbers is the kernel's side of n connections, one after the other.
func askNumbers(f family, own, n int) error {
	d := net.Dialer{Timeout: time.Minute, Control: control([]option{{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}})}
	if own != 0 {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(f.kernel, uint16(own)))
	}
	b := make([]byte, 8)
	for i := range n {
		c, err := d.Dial("tcp", netip.AddrPortFrom(f.stack, servicePort).String())
		for errors.Is(err, unix.EADDRNOTAVAIL) { // the last acknowledgement is on its way
			time.Sleep(20 * time.Microsecond)
			c, err = d.Dial("tcp", netip.AddrPortFrom(f.stack, servicePort).String())
		}
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint64(b, uint64(i))
		if _, err = c.Write(b); err != nil {
			return err
		}
		if _, err = io.ReadFull(c, b); err != nil {
			return err
		}
		if came := binary.BigEndian.Uint64(b); came != uint64(i) {
			return fmt.Errorf("connection %d: the number %d came back", i, came)
		}
		if n, err := c.Read(b); err != io.EOF {
			return fmt.Errorf("in place of the end: %d bytes, %w", n, err)
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// account notes what there is, and answers a function that demands that no
// goroutine and no memory has been added by n connections, and that gVisor has no
// port more than those that are listened on.
func account(t *testing.T, w *world) (clear func(n int)) {
	goroutines, before, began := runtime.NumGoroutine(), heap(), time.Now()
	return func(n int) {
		t.Helper()
		took := time.Since(began)
		nothing(t, "goroutines more than before", func() int { return max(0, runtime.NumGoroutine()-goroutines) })
		assert.Empty(t, w.lost(t), "ports that nobody has and nobody can get")
		grown := heap() - before
		// The maps of the stack and the runtime's own lists keep some memory, however
		// many connections there were.
		assert.Less(t, grown, int64(2<<20), "bytes of memory more than before")
		t.Logf("%d connections in %.1f s, %.0f a second; the heap has grown by %d bytes", n, took.Seconds(), float64(n)/took.Seconds(), grown)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Two hundred connections at once, all open before the first one is closed.
func TestConnectionsAtOnce(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 50
	}
	roles(t, func(t *testing.T, f family, server bool) {
		w := newWorld(t, nil)
		clear := account(t, w)
		var all, open sync.WaitGroup // until all goroutines are through; until all connections stand
		open.Add(n)
		errs := make(chan error, 2*n)
		talk := func(s *tcp.Socket, i uint64) {
			defer all.Done()
			errs <- w.talk(s, i, server, &open)
		}
		kernel := func(c net.Conn) {
			defer all.Done()
			_, err := io.Copy(c, c)
			_ = c.Close()
			errs <- err
		}
		if server {
			first := w.socket(t, 8192, nil, nil)
			require.NoError(t, tcp.ServerSocketListen(&w.inst, servicePort, first, uint(n), nil))
			for range n {
				all.Add(1)
				go func() {
					c, err := dial(f, servicePort)
					if err != nil {
						errs <- err
						all.Done()
						return
					}
					kernel(c)
				}()
			}
			for i := range uint64(n) {
				s := first
				if i > 0 {
					s = w.socket(t, 8192, nil, nil)
					if err := tcp.ServerSocketRelisten(&w.inst, servicePort, s); !errors.Is(err, nx.ConnectionPending) {
						require.NoError(t, err)
					}
				}
				require.NoError(t, tcp.ServerSocketAccept(s, 2000))
				all.Add(1)
				go talk(s, i)
			}
		} else {
			l := listen(t, f)
			all.Add(1)
			go func() {
				defer all.Done()
				for range n {
					c, err := l.Accept()
					if err != nil {
						errs <- err
						return
					}
					all.Add(1)
					go kernel(c)
				}
			}()
			for i := range uint64(n) {
				s := w.socket(t, 8192, nil, nil)
				require.NoError(t, tcp.ClientSocketBind(s, tcp.AnyPort, nx.NoWait))
				all.Add(1)
				go func() {
					if err := tcp.ClientSocketConnect(s, f.kernel, portOf(l), 1000); err != nil {
						open.Done()
						errs <- err
						all.Done()
						return
					}
					talk(s, i)
				}()
			}
		}
		all.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
		if server {
			require.NoError(t, tcp.ServerSocketUnlisten(&w.inst, servicePort))
		}
		clear(n)
	})
}

// talk sends numbers and takes them back, and closes the connection when all
// others stand. In every second one some numbers more are sent before.
func (w *world) talk(s *tcp.Socket, i uint64, server bool, open *sync.WaitGroup) error {
	err := w.numbers(s, i, 10)
	open.Done()
	open.Wait()
	if err == nil && i%2 == 0 {
		err = w.numbers(s, i, 10)
	}
	if err != nil {
		return err
	}
	if err := tcp.SocketDisconnect(s, 1000); err != nil {
		return err
	}
	if server {
		err = tcp.ServerSocketUnaccept(s)
	} else {
		err = tcp.ClientSocketUnbind(s)
	}
	if err != nil {
		return err
	}
	return tcp.SocketDelete(s)
}

func (w *world) numbers(s *tcp.Socket, i, n uint64) error {
	b := make([]byte, 8)
	for k := range n {
		binary.BigEndian.PutUint64(b, i*1000+k)
		if err := w.send(s, b); err != nil {
			return err
		}
		if _, err := receive(s, b, 1000); err != nil {
			return err
		}
		if came := binary.BigEndian.Uint64(b); came != i*1000+k {
			return fmt.Errorf("connection %d: the number %d came back for %d", i, came, i*1000+k)
		}
	}
	return nil
}
