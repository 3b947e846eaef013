package main

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFirstOther(t *testing.T) {
	for prefix, want := range map[string]string{
		"10.77.0.2/24": "10.77.0.1", "10.77.0.1/24": "10.77.0.2", "10.77.0.200/24": "10.77.0.1",
		"192.0.2.9/30": "192.0.2.10", "192.0.2.10/30": "192.0.2.9",
		"fd77::2/64": "fd77::1", "fd77::1/64": "fd77::2", "2001:db8::5/127": "2001:db8::6",
	} {
		assert.Equal(t, want, firstOther(netip.MustParsePrefix(prefix)).String(), prefix)
	}
}

func TestUsable(t *testing.T) {
	for prefix, want := range map[string]bool{
		"10.77.0.2/24": true, "10.77.0.254/24": true, "10.77.0.0/24": false, "10.77.0.255/24": false,
		"0.0.0.0/0": false, "224.0.0.1/24": false, "127.0.0.1/8": false, "192.0.2.9/30": true, "192.0.2.11/30": false,
		"fd77::2/64": true, "fd77::/64": false, "fd77::ffff:ffff:ffff:ffff/64": true, "ff02::1/64": false, "::1/128": false,
	} {
		assert.Equal(t, want, usable(netip.MustParsePrefix(prefix)), prefix)
	}
}

func TestPoolFlag(t *testing.T) {
	var f poolFlag
	require.NoError(t, f.UnmarshalText([]byte("9x800")))
	assert.Equal(t, poolFlag{payload: 800, memory: 9 * 860}, f)
	require.NoError(t, f.UnmarshalText([]byte("1x1")))
	assert.Equal(t, poolFlag{payload: 1, memory: 64}, f)
	for _, bad := range []string{"", "x", "9", "9x", "x9", "-1x9", "9x-1", "0x9", "9x0", "1e3x9", "4294967296x1", "1048576x1048576"} {
		assert.Error(t, f.UnmarshalText([]byte(bad)), bad)
	}
}

func TestAdvice(t *testing.T) {
	four := &plan{at: netip.MustParseAddrPort("192.0.2.25:25"), address: netip.MustParsePrefix("10.77.0.2/24"), gateway: netip.MustParseAddr("10.77.0.1")}
	six := &plan{at: netip.MustParseAddrPort("[2001:db8::19]:25"), address: netip.MustParsePrefix("fd77::2/64"), gateway: netip.MustParseAddr("fd77::1"), netns: "/run/netns/lab"}

	assert.Equal(t, []string{"    sysctl -w net.ipv4.ip_forward=1"}, four.forwardCommands(host{out: "eth0"}))
	assert.Equal(t, []string{"    iptables -t nat -A POSTROUTING -s 10.77.0.0/24 -o eth0 -j MASQUERADE"}, four.translateCommands(host{out: "eth0"}))
	const in = "    nsenter --net=/run/netns/lab "
	assert.Equal(t, []string{in + "sysctl -w net.ipv6.conf.eth0.accept_ra=2", in + "sysctl -w net.ipv6.conf.all.forwarding=1"},
		six.forwardCommands(host{out: "eth0", routers: true}))
	assert.Equal(t, []string{
		in + "nft add table ip6 nxduo",
		in + "nft add chain ip6 nxduo out '{ type nat hook postrouting priority 100; }'",
		in + "nft add rule ip6 nxduo out ip6 saddr fd77::/64 oifname eth0 masquerade",
	}, six.translateCommands(host{out: "eth0", nft: true}))

	assert.Equal(t, "ip address add 10.77.0.1/24 dev tun0", addAddress(four.host(), "tun0"))
	assert.Equal(t, "ip address add fd77::1/64 dev tun0 nodad", addAddress(six.host(), "tun0"))
}
