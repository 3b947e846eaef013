package kernel

import (
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel closes its half first: what it has sent is received, then comes
// the end, and the other half goes on until the program disconnects.
func TestKernelClosesItsHalf(t *testing.T) {
	roles(t, func(t *testing.T, f family, server bool) {
		w := newWorld(t, nil)
		c := w.join(t, f, server, 4000, nil)
		in, out := newStream(1, 100_000), newStream(2, 100_000)
		wrote := running(t, func() error {
			_, err := io.Copy(c.kernel, in)
			return errors.Join(err, c.kernel.CloseWrite())
		})
		sum := sha256.New()
		require.NoError(t, receiveAll(c.socket, sum, 100_000))
		wrote()
		_, err := tcp.SocketReceive(c.socket, 500)
		requireStatus(t, nx.NotConnected, err)
		require.ErrorIs(t, err, tcp.ErrPeerClosed)
		assert.Equal(t, in.sum.Sum(nil), sum.Sum(nil))

		sent := running(t, func() error {
			if err := w.sendAll(c.socket, out, 1000); err != nil {
				return err
			}
			return tcp.SocketDisconnect(c.socket, 500)
		})
		sum.Reset()
		_, err = io.Copy(sum, c.kernel)
		require.NoError(t, err)
		sent()
		assert.Equal(t, out.sum.Sum(nil), sum.Sum(nil))
		assert.NoError(t, tcp.SocketStateWait(c.socket, ended(server), 500))
	})
}

// ended is the state of a socket whose connection the peer closed first.
func ended(server bool) tcp.State {
	if server {
		return tcp.ListenState
	}
	return tcp.Closed
}

// The stack closes its half first: disconnect waits for the kernel's half, and
// what that still sends is received meanwhile.
func TestStackClosesItsHalf(t *testing.T) {
	roles(t, func(t *testing.T, f family, server bool) {
		w := newWorld(t, nil)
		c := w.join(t, f, server, 4000, nil)
		require.NoError(t, w.send(c.socket, []byte("that is all")))
		left := running(t, func() error { return tcp.SocketDisconnect(c.socket, 3000) })
		said, err := io.ReadAll(c.kernel)
		require.NoError(t, err)
		require.Equal(t, "that is all", string(said))
		require.NoError(t, tcp.SocketStateWait(c.socket, tcp.FinWait2, 500))

		in := newStream(3, 100_000)
		wrote := running(t, func() error {
			_, err := io.Copy(c.kernel, in)
			return errors.Join(err, c.kernel.CloseWrite())
		})
		sum := sha256.New()
		require.NoError(t, receiveAll(c.socket, sum, 100_000))
		wrote()
		left()
		assert.Equal(t, in.sum.Sum(nil), sum.Sum(nil))
		require.NoError(t, tcp.SocketStateWait(c.socket, tcp.TimedWait, 500))
	})
}

// The kernel resets: what came before is received, then services answer
// NX_NOT_CONNECTED with the cause, and the disconnect callback has run.
func TestKernelResets(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		w := newWorld(t, nil)
		l := listen(t, f)
		told := make(chan *tcp.Socket, 1)
		s := w.socket(t, 4000, nil, func(s *tcp.Socket) { told <- s })
		came := make(chan struct{}, 1)
		require.NoError(t, tcp.SocketReceiveNotify(s, func(*tcp.Socket) { came <- struct{}{} }))
		w.connectSocket(t, s, f, l)
		c := accept(t, l)
		_, err := c.Write([]byte("before"))
		require.NoError(t, err)
		<-came
		require.NoError(t, c.SetLinger(0))
		require.NoError(t, c.Close())
		require.Same(t, s, <-told)

		b := make([]byte, 100)
		n, err := receive(s, b, 500)
		require.NoError(t, err)
		assert.Equal(t, "before", string(b[:n]))
		_, err = tcp.SocketReceive(s, 500)
		requireStatus(t, nx.NotConnected, err)
		assert.ErrorIs(t, err, tcp.ErrReset)
		packet, err := w.message([]byte("too late"))
		require.NoError(t, err)
		requireStatus(t, nx.NotConnected, tcp.SocketSend(s, packet, 500))
		require.NoError(t, packetpool.Release(packet))
		requireStatus(t, nx.NotConnected, tcp.SocketDisconnect(s, 500))
		require.NoError(t, tcp.ClientSocketUnbind(s))
	})
}

