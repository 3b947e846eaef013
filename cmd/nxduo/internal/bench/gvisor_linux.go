package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/tun"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// gvisor is a gVisor stack with all of its defaults, on whatever link.
type gvisor struct{ stack *stack.Stack }

// up makes the stack.
func (g *gvisor) up(link stack.LinkEndpoint, own []netip.Prefix) error {
	g.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	if err := g.stack.CreateNIC(1, link); err != nil {
		return errors.New(err.String())
	}
	for _, prefix := range own {
		address := tcpip.ProtocolAddress{
			Protocol: protocolOf(prefix.Addr()),
			AddressWithPrefix: tcpip.AddressWithPrefix{
				Address: tcpip.AddrFromSlice(prefix.Addr().AsSlice()), PrefixLen: prefix.Bits(),
			},
		}
		if err := g.stack.AddProtocolAddress(1, address, stack.AddressProperties{}); err != nil {
			return errors.New(err.String())
		}
	}
	g.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: 1},
		{Destination: header.IPv6EmptySubnet, NIC: 1},
	})
	return nil
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

func (g *gvisor) dial(to netip.AddrPort) (conn, error) {
	c, ep, err := g.connect(to)
	if err != nil {
		return nil, err
	}
	return newStream(c, func() { ep.Abort() }), nil
}

// connect is gonet.DialTCP that keeps the endpoint, which alone can abort.
func (g *gvisor) connect(to netip.AddrPort) (*gonet.TCPConn, tcpip.Endpoint, error) {
	var queue waiter.Queue
	ep, failure := g.stack.NewEndpoint(tcp.ProtocolNumber, protocolOf(to.Addr()), &queue)
	if failure != nil {
		return nil, nil, errors.New(failure.String())
	}
	entry, writable := waiter.NewChannelEntry(waiter.WritableEvents)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	failure = ep.Connect(tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFromSlice(to.Addr().AsSlice()), Port: to.Port()})
	if _, started := failure.(*tcpip.ErrConnectStarted); started {
		select {
		case <-writable:
			failure = ep.LastError()
		case <-time.After(patience):
			failure = &tcpip.ErrTimeout{}
		}
	}
	if failure != nil {
		ep.Close()
		return nil, nil, fmt.Errorf("connect to %s: %s", to, failure)
	}
	return gonet.NewTCPConn(&queue, ep), ep, nil
}

func (g *gvisor) mail(to netip.AddrPort) error {
	c, _, err := g.connect(to)
	if err != nil {
		return err
	}
	return netMail(c)
}

// bare is gVisor over the driver of ip/link/tun, with its offload and without
// a pool, an IP instance, or sockets of ours: what is left to compare with is
// what those cost.
type bare struct {
	gvisor
	link link.Endpoint
}

func newBare(p part) (design, error) {
	b := &bare{}
	var err error
	if b.link, err = tun.New(tun.Config{MTU: uint32(p.MTU), Addresses: p.Host}).Open(link.Attachment{}); err != nil {
		return nil, err
	}
	return b, b.up(b.link, p.Stack)
}

func (b *bare) about() string {
	return fmt.Sprintf("gVisor over ip/link/tun, %s, no pool", offload(b.link.Info()))
}

func (b *bare) frames() Frames {
	f := framesOf(b.link.Info())
	f.Again = float64(b.stack.Stats().TCP.Retransmits.Value())
	return f
}

func (b *bare) close() error {
	b.stack.Close()
	b.link.Stop()
	b.stack.Wait()
	return b.link.Release()
}

// offload tells of a link whether super-segments cross it.
func offload(info link.Info) string {
	if info.Offload {
		return info.Device + " with offload"
	}
	return info.Device + " without offload: " + info.Why
}
