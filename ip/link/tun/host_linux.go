package tun

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// superSegment is the largest frame that the kernel hands over when nothing
// limits it (GSO_LEGACY_MAX_SIZE of linux/netdevice.h).
const superSegment = 65536

// negotiate settles what crosses the device besides wire segments. Whatever
// the kernel refuses stays off, and d.why tells it.
func (d *device) negotiate(l netlink.Link, largest uint32) error {
	if d.why != "" {
		if d.stays { // and the program before us may have been killed
			return d.takeOffloadBack()
		}
		return nil
	}
	return control(d.file, func(fd int) error {
		ifr, err := unix.NewIfreq("")
		if err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
			return fmt.Errorf("read the flags of %s: %w", d.name, err)
		}
		if ifr.Uint16()&unix.IFF_VNET_HDR == 0 {
			d.why = "the kernel did not set IFF_VNET_HDR on the second queue"
			return nil
		}
		d.vnet = true // from here on each frame has the header, whatever else
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetBytes); err != nil {
			return fmt.Errorf("set the size of the vnet header of %s: %w", d.name, err)
		}
		d.tso, d.why = d.limit(l, largest)
		offload := unix.TUN_F_CSUM
		if d.tso > 0 {
			offload |= unix.TUN_F_TSO4 | unix.TUN_F_TSO6
		}
		if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offload); err != nil {
			d.tso, d.why = 0, fmt.Sprintf("inbound: the kernel refuses TUNSETOFFLOAD (%v)", err)
		}
		return nil
	})
}

// takeOffloadBack sees to it that what comes out of the device is wire segments
// with checksums. A device that stays keeps what was asked of it.
func (d *device) takeOffloadBack() error {
	return control(d.file, func(fd int) error {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0); err != nil {
			return fmt.Errorf("switch the offload of %s off: %w", d.name, err)
		}
		return nil
	})
}

// limit keeps the kernel from handing over more at once than the receiver can
// take. Where it cannot be kept from that, super-segments stay outside.
func (d *device) limit(l netlink.Link, largest uint32) (tso uint32, why string) {
	if largest >= superSegment {
		return superSegment, ""
	}
	if largest < 4*d.mtu {
		return 0, fmt.Sprintf("inbound: the packet pool has room for frames of %d bytes, too few for super-segments", largest)
	}
	// gso_max_size bounds the frame below it, in the kernel's TCP and in its
	// segmentation (gso_features_check). A user may not set it, but root may
	// have done.
	if a := l.Attrs(); a.GSOMaxSize > 0 && a.GSOMaxSize <= largest && a.GSOIPv4MaxSize <= largest {
		return largest, ""
	}
	for _, set := range []func(netlink.Link, int) error{netlink.LinkSetGSOMaxSize, netlink.LinkSetGSOIPv4MaxSize} {
		if err := set(l, int(largest)); err != nil {
			return 0, fmt.Sprintf("inbound: the packet pool has room for frames of %d bytes, and the kernel refuses to keep to that (%v); as root: ip link set %s gso_max_size %d",
				largest, err, d.name, largest) // and so that for IPv4, see netif_set_gso_max_size
		}
	}
	return largest, ""
}

// addAddress gives the host's side an address. Duplicate address detection is
// off: nobody else is on the link, and the address is wanted at once.
func addAddress(l netlink.Link, p netip.Prefix) error {
	a, err := netlink.ParseAddr(p.String())
	if err != nil {
		return err
	}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	err = netlink.AddrAdd(l, a)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if least := 1280; errors.Is(err, unix.EINVAL) && p.Addr().Is6() && l.Attrs().MTU < least {
		return fmt.Errorf("IPv6 wants an MTU of %d: %w", least, err)
	}
	return err
}

// awaitCarrier waits until the kernel sends over a device that is up. One that stays
// has no carrier while nobody has it open; when it gets it back, a work queue puts
// its queue in place, and what is sent before that is lost (linkwatch_do_dev). A
// kernel that does not get there in time is left to itself.
func awaitCarrier(name string) error {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(100 * time.Microsecond) {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("look for device %s: %w", name, err)
		}
		if l.Attrs().OperState != netlink.OperDown || time.Now().After(deadline) {
			return nil
		}
	}
}

// awaitLocal waits until the kernel takes datagrams for the addresses. It makes
// the local route of an IPv6 address in a work queue, after it has answered
// (addrconf_dad_start, also without detection); a SYN that comes before is
// lost. An address that does not get there in time is left to itself.
func awaitLocal(addresses []netip.Prefix) {
	deadline := time.Now().Add(time.Second)
	for _, p := range addresses {
		for p.Addr().Is6() && !isLocal(p.Addr()) && time.Now().Before(deadline) {
			time.Sleep(100 * time.Microsecond)
		}
	}
}

func isLocal(a netip.Addr) bool {
	routes, err := netlink.RouteGet(a.AsSlice())
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}