// The stack resets: the kernel's program is told.
func TestStackResets(t *testing.T) {
	roles(t, func(t *testing.T, f family, server bool) {
		w := newWorld(t, nil)
		c := w.join(t, f, server, 4000, nil)
		requireStatus(t, nx.InProgress, tcp.SocketDisconnect(c.socket, nx.NoWait))
		_, err := c.kernel.Read(make([]byte, 1))
		assert.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

// A port of the kernel's where nobody listens, and a port of the stack's.
func TestRefused(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		w := newWorld(t, nil)
		l := listen(t, f)
		port := portOf(l)
		require.NoError(t, l.Close())
		s := w.socket(t, 4000, nil, nil)
		require.NoError(t, tcp.ClientSocketBind(s, tcp.AnyPort, nx.NoWait))
		err := tcp.ClientSocketConnect(s, f.kernel, port, 500)
		requireStatus(t, nx.NotConnected, err)
		assert.ErrorIs(t, err, tcp.ErrRefused)

		_, err = dial(f, servicePort)
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

// The peer is gone: nothing of it comes any more. The connection ends after the
// retries that the socket was given, and whoever waits is told.
func TestPeerGone(t *testing.T) {
	roles(t, func(t *testing.T, f family, server bool) {
		w := newWorld(t, nil)
		c := w.join(t, f, server, 4000, nil)
		require.NoError(t, tcp.SocketTransmitConfigure(c.socket, 20, 20, 3, 0)) // 4 times 0.2 s
		silence(t, f)
		require.NoError(t, w.send(c.socket, []byte("is there anybody?")))
		_, err := tcp.SocketReceive(c.socket, 2000)
		requireStatus(t, nx.NotConnected, err)
		assert.ErrorIs(t, err, tcp.ErrTimedOut)
		info, err := tcp.SocketInfoGet(c.socket)
		require.NoError(t, err)
		assert.Equal(t, ended(server), info.State)
		assert.Zero(t, info.TransmitQueueDepth, "the packet is free again")
	})
}

// A peer that was never there.
func TestPeerNeverThere(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		w := newWorld(t, nil)
		silence(t, f)
		s := w.socket(t, 4000, nil, nil)
		require.NoError(t, tcp.SocketTransmitConfigure(s, 20, 20, 2, 0))
		require.NoError(t, tcp.ClientSocketBind(s, tcp.AnyPort, nx.NoWait))
		for _, wait := range []nx.Wait{10, 1000} { // the caller's patience ends first, or the socket's
			err := tcp.ClientSocketConnect(s, f.kernel, servicePort, wait)
			requireStatus(t, nx.NotConnected, err)
			assert.ErrorIs(t, err, tcp.ErrTimedOut)
		}
	})
}

// A client that is gone when the handshake has begun: the SYN-ACK is repeated
// and given up, and the socket takes the next client.
func TestClientGoneInHandshake(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		w := newWorld(t, nil)
		s := w.socket(t, 4000, nil, nil)
		require.NoError(t, tcp.SocketTransmitConfigure(s, 20, 20, 2, 0)) // 3 times 0.2 s
		came := make(chan struct{}, 10)
		require.NoError(t, tcp.ServerSocketListen(&w.inst, servicePort, s, 5, func(*tcp.Socket, uint) { came <- struct{}{} }))
		dialed := make(chan *net.TCPConn, 1)
		call := func() {
			c, _ := dial(f, servicePort)
			dialed <- c
		}
		go call()
		<-came
		back := silence(t, f)
		err := tcp.ServerSocketAccept(s, 2000)
		requireStatus(t, nx.NotConnected, err)
		assert.ErrorIs(t, err, tcp.ErrTimedOut)
		require.NoError(t, tcp.ServerSocketUnaccept(s))
		require.NoError(t, tcp.ServerSocketRelisten(&w.inst, servicePort, s))
		back()

		if gone := <-dialed; gone != nil { // the kernel may believe that it was connected
			_ = gone.Close()
		}
		go call()
		require.NoError(t, tcp.ServerSocketAccept(s, 2000))
		next := <-dialed
		require.NotNil(t, next)
		defer next.Close()
		require.NoError(t, w.send(s, []byte("welcome")))
		b := make([]byte, 7)
		_, err = io.ReadFull(next, b)
		require.NoError(t, err)
		assert.Equal(t, "welcome", string(b))
		require.NoError(t, tcp.ServerSocketUnlisten(&w.inst, servicePort))
	})
}

// silence makes the kernel throw away what it has to say to the stack, until
// the end of the test or until end is called.
func silence(t *testing.T, f family) (end func()) {
	t.Helper()
	way := &netlink.Route{Dst: netlink.NewIPNet(f.stack.AsSlice()), Type: unix.RTN_BLACKHOLE}
	require.NoError(t, netlink.RouteAdd(way))
	end = sync.OnceFunc(func() { assert.NoError(t, netlink.RouteDel(way)) })
	t.Cleanup(end)
	return end
}
