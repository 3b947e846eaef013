package main

import (
	"encoding/json"
	"math"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"gonetx/netns-tests/topology"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pinging(args ...string) []string { return append([]string{"ping"}, args...) }

func TestPing(t *testing.T) {
	l := local(t)
	for _, gateway := range gateways {
		for _, size := range []string{"0", "56", "1472", "20000"} {
			r := invocation{args: pinging("-c", "3", "-i", "1ms", "-s", size, gateway.String()), on: l.Host}.run(t)
			require.Equal(t, exitOK, r.code, r.both())
			assert.Equal(t, 3, strings.Count(r.out, "bytes from "+gateway.String()+": icmp_seq="), r.out)
			for _, part := range []string{"icmp_seq=0 ttl=64 time=", "icmp_seq=2 ttl=64", "3 packets transmitted, 3 received, 0% packet loss", "rtt min/avg/max/mdev = "} {
				assert.Contains(t, r.out, part)
			}
		}
	}
}

// In namespaces of its own it needs nothing but that these can be made.
func TestPingAlone(t *testing.T) {
	device(t)
	for _, args := range [][]string{{}, {"fd77::1"}, {"--family", "6"}} {
		r := nxduo(t, pinging(append(args, "--alone", "-c", "2", "-i", "0", "-q")...)...)
		require.Equal(t, exitOK, r.code, r.both())
		assert.NotContains(t, r.out, "icmp_seq")
		assert.Contains(t, r.out, "2 packets transmitted, 2 received")
	}
}

func TestPingWithoutReply(t *testing.T) {
	l := local(t)
	for _, absent := range []string{"10.77.0.99", "fd77::99"} {
		r := invocation{args: pinging("-c", "2", "-i", "1ms", "-W", "100ms", absent), on: l.Host}.run(t)
		assert.Equal(t, pingNoAnswer, r.code, r.both())
		assert.Contains(t, r.out, "icmp_seq=1: no answer within 100ms")
		assert.Contains(t, r.out, "2 packets transmitted, 0 received, 100% packet loss")
		assert.NotContains(t, r.out, "rtt")
	}
}

// Routers on the way say why a request does not get there.
func TestPingErrorsOnTheWay(t *testing.T) {
	device(t)
	r, err := topology.NewRouted(topology.RoutedConfig{MTU: 1280})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Close()) })
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{topology.Server4.Addr().String()}, exitOK, "ttl=62"},
		{[]string{topology.Server6.Addr().String()}, exitOK, "ttl=62"},
		{[]string{"--ttl", "1", topology.Server4.Addr().String()}, pingNoAnswer, "time to live exceeded, says " + topology.Gateway4.Addr().String()},
		{[]string{"--ttl", "2", topology.Server6.Addr().String()}, pingNoAnswer, "time to live exceeded, says fd78::2"},
		{[]string{"--size", "1400", topology.Server6.Addr().String()}, pingNoAnswer, "packet too big, says fd78::2"},
		{[]string{"-W", "9s", topology.Absent4.String()}, pingNoAnswer, "destination host unreachable, says 10.78.0.2"},
	} {
		got := invocation{args: pinging(append([]string{"-c", "1"}, c.args...)...), on: r.Near}.run(t)
		assert.Equal(t, c.code, got.code, "%v\n%s", c.args, got.both())
		assert.Contains(t, got.out, c.says, "%v", c.args)
	}
}

func TestPingJSON(t *testing.T) {
	l := local(t)
	r := invocation{args: pinging("-c", "2", "-i", "0", "--json", gateways[0].String()), on: l.Host}.run(t)
	require.Equal(t, exitOK, r.code, r.both())
	var report pingReport
	require.NoError(t, json.Unmarshal([]byte(r.out), &report), r.out)
	assert.EqualValues(t, 2, report.Received)
	require.Len(t, report.Replies, 2)
	assert.Equal(t, gateways[0], report.Replies[1].From)
	assert.EqualValues(t, 1, report.Replies[1].Sequence)
	assert.Positive(t, report.Replies[1].Time)

	r = invocation{args: pinging("--json", "--size", "70000", gateways[0].String())}.run(t)
	require.Equal(t, pingFailed, r.code, r.both())
	require.NoError(t, json.Unmarshal([]byte(r.out), &report), r.out)
	assert.Contains(t, report.Error, "no datagram holds that")
}

// Ctrl-C prints the summary, at once, though a reply is still waited for.
func TestPingInterrupt(t *testing.T) {
	l := local(t)
	path, err := program()
	require.NoError(t, err)
	pcap := t.TempDir() + "/ping.pcapng"
	c, out, errs := invocation{args: pinging("-W", "1h", "--pcap", pcap, "10.77.0.99"), on: l.Host}.start(t, path)
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) { // until the request is in the capture
		if b, _ := os.ReadFile(pcap); strings.Contains(string(b), "\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11") {
			break
		}
		require.True(t, time.Now().Before(limit), "no request")
	}
	require.NoError(t, c.Process.Signal(os.Interrupt))
	r := finish(t, c, out, errs)
	assert.Equal(t, pingNoAnswer, r.code, r.both())
	assert.Contains(t, r.out, "1 packets transmitted, 0 received, 100% packet loss")
}

func TestPingUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"-s", "65508", "10.77.0.1"}, {"-W", "0s", "10.77.0.1"}, {"--interval", "-1s", "10.77.0.1"}, {"--alone", "--tun", "x"},
		{"--alone", "--netns", "x"}, {"10.77.0.2"}, {"127.0.0.1"}, {"--family", "6", "10.77.0.1"}, {"--count", "x", "10.77.0.1"},
	} {
		r := nxduo(t, pinging(args...)...)
		assert.Equal(t, pingFailed, r.code, "%v\n%s", args, r.both())
	}
}

func TestPingSums(t *testing.T) {
	to := netip.MustParseAddr("192.0.2.1")
	r := pingReport{Address: to, Sent: 4, Took: 3 * time.Second}
	for _, ms := range []float64{1, 2, 3} {
		r.add(pingLine{From: to, took: time.Duration(ms * float64(time.Millisecond))})
	}
	r.add(pingLine{Error: "time to live exceeded, says 192.0.2.9"})
	r.conclude()
	assert.Equal(t, []float64{1, 2, 3, 25}, []float64{r.Min, r.Avg, r.Max, r.Loss})
	assert.InDelta(t, math.Sqrt(2.0/3), r.Mdev, 1e-9)
	assert.Equal(t, "\n--- 192.0.2.1 ping statistics ---\n4 packets transmitted, 3 received, +1 errors, 25% packet loss, time 3000ms\n"+
		"rtt min/avg/max/mdev = 1.000/2.000/3.000/0.816 ms\n", r.summary())
	for d, want := range map[time.Duration]string{
		48 * time.Microsecond: "0.048", 9999 * time.Microsecond: "9.999", 12345 * time.Microsecond: "12.3", 1234567 * time.Microsecond: "1235",
	} {
		assert.Equal(t, want, milliseconds(d))
	}
}
