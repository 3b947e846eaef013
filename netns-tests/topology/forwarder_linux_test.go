package topology

import (
	"net/netip"
	"testing"
	"time"

	"gonetx/ip/link/fault"
	"gonetx/ip/link/tun/netns"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
)

// Two kernels talk through a cable that loses a twentieth of the frames, and the
// third data segment for certain; every byte arrives.
func TestForwarderMakesFaults(t *testing.T) {
	faults, err := fault.Parse("seed=3,loss=5%,drop(out data 3)")
	require.NoError(t, err)
	r := routed(t, RoutedConfig{Faults: &faults})
	for _, server := range []netip.Prefix{Server4, Server6} {
		before, _ := counters(r)
		passBothWays(t, r.Near, r.Server, server, 10*time.Second)
		in, out := counters(r)
		assert.Greater(t, in.Dropped+out.Dropped, before.Dropped)
		assert.Greater(t, out.Frames, uint64(50))
	}
}

func counters(r *Routed) (in, out fault.Counters) { return r.Forwarder.Faults.Counters() }

// What the kernel has of netem and tbf works; what it has not is "not
// available", no skip: it is not a matter of the machine's settings.
func TestDisciplines(t *testing.T) {
	namespaces(t)
	netem, tbf := Disciplines()
	for name, err := range map[string]error{"netem": netem, "tbf": tbf} {
		if err != nil {
			require.ErrorIs(t, err, netns.NotInKernel)
			t.Logf("%s: not available (%v)", name, err)
		}
	}
	if netem != nil {
		return
	}
	r := routed(t, RoutedConfig{})
	require.NoError(t, r.Router.Netem("far", netlink.NetemQdiscAttrs{Latency: 30_000}))
	l, err := r.Server.Listen(netip.AddrPortFrom(Server4.Addr(), 0).String())
	require.NoError(t, err)
	defer l.Close()
	began := time.Now()
	c, err := dial(r.Near, 10*time.Second, "", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	assert.GreaterOrEqual(t, time.Since(began), 30*time.Millisecond)
}
