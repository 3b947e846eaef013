package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gonetx/cmd/nxduo/internal/trace"
	"gonetx/netns-tests/topology"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// nobody is an ordinary user: no uid of the system's, no group, no capability.
const nobody = 65534

// ordinary is the place of an ordinary user: a host's network, a folder to write
// to, and /dev/net/tun with a mode of its own.
type ordinary struct {
	host *topology.Local
	dir  string
	mode string // of /dev/net/tun: "666", as most systems have it, or "600"

	confined bool // the kernel lets nobody in a chroot have a user namespace
}

// newOrdinary makes the place. It wants root of the machine, or of a container
// without a user namespace of its own: whoever is not runs all tests of this
// package as an ordinary user anyway.
func newOrdinary(t *testing.T, mode string) *ordinary {
	t.Helper()
	l := local(t)
	if table, err := os.ReadFile("/proc/self/uid_map"); err != nil || strings.Join(strings.Fields(string(table)), " ") != "0 0 4294967295" {
		missing(t, "root of the machine", errors.New("every test here is run by an ordinary user"))
	}
	for _, command := range []string{"bash", "unshare", "setpriv", "mount", "mknod", "chroot"} {
		_, err := exec.LookPath(command)
		missing(t, "the command "+command, err)
	}
	_, err := program()
	require.NoError(t, err)
	require.NoError(t, os.Chmod(programDir, 0o755))
	dir, err := os.MkdirTemp("", "ordinary")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chown(dir, nobody, nobody))
	return &ordinary{host: l, dir: dir, mode: mode}
}

// command is a command of the user's. The device is a node of its own, seen by
// this process and its children only, as is /proc: topology.Host starts programs in
// a process namespace.
func (o *ordinary) command(args ...string) *exec.Cmd {
	const become = `mount -t proc none /proc && mount -t tmpfs none /mnt && mknod -m $0 /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun && umount -l /mnt && mount --rbind / /mnt &&
exec chroot $1 sh -c 'cd "$0" && exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all -- "$@"' "${@:2}"`
	root := "/"
	if o.confined {
		root = "/mnt"
	}
	c := exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "bash", "-c", become, o.mode, root, o.dir}, args...)...)
	c.Dir = o.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.dir, "TMPDIR=" + o.dir}
	return c
}

// run runs nxduo with a mail on standard input.
func (o *ordinary) run(t *testing.T, args ...string) result {
	t.Helper()
	path, err := program()
	require.NoError(t, err)
	return o.runAs(t, append([]string{path}, args...)...)
}

func (o *ordinary) runAs(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs strings.Builder
	c := o.command(args...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader("Hello.\n"), &out, &errs
	started := time.Now()
	require.NoError(t, o.host.Start(c))
	watchdog := time.AfterFunc(60*time.Second, func() { _ = c.Process.Kill() })
	_ = c.Wait()
	require.True(t, watchdog.Stop(), "it hangs:\n%s%s", &out, &errs)
	return result{c.ProcessState.ExitCode(), out.String(), errs.String(), time.Since(started)}
}

// left is what there is in the user's folder and in the network of the host.
func (o *ordinary) left(t *testing.T) string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(o.dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.NoError(t, o.host.Do(func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			names = append(names, l.Attrs().Name)
		}
		routes, routeErr := netlink.RouteList(nil, netlink.FAMILY_ALL)
		if err == nil {
			err = routeErr
		}
		for _, r := range routes {
			if !r.Dst.IP.IsLinkLocalUnicast() { // of a device with a carrier, by the kernel
				names = append(names, r.String())
			}
		}
		return err
	}))
	return strings.Join(names, "\n")
}

// namespaces tells whether the kernel lets the user have namespaces of his
// own, asked without a line of ours.
func (o *ordinary) namespaces(t *testing.T) bool {
	t.Helper()
	r := o.runAs(t, "unshare", "--user", "--map-root-user", "--net", "true")
	if r.code != 0 {
		t.Logf("AN ORDINARY USER MAY NOT HAVE NAMESPACES HERE: %s", strings.TrimSpace(r.both()))
		t.Log("what is tested is that every command says so, and the ones that need none")
	}
	return r.code == 0
}

// refused holds an answer to what somebody without a right is owed: the
// documented code, one line that says what is missing and what to do, and
// further lines only for commands.
func refused(t *testing.T, r result, code int, why string) {
	t.Helper()
	assert.Equal(t, code, r.code, r.both())
	first, rest, _ := strings.Cut(r.err, "\n")
	assert.True(t, strings.HasPrefix(first, "nxduo: no TUN device: "), r.err)
	assert.Contains(t, first, why)
	assert.Contains(t, first, "; ", "a hint")
	assert.NotContains(t, rest, "nxduo: ", "one line")
	assert.Empty(t, r.out)
}

