package kernel

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The device does not offer more than the pool can take: a pool of 8 packets of
// 800 bytes, the SMTP client's of the guide, carries ten megabytes each way at
// the same time, with vnet headers on the device.
func TestSmallPools(t *testing.T) {
	n := 10_000_000
	if testing.Short() {
		n = 300_000
	}
	roles(t, func(t *testing.T, f family, server bool) {
		w := newWorldWith(t, nil, 800, 8, 8)
		link := w.inst.Link()
		require.True(t, link.Offload)
		assert.Contains(t, link.Why, "too few for super-segments")
		c := w.join(t, f, server, 65535, nil)
		out, in := newStream(11, n), newStream(12, n)
		began := time.Now()
		sent := running(t, func() error { return w.sendAll(c.socket, out, 600) })
		wrote := running(t, func() error { _, err := io.Copy(c.kernel, in); return err })
		atKernel, atStack := sha256.New(), sha256.New()
		read := running(t, func() error { _, err := io.CopyN(atKernel, c.kernel, int64(n)); return err })
		require.NoError(t, receiveAll(c.socket, atStack, n))
		sent()
		wrote()
		read()
		assert.Equal(t, out.sum.Sum(nil), atKernel.Sum(nil))
		assert.Equal(t, in.sum.Sum(nil), atStack.Sum(nil))
		t.Logf("%d bytes each way in %v, dropped: %v", n, time.Since(began).Round(time.Millisecond), w.inst.Link().Drops)
	})
}

// With a single packet a service may fail, but each ends when its wait is over,
// and where none fails every byte is right.
func TestPoolOfOnePacket(t *testing.T) {
	const n, wait = 6_000, 100
	for _, payload := range []uint32{200, 800} {
		t.Run(fmt.Sprint(payload), func(t *testing.T) {
			families(t, func(t *testing.T, f family) {
				w := newWorldWith(t, nil, payload, 1, 1)
				l := listen(t, f)
				s := w.socket(t, 65535, nil, nil)
				require.NoError(t, tcp.ClientSocketBind(s, tcp.AnyPort, nx.NoWait))
				if err := tcp.ClientSocketConnect(s, f.kernel, portOf(l), wait); err != nil {
					require.ErrorIs(t, err, nx.NotConnected)
					t.Logf("connect: %v", err)
					return
				}
				kernel := accept(t, l)
				out, in := newStream(13, n), newStream(14, n)
				atKernel, atStack := sha256.New(), sha256.New()
				// The kernel's side ends when the stack's has, at the latest by its deadline.
				wrote := running(t, func() error { _, _ = io.Copy(kernel, in); return nil })
				read := running(t, func() error { _, _ = io.CopyN(atKernel, kernel, n); return nil })
				var sendError error
				sent := running(t, func() error { sendError = w.sendWithin(s, out, 100, wait); return nil })
				receiveError := receiveWithin(s, atStack, n, wait)
				sent()
				if errors.Join(sendError, receiveError) != nil {
					t.Logf("send: %v, receive: %v", sendError, receiveError)
					_ = tcp.SocketDisconnect(s, nx.NoWait)
				}
				wrote()
				read()
				if sendError == nil && receiveError == nil {
					assert.Equal(t, out.sum.Sum(nil), atKernel.Sum(nil))
					assert.Equal(t, in.sum.Sum(nil), atStack.Sum(nil))
				}
			})
		})
	}
}

// sendWithin is sendAll with a wait for each call.
func (w *world) sendWithin(s *tcp.Socket, data *stream, size int, wait nx.Wait) error {
	b := make([]byte, size)
	for {
		n, err := data.Read(b)
		if err == io.EOF {
			return nil
		}
		packet, err := packetpool.Allocate(w.data, packetpool.TCPPacket, wait)
		if err != nil {
			return err
		}
		if err = packetpool.DataAppend(packet, b[:n], w.data, wait); err == nil {
			err = tcp.SocketSend(s, packet, wait)
		}
		if err != nil {
			return errors.Join(err, packetpool.Release(packet))
		}
	}
}

// receiveWithin is receiveAll with a wait for each call.
func receiveWithin(s *tcp.Socket, sum io.Writer, n int, wait nx.Wait) error {
	b := make([]byte, 65536)
	for n > 0 {
		came, err := receive(s, b, wait)
		if err != nil {
			return fmt.Errorf("%d bytes before the end: %w", n, err)
		}
		_, _ = sum.Write(b[:came])
		n -= came
	}
	return nil
}
