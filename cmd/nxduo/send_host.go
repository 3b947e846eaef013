package main

import (
	"errors"
	"fmt"
	"net/netip"

	"gonetx/ip/link/tun"
	"gonetx/ip/link/tun/netns"
)

// What "nxduo send" tells about the host's side. It looks, and changes nothing
// but the device.

// device is the configuration of the TUN device. One that stands already is
// given the gateway's address only if it has not got it: its user may not be
// allowed to.
func (p *plan) device(c *networkFlags) (tun.Config, error) {
	config := tun.Config{Name: c.Tun, Namespace: p.netns, MTU: c.MTU}
	there, err := p.stands(c.Tun)
	if err != nil {
		return config, noTUN(err)
	}
	config.Addresses = without([]netip.Prefix{p.host()}, there.addresses)
	return config, nil
}

// standing is a device as it is.
type standing struct {
	exists    bool
	up        bool
	mtu       uint32
	addresses []netip.Prefix
}

// adviceOnDevice is what root could do so that this user has a device with
// these addresses of the host's; nothing where the reason is another one.
func (p *plan) adviceOnDevice(config tun.Config, hosts []netip.Prefix, err error) []string {
	if !errors.Is(err, netns.Capability) {
		return nil
	}
	name := config.Name
	var there standing
	for n := 0; ; n++ {
		if config.Name == "" {
			name = fmt.Sprint("tun", n)
		}
		var err error
		if there, err = p.stands(name); err != nil {
			return nil // only root can get there at all
		}
		if config.Name != "" || !there.exists {
			break
		}
	}
	var commands []string
	if !there.exists {
		commands = append(commands, fmt.Sprintf("ip tuntap add dev %s mode tun user %s multi_queue", name, userName()))
	}
	if config.MTU != 0 && config.MTU != there.mtu {
		commands = append(commands, fmt.Sprintf("ip link set %s mtu %d", name, config.MTU))
	}
	for _, a := range without(hosts, there.addresses) {
		commands = append(commands, addAddress(a, name))
	}
	if !there.up {
		commands = append(commands, fmt.Sprintf("ip link set %s up", name))
	}
	if len(commands) == 0 {
		return nil
	}
	lines := append([]string{"As root, for the device to be yours:"}, p.shell(commands...)...)
	return append(lines, "and then again with --tun "+name+".")
}

func addAddress(a netip.Prefix, device string) string {
	s := fmt.Sprintf("ip address add %s dev %s", a, device)
	if a.Addr().Is6() {
		s += " nodad"
	}
	return s
}

// host is the host's address on the device.
func (p *plan) host() netip.Prefix { return netip.PrefixFrom(p.gateway, p.address.Bits()) }

// inNamespace is a command for the namespace of the device.
func (p *plan) inNamespace(command string) string {
	if p.netns == "" {
		return command
	}
	return "nsenter --net=" + p.netns + " " + command
}

// host is what the host knows of the way between the stack and the server.
type host struct {
	local   bool   // the server is the host itself
	noRoute bool   // the host cannot reach the server either
	out     string // the device that the way to the server leaves through
	forward bool   // the host forwards datagrams of the family
	routers bool   // IPv6: the host learns its own routes from routers, and would stop when it forwards
	nft     bool   // the nft command is there, otherwise iptables
}

// adviceOnRoutes is what to do where no reply comes back: the commands that
// are missing, as far as the host can be asked, each on a line of its own.
func (p *plan) adviceOnRoutes(device string) []string {
	h, err := p.ask()
	switch {
	case err != nil:
		return []string{fmt.Sprintf("Nothing came back, and the host's routes cannot be read: %v.", err)}
	case h.noRoute:
		return []string{fmt.Sprintf("Nothing came back: this machine has no route to %s itself.", p.at.Addr())}
	case h.local:
		return []string{fmt.Sprintf("Nothing came back from this machine itself: a firewall may drop what comes in on %s.", device)}
	}
	lines := []string{fmt.Sprintf("Nothing came back. The way from %s to %s leads through this machine, out of %s.", p.address.Addr(), p.at.Addr(), h.out)}
	if !h.forward {
		lines = append(lines, "It forwards nothing; as root:")
		lines = append(lines, p.forwardCommands(h)...)
	}
	lines = append(lines, fmt.Sprintf("Unless the network beyond knows the way back to %s, its address must be translated; as root:", p.address.Masked()))
	lines = append(lines, p.translateCommands(h)...)
	return append(lines, "A firewall that drops what is forwarded would have to let it pass too.")
}

func (p *plan) forwardCommands(h host) []string {
	if p.at.Addr().Is4() {
		return p.shell("sysctl -w net.ipv4.ip_forward=1")
	}
	var commands []string
	if h.routers { // or the host loses its own default route (accept_ra of ip-sysctl)
		commands = append(commands, "sysctl -w net.ipv6.conf."+h.out+".accept_ra=2")
	}
	return p.shell(append(commands, "sysctl -w net.ipv6.conf.all.forwarding=1")...)
}

func (p *plan) translateCommands(h host) []string {
	table, command := "ip", "iptables"
	if p.at.Addr().Is6() {
		table, command = "ip6", "ip6tables"
	}
	network := p.address.Masked()
	if !h.nft {
		return p.shell(fmt.Sprintf("%s -t nat -A POSTROUTING -s %s -o %s -j MASQUERADE", command, network, h.out))
	}
	return p.shell(
		fmt.Sprintf("nft add table %s nxduo", table),
		fmt.Sprintf("nft add chain %s nxduo out '{ type nat hook postrouting priority 100; }'", table),
		fmt.Sprintf("nft add rule %s nxduo out %s saddr %s oifname %s masquerade", table, table, network, h.out),
	)
}

// shell shows commands, to be run in the namespace of the device.
func (p *plan) shell(commands ...string) []string {
	var lines []string
	for _, c := range commands {
		lines = append(lines, "    "+p.inNamespace(c))
	}
	return lines
}
