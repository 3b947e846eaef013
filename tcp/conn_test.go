package tcp_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"
)

// The bridge keeps the contract of net.Conn.
func TestConn(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			config := hostConfig{payload: 1536, packets: 256}
			a, b := pairOn(t, ram.NewNetwork(ram.Config{}), config, config)
			listener, err := tcp.Listen(&b.inst, port, nil)
			if err != nil {
				return nil, nil, nil, err
			}
			accepted := make(chan net.Conn)
			go func() {
				c, err := listener.Accept()
				assert.NoError(t, err)
				accepted <- c
			}()
			c1, err = tcp.Dial(t.Context(), &a.inst, net.JoinHostPort(b.addr[family].String(), fmt.Sprint(port)), nil)
			c2 = <-accepted
			return c1, c2, func() {
				_ = c1.Close()
				_ = c2.Close()
				assert.NoError(t, listener.Close())
			}, err
		})
	})
}

// A stream leaves in full segments and what is left at its end, also where a
// packet holds a little more than one, 1460 bytes over IPv6, whose MSS is 1440,
// or many. A window that ends inside a segment is filled only when the peer has
// acknowledged all; the rest of that segment comes by itself then.
func TestConnFillsSegments(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		mss := map[string]int{"IPv4": 1460, "IPv6": 1440}[family]
		for _, payload := range []uint32{1536, 9000} {
			for _, size := range []int{20 * mss, 100_000, 500_000} {
				t.Run(fmt.Sprintf("%d in packets of %d", size, payload), func(t *testing.T) {
					fillsSegments(t, family, payload, size, mss)
				})
			}
		}
	})
}

func fillsSegments(t *testing.T, family string, payload uint32, size, mss int) {
	a, b := pairWith(t, hostConfig{payload: payload, packets: 100}, hostConfig{})
	listener, err := tcp.Listen(&b.inst, port, nil)
	require.NoError(t, err)
	received := make(chan int64)
	go func() {
		c, err := listener.Accept()
		if !assert.NoError(t, err) {
			close(received)
			return
		}
		n, err := io.Copy(io.Discard, c)
		assert.NoError(t, err)
		assert.NoError(t, c.Close())
		received <- n
	}()
	c, err := tcp.Dial(t.Context(), &a.inst, net.JoinHostPort(b.addr[family].String(), fmt.Sprint(port)), nil)
	require.NoError(t, err)
	_, err = c.Write(make([]byte, size))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.EqualValues(t, size, <-received)
	require.NoError(t, listener.Close())

	windows := map[[2]uint32]bool{} // that the peer has shown: from, to
	first, begun := uint32(0), false
	for _, e := range nxtest.Of[nx.SegmentEvent](a.rec) {
		switch {
		case e.Direction == nx.Received:
			windows[[2]uint32{e.Ack, e.Ack + e.Scaled}] = true
		case e.Length > 0:
			if !begun {
				first, begun = e.Sequence, true
			}
			end := int(e.Sequence-first) + e.Length
			full, last, rest := e.Length == mss, end == size, end%mss == 0
			filled := windows[[2]uint32{e.Sequence, e.Sequence + uint32(e.Length)}]
			assert.True(t, full || last || rest || filled, "%d bytes, up to %d of %d", e.Length, end, size)
		}
	}
}

func TestHTTPOverTheBridge(t *testing.T) {
	a, b := pair(t)
	listener, err := tcp.Listen(&b.inst, 80, nil)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "you asked for %s", r.URL.Path)
	})}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()

	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return tcp.Dial(ctx, &a.inst, address, nil)
		},
	}}
	response, err := client.Get("http://1.2.3.5:80/index.html")
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, "you asked for /index.html", string(body))

	client.CloseIdleConnections()
	require.NoError(t, server.Close())
	assert.ErrorIs(t, <-served, http.ErrServerClosed)
}

func TestDialRefused(t *testing.T) {
	a, _ := pair(t)
	_, err := tcp.Dial(t.Context(), &a.inst, "1.2.3.5:9", nil)
	require.ErrorIs(t, err, nx.NotConnected)
	assert.ErrorIs(t, err, tcp.ErrRefused)
}

// A program may receive messages first and make a Conn afterwards, as STARTTLS
// does: nothing that came meanwhile is lost, whatever became of the queue.
func TestConnGoesOnWhereReceiveStopped(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		a, b := pair(t)
		client, server := established(t, a, b, family)
		for _, text := range []string{"first ", "second ", "third ", "fourth"} {
			a.send(t, client, []byte(text))
		}
		nxtest.Await(t, b.rec, func(e nx.SegmentEvent) bool { return e.Direction == nx.Received && e.Length == len("fourth") })
		assert.Equal(t, "first ", string(receive(t, server, 100)))
		conn, err := tcp.NewConn(server, nil)
		require.NoError(t, err)
		got := make([]byte, len("second third fourth"))
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err = io.ReadFull(conn, got)
		require.NoError(t, err)
		assert.Equal(t, "second third fourth", string(got))
		require.NoError(t, conn.Close())
	})
}
