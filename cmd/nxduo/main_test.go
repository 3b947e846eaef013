package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gonetx/ip/link/tun/netns"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// entered is what netns.Enter answered: nil in namespaces of our own.
var entered error

func TestMain(m *testing.M) {
	entered = netns.Enter()
	var err error
	if programDir, err = os.MkdirTemp("", "nxduo-test"); err != nil {
		panic(err)
	}
	code := nxtest.Run(m)
	_ = os.RemoveAll(programDir)
	os.Exit(code)
}

// programDir holds the built program.
var programDir string

// namespaces skips a test where there are none, loudly; in CI that is a failure.
func namespaces(t *testing.T) {
	t.Helper()
	missing(t, "namespaces", entered)
}

// device skips a test where there is no TUN device.
func device(t *testing.T) {
	t.Helper()
	namespaces(t)
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err == nil {
		err = f.Close()
	}
	missing(t, "a TUN device", err)
}

func missing(t *testing.T, what string, why error) {
	t.Helper()
	if why == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s: %v", what, why)
	}
	t.Skipf("SKIP: %s: %v", what, why)
}

// program builds nxduo, once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programDir, "nxduo")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// The credentials of all runs. No run may show the password.
const (
	testUser     = "alice"
	testPassword = "correct-horse-9"
)

// secrets are the forms in which the password may leak.
func secrets() []string {
	forms := []string{testPassword}
	for _, plain := range []string{
		testPassword, "\x00" + testUser + "\x00" + testPassword, testUser + "\x00" + testUser + "\x00" + testPassword,
	} {
		forms = append(forms, strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(plain)), "="))
	}
	return forms
}

// invocation is one run of the program.
type invocation struct {
	args  []string
	stdin string
	env   []string // beside the credentials
	on    starter  // nil: where the test is
}

// starter is a topology.Host, which only Linux has.
type starter interface{ Start(*exec.Cmd) error }

type result struct {
	code     int
	out, err string
	took     time.Duration
}

// both is all that was printed.
func (r result) both() string { return r.out + r.err }

// nxduo runs the program with a mail.
func nxduo(t *testing.T, args ...string) result {
	t.Helper()
	return invocation{args: args, stdin: "Hello.\n"}.run(t)
}

func (i invocation) run(t *testing.T) result {
	t.Helper()
	path, err := program()
	require.NoError(t, err)
	return i.runAs(t, path)
}

// runAs runs another program, which runs ours.
func (i invocation) runAs(t *testing.T, path string) result {
	t.Helper()
	c, out, err := i.start(t, path)
	return finish(t, c, out, err)
}

// start starts the program; finish waits for it.
func (i invocation) start(t *testing.T, path string) (c *exec.Cmd, out, errs *bytes.Buffer) {
	t.Helper()
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	c = exec.Command(path, i.args...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(i.stdin), out, errs
	c.Env = append(os.Environ(), append([]string{"NXDUO_USER=" + testUser, "NXDUO_PASSWORD=" + testPassword}, i.env...)...)
	if i.on != nil {
		require.NoError(t, i.on.Start(c))
	} else {
		require.NoError(t, c.Start())
	}
	return c, out, errs
}

// finish waits for the program, at most for half a minute: nothing may hang.
func finish(t *testing.T, c *exec.Cmd, out, errs *bytes.Buffer) result {
	t.Helper()
	started := time.Now()
	watchdog := time.AfterFunc(30*time.Second, func() { _ = c.Process.Kill() })
	err := c.Wait()
	require.True(t, watchdog.Stop(), "the program hangs:\n%s%s", out, errs)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	r := result{c.ProcessState.ExitCode(), out.String(), errs.String(), time.Since(started)}
	for _, secret := range secrets() {
		assert.NotContains(t, r.both(), secret, "the password is shown")
	}
	assert.NotContains(t, r.both(), "panic:")
	return r
}

// speaking serves each connection with a function.
func speaking(t *testing.T, l net.Listener, serve func(net.Conn)) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
}

// reads waits until the client has said something with the word in it.
func reads(c net.Conn, word string) {
	var said []byte
	b := make([]byte, 512)
	for !strings.Contains(string(said), word) {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		said = append(said, b[:n]...)
	}
}