// What needs a network of its own makes one, without a right of any kind.
func TestOrdinaryUserInNamespaces(t *testing.T) {
	o := newOrdinary(t, "666")
	inNamespaces(t, o, o.namespaces(t))
}

// And where it may not, it says so.
func TestOrdinaryUserWithoutNamespaces(t *testing.T) {
	o := newOrdinary(t, "666")
	o.confined = true
	require.False(t, o.namespaces(t))
	inNamespaces(t, o, false)
}

func inNamespaces(t *testing.T, o *ordinary, allowed bool) {
	before := o.left(t)
	for _, c := range []struct {
		args  []string
		code  int    // where there may be namespaces
		in    string // what is printed then
		none  int    // the exit code where there may be none
		leave []string
	}{
		{args: []string{"demo"}, in: "a TUN device in namespaces of its own", none: exitOK},
		{args: []string{"demo", "--link", "tun"}, in: "Both mails arrived", none: exitNoTUN},
		{args: []string{"up", "--", "sh", "-c", "exit 7"}, code: 7, in: "It answers ping", none: exitNoTUN},
		{args: []string{"up", "--", "cat", "/proc/net/dev"}, in: "tun0", none: exitNoTUN},
		{args: []string{"ping", "--alone", "-c", "2", "-i", "10ms"}, in: "2 received", none: pingFailed},
		{args: []string{"ping", "--alone", "-c", "1", "fd77::1"}, in: "1 received", none: pingFailed},
		{args: []string{"study", "out", "--both", "--size", "20k", "--link", "tun", "--out", "kept"}, in: "kept: trace.jsonl", none: exitNoTUN,
			leave: []string{"kept"}},
		{args: []string{"parity", "-q", "--only", "offload", "--scenario", "connect*"}, in: "are the same", none: 3},
		{args: []string{"bench", "--only", "roundtrip", "--design", "kernel,nxduo", "--at-once", "1", "--family", "6", "--rounds", "1", "--duration", "20ms", "--quiet"},
			in: "roundtrip", none: exitNoTUN},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			r := o.run(t, c.args...)
			switch {
			case allowed:
				assert.Equal(t, c.code, r.code, r.both())
				assert.Contains(t, r.both(), c.in)
			case c.none == exitOK:
				assert.Equal(t, exitOK, r.code, r.both())
				assert.Contains(t, r.out, "make a user namespace: ", "why it is done in memory")
			case c.args[0] == "parity":
				assert.Equal(t, c.none, r.code, r.both())
			default:
				refused(t, r, c.none, "make a user namespace: ")
			}
			for _, name := range c.leave {
				_ = os.RemoveAll(filepath.Join(o.dir, name))
			}
			assert.Equal(t, before, o.left(t), "nothing is left")
		})
	}
}

// What needs the host's own network is refused with the commands that help, and
// with them it works. Nothing is left, not even a file.
func TestOrdinaryUserOnTheHost(t *testing.T) {
	o := newOrdinary(t, "666")
	before := o.left(t)
	send := toward(gateways[0], "2525", "--pcap", "send.pcapng")
	for _, c := range []struct {
		args []string
		code int
	}{
		{send, exitNoTUN},
		{[]string{"ping", "--pcap", "ping.pcapng", "-c", "1", gateways[1].String()}, pingFailed},
		{[]string{"up", "--pcap", "up.pcapng"}, exitNoTUN},
		{[]string{"up", "--out", "kept"}, exitNoTUN},
		{[]string{"up", "--tun", "lab0"}, exitNoTUN},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			r := o.run(t, c.args...)
			refused(t, r, c.code, "make a TUN device: the process has not the capability for it")
			assert.GreaterOrEqual(t, len(advised(r)), 3, r.err)
			assert.Equal(t, before, o.left(t), "nothing is left")
		})
	}

	r := o.run(t, "up", "--tun", "lab0")
	follow(t, o.host.Host, forUser(advised(r)))
	r = o.run(t, "ping", "--tun", "lab0", "-c", "1", "--pcap", "ping.pcapng", gateways[1].String())
	assert.Equal(t, exitOK, r.code, r.both())
	assert.FileExists(t, filepath.Join(o.dir, "ping.pcapng"))

	// What the device does not have yet, and nothing else.
	r = o.run(t, "ping", "--tun", "lab0", "--mtu", "1400", "-c", "1", gateways[0].String())
	refused(t, r, pingFailed, "set the MTU of lab0 to 1400")
	require.Equal(t, []string{"ip link set lab0 mtu 1400"}, advised(r))
	follow(t, o.host.Host, advised(r))
	r = o.run(t, "ping", "--tun", "lab0", "--mtu", "1400", "-c", "1", gateways[0].String())
	assert.Equal(t, exitOK, r.code, r.both())

	// A network of somebody else's.
	theirs := filepath.Join(programDir, "netns")
	require.NoError(t, os.WriteFile(theirs, nil, 0o644))
	require.NoError(t, unix.Mount("/proc/self/ns/net", theirs, "", unix.MS_BIND, ""))
	defer func() { assert.NoError(t, unix.Unmount(theirs, 0)) }()
	r = o.run(t, "ping", "--netns", theirs, "-c", "1", gateways[0].String())
	assert.Equal(t, pingFailed, r.code, r.both())
	assert.Contains(t, r.err, "the process has not the capability for it (operation not permitted); run as root\n")
	assert.Len(t, strings.Split(strings.TrimSpace(r.err), "\n"), 1, "there is no command for that: %s", r.err)
}

