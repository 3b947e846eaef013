package kernel

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/fault"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// stream is bytes that look random, and their sum.
type stream struct {
	source *rand.ChaCha8
	sum    hash.Hash
	left   int
}

func newStream(seed byte, n int) *stream {
	return &stream{rand.NewChaCha8([32]byte{seed}), sha256.New(), n}
}

// Read implements io.Reader.
func (s *stream) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := min(len(b), s.left)
	s.left -= n
	_, _ = s.source.Read(b[:n])
	s.sum.Write(b[:n])
	return n, nil
}

// sendAll sends a stream in messages of size bytes.
func (w *world) sendAll(s *tcp.Socket, data *stream, size int) error {
	b := make([]byte, size)
	for {
		n, err := data.Read(b)
		if err == io.EOF {
			return nil
		}
		if err := w.send(s, b[:n]); err != nil {
			return fmt.Errorf("%d bytes before the end: %w", data.left+n, err)
		}
	}
}

// receiveAll takes n bytes.
func receiveAll(s *tcp.Socket, sum hash.Hash, n int) error {
	b := make([]byte, 65536)
	for n > 0 {
		came, err := receive(s, b, 1000)
		if err != nil {
			return fmt.Errorf("%d bytes before the end: %w", n, err)
		}
		sum.Write(b[:came])
		n -= came
	}
	return nil
}

// bothWays sends n bytes each way at the same time, in messages and in writes of
// those sizes, and compares what arrives.
func (w *world) bothWays(t *testing.T, c joined, n, message, write int) {
	t.Helper()
	out, in := newStream(1, n), newStream(2, n)
	sent := running(t, func() error { return w.sendAll(c.socket, out, message) })
	wrote := running(t, func() error {
		_, err := io.CopyBuffer(onlyWriter{c.kernel}, onlyReader{in}, make([]byte, write))
		return err
	})
	atKernel, atStack := sha256.New(), sha256.New()
	read := running(t, func() error { _, err := io.CopyN(atKernel, c.kernel, int64(n)); return err })
	require.NoError(t, receiveAll(c.socket, atStack, n))
	sent()
	wrote()
	read()
	assert.Equal(t, out.sum.Sum(nil), atKernel.Sum(nil), "what the kernel has received")
	assert.Equal(t, in.sum.Sum(nil), atStack.Sum(nil), "what the stack has received")
}

// onlyWriter and onlyReader keep io.Copy from passing over its buffer.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// A hundred megabytes each way, both at the same time, and not a byte wrong.
func TestTransfer(t *testing.T) {
	n := 100_000_000
	if testing.Short() {
		n = 4_000_000
	}
	roles(t, func(t *testing.T, f family, server bool) {
		w := newWorld(t, nil)
		c := w.join(t, f, server, 65535, &tcp.Config{TransmitQueue: 200})
		began := time.Now()
		w.bothWays(t, c, n, 4000, 65536)
		took := time.Since(began).Seconds()
		t.Logf("%d bytes each way in %.1f s, %.0f MB/s in all", n, took, float64(2*n)/took/1e6)
	})
}

// The echo of NetX Duo's samples: what was received is sent, in the packet that
// it came in, whose headers leave room for those of the answer.
func TestEchoOfThePacketItself(t *testing.T) {
	n := 20_000_000
	if testing.Short() {
		n = 2_000_000
	}
	roles(t, func(t *testing.T, f family, server bool) {
		w := newWorld(t, nil)
		c := w.join(t, f, server, 65535, &tcp.Config{TransmitQueue: 200})
		out := newStream(4, n)
		wrote := running(t, func() error { _, err := io.CopyBuffer(c.kernel, out, make([]byte, 65536)); return err })
		back := sha256.New()
		read := running(t, func() error {
			_, err := io.CopyN(back, c.kernel, int64(n))
			return err
		})
		for left := n; left > 0; {
			packet, err := tcp.SocketReceive(c.socket, 1000)
			require.NoError(t, err, "%d bytes before the end", left)
			length, err := packetpool.LengthGet(packet)
			require.NoError(t, err)
			left -= int(length)
			require.NoError(t, tcp.SocketSend(c.socket, packet, 1000), "%d bytes before the end", left)
		}
		wrote()
		read()
		assert.Equal(t, out.sum.Sum(nil), back.Sum(nil))
	})
}

// The window that the peer is told is exactly the socket's, and the peer keeps
// to it: never is more on its way than the window that it was told last allows.
func TestExactWindows(t *testing.T) {
	for _, window := range []uint32{100, 200, 1460} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			roles(t, func(t *testing.T, f family, server bool) {
				rec := new(nxtest.Recorder)
				w := newWorld(t, rec)
				c := w.join(t, f, server, window, nil)
				in := newStream(3, int(window)*50)
				n := in.left
				wrote := running(t, func() error { _, err := io.Copy(c.kernel, in); return err })
				sum := sha256.New()
				require.NoError(t, receiveAll(c.socket, sum, n))
				wrote()
				assert.Equal(t, in.sum.Sum(nil), sum.Sum(nil))
				checkWindow(t, nxtest.Of[nx.SegmentEvent](rec), window)
			})
		})
	}
}

