package inetd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

// instance is one with both families. Its pool is checked at the end.
func instance(t *testing.T, driver link.Driver, last byte, packets uint32) (*ip.Instance, *packetpool.Pool) {
	t.Helper()
	pool := nxtest.NewPool(t, 1536, packets)
	inst := &ip.Instance{Config: &ip.Config{NoDAD: true}}
	require.NoError(t, ip.Create(inst, fmt.Sprint(last), ip.IPAddress(192, 0, 2, last), ip.IPAddress(255, 255, 255, 0), pool, driver, 2048, 1))
	t.Cleanup(func() { require.NoError(t, ip.Delete(inst)) })
	require.NoError(t, ip.IPv6Enable(inst))
	address := netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", last))
	_, err := ip.IPv6AddressSet(inst, 0, address, 64)
	require.NoError(t, err)
	require.NoError(t, tcp.Enable(inst))
	return inst, pool
}

// served is a client's instance on the network of one with all services.
func served(t *testing.T) (client *ip.Instance, servers *Servers) {
	t.Helper()
	network := ram.NewNetwork(ram.Config{})
	client, _ = instance(t, network.Driver(), 1, 512)
	server, _ := instance(t, network.Driver(), 2, 512)
	text := func(w io.Writer) error { _, err := io.WriteString(w, "<text>"); return err }
	object := func(w io.Writer) error { _, err := io.WriteString(w, "{}"); return err }
	servers, err := Start(Config{Instance: server, Pool: nxtest.NewPool(t, 1536, 512), Page: Page("a stack", text, object)})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, servers.Stop()) })
	return client, servers
}

var families = map[string]string{"IPv4": "192.0.2.2", "IPv6": "2001:db8::2"}

func dial(t *testing.T, inst *ip.Instance, address string, port int) *tcp.Conn {
	t.Helper()
	c, err := tcp.Dial(t.Context(), inst, net.JoinHostPort(address, fmt.Sprint(port)), nil)
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestEcho(t *testing.T) {
	client, _ := served(t)
	for family, address := range families {
		t.Run(family, func(t *testing.T) {
			data := make([]byte, 300_000)
			_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
			c := dial(t, client, address, 7)
			written := make(chan error, 1)
			go func() {
				_, err := c.Write(data)
				written <- errors.Join(err, c.CloseWrite())
			}()
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			require.NoError(t, <-written)
			assert.True(t, bytes.Equal(data, got), "what comes back is what was sent")
		})
	}
}

func TestDiscard(t *testing.T) {
	client, _ := served(t)
	for family, address := range families {
		t.Run(family, func(t *testing.T) {
			c := dial(t, client, address, 9)
			_, err := c.Write(make([]byte, 300_000))
			require.NoError(t, err)
			require.NoError(t, c.CloseWrite())
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			assert.Empty(t, got)
		})
	}
}

func TestDaytime(t *testing.T) {
	client, _ := served(t)
	for family, address := range families {
		t.Run(family, func(t *testing.T) {
			before := time.Now().Truncate(time.Second)
			got, err := io.ReadAll(dial(t, client, address, 13))
			require.NoError(t, err)
			told, err := time.ParseInLocation("Monday, January 2, 2006 15:04:05-MST\r\n", string(got), time.Local)
			require.NoError(t, err)
			assert.WithinRange(t, told, before, time.Now())
		})
	}
}

// The pattern of RFC 864, across the borders of segments, and also for who
// sends something himself.
func TestChargen(t *testing.T) {
	client, _ := served(t)
	for family, address := range families {
		t.Run(family, func(t *testing.T) {
			c := dial(t, client, address, 19)
			_, err := c.Write([]byte("be quiet"))
			require.NoError(t, err)
			got := make([]byte, 3*len(pattern))
			_, err = io.ReadFull(c, got)
			require.NoError(t, err)
			lines := strings.Split(string(got), "\r\n")
			assert.Equal(t, ` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`+"`abcdefg", lines[0])
			assert.Equal(t, `!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`+"`abcdefgh", lines[1])
			assert.Equal(t, lines[0], lines[95])
			for i, line := range lines[:3*95] {
				require.Len(t, line, 72)
				require.Equal(t, lines[i%95], line)
			}
		})
	}
}

func TestPage(t *testing.T) {
	client, _ := served(t)
	browser := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return tcp.Dial(ctx, client, address, nil)
		},
	}}
	defer browser.CloseIdleConnections()
	body := func(r *http.Response, err error) string {
		require.NoError(t, err)
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return r.Status + " " + string(b)
	}
	for family, address := range families {
		t.Run(family, func(t *testing.T) {
			at := "http://" + net.JoinHostPort(address, "80")
			front := body(browser.Get(at + "/"))
			assert.Contains(t, front, "<h1>a stack</h1>")
			assert.Contains(t, front, "&lt;text&gt;", "it is text and no HTML")
			assert.Contains(t, front, "<td>port 19</td>")
			assert.Equal(t, "200 OK <text>", body(browser.Get(at+"/stat")))
			assert.Equal(t, "200 OK {}", body(browser.Get(at+"/stat.json")))
			assert.Len(t, body(browser.Get(at+"/bytes/100000")), len("200 OK ")+100_000)
			assert.Equal(t, "400 Bad Request how many bytes? /bytes/1000000\n", body(browser.Get(at+"/bytes/all")))
			assert.Equal(t, "200 OK 70000 bytes\n", body(browser.Post(at+"/", "", bytes.NewReader(make([]byte, 70_000)))))
		})
	}
}

// Many connections at once, of which none waits for another one.
func TestManyAtOnce(t *testing.T) {
	client, servers := served(t)
	const many = 40
	var all sync.WaitGroup
	together := make(chan struct{})
	var connected sync.WaitGroup
	connected.Add(many)
	for i := range many {
		address := families[[]string{"IPv4", "IPv6"}[i%2]]
		all.Go(func() {
			c := dial(t, client, address, 7)
			connected.Done()
			<-together
			text := fmt.Sprintf("connection %d", i)
			_, err := io.WriteString(c, text)
			assert.NoError(t, err)
			assert.NoError(t, c.CloseWrite())
			got, err := io.ReadAll(c)
			assert.NoError(t, err)
			assert.Equal(t, text, string(got))
		})
	}
	connected.Wait()
	close(together)
	all.Wait()
	assert.EqualValues(t, many, servers.Served())
}

// Stop ends services that nothing but it would end: who waits for data, who
// waits for a reader, and who waits for a connection.
func TestStopInTheMiddle(t *testing.T) {
	client, servers := served(t)
	for _, address := range families {
		for _, port := range []int{7, 9, 19, 80} {
			c := dial(t, client, address, port)
			if port == 19 {
				_, err := io.ReadFull(c, make([]byte, 1))
				require.NoError(t, err)
			}
		}
	}
	require.NoError(t, servers.Stop())
}

// A port that is taken already: nothing stays open.
func TestPortTaken(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	server, pool := instance(t, network.Driver(), 2, 64)
	l, err := tcp.Listen(server, 19, nil)
	require.NoError(t, err)
	_, err = Start(Config{Instance: server, Pool: pool})
	require.ErrorContains(t, err, "chargen, port 19")
	require.NoError(t, l.Close())
	stats, err := tcp.StatsGet(server)
	require.NoError(t, err)
	assert.Empty(t, stats.Sockets)
	assert.Empty(t, stats.Listens)
}
