package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The soak: full load in both directions for a long time, over a device with
// offload and over one with faults, by clients and servers, with every byte
// looked at; and then nothing may be left.

// SoakOptions of a soak.
type SoakOptions struct {
	Duration time.Duration
	Lanes    int           // connections at once, of each instance
	Faults   string        // of the instance that has some, as fault.Parse reads them
	Stall    time.Duration // a connection that does not move for so long has stalled
	Seed     uint64

	// Progress is told every now and then how it goes. Nil: nobody looks.
	Progress func(string)
}

// SoakReport is what came out.
type SoakReport struct {
	Duration  time.Duration  `json:"duration_ns"`
	Instances []SoakInstance `json:"instances"`

	Goroutines  [2]int    `json:"goroutines"`  // before and after
	Descriptors [2]int    `json:"descriptors"` // open files and sockets of the process
	Heap        [2]uint64 `json:"heap"`        // bytes in use after a collection, early and at the end

	Failures []string `json:"failures,omitempty"` // stalls, wrong bytes, leaks
}

// SoakInstance is one of the instances.
type SoakInstance struct {
	Name        string            `json:"name"`
	Device      string            `json:"device"`
	Offload     bool              `json:"offload"`
	Faults      string            `json:"faults,omitempty"`
	Connections uint64            `json:"connections"`
	BytesOut    uint64            `json:"bytes_out"`
	BytesIn     uint64            `json:"bytes_in"`
	Frames      [2]uint64         `json:"frames"` // in and out
	Drops       map[string]uint64 `json:"drops,omitempty"`
	Packets     [2]uint32         `json:"packets"`      // of both pools
	PacketsFree [2]uint32         `json:"packets_free"` // at the end
}

// Failed tells whether something went wrong.
func (r *SoakReport) Failed() bool { return len(r.Failures) > 0 }

// Text is the report for people.
func (r *SoakReport) Text() string {
	w := &strings.Builder{}
	fmt.Fprintf(w, "soak of %v\n", r.Duration.Round(time.Second))
	fmt.Fprintf(w, "%-8s %-6s %11s %10s %10s %14s %s\n", "instance", "device", "connections", "GB out", "GB in", "packets free", "faults, drops")
	for i := range r.Instances {
		s := &r.Instances[i]
		about := "offload"
		if s.Faults != "" {
			about = s.Faults
		}
		var drops []string
		for reason, n := range s.Drops {
			drops = append(drops, fmt.Sprintf("%d %s", n, reason))
		}
		slices.Sort(drops)
		if len(drops) > 0 {
			about += "; " + strings.Join(drops, ", ")
		}
		fmt.Fprintf(w, "%-8s %-6s %11d %10.2f %10.2f %6d + %-5d %s\n", s.Name, s.Device, s.Connections,
			float64(s.BytesOut)/1e9, float64(s.BytesIn)/1e9, s.PacketsFree[0], s.PacketsFree[1], about)
	}
	fmt.Fprintf(w, "goroutines %d before, %d after; descriptors %d before, %d after; heap %.1f MB early, %.1f MB at the end\n",
		r.Goroutines[0], r.Goroutines[1], r.Descriptors[0], r.Descriptors[1], float64(r.Heap[0])/1e6, float64(r.Heap[1])/1e6)
	if !r.Failed() {
		fmt.Fprintln(w, "no leak, no stall, no wrong byte")
	}
	for _, f := range r.Failures {
		fmt.Fprintln(w, "FAILED:", f)
	}
	return w.String()
}

// soakTable is what all streams are made of: its length is a prime number, so
// that bytes which come at another place than they should are other ones.
var soakTable = sync.OnceValue(func() []byte {
	const prime = 1048573
	b := make([]byte, prime)
	_, _ = rand.NewChaCha8([32]byte{'s', 'o', 'a', 'k'}).Read(b)
	return b
})

// soakStream is one direction of a connection.
type soakStream struct {
	table []byte
	at    int
	left  int
}

func newSoakStream(seed uint64, length int) *soakStream {
	table := soakTable()
	return &soakStream{table, int(seed % uint64(len(table))), length}
}

