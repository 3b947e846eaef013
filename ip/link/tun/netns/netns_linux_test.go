package netns

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// role is what a re-executed test binary plays instead of running tests.
const role = "NETNS_TEST_ROLE"

// entered is what Enter answered: nil in the namespaces.
var entered error

func TestMain(m *testing.M) {
	entered = Enter()
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "exit 7":
		os.Exit(7)
	case "signal":
		caught := make(chan os.Signal, 1)
		signal.Notify(caught, syscall.SIGTERM)
		fmt.Println("ready")
		fmt.Println("caught", <-caught)
		os.Exit(0)
	case "who":
		devices, _ := net.Interfaces()
		fmt.Println(entered, os.Getuid(), len(devices), os.Getenv(marker))
		os.Exit(0)
	}
}

// namespaces skips a test where there are none, loudly; in CI that is a failure.
func namespaces(t *testing.T) {
	t.Helper()
	if entered == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("namespaces: %v", entered)
	}
	t.Skipf("SKIP: namespaces: %v", entered)
}

func TestEnterMakesAQuietNetwork(t *testing.T) {
	namespaces(t)
	assert.Zero(t, os.Getuid(), "root of the namespaces")
	devices, err := net.Interfaces()
	require.NoError(t, err)
	require.Len(t, devices, 1)
	assert.Equal(t, "lo", devices[0].Name)
	assert.NotZero(t, devices[0].Flags&net.FlagUp)
	assert.Empty(t, os.Getenv(marker), "programs started from here make their own")
}

// again runs the test binary from the start, in the role.
func again(t *testing.T, as string, change func(*exec.Cmd)) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), role+"="+as)
	cmd.Stderr = os.Stderr
	if change != nil {
		change(cmd)
	}
	return cmd
}

func TestEnterPassesTheExitCodeOn(t *testing.T) {
	namespaces(t)
	var exit *exec.ExitError
	require.ErrorAs(t, again(t, "exit 7", nil).Run(), &exit)
	assert.Equal(t, 7, exit.ExitCode())
}

func TestEnterPassesSignalsOn(t *testing.T) {
	namespaces(t)
	cmd := again(t, "signal", nil)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ready := make([]byte, len("ready\n"))
	_, err = io.ReadFull(out, ready)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	assert.Equal(t, "caught terminated\n", string(rest))
	require.NoError(t, cmd.Wait())
}

