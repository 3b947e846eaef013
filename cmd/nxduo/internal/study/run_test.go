package study

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gonetx/cmd/nxduo/internal/trace"
	"gonetx/ip/link/fault"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { nxtest.Main(m) }

var update = flag.Bool("update", false, "write the sample trace of package trace anew")

// options are a run over the network in memory.
func options(t *testing.T, workload, faults string) Options {
	w, ok := Find(workload)
	require.True(t, ok)
	f, err := fault.Parse(faults)
	require.NoError(t, err)
	return Options{
		Workload: w, Families: []string{IPv4, IPv6}, Link: LinkRAM,
		Pool: PoolSize{16, 1536}, IPPool: PoolSize{64, 1536}, Faults: f, Limit: time.Minute,
		Title: "A test: " + workload, Command: []string{"nxduo", "study", workload},
	}
}

// run runs a study that must succeed.
func run(t *testing.T, o Options, out Outputs) *Result {
	t.Helper()
	r, err := Run(context.Background(), o, out)
	require.NoError(t, err)
	return r
}

// Every workload does what it says over both families, with and without
// faults, and its trace conforms.
func TestWorkloads(t *testing.T) {
	all := []string{"", "seed=7,loss=3%,delay=1ms,duplicate=2%,reorder=2%,corrupt=1%"}
	if testing.Short() {
		all = all[1:]
	}
	for _, faults := range all {
		for _, w := range Workloads {
			t.Run(w.Name+" "+faults, func(t *testing.T) {
				o := options(t, w.Name, faults)
				o.Times = min(w.Times, 10)
				if w.Times == 0 {
					o.Bytes = 50_000
				}
				var file, pcap bytes.Buffer
				r := run(t, o, Outputs{Trace: &file, Capture: &pcap})
				assert.True(t, r.OK)
				require.Len(t, r.Runs, 2)
				for _, run := range r.Runs {
					assert.NotZero(t, run.Bytes)
					assert.NotZero(t, run.Sent.Segments)
					assert.Zero(t, run.Lost)
				}
				checked, err := trace.Check(bytes.NewReader(file.Bytes()), 10)
				require.NoError(t, err)
				assert.Empty(t, checked.Problems)
				whole, err := trace.Read(&file)
				require.NoError(t, err)
				assert.Len(t, whole.Events, checked.Events)
			})
		}
	}
}

// What the trace makes of retransmissions is what gVisor counts: their number
// exactly, and what set them off, which it tells from the times.
func TestCausesAgreeWithTheStack(t *testing.T) {
	timeouts, counted, unknown := 0, 0, 0
	for _, workload := range []string{"out", "request"} {
		for seed := range rounds(2) {
			o := options(t, workload, fmt.Sprintf("seed=%d,loss=6%%,delay=3ms", seed+1))
			o.AtOnce = true
			r := run(t, o, Outputs{})
			for _, run := range r.Runs {
				assert.EqualValues(t, run.Stack.Retransmits, run.Sent.Again-run.Causes[trace.CauseHandshake], "%s %s: %v", workload, run.Family, run.Causes)
				timeouts += run.Causes[trace.CauseTimeout]
				counted += int(run.Stack.Timeouts)
				unknown += run.Causes[trace.CauseUnknown]
			}
		}
	}
	assert.InDelta(t, counted, timeouts, 1)
	assert.LessOrEqual(t, unknown, 1)
}

// rounds is how often something is done: once where time is short.
func rounds(n int) int {
	if testing.Short() {
		return 1
	}
	return n
}

// TestSamples writes the traces that the tests of other packages read, with
// -update. They are runs with losses and small pools.
func TestSamples(t *testing.T) {
	if !*update {
		return
	}
	for name, faults := range map[string]string{
		"mail": "seed=5,loss=5%,delay=5ms", "out": "seed=3,loss=5%,delay=10ms,duplicate=1%,reorder=1%", "in": "seed=4,loss=5%,delay=10ms,corrupt=1%",
	} {
		o := options(t, name, faults)
		o.Title = "Sample: " + o.Workload.About
		o.Pool, o.IPPool = PoolSize{8, 800}, PoolSize{24, 512}
		if name != "mail" {
			o.Bytes = 60_000
		}
		path := filepath.Join("..", "trace", "testdata", name+".jsonl")
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		f, err := os.Create(path)
		require.NoError(t, err)
		_, err = Run(context.Background(), o, Outputs{Trace: f})
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
}