// next answers the next bytes, at most n, and none at the end.
func (s *soakStream) next(n int) []byte {
	n = min(n, s.left, len(s.table)-s.at)
	b := s.table[s.at : s.at+n]
	s.at = (s.at + n) % len(s.table)
	s.left -= n
	return b
}

var errWrongByte = errors.New("a wrong byte")

// check compares what has come with what was to come.
func (s *soakStream) check(b []byte) error {
	for len(b) > 0 {
		want := s.next(len(b))
		if len(want) == 0 {
			return fmt.Errorf("%d bytes behind the end", len(b))
		}
		if !bytes.Equal(want, b[:len(want)]) {
			return fmt.Errorf("%w, %d bytes before the end", errWrongByte, s.left)
		}
		b = b[len(want):]
	}
	return nil
}

// soakLane makes one connection after the other.
type soakLane struct {
	name    string
	moved   atomic.Uint64 // bytes, in both directions
	resting atomic.Bool   // it has ended
}

// soak is a soak under way.
type soak struct {
	options SoakOptions
	ctx     context.Context // ends with the duration, or with a failure
	cancel  context.CancelFunc
	lanes   []*soakLane
	ended   sync.WaitGroup // of the lanes

	mu       sync.Mutex // guards the field below
	failures []string
}

// fail notes what went wrong, and ends the soak.
func (s *soak) fail(format string, arguments ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failures) < 20 {
		s.failures = append(s.failures, fmt.Sprintf(format, arguments...))
	}
	s.cancel()
}

// lane starts a lane, which calls do again and again.
func (s *soak) lane(name string, do func(l *soakLane, random *rand.Rand) error) {
	l := &soakLane{name: name}
	random := rand.New(rand.NewPCG(s.options.Seed, uint64(len(s.lanes))))
	s.lanes = append(s.lanes, l)
	s.ended.Add(1)
	go func() {
		defer s.ended.Done()
		defer l.resting.Store(true)
		for s.ctx.Err() == nil {
			if err := do(l, random); err != nil {
				s.fail("%s: %v", l.name, err)
			}
		}
	}()
}

// watch tells of stalls until all lanes have ended; false when they do not.
func (s *soak) watch(progress func(time.Duration)) bool {
	done := make(chan struct{})
	go func() {
		s.ended.Wait()
		close(done)
	}()
	type mark struct {
		moved uint64
		since time.Time
	}
	started, told := time.Now(), time.Now()
	marks := make([]mark, len(s.lanes))
	for i := range marks {
		marks[i].since = started
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return true
		case <-tick.C:
		}
		for i, l := range s.lanes {
			if moved := l.moved.Load(); moved != marks[i].moved || l.resting.Load() {
				marks[i] = mark{moved, time.Now()}
			} else if time.Since(marks[i].since) > s.options.Stall {
				s.fail("%s has not moved for %v", l.name, s.options.Stall)
				return false
			}
		}
		if progress != nil && time.Since(told) >= 10*time.Second {
			told = time.Now()
			progress(time.Since(started))
		}
	}
}

// soakSize is how long a stream is: as often between one and two kilobytes as
// between one and two megabytes.
func soakSize(random *rand.Rand, largest int) int {
	size := 1 << 10
	for size < largest && random.IntN(8) != 0 {
		size *= 2
	}
	return min(size+random.IntN(size), largest)
}

// copyStream writes a stream.
func copyStream(w io.Writer, s *soakStream, moved *atomic.Uint64) error {
	for s.left > 0 {
		n, err := w.Write(s.next(streamBlock))
		moved.Add(uint64(n))
		if err != nil {
			return err
		}
	}
	return nil
}

// checkStream reads a stream.
func checkStream(r io.Reader, s *soakStream, moved *atomic.Uint64) error {
	b := make([]byte, streamBlock)
	for s.left > 0 {
		n, err := r.Read(b[:min(len(b), s.left)])
		moved.Add(uint64(n))
		if wrong := s.check(b[:n]); wrong != nil {
			return wrong
		}
		if err != nil {
			return fmt.Errorf("%d bytes before the end: %w", s.left, err)
		}
	}
	return nil
}

// awaitGoroutines waits until there are no more than before, for some seconds.
func awaitGoroutines(before int) int {
	limit := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(limit) {
		time.Sleep(10 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}