// checkWindow looks at what crossed the device.
func checkWindow(t *testing.T, segments []nx.SegmentEvent, window uint32) {
	t.Helper()
	var edge uint32 // of what the peer may send
	widest, data := uint32(0), 0
	for _, e := range segments {
		switch {
		case e.Direction == nx.Sent && e.Flags&uint8(header.TCPFlagAck) != 0:
			require.LessOrEqual(t, e.Window, window)
			// Two that leave at once may be told of in either order, and an older one
			// takes nothing back.
			if told := e.Ack + e.Window; int32(told-edge) > 0 || widest == 0 {
				edge = told
			}
			widest = max(widest, e.Window)
		case e.Direction == nx.Received && e.Length > 0:
			data++
			require.LessOrEqual(t, int32(e.Sequence+uint32(e.Length)-edge), int32(0), "bytes beyond the window")
		}
	}
	assert.Equal(t, window, widest, "the window that is open")
	assert.Positive(t, data)
}

// smallest is a receive buffer of 1 byte; the kernel makes the least of it that
// it has, and a window to match.
var smallest = option{unix.SOL_SOCKET, unix.SO_RCVBUF, 1}

// Segments as small as they get, and windows of the kernel's that are hardly
// larger: what does not fit is cut off the packet and sent later.
func TestTinySegmentsAndWindows(t *testing.T) {
	roles(t, func(t *testing.T, f family, server bool) {
		w := newWorld(t, nil)
		c := w.join(t, f, server, 500, nil, smallest, option{unix.IPPROTO_TCP, unix.TCP_MAXSEG, 100})
		w.bothWays(t, c, 100_000, 999, 7)
	})
}

// A window of the kernel's that closes: with NoWait the send says so, with a
// wait it goes on when the kernel's program reads; meanwhile the window is
// probed.
func TestKernelClosesItsWindow(t *testing.T) {
	roles(t, func(t *testing.T, f family, server bool) {
		rec := new(nxtest.Recorder)
		w := newWorld(t, rec)
		c := w.join(t, f, server, 1460, &tcp.Config{TransmitQueue: 10_000, TransmitTimer: 20}, smallest)
		closed := func() bool {
			return slices.ContainsFunc(nxtest.Of[nx.SegmentEvent](rec), func(e nx.SegmentEvent) bool { return e.Direction == nx.Received && e.Window == 0 })
		}
		out := newStream(6, 50_000_000)
		sent := 0
		b := make([]byte, 1000)
		var rest packetpool.Packet
		for {
			n, err := out.Read(b)
			require.NoError(t, err, "the window never closes")
			sent += n
			rest, err = w.message(b[:n])
			require.NoError(t, err)
			// The wait is for the kernel's acknowledgements, which may take longer.
			for err = tcp.SocketSend(c.socket, rest, 10); errors.Is(err, nx.WindowOverflow) && !closed(); {
				err = tcp.SocketSend(c.socket, rest, 10)
			}
			if err != nil {
				requireStatus(t, nx.WindowOverflow, err)
				break
			}
		}
		info, err := tcp.SocketInfoGet(c.socket)
		require.NoError(t, err)
		require.Zero(t, info.TransmitWindow)
		went := running(t, func() error { return tcp.SocketSend(c.socket, rest, nx.WaitForever) })
		rec.Reset()
		nxtest.Await(t, rec, func(e nx.SegmentEvent) bool { return e.Direction == nx.Sent && e.Length == 1 })
		sum := sha256.New()
		_, err = io.CopyN(sum, c.kernel, int64(sent))
		require.NoError(t, err)
		went()
		assert.Equal(t, out.sum.Sum(nil), sum.Sum(nil))
	})
}

// A kernel that takes back a window that it had told, because its program has
// made the buffer smaller: it throws away what it was sent, and what it offers
// later is less than a segment that is on its way again.
func TestKernelShrinksItsWindow(t *testing.T) {
	families(t, func(t *testing.T, f family) {
		rec := new(nxtest.Recorder)
		w := newWorld(t, rec)
		c := w.join(t, f, false, 1460, nil)
		require.NoError(t, c.kernel.SetReadBuffer(1))
		out := newStream(8, 12_000)
		sent := running(t, func() error { return w.sendAll(c.socket, out, 1000) })
		nxtest.Await(t, rec, func(e nx.SegmentEvent) bool { return e.Direction == nx.Received && e.Window == 0 })
		sum := sha256.New()
		_, err := io.CopyN(sum, c.kernel, 12_000)
		require.NoError(t, err)
		sent()
		assert.Equal(t, out.sum.Sum(nil), sum.Sum(nil))
	})
}

