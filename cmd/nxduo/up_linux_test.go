package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gonetx/cmd/nxduo/internal/stat"
	"gonetx/cmd/nxduo/internal/trace"
	"gonetx/netns-tests/topology"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// meeting is a directory for the sockets of nxduo stat, so that nothing is seen
// of others; it goes into the environment of what the test runs.
func meeting(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "up")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return []string{"XDG_RUNTIME_DIR=" + dir}
}

// running is an instance of "nxduo up" in a namespace of the test.
type running struct {
	upReport
	host      *topology.Local
	env       []string
	cmd       *exec.Cmd
	out, errs *bytes.Buffer
}

// up brings an instance up and waits until it is.
func up(t *testing.T, host *topology.Local, env []string, args ...string) *running {
	t.Helper()
	path, err := program()
	require.NoError(t, err)
	r := &running{host: host, env: env, out: new(bytes.Buffer), errs: new(bytes.Buffer)}
	r.cmd = exec.Command(path, append([]string{"up", "--json"}, args...)...)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	r.cmd.Stdout, r.cmd.Stderr = write, r.errs
	r.cmd.Env = append(os.Environ(), env...)
	require.NoError(t, host.Start(r.cmd))
	_ = write.Close()
	watchdog := time.AfterFunc(20*time.Second, func() { _ = r.cmd.Process.Kill() })
	defer watchdog.Stop()
	require.NoError(t, json.NewDecoder(read).Decode(&r.upReport), "%s", r.errs)
	return r
}

// end interrupts the instance, which must have lost nothing.
func (r *running) end(t *testing.T, with syscall.Signal) {
	t.Helper()
	require.NoError(t, r.cmd.Process.Signal(with))
	got := finish(t, r.cmd, r.out, r.errs)
	assert.Equal(t, exitOK, got.code, got.both())
}

// shot is what nxduo stat shows.
func (r *running) shot(t *testing.T) stat.Snapshot {
	t.Helper()
	got := invocation{args: []string{"stat", r.Name, "--json"}, env: r.env}.run(t)
	require.Equal(t, exitOK, got.code, got.both())
	var shot stat.Snapshot
	require.NoError(t, json.Unmarshal([]byte(got.out), &shot))
	return shot
}

// connect opens a connection from the kernel to the stack.
func (r *running) connect(t *testing.T, to netip.Addr, port int) *net.TCPConn {
	t.Helper()
	var c net.Conn
	require.NoError(t, r.host.Do(func() (err error) {
		// No second attempt over the other family, which would be on another thread.
		c, err = (&net.Dialer{Timeout: 10 * time.Second}).DialContext(context.Background(), "tcp", net.JoinHostPort(to.String(), fmt.Sprint(port)))
		return err
	}))
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

// ping has the kernel send an echo request to the stack.
func (r *running) ping(t *testing.T, to netip.Addr) {
	t.Helper()
	network, at, protocol := "ip4:icmp", "0.0.0.0", 1
	var kind, want icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if to.Is6() {
		network, at, protocol, kind, want = "ip6:ipv6-icmp", "::", 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	var c *icmp.PacketConn
	require.NoError(t, r.host.Do(func() (err error) {
		c, err = icmp.ListenPacket(network, at)
		return err
	}))
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	request, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{ID: 7, Seq: 1, Data: []byte("who is there")}}).Marshal(nil)
	require.NoError(t, err)
	_, err = c.WriteTo(request, &net.IPAddr{IP: to.AsSlice()})
	require.NoError(t, err)
	for b := make([]byte, 1500); ; {
		n, _, err := c.ReadFrom(b)
		require.NoError(t, err, "no reply from %s", to)
		message, err := icmp.ParseMessage(protocol, b[:n])
		require.NoError(t, err)
		if echo, ok := message.Body.(*icmp.Echo); ok && message.Type == want {
			assert.Equal(t, "who is there", string(echo.Data))
			return
		}
	}
}

