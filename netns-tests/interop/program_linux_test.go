package interop

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"gonetx/netns-tests/topology"

	"github.com/stretchr/testify/require"
)

// installed skips the test when a program is not there.
func installed(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	if err != nil {
		skip(t, "%s is not installed: apt-get install %s", program, debian)
	}
	return path
}

// manyUsers skips the test where the only user is root, as in a user namespace
// that an ordinary user may make: mail servers change to users of their own.
func manyUsers(t *testing.T) {
	t.Helper()
	ids, err := os.ReadFile("/proc/self/uid_map")
	require.NoError(t, err)
	if fields := strings.Fields(string(ids)); len(fields) == 3 && len(fields[2]) < 4 {
		skip(t, "the server needs users of its own, and a user namespace of an ordinary user has root only")
	}
}

// journal is what a program has written.
type journal struct {
	mu    sync.Mutex // guards the fields below
	lines []string
	ended bool
	more  chan struct{} // closed with each line, and at the end
}

// start runs a program in the world's namespace and waits for a line that says
// that it serves. The program ends with the test, and whatever it started with
// it. When the test has failed, what it wrote is shown.
func (w *world) start(t *testing.T, ready, name string, args ...string) *journal {
	t.Helper()
	program := contained(name, args...)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	program.Stdout, program.Stderr = write, write
	err = w.host.Start(program)
	_ = write.Close()
	require.NoError(t, err)
	j := &journal{more: make(chan struct{})}
	var reader sync.WaitGroup
	reader.Go(func() { j.read(bufio.NewScanner(read)) })
	t.Cleanup(func() {
		_ = program.Process.Kill()
		_ = program.Wait()
		reader.Wait() // all that the program started is gone, so the pipe has ended
		_ = read.Close()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, strings.Join(j.lines, "\n"))
		}
	})
	j.await(t, ready)
	return j
}

// contained is a program that ends with this process. A mail server changes its
// user, and the kernel forgets then that it is to be killed with its parent
// (PR_SET_PDEATHSIG). So the first process of the process namespace is a shell
// that stays what it is; with it all others end.
func contained(name string, args ...string) *exec.Cmd {
	return exec.Command("/bin/sh", append([]string{"-c", `"$@" & wait $!`, "sh", name}, args...)...)
}

// role makes a re-executed test binary start a program that changes its user,
// and wait to be killed.
const role = "INTEROP_TEST_ROLE"

func waitToBeKilled() {
	host, err := topology.NewLocal()
	if err == nil {
		program := contained("setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", "echo it runs; exec sleep 60")
		program.Stdout = os.Stdout
		err = host.Start(program)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	select {}
}

// Whatever a test has started is gone when the test is killed.
func TestServersEndWithTheTest(t *testing.T) {
	if entered != nil {
		skip(t, "namespaces: %v", entered)
	}
	manyUsers(t)
	installed(t, "setpriv", "util-linux")
	self, err := os.Executable()
	require.NoError(t, err)
	test := exec.Command(self)
	test.Env = append(os.Environ(), role+"=dies")
	out, err := test.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, test.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "it runs\n", line)
	require.NoError(t, test.Process.Kill())
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, out) // ends when nobody holds the other end
		ended <- err
	}()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Error("the program has outlived the test")
	}
	_ = test.Wait() // killed
}

func (j *journal) read(lines *bufio.Scanner) {
	for lines.Scan() {
		j.note(lines.Text(), false)
	}
	j.note("", true)
}

func (j *journal) note(line string, ended bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended = ended; !ended {
		j.lines = append(j.lines, line)
	}
	close(j.more)
	j.more = make(chan struct{})
}

// await waits for a line that contains text, among those that were written and
// those to come.
func (j *journal) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(2 * time.Minute) // Postfix starts by shell scripts
	for seen := 0; ; {
		j.mu.Lock()
		for ; seen < len(j.lines); seen++ {
			if strings.Contains(j.lines[seen], text) {
				j.mu.Unlock()
				return
			}
		}
		more, ended := j.more, j.ended
		j.mu.Unlock()
		require.False(t, ended, "the program has ended before it said %q", text)
		select {
		case <-more:
		case <-limit:
			t.Fatalf("the program did not say %q", text)
		}
	}
}

// certificate is a self-made certificate, in the form that servers read.
type certificate struct {
	chain, key string
	roots      *x509.CertPool // that believe it
}

// newCertificate is valid for a name and the servers' addresses.
func newCertificate(t *testing.T, name string) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
	}
	for _, f := range families {
		template.IPAddresses = append(template.IPAddresses, net.IP(f.server.AsSlice()))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	bytes, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return certificate{
		chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		key:   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bytes})),
		roots: roots,
	}
}