// A window of ours that closes, because the program does not read: the kernel
// stops at its edge and probes it, and goes on when the program reads.
func TestStackClosesItsWindow(t *testing.T) {
	roles(t, func(t *testing.T, f family, server bool) {
		const window = 2000
		rec := new(nxtest.Recorder)
		w := newWorld(t, rec)
		c := w.join(t, f, server, window, nil)
		in := newStream(7, 100_000)
		n := in.left
		wrote := running(t, func() error { _, err := io.Copy(c.kernel, in); return err })
		closed := nxtest.Await(t, rec, func(e nx.SegmentEvent) bool {
			return e.Direction == nx.Sent && e.Window == 0 && e.Flags == uint8(header.TCPFlagAck)
		})
		nxtest.Await(t, rec, func(e nx.SegmentEvent) bool {
			return e.Direction == nx.Received && e.Sequence == closed.Ack-1 && e.Length == 0
		})
		info, err := tcp.SocketInfoGet(c.socket)
		require.NoError(t, err)
		assert.Zero(t, info.ReceiveWindow)
		available, err := tcp.SocketBytesAvailable(c.socket)
		require.NoError(t, err)
		assert.EqualValues(t, window, available)
		sum := sha256.New()
		require.NoError(t, receiveAll(c.socket, sum, n))
		wrote()
		assert.Equal(t, in.sum.Sum(nil), sum.Sum(nil))
		checkWindow(t, nxtest.Of[nx.SegmentEvent](rec), window)
	})
}

// requireStatus checks the status that an error carries.
func requireStatus(t *testing.T, want nx.Status, err error) {
	t.Helper()
	require.ErrorIs(t, err, want)
}

// Window scaling, in both directions: what the kernel has sent and the program
// has not taken is more than 65535 bytes, and so is what the stack may send.
// Without the option neither is.
func TestWindowScaling(t *testing.T) {
	const window = 300_000
	roles(t, func(t *testing.T, f family, server bool) {
		for _, scaling := range []bool{false, true} {
			t.Run(fmt.Sprint(scaling), func(t *testing.T) {
				w := newWorld(t, nil)
				config, size := &tcp.Config{WindowScaling: scaling, TransmitQueue: 2000}, uint32(65535)
				if scaling {
					size = window
				}
				c := w.join(t, f, server, size, config)
				in, out := newStream(9, 2_000_000), newStream(10, 2_000_000)
				n := in.left
				wrote := running(t, func() error { _, err := io.Copy(c.kernel, in); return err })
				available := func() int {
					n, err := tcp.SocketBytesAvailable(c.socket)
					require.NoError(t, err)
					return int(n)
				}
				limit := time.Now().Add(20 * time.Second)
				for available() < int(size)*9/10 { // the kernel leaves less than a segment
					require.True(t, time.Now().Before(limit), "%d bytes have come", available())
					runtime.Gosched()
				}
				assert.LessOrEqual(t, available(), int(size))
				sent := running(t, func() error { return w.sendAll(c.socket, out, 1400) })
				atKernel, atStack, widest := sha256.New(), sha256.New(), uint32(0)
				read := running(t, func() error { _, err := io.CopyN(atKernel, c.kernel, int64(n)); return err })
				b := make([]byte, 65536)
				for left := n; left > 0; {
					came, err := receive(c.socket, b, 1000)
					require.NoError(t, err, "%d bytes before the end", left)
					atStack.Write(b[:came])
					left -= came
					info, err := tcp.SocketInfoGet(c.socket)
					require.NoError(t, err)
					widest = max(widest, info.TransmitWindow)
				}
				wrote()
				read()
				sent()
				info, err := tcp.SocketInfoGet(c.socket)
				require.NoError(t, err)
				widest = max(widest, info.TransmitWindow)
				assert.Equal(t, in.sum.Sum(nil), atStack.Sum(nil))
				assert.Equal(t, out.sum.Sum(nil), atKernel.Sum(nil))
				assert.Equal(t, scaling, widest > 65535, "the kernel's window: %d bytes", widest)
			})
		}
	})
}

// A wire that loses, repeats, reorders and damages what it carries: every byte
// arrives, once, and in order.
func TestTransferOverABadWire(t *testing.T) {
	roles(t, func(t *testing.T, f family, server bool) {
		bad := fault.Chances{Drop: 0.02, Duplicate: 0.02, Reorder: 0.02, Corrupt: 0.01}
		wrap := func(d link.Driver) link.Driver { return fault.Wrap(d, fault.Config{Seed: 11, In: bad, Out: bad}) }
		w := newWorldOn(t, wrap, nil, 1536, 1024, 256)
		c := w.join(t, f, server, 65535, nil)
		w.bothWays(t, c, 500_000, 1400, 65536)
		info, err := tcp.SocketInfoGet(c.socket)
		require.NoError(t, err)
		assert.Positive(t, info.RetransmittedPackets, "the wire is bad")
	})
}
