package stat

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

// meeting gives the test a directory of its own to meet in.
func meeting(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "meet") // t.TempDir is too long for a socket's path
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return filepath.Join(dir, "nxduo")
}

func serve(t *testing.T, name string) *Server {
	t.Helper()
	s, err := Serve(name, func() Snapshot { return Snapshot{Name: name} })
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

func TestMeeting(t *testing.T) {
	dir := meeting(t)
	names, err := List()
	require.NoError(t, err)
	assert.Empty(t, names)
	_, err = Fetch("a")
	require.ErrorIs(t, err, ErrNotRunning)

	a := serve(t, "a")
	serve(t, "b.2")
	assert.Equal(t, filepath.Join(dir, "a.sock"), a.Path)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	names, err = List()
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b.2"}, names)
	for _, name := range names {
		shot, err := Fetch(name)
		require.NoError(t, err)
		assert.Equal(t, name, shot.Name)
	}

	_, err = Serve("a", nil)
	require.ErrorIs(t, err, ErrTaken)
	require.NoError(t, a.Close())
	_, err = Fetch("a")
	require.ErrorIs(t, err, ErrNotRunning)
	names, err = List()
	require.NoError(t, err)
	assert.Equal(t, []string{"b.2"}, names)
}

// The directory is there for as long as an instance is, also when one comes
// while the last one goes.
func TestNothingIsLeft(t *testing.T) {
	dir := meeting(t)
	first := serve(t, "first")
	second := serve(t, "second")
	require.NoError(t, first.Close())
	assert.DirExists(t, dir)
	require.NoError(t, second.Close())
	assert.NoDirExists(t, dir)

	ended := make(chan struct{})
	for i := range 4 {
		go func() {
			defer func() { ended <- struct{}{} }()
			for range 200 {
				s, err := Serve(fmt.Sprint("n", i), func() Snapshot { return Snapshot{} })
				if assert.NoError(t, err) {
					assert.NoError(t, s.Close())
				}
			}
		}()
	}
	for range 4 {
		<-ended
	}
	assert.NoDirExists(t, dir)

	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", filepath.Join(dir, "is", "not", "there"))
	_, err := Serve("n", nil)
	assert.ErrorIs(t, err, os.ErrNotExist, "and not for ever")
}

// A socket that a killed instance left is not in the way.
func TestLeftBehind(t *testing.T) {
	dir := meeting(t)
	require.NoError(t, os.Mkdir(dir, 0o700))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "a.sock"), Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	_, err = Fetch("a")
	require.ErrorIs(t, err, ErrNotRunning)
	names, err := List()
	require.NoError(t, err)
	assert.Empty(t, names)
	serve(t, "a")
	_, err = Fetch("a")
	require.NoError(t, err)
}

// Where somebody else could look, nobody meets.
func TestNotPrivate(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"open to others": func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(dir, 0o755))
			require.NoError(t, os.Chmod(dir, 0o755))
		},
		"a link": func(t *testing.T, dir string) { require.NoError(t, os.Symlink(t.TempDir(), dir)) },
		"a file": func(t *testing.T, dir string) { require.NoError(t, os.WriteFile(dir, nil, 0o600)) },
		"of another user": func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(dir, 0o700))
			if err := os.Chown(dir, 12345, 12345); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("only root can give a directory away: %v", err)
				}
				t.Skipf("SKIP: only root can give a directory away: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := meeting(t)
			spoil(t, dir)
			_, err := Serve("a", nil)
			require.ErrorContains(t, err, dir)
			_, err = List()
			require.ErrorContains(t, err, dir)
			_, err = Fetch("a")
			require.ErrorContains(t, err, dir)
		})
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"tun0": true, "lab-2.a_b": true, "": false, "..": false, "a/b": false, ".a": false, "a b": false,
		strings.Repeat("a", 33): false, "a\n": false,
	} {
		assert.Equal(t, good, CheckName(name) == nil, "%q", name)
	}
}

// A runtime directory of somebody else, as after sudo, is not used.
func TestDirectory(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "relative")
	assert.Equal(t, os.TempDir(), filepath.Dir(Directory()))
	t.Setenv("XDG_RUNTIME_DIR", "/nowhere")
	assert.Equal(t, os.TempDir(), filepath.Dir(Directory()))
}