// forUser gives commands for "nobody" to the number: the user has no name on
// some systems.
func forUser(commands []string) []string {
	for i, c := range commands {
		for _, name := range []string{"nobody", "$USER"} {
			c = strings.ReplaceAll(c, "user "+name+" ", fmt.Sprintf("user %d ", nobody))
		}
		commands[i] = c
	}
	return commands
}

// A device that root made is the user's: with offload where nothing is in its
// way, without where a capture wants segments, and one program after the other.
// It stays.
func TestOrdinaryUserWithADeviceOfHis(t *testing.T) {
	o := newOrdinary(t, "666")
	make := func(name string, user int) []string {
		return []string{fmt.Sprintf("ip tuntap add dev %s mode tun user %d multi_queue", name, user), "ip link set " + name + " up"}
	}
	follow(t, o.host.Host, append(make("mine", nobody), "ip address add 10.77.0.1/24 dev mine", "ip address add fd77::1/64 dev mine nodad"))
	follow(t, o.host.Host, make("theirs", 1))
	devices := o.left(t)

	// 4096 packets of 1536 hold two super-segments: nothing has to be set.
	u := o.up(t, "--tun", "mine", "--ip-pool", "4096x1536")
	assert.True(t, u.shot(t).Instance.Offload)
	assert.Empty(t, u.shot(t).Instance.Why)
	u.echo(t)
	r := o.run(t, "ping", "--tun", "mine", "-c", "1", gateways[0].String())
	refusedTaken(t, r, "take device mine: another program has the device open")
	r = o.run(t, "stat")
	assert.Equal(t, exitOK, r.code, r.both())
	u.end(t)

	// The device had offload; this one must not.
	u = o.up(t, "--tun", "mine", "--pcap", "mine.pcapng")
	assert.False(t, u.shot(t).Instance.Offload)
	u.echo(t)
	u.end(t)
	require.NoError(t, os.Remove(filepath.Join(o.dir, "mine.pcapng")))

	u = o.up(t, "--tun", "mine", "--out", "kept")
	u.echo(t)
	u.end(t)
	f, err := os.Open(filepath.Join(o.dir, "kept", traceFile))
	require.NoError(t, err)
	defer f.Close()
	checked, err := trace.Check(f, 1)
	require.NoError(t, err)
	assert.Empty(t, checked.Problems)
	require.NoError(t, os.RemoveAll(filepath.Join(o.dir, "kept")))

	// A smaller pool: the kernel keeps to it only if root says so, and the rest
	// of the offload stays.
	u = o.up(t, "--tun", "mine", "--ip-pool", "64x1536")
	shot := u.shot(t)
	assert.True(t, shot.Instance.Offload)
	_, command, found := strings.Cut(shot.Instance.Why, "as root: ")
	require.True(t, found, shot.Instance.Why)
	u.echo(t)
	u.end(t)
	follow(t, o.host.Host, []string{command})
	u = o.up(t, "--tun", "mine", "--ip-pool", "64x1536")
	assert.Empty(t, u.shot(t).Instance.Why)
	u.echo(t)
	u.end(t)

	r = o.run(t, "up", "--tun", "theirs")
	refused(t, r, exitNoTUN, "attach to theirs: the device was made for another user")
	assert.Empty(t, advised(r))
	assert.Equal(t, devices, o.left(t), "the devices stay, and nothing else")
}

