package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"strings"

	"gonetx/ip/link/tun/netns"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// there runs f in the namespace of the device.
func (p *plan) there(f func() error) error {
	if p.netns == "" {
		return f()
	}
	ns, err := netns.Open(p.netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(f)
}

// stands tells how a device stands; one without a name does not yet.
func (p *plan) stands(device string) (d standing, err error) {
	if device == "" {
		return d, nil
	}
	err = p.there(func() error {
		l, err := netlink.LinkByName(device)
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			return nil
		}
		if err != nil {
			return err
		}
		a := l.Attrs()
		d.exists, d.up, d.mtu = true, a.RawFlags&unix.IFF_UP != 0, uint32(a.MTU)
		addresses, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		for _, a := range addresses {
			ones, _ := a.Mask.Size()
			if ip, ok := netip.AddrFromSlice(a.IP); ok {
				d.addresses = append(d.addresses, netip.PrefixFrom(ip.Unmap(), ones))
			}
		}
		return err
	})
	return d, err
}

// ask looks at the host's routes and settings.
func (p *plan) ask() (h host, err error) {
	_, err = exec.LookPath("iptables")
	h.nft = err != nil
	if _, err := exec.LookPath("nft"); err == nil {
		h.nft = true
	}
	err = p.there(func() error {
		routes, err := netlink.RouteGet(p.at.Addr().AsSlice())
		if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
			h.noRoute = true
			return nil
		}
		if err != nil {
			return err
		}
		if len(routes) == 0 {
			return errors.New("no answer")
		}
		h.local = routes[0].Type == unix.RTN_LOCAL
		l, err := netlink.LinkByIndex(routes[0].LinkIndex)
		if err != nil {
			return err
		}
		h.out = l.Attrs().Name
		if p.at.Addr().Is4() {
			h.forward = setting("net/ipv4/ip_forward") == "1"
			return nil
		}
		h.forward = setting("net/ipv6/conf/all/forwarding") == "1"
		h.routers = setting(fmt.Sprintf("net/ipv6/conf/%s/accept_ra", h.out)) == "1"
		return nil
	})
	return h, err
}

// setting is a kernel parameter of the namespace of the calling thread.
func setting(path string) string {
	b, err := os.ReadFile("/proc/sys/" + path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "$USER"
}