// host is an instance with one pool.
func host(t *testing.T, network *ram.Network, name string, last byte) (*ip.Instance, *packetpool.Pool) {
	t.Helper()
	pool := nxtest.NewPool(t, 1536, 32)
	inst := &ip.Instance{Config: &ip.Config{NoDAD: true}}
	require.NoError(t, ip.Create(inst, name, ip.IPAddress(192, 0, 2, last), ip.IPAddress(255, 255, 255, 0), pool, network.Driver(), 2048, 1))
	t.Cleanup(func() { require.NoError(t, ip.Delete(inst)) })
	require.NoError(t, ip.IPv6Enable(inst))
	_, err := ip.IPv6AddressSet(inst, 0, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: last}), 64)
	require.NoError(t, err)
	require.NoError(t, ip.ICMPEnable(inst))
	require.NoError(t, tcp.Enable(inst))
	return inst, pool
}

// A snapshot has what was done, survives the way through JSON, and is printed
// in the order and the words that people know from ss.
func TestSnapshot(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	a, pool := host(t, network, "a", 1)
	b, _ := host(t, network, "b", 2)
	l, err := tcp.Listen(b, 25, nil)
	require.NoError(t, err)
	defer func() { assert.NoError(t, l.Close()) }()
	accepted := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		assert.NoError(t, err)
		accepted <- c
	}()
	c, err := tcp.Dial(t.Context(), a, "192.0.2.2:25", nil)
	require.NoError(t, err)
	defer c.Close()
	peer := <-accepted
	defer peer.Close()
	_, err = peer.Write([]byte("220 hello\r\n"))
	require.NoError(t, err)
	held, err := packetpool.Allocate(pool, packetpool.TCPPacket, nx.NoWait)
	require.NoError(t, err)
	defer func() { assert.NoError(t, packetpool.Release(held)) }()

	began := time.Now()
	source := Source{Name: "lab", Instance: a, Pools: []*packetpool.Pool{pool}, Began: began}
	var shot Snapshot
	require.Eventually(t, func() bool {
		shot = Take(source)
		return len(shot.Sockets) == 1 && shot.Sockets[0].Unread == 11
	}, 5*time.Second, time.Millisecond)
	data, err := json.Marshal(shot)
	require.NoError(t, err)
	var read Snapshot
	require.NoError(t, json.Unmarshal(data, &read))

	assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")}, read.Instance.Addresses)
	assert.Equal(t, "ram", read.Instance.Kind)
	require.Len(t, read.Pools, 1)
	assert.EqualValues(t, 32, read.Pools[0].Packets)
	assert.Contains(t, read.Pools[0].Holders, Holder{"application", "", 1})
	s := read.Sockets[0]
	assert.Equal(t, "ESTABLISHED", s.State)
	assert.Equal(t, "192.0.2.2:25", s.Remote)
	assert.EqualValues(t, 1, s.ReceivedPackets)
	require.NotNil(t, s.Congestion)
	assert.Equal(t, "open", s.Congestion.State)
	assert.EqualValues(t, 11, read.Counters.TCP.BytesReceived)

	var printed strings.Builder
	require.NoError(t, read.Print(&printed))
	for _, pattern := range []string{
		`(?m)^lab  process \d+, up for 0s$`,
		`192\.0\.2\.1/24  2001:db8::1/64`,
		`(?m)^Pool +Payload +Free +of +Empty +Held by$`,
		`(?m) 1536 +\d+ +32 +0  application 1`,
		`(?m)^ESTABLISHED +11 +0  192\.0\.2\.1:\d+ +192\.0\.2\.2:25 +192\.0\.2\.2:25$`,
		`(?m)^    open cwnd:10 .*mss:1460 txq:0/1000 rxq:1 snd_wnd:\d+ rcv_wnd:\d+/\d+ sent:0/0B received:1/11B retrans:0$`,
		`(?m)^TCP   in 1 data segments, 11 bytes;`,
	} {
		assert.Regexp(t, pattern, printed.String())
	}

	server := Take(Source{Name: "b", Instance: b, Began: began})
	require.Len(t, server.Listens, 1)
	assert.Equal(t, Listen{Port: 25, Maximum: 16}, server.Listens[0], "Accept was not called again")
}

// Of an instance that is gone there is nothing to tell, and nothing to fear.
func TestSnapshotOfNothing(t *testing.T) {
	shot := Take(Source{Name: "gone", Instance: new(ip.Instance), Pools: []*packetpool.Pool{new(packetpool.Pool)}})
	assert.Empty(t, shot.Sockets)
	assert.Empty(t, shot.Pools)
	var printed strings.Builder
	require.NoError(t, shot.Print(&printed))
}

func TestDropsAreOrdered(t *testing.T) {
	var b strings.Builder
	reasons(&b, map[string]uint64{"seldom": 1, "often": 7, "b": 3, "a": 3, "never": 0})
	assert.Equal(t, "\n      because: often 7, a 3, b 3, seldom 1\n", b.String())
}
