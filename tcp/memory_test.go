package tcp_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An idle connection has at most 8 KB on each side, sockets and gVisor's
// endpoint together, and no goroutine.
func TestIdleConnection(t *testing.T) {
	const n = 200
	a, b := pair(t)
	goroutines, before := runtime.NumGoroutine(), heap()
	listening := b.socket(t, 8192, nil)
	require.NoError(t, tcp.ServerSocketListen(&b.inst, port, listening, 5, nil))
	t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&b.inst, port) })
	for range n {
		client := a.socket(t, 8192, nil)
		require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
		requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(client, addressB, port, nx.NoWait))
		require.NoError(t, tcp.ServerSocketAccept(listening, 500))
		require.NoError(t, tcp.SocketStateWait(client, tcp.Established, 500))
		listening = b.socket(t, 8192, nil)
		require.NoError(t, tcp.ServerSocketRelisten(&b.inst, port, listening))
	}
	a.rec.Reset()
	b.rec.Reset()
	each := (heap() - before) / (2 * n)
	assert.LessOrEqual(t, each, int64(8<<10), "bytes of one side")
	assert.LessOrEqual(t, runtime.NumGoroutine(), goroutines+2)
	t.Logf("%d bytes for each side of a connection", each)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The table of services and the declarations agree: 35 services, and no
// exported function of a socket or an instance that is none of them.
func TestServicesTable(t *testing.T) {
	declared := make(map[string]bool)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() {
				declared[f.Name.Name] = true
			}
		}
	}
	assert.Len(t, tcp.Services, 35)
	for _, s := range tcp.Services {
		assert.True(t, declared[s.Go], "%s: there is no %s", s.C, s.Go)
	}
	for _, s := range tcp.Services {
		delete(declared, s.Go)
	}
	additions := map[string]bool{"NewConn": true, "Dial": true, "Listen": true, "StatsGet": true, "SocketStatsGet": true}
	assert.Equal(t, additions, declared, "what is no service is the bridge to Go, or shows sockets")
}