// A command that enters by itself may be called in a test that has entered: a
// second time is none.
func TestEnterAgain(t *testing.T) {
	namespaces(t)
	before, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	require.NoError(t, Enter())
	after, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

// A marker that was set by hand, or inherited, does not make a process take
// the namespaces of its host for its own.
func TestEnterDoesNotTrustTheMarkerAlone(t *testing.T) {
	namespaces(t)
	here, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	out, err := again(t, "who", func(c *exec.Cmd) { c.Env = append(c.Env, marker+"="+here) }).Output()
	require.NoError(t, err)
	assert.Equal(t, "<nil> 0 1 \n", string(out))
	assert.NotContains(t, string(out), here)
}

func TestEnterWithoutPrivilege(t *testing.T) {
	namespaces(t)
	user := &syscall.Credential{Uid: 65534, Gid: 65534}
	if readMap(t)[0] != "0 0 4294967295" {
		user = nil // not root of the machine: the user of this test has no privilege
	}
	// A program that the user can reach; go test's own directory is closed.
	dir, err := os.MkdirTemp("", "netns")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	program, err := os.Executable()
	require.NoError(t, err)
	code, err := os.ReadFile(program)
	require.NoError(t, err)
	program = filepath.Join(dir, "test")
	require.NoError(t, os.WriteFile(program, code, 0o755))

	out, err := again(t, "who", func(c *exec.Cmd) {
		c.Path, c.Args[0], c.Dir = program, program, "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	}).Output()
	require.NoError(t, err)
	if strings.HasPrefix(string(out), "<nil>") {
		assert.Equal(t, "<nil> 0 1 \n", string(out), "root of its own namespaces")
	} else {
		assert.Contains(t, string(out), "make a user namespace: ", "or told why not")
	}
}

func readMap(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/uid_map")
	require.NoError(t, err)
	var lines []string
	for l := range strings.Lines(string(b)) {
		lines = append(lines, strings.Join(strings.Fields(l), " "))
	}
	return lines
}

func TestFuzzWorkerIsNotReexecuted(t *testing.T) {
	args := os.Args
	defer func() { os.Args = args }()
	os.Args = append(os.Args[:1:1], "-test.fuzzworker")
	assert.ErrorIs(t, Enter(), FuzzWorker)
}

func TestNamespacesInsideOneProcess(t *testing.T) {
	namespaces(t)
	n, err := New()
	require.NoError(t, err)
	defer n.Close()

	name := func() string {
		s, err := os.Readlink("/proc/thread-self/ns/net")
		require.NoError(t, err)
		return s
	}
	home, inside := name(), ""
	require.NoError(t, n.Do(func() error {
		inside = name()
		devices, err := net.Interfaces()
		if err == nil && (len(devices) != 1 || devices[0].Flags&net.FlagUp == 0) {
			err = fmt.Errorf("devices: %v", devices)
		}
		return err
	}))
	assert.NotEqual(t, home, inside)
	for range 50 { // no thread is left in the other namespace
		done := make(chan string)
		go func() { done <- name() }()
		runtime.Gosched()
		assert.Equal(t, home, <-done)
	}

	same, err := Open(n.Path())
	require.NoError(t, err)
	defer same.Close()
	require.NoError(t, same.Do(func() error { assert.Equal(t, inside, name()); return nil }))

	sentinel := errors.New("of the function")
	assert.ErrorIs(t, n.Do(func() error { return sentinel }), sentinel)
	assert.ErrorIs(t, n.Do(func() error { runtime.Goexit(); return nil }), errAborted)
	_, err = Open("/run/netns/there-is-none")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// The cause of a refusal, from the facts that a system shows.
func TestRefusals(t *testing.T) {
	const all = ^uint64(0)
	for _, c := range []struct {
		name  string
		facts facts
		err   error
		cause Cause
	}{
		{"no capability", facts{}, unix.EPERM, Capability},
		{"no capability in a container", facts{seccomp: true}, unix.EPERM, Capability},
		{"filtered", facts{seccomp: true, capabilities: all}, unix.EPERM, Seccomp},
		{"filtered as if missing", facts{seccomp: true, capabilities: all}, unix.ENOSYS, Seccomp},
		{"missing", facts{capabilities: all}, unix.ENOSYS, NotInKernel},
		{"restricted user namespace", facts{capabilities: all, appArmor: true}, unix.EPERM, AppArmor},
		{"profile", facts{confined: true}, unix.EACCES, AppArmor},
		{"too many", facts{capabilities: all}, unix.ENOSPC, Limit},
		{"no reason to see", facts{capabilities: all}, unix.EPERM, Unknown},
		{"another error", facts{}, unix.EIO, Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.facts.refused("do it", unix.CAP_NET_ADMIN, c.err)
			assert.ErrorIs(t, err, c.cause)
			assert.ErrorIs(t, err, c.err)
			assert.Contains(t, err.Error(), "do it: "+string(c.cause))
		})
	}
	assert.NoError(t, Refused("do it", unix.CAP_NET_ADMIN, nil))
}

func TestRefusedUserNamespaces(t *testing.T) {
	allowed := facts{userClone: true, maxUser: true}
	with := func(change func(*facts)) facts { f := allowed; change(&f); return f }
	for _, c := range []struct {
		name  string
		facts facts
		err   error
		cause Cause
		hint  string
	}{
		{"Debian's switch", with(func(f *facts) { f.userClone = false }), unix.EPERM, Limit, "unprivileged_userns_clone"},
		{"Ubuntu's switch", with(func(f *facts) { f.appArmor = true }), unix.EACCES, AppArmor, "apparmor_restrict"},
		{"container", with(func(f *facts) { f.seccomp = true }), unix.EPERM, Seccomp, "seccomp=unconfined"},
		{"chroot", allowed, unix.EPERM, Unknown, "chroot"},
		{"none allowed", with(func(f *facts) { f.maxUser = false }), unix.ENOSPC, Limit, "max_user_namespaces is 0"},
		{"too many", allowed, unix.ENOSPC, Limit, "/proc/sys/user"},
		{"too deep", allowed, unix.EUSERS, Limit, "/proc/sys/user"},
		{"not built in", allowed, unix.EINVAL, NotInKernel, "CONFIG_USER_NS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.facts.refusedUser(c.err)
			assert.ErrorIs(t, err, c.cause)
			assert.Contains(t, err.Hint, c.hint)
		})
	}
}
