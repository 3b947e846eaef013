package driven

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// quiet returns when every other goroutine of the process waits: those of the
// stacks, those of the program, and those that neither of them counts, such as
// one that gVisor holds in a handshake.
//
// The runtime counts the goroutines that run and that could run, and holds the
// scheduler's lock meanwhile (runtime/metrics.go, schedStatsAggregate.compute).
// Under that lock no processor starts work or becomes idle. So when the only
// one that runs is the caller, nothing moves until it makes something move.
// A barrier of Stack.Pause and Stack.Resume knows the stack's own goroutines
// only, and hangs after Stack.Close.
//
// One thing breaks this: a goroutine that allocates during a garbage collection
// may be made to wait for the collector (gcParkAssist), with work left to do.
// So collections happen only where [World] asks for them, when everybody waits.
func quiet() {
	// Real time: the limit is for a program that is stuck in a loop.
	limit := time.Now().Add(stuckAfter)
	for n := 0; !othersWait(); n++ {
		runtime.Gosched()
		if n%1024 == 1023 && time.Now().After(limit) {
			stacks := make([]byte, 1<<20)
			panic(fmt.Sprintf("driven: a goroutine runs for more than %v\n%s", stuckAfter, stacks[:runtime.Stack(stacks, true)]))
		}
	}
}

const stuckAfter = 20 * time.Second

func othersWait() bool {
	samples := [...]metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	metrics.Read(samples[:])
	return samples[0].Value.Uint64() == 0 && samples[1].Value.Uint64() <= 1
}

// collector is the garbage collector of a process that runs only when it is
// asked to.
type collector struct{ percent int }

// take stops the collector from starting by itself.
func (c *collector) take() {
	c.percent = debug.SetGCPercent(-1)
	runtime.GC() // also ends a collection that is under way
}

// give lets the collector start by itself again.
func (c *collector) give() { debug.SetGCPercent(c.percent) }

// run collects when there is much to collect. Everybody must be waiting.
func (*collector) run() {
	samples := [...]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(samples[:])
	if samples[0].Value.Uint64() > 256<<20 {
		runtime.GC()
		quiet()
	}
}
