// Package linktest holds what the tests of drivers and wrappers share: a bare
// gVisor stack on a driver, datagrams made by hand, and a recorder.
package linktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Host is a stack with one interface, the endpoint that a driver made.
type Host struct {
	Stack    *stack.Stack
	Endpoint link.Endpoint
	Events   *nxtest.Recorder
}

// NIC is the number of a host's interface.
const NIC tcpip.NICID = 1

// NewHost opens the driver for a stack with the addresses. The host is closed,
// in the order that link.Endpoint asks for, when the test ends.
func NewHost(t testing.TB, driver link.Driver, a link.Attachment, addresses ...netip.Prefix) *Host {
	t.Helper()
	h := &Host{Events: &nxtest.Recorder{}}
	if a.Recorder == nil {
		a.Recorder = h.Events
	}
	var err error
	h.Endpoint, err = driver.Open(a)
	require.NoError(t, err)
	h.Stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	t.Cleanup(h.close)
	if e := h.Stack.CreateNIC(NIC, h.Endpoint); e != nil {
		require.FailNow(t, "CreateNIC", e.String())
	}
	for _, p := range addresses {
		e := h.Stack.AddProtocolAddress(NIC, tcpip.ProtocolAddress{
			Protocol: Protocol(p.Addr()),
			AddressWithPrefix: tcpip.AddressWithPrefix{
				Address: tcpip.AddrFromSlice(p.Addr().AsSlice()), PrefixLen: p.Bits(),
			},
		}, stack.AddressProperties{})
		if e != nil {
			require.FailNow(t, "AddProtocolAddress", e.String())
		}
	}
	h.Stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: NIC},
		{Destination: header.IPv6EmptySubnet, NIC: NIC},
	})
	return h
}

func (h *Host) close() {
	h.Stack.Close()
	h.Endpoint.Stop()
	h.Stack.Wait()
	_ = h.Endpoint.Release()
}

// Protocol is gVisor's number of the address's family.
func Protocol(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

func full(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: NIC, Addr: tcpip.AddrFromSlice(a.Addr().AsSlice()), Port: a.Port()}
}

// Listen opens a TCP port of the host.
func (h *Host) Listen(t testing.TB, at netip.AddrPort) net.Listener {
	t.Helper()
	l, err := gonet.ListenTCP(h.Stack, full(at), Protocol(at.Addr()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Window limits the receive window of all connections made later.
func (h *Host) Window(t testing.TB, bytes int) {
	t.Helper()
	size := tcpip.TCPReceiveBufferSizeRangeOption{Min: 1, Default: bytes, Max: bytes}
	moderate := tcpip.TCPModerateReceiveBufferOption(false)
	require.Nil(t, h.Stack.SetTransportProtocolOption(tcp.ProtocolNumber, &size))
	require.Nil(t, h.Stack.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate))
}

// Dial connects to a TCP port, within ten seconds.
func (h *Host) Dial(t testing.TB, to netip.AddrPort) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := gonet.DialContextTCP(ctx, h.Stack, full(to), Protocol(to.Addr()))
	require.NoError(t, err)
	return c
}

// Transfer sends size random bytes through a connection, out, back from the
// other end, and compares what arrived on both sides. Both connections are
// closed at the end.
func Transfer(t testing.TB, client net.Conn, accept func() (net.Conn, error), size int) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	served := make(chan error, 1)
	go func() { served <- echo(accept, deadline) }()

	require.NoError(t, client.SetDeadline(deadline))
	data := make([]byte, size)
	source := rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, size)))
	_, _ = source.Read(data)
	sent := make(chan error, 1)
	go func() {
		_, err := client.Write(data)
		sent <- err
	}()
	got := make([]byte, size)
	_, err := io.ReadFull(client, got)
	require.NoError(t, err, "read back")
	require.NoError(t, <-sent)
	require.True(t, bytes.Equal(data, got), "the bytes that came back are other ones")
	require.NoError(t, client.Close())
	require.NoError(t, <-served)
}

func echo(accept func() (net.Conn, error), deadline time.Time) error {
	c, err := accept()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	_, err = io.Copy(c, c)
	return err
}

// Reasons counts the drop events by reason.
func Reasons(r *nxtest.Recorder) map[string]int {
	reasons := map[string]int{}
	for _, e := range nxtest.Of[nx.DropEvent](r) {
		reasons[e.Reason]++
	}
	return reasons
}