// The kernel talks to every service over both families, and nxduo stat shows
// it: sockets, queues, pools by owner, counters.
func TestUp(t *testing.T) {
	env := meeting(t)
	r := up(t, local(t), env)
	assert.Equal(t, "tun0", r.Name)
	require.Len(t, r.Stack, 2)
	for i, a := range r.Stack {
		assert.Equal(t, gateways[i], r.Host[i].Addr())
		t.Run(a.String(), func(t *testing.T) {
			r.ping(t, a.Addr())

			echo := r.connect(t, a.Addr(), 7)
			_, err := io.WriteString(echo, "hello")
			require.NoError(t, err)
			back := make([]byte, 5)
			_, err = io.ReadFull(echo, back)
			require.NoError(t, err)
			assert.Equal(t, "hello", string(back))

			web := r.connect(t, a.Addr(), 80)
			_, err = io.WriteString(web, "GET /stat HTTP/1.0\r\n\r\n")
			require.NoError(t, err)
			page, err := io.ReadAll(web)
			require.NoError(t, err)
			assert.Contains(t, string(page), "HTTP/1.0 200 OK\r\n")
			assert.Contains(t, string(page), "ESTABLISHED")

			// Who does not read holds packets of the stack, and that is seen.
			chargen := r.connect(t, a.Addr(), 19)
			require.NoError(t, chargen.SetReadBuffer(4096))
			var full *stat.Socket
			require.Eventually(t, func() bool {
				shot := r.shot(t)
				full = nil
				for i := range shot.Sockets {
					if s := &shot.Sockets[i]; s.Remote == chargen.LocalAddr().String() {
						full = s
					}
				}
				return full != nil && full.Senders == 1
			}, 20*time.Second, 10*time.Millisecond)
			assert.Equal(t, "ESTABLISHED", full.State)
			assert.True(t, full.Server)
			assert.Equal(t, netip.AddrPortFrom(a.Addr(), 19).String(), full.Local)
			require.NotNil(t, full.Congestion)
			assert.NotZero(t, full.Congestion.Window)
			assert.NotZero(t, full.Congestion.RTT)
			shot := r.shot(t)
			held := 0
			for _, p := range shot.Pools {
				for _, h := range p.Holders {
					held += h.Packets
				}
				assert.LessOrEqual(t, p.Free, p.Packets)
			}
			assert.NotZero(t, held, "the waiting sender has a packet at least")
			assert.NotZero(t, shot.Counters.IP.TotalPacketsReceived)
			assert.NotZero(t, shot.Counters.TCP.BytesSent)
			assert.Len(t, shot.Listens, 5)
		})
	}
	plain := invocation{args: []string{"stat"}, env: env}.run(t)
	require.Equal(t, exitOK, plain.code, plain.both())
	assert.Regexp(t, `(?m)^LISTEN +0 +64  \*:7 `, plain.out)
	r.end(t, syscall.SIGINT)
}

// Several instances run, each with its name; the last question about one that
// is gone has an answer, too.
func TestStatChoosesByName(t *testing.T) {
	env := meeting(t)
	ask := func(args ...string) result {
		return invocation{args: append([]string{"stat"}, args...), env: env}.run(t)
	}
	got := ask()
	assert.Equal(t, exitNoConnection, got.code)
	assert.Contains(t, got.err, "no instance runs")
	assert.Equal(t, "[]\n", ask("--list", "--json").out)

	a, b := up(t, local(t), env), up(t, local(t), env)
	c := up(t, local(t), env, "--name", "lab", "--address", "fd00::9/126,192.0.2.9/30")
	assert.Equal(t, []string{"tun0", "tun0-2", "lab"}, []string{a.Name, b.Name, c.Name})
	assert.Equal(t, "lab\ntun0\ntun0-2\n", ask("--list").out)
	got = ask()
	assert.Equal(t, exitUsage, got.code)
	assert.Contains(t, got.err, "several instances run, name one: lab, tun0, tun0-2")
	assert.Contains(t, ask("lab").out, "192.0.2.9/30")
	assert.Equal(t, netip.MustParsePrefix("192.0.2.10/30"), c.Host[0])
	assert.Equal(t, netip.MustParsePrefix("fd00::a/126"), c.Host[1], "each family has its host")
	for name, says := range map[string]string{"nobody": "no such instance runs", "../x": "a name has letters"} {
		got = ask(name)
		assert.NotZero(t, got.code)
		assert.Contains(t, got.err, says)
	}
	taken := invocation{args: []string{"up", "--name", "lab"}, env: env, on: local(t).Host}.run(t)
	assert.Equal(t, exitUsage, taken.code)
	assert.Contains(t, taken.err, "an instance of this name runs already")

	// Who watches sees the end, and that is no failure.
	path, err := program()
	require.NoError(t, err)
	watch := exec.Command(path, "stat", "lab", "--watch", "--json", "--interval", "20ms")
	watch.Env = append(os.Environ(), env...)
	lines, err := watch.StdoutPipe()
	require.NoError(t, err)
	var errs bytes.Buffer
	watch.Stderr = &errs
	require.NoError(t, watch.Start())
	decoder := json.NewDecoder(lines)
	for range 3 {
		var shot stat.Snapshot
		require.NoError(t, decoder.Decode(&shot))
		assert.Equal(t, "lab", shot.Name)
	}
	c.end(t, syscall.SIGTERM)
	_, err = io.Copy(io.Discard, lines)
	require.NoError(t, err)
	require.NoError(t, watch.Wait())
	assert.Contains(t, errs.String(), "lab has ended")
	a.end(t, syscall.SIGHUP)
	b.end(t, syscall.SIGTERM)
	assert.Equal(t, "", ask("--list").out)
}

