package driven

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
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
// A goroutine that asks the kernel for something, for random bytes say, neither
// runs nor could run; those are counted apart. Some of them never come back, such
// as the one that waits for signals: the fewest that were ever seen are those.
//
// One thing breaks this: a goroutine that allocates during a garbage collection
// may be made to wait for the collector (gcParkAssist), with work left to do.
// So collections happen only where [World] asks for them, when everybody waits.
func quiet() {
	// Real time: the limit is for a program that is stuck in a loop.
	limit := time.Now().Add(stuckAfter)
	for kernel, n := false, 0; ; n++ {
		wait, inKernel := othersWait()
		kernel = kernel || inKernel
		if wait {
			kernel = elsewhere() || kernel
			if !kernel || !someoneMoves() {
				return
			}
		}
		runtime.Gosched()
		if n%1024 == 1023 && time.Now().After(limit) {
			panic(fmt.Sprintf("driven: a goroutine runs for more than %v\n%s", stuckAfter, stacks()))
		}
	}
}

const stuckAfter = 20 * time.Second

// othersWait tells whether nobody else runs or could run, and whether somebody
// is in the kernel.
func othersWait() (wait, kernel bool) {
	samples := [...]metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
		{Name: "/sched/goroutines/not-in-go:goroutines"},
	}
	metrics.Read(samples[:])
	inKernel := samples[2].Value.Uint64()
	fewestInKernel = min(fewestInKernel, inKernel)
	kernel = inKernel > fewestInKernel
	return samples[0].Value.Uint64() == 0 && samples[1].Value.Uint64() <= 1 && !kernel, kernel
}

// fewestInKernel belongs to the world; only one is open in a process.
var fewestInKernel uint64 = math.MaxUint64

// countInKernel looks who is in the kernel before a world begins. One look may
// meet somebody who is there for a moment.
func countInKernel() {
	for range 100 {
		othersWait()
		runtime.Gosched()
	}
}

// elsewhere tells whether the caller runs on another thread than when it asked last,
// or its thread has waited in the kernel meanwhile. The one processor there is goes from
// thread to thread only when it is taken away from somebody who is in the kernel: he
// may be on his way back, and no look has met him there.
func elsewhere() bool {
	before := lastPlace
	lastPlace = here()
	return lastPlace != before
}

// lastPlace belongs to the world, as fewestInKernel does.
var lastPlace place

// place is where a goroutine runs: the number of the thread, and how often that has
// waited in the kernel.
type place struct{ thread, waits int }

// someoneMoves looks at all goroutines. Who comes back from the kernel, and has lost
// his processor meanwhile, is on no list until he gets the scheduler's lock (proc.go,
// exitsyscallNoP), and a loaded machine may take its time. He may also have come back,
// and be in the kernel again, since the lists were looked at. Looking stops the world,
// so it is done only when somebody has been in the kernel.
func someoneMoves() bool {
	text := stacks()
	are := func(state string) uint64 { return uint64(bytes.Count(text, []byte(" ["+state))) }
	return are("runnable") > 0 || are("running") > 1 || are("syscall") > fewestInKernel
}

// stacks is what all goroutines do. The text is good until the next one.
func stacks() []byte {
	if stacksRoom == nil {
		stacksRoom = make([]byte, 1<<20)
	}
	return stacksRoom[:runtime.Stack(stacksRoom, true)]
}

var stacksRoom []byte // used again, because nobody collects garbage meanwhile

// collector is the garbage collector of a process that runs only when it is
// asked to, for as long as somebody has taken it.
//
// So long there is one processor, too: whoever is woken runs when the one who
// woke it waits, and quiet hands the processor on instead of watching another
// one work. On a busy machine that is the difference between a second and half a
// minute for some hundred conversations.
type collector struct {
	mu      sync.Mutex // guards the fields below
	takers  int
	percent int    // that was in force before
	procs   int    // the same
	live    uint64 // bytes that the last collection has left
}

var garbage collector

// Session keeps the garbage collector stopped from one world to the next, for
// a test that makes many of them: each world that takes it for itself begins
// with a collection. Call end at the end.
func Session() (end func()) {
	garbage.take()
	return garbage.give
}

// take stops the collector from starting by itself.
func (c *collector) take() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.takers++; c.takers == 1 {
		c.percent, c.procs = debug.SetGCPercent(-1), runtime.GOMAXPROCS(1)
		runtime.GC() // also ends a collection that is under way
		c.live = inUse()
	}
}

// give lets the collector start by itself again.
func (c *collector) give() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.takers--; c.takers == 0 {
		debug.SetGCPercent(c.percent)
		runtime.GOMAXPROCS(c.procs)
	}
}

// run collects when there is much to collect. Everybody must be waiting.
func (c *collector) run() {
	const much = 256 << 20
	c.mu.Lock()
	defer c.mu.Unlock()
	if inUse() > c.live+much {
		runtime.GC()
		quiet()
		c.live = inUse()
	}
}

// inUse is how many bytes are in use, garbage included.
func inUse() uint64 {
	samples := [...]metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(samples[:])
	return samples[0].Value.Uint64()
}
