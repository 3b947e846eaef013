package topology

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What a host says of destinations that it cannot or will not reach.

// Forward makes the host a router for both families, or stops it.
func (h *Host) Forward(on bool) error {
	return h.setUp(on)
}

// Unreachable makes the host answer datagrams to a network, as a router that
// knows no way there: ICMP destination unreachable.
func (h *Host) Unreachable(to netip.Prefix) error { return h.dead(to, unix.RTN_UNREACHABLE) }

// Swallow makes the host drop datagrams to a network without a word.
func (h *Host) Swallow(to netip.Prefix) error { return h.dead(to, unix.RTN_BLACKHOLE) }

// Route sends datagrams to a network through a gateway.
func (h *Host) Route(to netip.Prefix, gateway netip.Addr) error {
	return h.Do(func() error {
		return netlink.RouteReplace(&netlink.Route{Dst: ipNet(to.Masked()), Gw: gateway.AsSlice()})
	})
}

func (h *Host) dead(to netip.Prefix, kind int) error {
	err := h.Do(func() error { return netlink.RouteReplace(&netlink.Route{Dst: ipNet(to.Masked()), Type: kind}) })
	if err != nil {
		return fmt.Errorf("route to %s on the %s: %w", to, h.Name, err)
	}
	return nil
}

// Quicken makes the kernel's TCP on the host give up early, and forget closed
// connections at once, so that a test need not wait: a SYN or SYN-ACK is sent
// again once, FIN_WAIT_2 lasts a second.
func (h *Host) Quicken() error {
	return h.Do(func() error {
		return errors.Join(
			sysctl("net/ipv4/tcp_syn_retries", "2"), sysctl("net/ipv4/tcp_synack_retries", "2"),
			sysctl("net/ipv4/tcp_fin_timeout", "1"), sysctl("net/ipv4/tcp_orphan_retries", "1"))
	})
}
