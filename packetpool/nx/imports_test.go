package nx_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The architecture as a test: who may import whom, and why. Test files are
// free, except that they too keep to the layers' direction where the compiler
// does not.

// layers lists the packages of the module from the bottom up. A file may
// import packages of layers below its own, and of its own.
var layers = []struct {
	dirs []string // a folder and what lies under it
	why  string
}{
	{[]string{"packetpool/nx"}, "the shared words depend on nothing"},
	{[]string{"packetpool"}, "pools know no stack"},
	{[]string{"ip/link"}, "a driver knows pools, not instances"},
	{[]string{"ip"}, "an instance knows no sockets: tcp registers itself"},
	{[]string{"tcp"}, "sockets know no mail"},
	{[]string{"smtp"}, "a client of tcp as any program is"},
	{[]string{"netns-tests"}, "drives the public API"},
	{[]string{"cmd"}, "commands use everything"},
}

// guarded names imports that only some places may have. A place is a folder
// (with what lies under it) or a single file.
var guarded = []struct {
	path   string // import path, or a prefix of one with a trailing slash
	places []string
	why    string
}{
	{"gvisor.dev/gvisor/", []string{
		"packetpool/memory.go",
		"packetpool/nxtest",
		"ip",
		"tcp",
		"netns-tests",
		"cmd/nxduo/internal/bench",
	}, "pool memory is gVisor buffers in one file; the stack belongs to ip and tcp; smtp and the commands see NetX Duo's services only"},
	{"github.com/songgao/water", []string{"ip/link/tun", "cmd/nxduo/internal/bench"},
		"the device is opened in one place; the benchmark keeps the naive design as its yardstick"},
	{"github.com/vishvananda/", []string{"ip/link/tun", "netns-tests", "cmd"},
		"the host's side of a link is set up where a link is made"},
	{"net", []string{"cmd", "netns-tests", "ip/link/tun", "ip/link/linktest", "tcp/conn.go", "smtp/tls.go"},
		"the stack never uses the host's sockets; the bridge implements net.Conn"},
	{"net/smtp", []string{"cmd"}, "the yardstick of the mail benchmark"},
	{"github.com/emersion/", []string{"cmd", "netns-tests"}, "the mail server of the demonstration and the tests"},
	{"unsafe", []string{"ip/link/tun"}, "ioctl and writev arguments"},
}

func TestImports(t *testing.T) {
	root := moduleRoot(t)
	checked := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			checkImport(t, rel, imported)
		}
		checked++
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, checked, 5, "the walk found the module's files")
}

func checkImport(t *testing.T, file, imported string) {
	t.Helper()
	if own, ok := strings.CutPrefix(imported, "gonetx/"); ok {
		from, to := layerOf(file), layerOf(own+"/")
		if from < 0 {
			t.Errorf("%s lies in no layer", file)
		} else if to > from {
			t.Errorf("%s imports %s, a layer above its own: %s", file, imported, layers[from].why)
		}
	}
	for _, g := range guarded {
		if imported != g.path && !(strings.HasSuffix(g.path, "/") && strings.HasPrefix(imported, g.path)) {
			continue
		}
		if !within(file, g.places) {
			t.Errorf("%s imports %s: %s", file, imported, g.why)
		}
	}
}

// layerOf answers the layer with the longest folder that holds file. nxtest
// packages help tests of their layer.
func layerOf(file string) int {
	best, at := -1, -1
	for i, l := range layers {
		for _, dir := range l.dirs {
			if strings.HasPrefix(file, dir+"/") && len(dir) > best {
				best, at = len(dir), i
			}
		}
	}
	return at
}

func within(file string, places []string) bool {
	for _, p := range places {
		if file == p || strings.HasPrefix(file, p+"/") {
			return true
		}
	}
	return false
}

// The rules themselves can fail.
func TestImportRulesBite(t *testing.T) {
	for _, bad := range [][2]string{
		{"ip/ip.go", "gonetx/tcp"},
		{"packetpool/pool.go", "gvisor.dev/gvisor/pkg/tcpip/stack"},
		{"smtp/client.go", "net"},
		{"packetpool/nx/clock.go", "gonetx/packetpool"},
	} {
		probe := &testing.T{}
		checkImport(probe, bad[0], bad[1])
		require.True(t, probe.Failed(), "%s must not import %s", bad[0], bad[1])
	}
}

func moduleRoot(t *testing.T) string {
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		require.NotEqual(t, up, dir, "go.mod above the test")
		dir = up
	}
}
