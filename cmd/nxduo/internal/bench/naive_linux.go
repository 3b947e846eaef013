package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// naive is the second yardstick: what one writes first when a gVisor stack is
// to use a TUN device. One goroutine reads a packet and injects it, another
// takes one from the channel and writes it. Everything is gVisor's default.
type naive struct {
	device *water.Interface
	link   *channel.Endpoint
	stack  *stack.Stack
	stop   context.CancelFunc
	ended  sync.WaitGroup // of the two goroutines
}

const naiveQueue = 512 // packets in the channel, as most programs have it

func newNaive(p part) (design, error) {
	device, err := water.New(water.Config{DeviceType: water.TUN})
	if err != nil {
		return nil, err
	}
	if err := hostSide(device.Name(), p.MTU, p.Host); err != nil {
		_ = device.Close()
		return nil, err
	}
	n := &naive{
		device: device,
		link:   channel.New(naiveQueue, uint32(p.MTU), ""),
		stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
		}),
	}
	if err := n.stack.CreateNIC(1, n.link); err != nil {
		return nil, errors.New(err.String())
	}
	for _, prefix := range p.Stack {
		address := tcpip.ProtocolAddress{
			Protocol: protocolOf(prefix.Addr()),
			AddressWithPrefix: tcpip.AddressWithPrefix{
				Address: tcpip.AddrFromSlice(prefix.Addr().AsSlice()), PrefixLen: prefix.Bits(),
			},
		}
		if err := n.stack.AddProtocolAddress(1, address, stack.AddressProperties{}); err != nil {
			return nil, errors.New(err.String())
		}
	}
	n.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: 1},
		{Destination: header.IPv6EmptySubnet, NIC: 1},
	})
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	n.ended.Add(2)
	go n.inbound(p.MTU)
	go n.outbound(ctx)
	return n, nil
}

// hostSide gives the kernel's end of a device its addresses.
func hostSide(name string, mtu int, addresses []netip.Prefix) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMTU(l, mtu); err != nil {
		return err
	}
	for _, p := range addresses {
		a, err := netlink.ParseAddr(p.String())
		if err != nil {
			return err
		}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(l, a); err != nil {
			return fmt.Errorf("give %s the address %s: %w", name, p, err)
		}
	}
	return netlink.LinkSetUp(l)
}

func (n *naive) inbound(mtu int) {
	defer n.ended.Done()
	frame := make([]byte, mtu)
	for {
		size, err := n.device.Read(frame)
		if err != nil {
			return // the device is closed
		}
		protocol := header.IPv4ProtocolNumber
		if header.IPVersion(frame) == header.IPv6Version {
			protocol = header.IPv6ProtocolNumber
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame[:size])})
		n.link.InjectInbound(protocol, pkt)
		pkt.DecRef()
	}
}

func (n *naive) outbound(ctx context.Context) {
	defer n.ended.Done()
	for {
		pkt := n.link.ReadContext(ctx)
		if pkt == nil {
			return
		}
		view := pkt.ToView()
		_, err := n.device.Write(view.AsSlice())
		view.Release()
		pkt.DecRef()
		if err != nil && errors.Is(err, os.ErrClosed) {
			return
		}
	}
}

func (n *naive) about() string {
	return fmt.Sprintf("gVisor over %s, a packet at a time", n.device.Name())
}

func (n *naive) close() error {
	n.stack.Close()
	n.stop()
	err := n.device.Close()
	n.ended.Wait()
	n.stack.Wait()
	n.link.Close()
	return err
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

func (n *naive) dial(to netip.AddrPort) (conn, error) {
	c, ep, err := n.connect(to)
	if err != nil {
		return nil, err
	}
	return newStream(c, func() { ep.Abort() }), nil
}

// connect is gonet.DialTCP that keeps the endpoint, which alone can abort.
func (n *naive) connect(to netip.AddrPort) (*gonet.TCPConn, tcpip.Endpoint, error) {
	var queue waiter.Queue
	ep, failure := n.stack.NewEndpoint(tcp.ProtocolNumber, protocolOf(to.Addr()), &queue)
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

func (n *naive) mail(to netip.AddrPort) error {
	c, _, err := n.connect(to)
	if err != nil {
		return err
	}
	return netMail(c)
}
