package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// naive is the second yardstick: what one writes first when a gVisor stack is
// to use a TUN device. One goroutine reads a packet and injects it, another
// takes one from the channel and writes it. Everything is gVisor's default.
type naive struct {
	gvisor
	device *water.Interface
	link   *channel.Endpoint
	stop   context.CancelFunc
	ended  sync.WaitGroup // of the two goroutines
}

const naiveQueue = 512 // packets in the channel, as most programs have it

func newNaive(p part) (design, error) {
	device, err := water.New(water.Config{DeviceType: water.TUN})
	if err != nil {
		return nil, err
	}
	n := &naive{device: device, link: channel.New(naiveQueue, uint32(p.MTU), "")}
	if err := hostSide(device.Name(), p.MTU, p.Host); err != nil {
		return nil, errors.Join(err, device.Close())
	}
	if err := n.up(n.link, p.Stack); err != nil {
		return nil, errors.Join(err, device.Close())
	}
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
