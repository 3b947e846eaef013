package ip

import (
	"net/netip"
	"testing"

	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// The addresses of most tests, those of the recorded original.
var (
	addressA = IPAddress(1, 2, 3, 4)
	addressB = IPAddress(1, 2, 3, 5)
	absent   = IPAddress(1, 2, 3, 99)
	offLink  = IPAddress(9, 9, 9, 9)
	mask24   = IPAddress(255, 255, 255, 0)

	address6A = netip.MustParseAddr("2001:db8:1::1:4")
	address6B = netip.MustParseAddr("2001:db8:1::1:5")
	absent6   = netip.MustParseAddr("2001:db8:1::1:99")
	offLink6  = netip.MustParseAddr("2001:db8:9::9")
)

// host makes an instance on a network, which the test's end deletes.
func host(t testing.TB, driver link.Driver, address netip.Addr, config *Config) *Instance {
	t.Helper()
	inst := &Instance{Config: config}
	require.NoError(t, Create(inst, "host "+address.String(), address, mask24, nxtest.NewPool(t, 1536, 64), driver, 2048, 1))
	t.Cleanup(func() {
		if inst.Created() {
			require.NoError(t, Delete(inst))
		}
	})
	return inst
}

// pair makes two instances on a network of their own, with ICMP and IPv6 on,
// and their addresses valid.
func pair(t testing.TB) (a, b *Instance, network *ram.Network) {
	t.Helper()
	network = ram.NewNetwork(ram.Config{})
	a = host(t, network.Driver(), addressA, &Config{NoDAD: true})
	b = host(t, network.Driver(), addressB, &Config{NoDAD: true})
	for inst, address := range map[*Instance]netip.Addr{a: address6A, b: address6B} {
		require.NoError(t, ICMPEnable(inst))
		require.NoError(t, IPv6Enable(inst))
		_, err := IPv6AddressSet(inst, 0, address, 64)
		require.NoError(t, err)
	}
	return a, b, network
}

// oneHost is an instance on a network where nobody else is.
func oneHost(t testing.TB, config *Config) *Instance {
	t.Helper()
	return host(t, ram.NewNetwork(ram.Config{}).Driver(), addressA, config)
}

// requireStatus checks the status that an error carries; nx.Success stands for
// nil.
func requireStatus(t testing.TB, want nx.Status, err error) {
	t.Helper()
	if want == nx.Success {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, want, "%v", err)
}

// infoOf answers the counters.
func infoOf(t testing.TB, inst *Instance) Info {
	t.Helper()
	info, err := InfoGet(inst)
	require.NoError(t, err)
	return info
}

// fromStack is the reverse of toStack.
func fromStack(a tcpip.Address) netip.Addr {
	if a.Len() == 4 {
		return netip.AddrFrom4(a.As4())
	}
	return netip.AddrFrom16(a.As16())
}