// refusedTaken is the answer for a device that is busy: there is nothing to do
// but to wait.
func refusedTaken(t *testing.T, r result, why string) {
	t.Helper()
	assert.Equal(t, pingFailed, r.code, r.both())
	assert.Contains(t, r.err, "nxduo: no TUN device: "+why)
	assert.Len(t, strings.Split(strings.TrimSpace(r.err), "\n"), 1, r.err)
}

// A device file that nobody but root may open: what can be done in memory is,
// and says so; everything else tells which file it is.
func TestOrdinaryUserWithoutTheDevice(t *testing.T) {
	o := newOrdinary(t, "600")
	allowed := o.namespaces(t)
	why := "open /dev/net/tun: /dev/net/tun may not be opened by this user"
	if !allowed {
		why = "make a user namespace: "
	}
	before := o.left(t)
	for _, args := range [][]string{{"demo"}, {"study", "out", "--size", "20k", "--out", "kept"}} {
		r := o.run(t, args...)
		assert.Equal(t, exitOK, r.code, r.both())
		assert.Contains(t, r.both(), why)
	}
	require.NoError(t, os.RemoveAll(filepath.Join(o.dir, "kept")))
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"demo", "--link", "tun"}, exitNoTUN},
		{[]string{"study", "out", "--link", "tun"}, exitNoTUN},
		{[]string{"up", "--", "true"}, exitNoTUN},
		{[]string{"ping", "--alone"}, pingFailed},
		{[]string{"bench", "--quiet"}, exitNoTUN},
		{[]string{"bench", "mail", "--quiet"}, exitNoTUN},
		{[]string{"bench", "scale", "--quiet"}, exitNoTUN},
		{[]string{"bench", "soak", "--quiet"}, exitNoTUN},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			refused(t, o.run(t, c.args...), c.code, why)
			assert.Equal(t, before, o.left(t), "nothing is left")
		})
	}
	r := o.run(t, "parity", "-q", "--only", "tun", "--scenario", "connect*")
	assert.Equal(t, 3, r.code, r.both())
	assert.Contains(t, r.out, "NOT RUN, tun: ")
}

// serving is an instance of the user's that is up.
type serving struct {
	upReport
	o    *ordinary
	c    *exec.Cmd
	errs *strings.Builder
}

func (o *ordinary) up(t *testing.T, args ...string) *serving {
	t.Helper()
	path, err := program()
	require.NoError(t, err)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	s := &serving{o: o, c: o.command(append([]string{path, "up", "--json"}, args...)...), errs: &strings.Builder{}}
	s.c.Stdout, s.c.Stderr = write, s.errs
	require.NoError(t, o.host.Start(s.c))
	_ = write.Close()
	watchdog := time.AfterFunc(20*time.Second, func() { _ = s.c.Process.Kill() })
	defer watchdog.Stop()
	require.NoError(t, json.NewDecoder(read).Decode(&s.upReport), "%s", s.errs)
	return s
}

// shot is what the user sees of it.
func (s *serving) shot(t *testing.T) (shot struct {
	Instance struct {
		Offload bool   `json:"offload"`
		Why     string `json:"why"`
	} `json:"instance"`
}) {
	t.Helper()
	r := s.o.run(t, "stat", s.Name, "--json")
	require.Equal(t, exitOK, r.code, r.both())
	require.NoError(t, json.Unmarshal([]byte(r.out), &shot))
	return shot
}

// echo has the kernel talk to the stack, over both families.
func (s *serving) echo(t *testing.T) {
	t.Helper()
	message := []byte(strings.Repeat("there and back ", 5000))
	for _, at := range []string{"10.77.0.2:7", "[fd77::2]:7"} {
		var c net.Conn
		require.NoError(t, s.o.host.Do(func() (err error) {
			c, err = net.DialTimeout("tcp", at, 10*time.Second)
			return err
		}))
		require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
		sent := make(chan error, 1)
		go func() {
			_, err := c.Write(message)
			sent <- err
		}()
		back := make([]byte, len(message))
		for got := 0; got < len(back); {
			n, err := c.Read(back[got:])
			require.NoError(t, err)
			got += n
		}
		require.NoError(t, <-sent)
		assert.True(t, string(back) == string(message), "what comes back is what was sent")
		require.NoError(t, c.Close())
	}
}

// end interrupts the instance, which must have lost nothing.
func (s *serving) end(t *testing.T) {
	t.Helper()
	require.NoError(t, s.c.Process.Signal(syscall.SIGINT))
	watchdog := time.AfterFunc(20*time.Second, func() { _ = s.c.Process.Kill() })
	_ = s.c.Wait()
	require.True(t, watchdog.Stop(), "it hangs")
	assert.Equal(t, exitOK, s.c.ProcessState.ExitCode(), s.errs)
}
