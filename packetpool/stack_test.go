package packetpool_test

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// The pool under a real stack: two gVisor stacks, one of which reads its frames
// into packets. What its program has not read lies in packets, all of it and
// nothing else.

type host struct {
	*stack.Stack
	link *channel.Endpoint
}

func newHost(t *testing.T, address netip.Addr) *host {
	h := &host{
		Stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
		}),
		link: channel.New(256, 1500, ""),
	}
	require.Nil(t, h.CreateNIC(1, h.link))
	protocol := ipv4.ProtocolNumber
	if address.Is6() {
		protocol = ipv6.ProtocolNumber
	}
	require.Nil(t, h.AddProtocolAddress(1, tcpip.ProtocolAddress{
		Protocol: protocol, AddressWithPrefix: tcpip.AddrFromSlice(address.AsSlice()).WithPrefix(),
	}, stack.AddressProperties{}))
	h.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}, {Destination: header.IPv6EmptySubnet, NIC: 1}})
	return h
}

// carry takes what one host sends to another one, until ctx ends. With a reader
// it is read into packets, and told how long the headers are.
func carry(ctx context.Context, from, to *host, in *packetpool.Inbound) {
	for {
		pkt := from.link.ReadContext(ctx)
		if pkt == nil {
			return
		}
		frame := pkt.ToView()
		protocol, headers := pkt.NetworkProtocolNumber, pkt.HeaderSize()
		pkt.DecRef()
		arrive := func(payload buffer.Buffer, lent packetpool.Frame) {
			up := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
			to.link.InjectInbound(protocol, up)
			views, _ := up.AsViewList()
			lent.Reclaim(views)
			up.DecRef()
		}
		if in == nil {
			arrive(buffer.MakeWithView(frame), packetpool.Frame{})
			continue
		}
		rest := frame.AsSlice()
		areas := in.Reserve(len(rest))
		for _, area := range areas {
			rest = rest[copy(area, rest):]
		}
		if len(rest) == 0 {
			arrive(in.Commit(frame.Size(), headers))
		}
		frame.Release()
		in.Return()
	}
}

func TestUnreadBytesLieInPackets(t *testing.T) {
	for _, family := range []struct {
		name       string
		near, far  netip.Addr
		protocol   tcpip.NetworkProtocolNumber
		ipTCPBytes int
	}{
		{"IPv4", netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), ipv4.ProtocolNumber, 20 + 32},
		{"IPv6", netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), ipv6.ProtocolNumber, 40 + 32},
	} {
		t.Run(family.name, func(t *testing.T) {
			const payload, packets, segments, bytesEach = 256, 64, 6, 500
			pool := nxtest.NewPool(t, payload, packets)
			near, far := newHost(t, family.near), newHost(t, family.far)
			ctx, stop := context.WithCancel(context.Background())
			var in packetpool.Inbound
			in.Init(pool)
			var wires sync.WaitGroup
			wires.Go(func() { carry(ctx, far, near, &in) })
			wires.Go(func() { carry(ctx, near, far, nil) })
			defer func() {
				for _, h := range []*host{near, far} {
					h.Close()
				}
				stop()
				wires.Wait()
				for _, h := range []*host{near, far} {
					h.Wait()
					h.link.Close()
				}
			}()

			at := tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFromSlice(family.near.AsSlice()), Port: 25}
			listener, err := gonet.ListenTCP(near.Stack, at, family.protocol)
			require.NoError(t, err)
			sender, err := gonet.DialTCP(far.Stack, at, family.protocol)
			require.NoError(t, err)
			receiver, err := listener.Accept()
			require.NoError(t, err)

			sent := counting(bytesEach)
			for range segments {
				_, err := sender.Write(sent)
				require.NoError(t, err)
			}
			// Each frame takes ceil(its length / payload) packets; the one with headers
			// has data behind them.
			frame := (family.ipTCPBytes + bytesEach + payload - 1) / payload
			require.Eventually(t, func() bool { return free(t, pool) == packets-segments*frame }, 5*time.Second, time.Millisecond,
				"%d packets a frame", frame)
			held := 0
			for _, h := range pool.Holders() {
				held += h.Packets
			}
			assert.Equal(t, segments*frame, held)

			got := make([]byte, segments*bytesEach)
			_, err = io.ReadFull(receiver, got)
			require.NoError(t, err)
			assert.Equal(t, bytes.Repeat(sent, segments), got)
			require.Eventually(t, func() bool { return free(t, pool) == packets }, 5*time.Second, time.Millisecond, "all read: all free")
			assert.NoError(t, sender.Close())
			assert.NoError(t, receiver.Close())
			assert.NoError(t, listener.Close())
		})
	}
}