func TestHelpNamesEveryExitCode(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"demo", "--help"}, {"send", "--help"}, {"up", "--help"}, {"stat", "--help"}} {
		r := nxduo(t, args...)
		assert.Equal(t, exitOK, r.code, "%v", args)
		assert.Empty(t, r.err)
		for _, code := range []int{exitOK, exitOther, exitUsage, exitNoTUN, exitNoConnection, exitRefused, exitPoolExhausted, exitInterrupted} {
			assert.Regexp(t, fmt.Sprintf(`(?m)^ +%d  +\S`, code), r.out, "%v", args)
		}
		for _, line := range strings.Split(r.out, "\n") {
			assert.LessOrEqual(t, len(line), 105, "%v: %q", args, line)
		}
	}
}

func TestBadFlags(t *testing.T) {
	send := []string{"send", "--server", "10.77.0.1", "--from", "a@example.com", "--to", "b@example.com"}
	with := func(more ...string) []string { return append(append([]string{}, send...), more...) }
	secretFile := filepath.Join(t.TempDir(), "credentials")
	require.NoError(t, os.WriteFile(secretFile, []byte(testUser+"\n"), 0o600))
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"no such command", []string{"dance"}, `unexpected argument dance`},
		{"no such flag", []string{"demo", "--fast"}, "unknown flag --fast"},
		{"no such link", []string{"demo", "--link", "wifi"}, `--link must be one of "auto","tun","ram"`},
		{"nothing given", []string{"send"}, "missing flags: --from=ADDRESS, --server=HOST, --to=ADDRESS"},
		{"a password as a flag", with("--password", testUser), "unknown flag --password"},
		{"port 0", with("--port", "0"), "--port 0 is no port"},
		{"port 65536", with("--port", "65536"), "65536"},
		{"the loopback", []string{"send", "--server", "127.0.0.1", "--from", "a@b", "--to", "c@d"}, "127.0.0.1 is the stack itself"},
		{"nobody", with("--server", "0.0.0.0"), "not the address of a server"},
		{"many", with("--server", "ff02::1"), "not the address of a server"},
		{"itself", with("--server", "10.77.0.2"), "10.77.0.2 is the stack's own address"},
		{"the other family", with("--family", "6"), "10.77.0.1 is not of --family 6"},
		{"no address of the family", with("--address", "fd77::2/64"), "no --address of the family of 10.77.0.1"},
		{"two of a family", with("--address", "10.77.0.2/24,10.78.0.2/24"), "the family has one already"},
		{"address of the network", with("--address", "10.77.0.0/24"), "--address 10.77.0.0/24: no host can have it"},
		{"broadcast address", with("--address", "10.77.0.255/24"), "no host can have it"},
		{"no prefix", with("--address", "10.77.0.2"), "--address"},
		{"a gateway elsewhere", with("--gateway", "10.78.0.1"), "--gateway 10.78.0.1: not another host of 10.77.0.0/24"},
		{"a gateway that is the stack", with("--gateway", "10.77.0.2"), "not another host"},
		{"no pool", with("--pool", "0x1536"), `"0x1536" is not a number of packets and their bytes`},
		{"half a pool", with("--ip-pool", "16"), `"16" is not a number of packets`},
		{"all the memory", with("--pool", "1000000x1000000"), "up to 1 GiB"},
		{"no time", with("--connect-timeout", "0s"), "longer than nothing"},
		{"a file that is not there", with("--credentials", "/nowhere"), "/nowhere: no such file"},
		{"half the credentials", with("--auth", "plain", "--credentials", secretFile), "--auth plain needs a user name and a password"},
		{"a capture that cannot be written", with("--pcap", "/nowhere/x"), "the capture file: open /nowhere/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := nxduo(t, c.args...)
			assert.Equal(t, exitUsage, r.code, r.both())
			assert.Contains(t, r.err, c.says)
			assert.Empty(t, r.out)
		})
	}
	t.Run("no mail", func(t *testing.T) {
		r := invocation{args: send}.run(t)
		assert.Equal(t, exitUsage, r.code)
		assert.Contains(t, r.err, "standard input is empty")
	})
}

// Flags that mean nothing have the exit code for that, also in a benchmark.
func TestBenchFlags(t *testing.T) {
	for _, args := range [][]string{{"bench", "--rounds", "0"}, {"bench", "mail", "--mtu", "1000"}, {"bench", "scale", "--sizes", "0"}, {"bench", "soak", "--lanes", "0"}} {
		r := nxduo(t, args...)
		assert.Equal(t, exitUsage, r.code, r.both())
	}
}
