// Package nxtest helps the tests of all layers: the TestMain of a package,
// pools that must be full again at the end, a recorder that keeps its events,
// and a clock that costs no time.
//
//	func TestMain(m *testing.M) { nxtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		recorder := new(nxtest.Recorder)
//		pool := nxtest.NewPool(t, 1536, 16, nxtest.Record(recorder))
//		...
//	}
//
// The comparator for recordings of the original is in nxtest/golden.
package nxtest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"
)

// Main runs the tests of a package and then demands that no goroutine is left,
// and no reference to memory of gVisor's. Benchmarks run without the account of
// references, which would be most of what they measure.
func Main(m *testing.M, options ...goleak.Option) { os.Exit(Run(m, options...)) }

// Run is Main for a TestMain that has something to tidy up; it answers the
// exit code.
func Run(m *testing.M, options ...goleak.Option) (code int) {
	flag.Parse()
	if bench := flag.Lookup("test.bench"); bench == nil || bench.Value.String() == "" {
		refs.SetLeakMode(refs.LeaksPanic)
	}
	code = m.Run()
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left:", err)
			code = 1
		}
	}
	if code == 0 {
		code = checkReferences()
	}
	return code
}

// checkReferences answers 1 when references are left. They are given up in
// goroutines that have ended by now, so it looks once.
func checkReferences() (code int) {
	defer func() {
		if leaked := recover(); leaked != nil {
			fmt.Fprintln(os.Stderr, "references are left:", leaked)
			code = 1
		}
	}()
	refs.DoLeakCheck()
	return 0
}

// Option changes the Config of a test's pool.
type Option func(*packetpool.Config)

// Record makes a pool tell its events.
func Record(r nx.Recorder) Option { return func(c *packetpool.Config) { c.Recorder = r } }

// On makes a pool count its ticks on another clock.
func On(clock nx.Clock) Option { return func(c *packetpool.Config) { c.Clock = clock } }

// NewPool creates a pool of so many packets, named after the test. It remembers
// where packets are allocated. At the end of the test the pool must be full
// again; if it is not, the test fails and names the place where each missing
// packet was allocated. Then the pool is deleted, unless the test has done so.
func NewPool(tb testing.TB, payload, packets uint32, options ...Option) *packetpool.Pool {
	tb.Helper()
	_, measures := tb.(*testing.B) // remembering a place costs more than the packet
	config := &packetpool.Config{Sites: !measures}
	for _, option := range options {
		option(config)
	}
	pool := &packetpool.Pool{Config: config}
	require.NoError(tb, packetpool.PoolCreate(pool, tb.Name(), payload, packets*(60+(payload+3)/4*4)))
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(tb, err)
	require.Equal(tb, packets, info.TotalPackets)
	tb.Cleanup(func() {
		Full(tb, pool)
		_ = packetpool.PoolDelete(pool) // a test may have deleted it
	})
	return pool
}

// Full demands that a pool has all its packets. Goroutines of a stack may be
// about to give some back; they get some seconds for it. A deleted pool is
// not looked at.
func Full(tb testing.TB, pool *packetpool.Pool) {
	tb.Helper()
	limit := time.Now().Add(patience)
	for {
		info, err := packetpool.PoolInfoGet(pool)
		if err != nil || info.FreePackets == info.TotalPackets {
			return
		}
		if time.Now().After(limit) {
			assert.Equal(tb, info.TotalPackets, info.FreePackets, "packets of %s that did not come back:\n%s", pool.Name(), Missing(pool))
			return
		}
		runtime.Gosched()
	}
}

// patience is how long [Full] waits, of real time: a loaded machine may need it.
var patience = 10 * time.Second

// Missing describes the packets that are not in a pool, one a line, with their
// owner and the place where they were allocated.
func Missing(pool *packetpool.Pool) string {
	var b strings.Builder
	for _, packet := range pool.Outstanding() {
		fmt.Fprintf(&b, "  %s, allocated by %s\n", packet.Owner, packet.Site)
	}
	return b.String()
}