// A command beside the stack is in its network; its words and its exit code are
// handed on.
func TestUpWithCommand(t *testing.T) {
	device(t)
	for _, c := range []struct {
		name, script string
		code         int
		out          string
	}{
		{"IPv4", `exec 3<>/dev/tcp/$NXDUO_IPV4/13; cat <&3`, 0, "-UTC\r\n"},
		{"IPv6", `exec 3<>/dev/tcp/$NXDUO_IPV6/7; echo hello >&3; head -1 <&3`, 0, "hello\n"},
		{"its own exit code", "exit 7", 7, ""},
		{"a signal", "kill -TERM $$", 128 + 15, ""},
		{"its input", "cat", 0, "Hello.\n"},
		{"stat from inside", `"$NXDUO" stat $NXDUO_NAME | head -1`, 0, "tun0  process"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := program()
			require.NoError(t, err)
			r := invocation{
				args:  []string{"up", "--", "bash", "-c", c.script},
				stdin: "Hello.\n", env: append(meeting(t), "TZ=UTC", "NXDUO="+path),
			}.run(t)
			assert.Equal(t, c.code, r.code, r.both())
			assert.Contains(t, r.out, c.out)
			if c.out == "" {
				assert.Empty(t, r.out)
			}
			assert.Contains(t, r.err, "tun0 is up on tun0")
			assert.NotContains(t, r.err, "nxduo:")
		})
	}
	for name, code := range map[string]int{"/nowhere/program": 127, os.TempDir(): 126} {
		r := invocation{args: []string{"up", "--", name}, env: meeting(t)}.run(t)
		assert.Equal(t, code, r.code, r.both())
		assert.Contains(t, r.err, "the command does not start")
	}
}

// A signal to the program reaches the command, whose end is the end.
func TestUpHandsSignalsOn(t *testing.T) {
	device(t)
	path, err := program()
	require.NoError(t, err)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		ready, write, err := os.Pipe()
		require.NoError(t, err)
		var errs bytes.Buffer
		c := exec.Command(path, "up", "--", "bash", "-c", "trap 'exit 9' TERM INT HUP; echo ready; while :; do read -t 1; done")
		stdin, err := c.StdinPipe()
		require.NoError(t, err)
		c.Stdout, c.Stderr = write, &errs
		c.Env = append(os.Environ(), meeting(t)...)
		require.NoError(t, c.Start())
		_ = write.Close()
		_, err = io.ReadFull(ready, make([]byte, len("ready\n")))
		require.NoError(t, err)
		require.NoError(t, c.Process.Signal(signal))
		r := finish(t, c, new(bytes.Buffer), &errs)
		assert.Equal(t, 9, r.code, "%s: %s", signal, r.err)
		_ = stdin.Close()
		_ = ready.Close()
	}
}

func TestUpWithFaultsAndCapture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "up.pcapng")
	r := up(t, local(t), meeting(t), "--fault", "drop(out data 1)", "--pcap", file, "--ip-pool", "64x256")
	assert.False(t, r.Offload)
	for _, a := range r.Stack {
		echo := r.connect(t, a.Addr(), 7)
		_, err := io.WriteString(echo, "again")
		require.NoError(t, err)
		_, err = io.ReadFull(echo, make([]byte, 5))
		require.NoError(t, err)
	}
	shot := r.shot(t)
	assert.NotZero(t, shot.Counters.TCP.RetransmittedPackets)
	assert.Contains(t, shot.Instance.Wrappers, "fault")
	r.end(t, syscall.SIGINT)
	captured, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(captured), "again")
}

