package ip

import (
	"net/netip"
	"testing"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/require"
)

func pingData(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func requirePing(t *testing.T, inst *Instance, address netip.Addr, size int) {
	t.Helper()
	data := pingData(size)
	response, err := ICMPPing(inst, address, data, nx.Ticks(2*time.Second))
	require.NoError(t, err, "%v", infoOf(t, inst).Drops)
	length, err := packetpool.LengthGet(response)
	require.NoError(t, err)
	require.EqualValues(t, size, length)
	got := make([]byte, size+1)
	n, err := packetpool.DataExtractOffset(response, 0, got)
	require.NoError(t, err)
	require.Equal(t, data, got[:n])
	require.NoError(t, packetpool.Release(response))
}

func TestPing(t *testing.T) {
	a, _, _ := pair(t)
	for name, address := range map[string]netip.Addr{
		"IPv4":             addressB,
		"IPv4 itself":      addressA,
		"IPv4 loopback":    IPAddress(127, 0, 0, 1),
		"IPv4 broadcast":   IPAddress(255, 255, 255, 255),
		"subnet broadcast": IPAddress(1, 2, 3, 255),
		"IPv6":             address6B,
		"IPv6 itself":      address6A,
		"IPv6 loopback":    netip.IPv6Loopback(),
	} {
		for _, size := range []int{0, 1, 28, 1000, 1440} {
			t.Run(name, func(t *testing.T) { requirePing(t, a, address, size) })
		}
	}
}