// What a program did with the stack is left as a study leaves it: a trace that
// is in order, a capture, and a report of both families.
func TestUpLeavesAFolder(t *testing.T) {
	device(t)
	dir := filepath.Join(t.TempDir(), "lab")
	script := `for at in $NXDUO_IPV4 $NXDUO_IPV6; do exec 3<>/dev/tcp/$at/7; echo hello >&3; head -1 <&3; exec 3>&-; done`
	r := invocation{args: []string{"up", "--out", dir, "--fault", "drop(out data 1)", "--", "bash", "-c", script}, env: meeting(t)}.run(t)
	require.Equal(t, exitOK, r.code, r.both())
	assert.Equal(t, "hello\nhello\n", r.out)
	check := nxduo(t, "trace", "check", dir)
	assert.Equal(t, exitOK, check.code, check.both())
	saved, err := readFolder(dir)
	require.NoError(t, err)
	segments, again := map[string]int{}, map[string]int{}
	for _, e := range saved.Events {
		if s, ok := e.Data.(*trace.Segment); ok {
			segments[e.Family]++
			if s.Again {
				again[e.Family]++
			}
		}
	}
	const least = 5 // a handshake, and a line each way; the end of the last one may come too late
	assert.GreaterOrEqual(t, segments["IPv4"], least)
	assert.GreaterOrEqual(t, segments["IPv6"], least)
	assert.NotZero(t, again["IPv4"], "the one that was dropped; on a busy machine others may be late")
	report, err := os.ReadFile(filepath.Join(dir, reportFile))
	require.NoError(t, err)
	assert.Contains(t, string(report), "First retransmission at ")
	captured, err := os.ReadFile(filepath.Join(dir, captureFile))
	require.NoError(t, err)
	assert.Contains(t, string(captured), "hello")

	taken := invocation{args: []string{"up", "--out", dir, "--", "true"}, env: meeting(t)}.run(t)
	assert.Equal(t, exitUsage, taken.code)
	assert.Contains(t, taken.err, "is not empty")
	other := filepath.Join(t.TempDir(), "none")
	none := invocation{args: []string{"up", "--out", other, "--tun", "lo", "--", "true"}, env: meeting(t)}.run(t)
	assert.Equal(t, exitNoTUN, none.code, none.both())
	assert.NoDirExists(t, other, "of a stack that did not come up nothing is left")
}

// The device is deleted: there is nothing to serve any more.
func TestUpLosesItsDevice(t *testing.T) {
	host := local(t)
	r := up(t, host, meeting(t), "--tun", "victim")
	require.NoError(t, host.Do(func() error {
		link, err := netlink.LinkByName("victim")
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	}))
	got := finish(t, r.cmd, r.out, r.errs)
	assert.Equal(t, exitNoTUN, got.code, got.both())
	assert.Contains(t, got.err, "the device victim went away")
}

// What went wrong beside a command is said, whatever the command's own end.
func TestSilence(t *testing.T) {
	quiet := &failure{code: 7, what: "the command failed", silent: true}
	assert.True(t, isSilent(errors.Join(quiet, nil)))
	assert.True(t, isSilent(errors.Join(errors.Join(nil, quiet), nil)))
	assert.False(t, isSilent(errors.Join(quiet, errors.New("packets are missing"))))
	assert.False(t, isSilent(fmt.Errorf("more: %w", quiet)))
	assert.Equal(t, 7, exitCode(errors.Join(quiet, errors.New("packets are missing"))))
}

func TestUpBadFlags(t *testing.T) {
	for says, args := range map[string][]string{
		"no two hosts can be there":           {"--address", "192.0.2.1/32"},
		"the family has one already":          {"--address", "192.0.2.1/24,192.0.2.2/24"},
		"a command runs in a namespace":       {"--netns", "lab", "--", "true"},
		`fault "loss=much"`:                   {"--fault", "loss=much"},
		`--name "a/b": a name has letters`:    {"--name", "a/b"},
		"the capture file":                    {"--pcap", "/nowhere/x"},
		"--out has a capture, too":            {"--pcap", "x", "--out", "y"},
		`"7" is not a number of packets`:      {"--pool", "7"},
		"--interval must be longer than noth": {"stat", "--interval", "0s"},
	} {
		if args[0] != "stat" {
			args = append([]string{"up"}, args...)
		}
		r := nxduo(t, args...)
		assert.Equal(t, exitUsage, r.code, r.both())
		assert.Contains(t, strings.ReplaceAll(r.err, "\n", " "), says)
	}
}
