// Package fault is a driver that makes the wire of another one worse: it
// drops, delays, duplicates, reorders, corrupts and splits frames, by chance
// or exactly where a test wants it.
//
//	bad := fault.Wrap(network.Driver(), fault.Config{
//		Seed: 7,
//		In:   fault.Chances{Drop: 0.05, Delay: 20 * time.Millisecond},
//		Rules: []fault.Rule{
//			{Match: fault.Match{Side: fault.FromServer, Kind: fault.Data, First: 3}, Verdict: fault.Verdict{Drop: true}},
//		},
//	})
//
// The same as text, for command lines (see [Parse]):
//
//	seed=7,in.loss=5%,in.delay=20ms,drop(server data 3)
//
// Chances are drawn from a seed, a fixed number of draws for each frame of a
// direction: the n-th frame of a direction has the same fate in every run,
// whatever the other direction does.
//
// Faults happen to segments as they are on the wire, so the driver below
// offloads nothing, and to frames in memory of their own: what is late is still
// on the wire, and takes no packet of the pool. Every frame that is dropped is
// counted and makes a drop event; everything else that is done to a frame makes
// an nx.FaultEvent.
package fault

import (
	"math/rand/v2"
	"sync"
	"time"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"
)

// Config describes the faults. The zero Config makes none.
type Config struct {
	Seed    uint64  // of the chances
	In, Out Chances // seen from the instance
	Rules   []Rule  // each sees every frame

	// Hook decides on each frame, besides the chances and the rules. It is
	// called in the goroutine of the sender or of the reader, must be quick,
	// and call no service; the frame is its own only during the call.
	Hook func(Frame) Verdict
}

// Chances are the faults of one direction that any frame may have.
type Chances struct {
	Drop, Duplicate, Reorder, Corrupt float64 // from 0, never, to 1, always

	Delay  time.Duration // of every frame
	Jitter time.Duration // is added to the delay or taken off it, at most so much; it reorders

	Rate  uint64 // bytes a second; zero: no limit
	Queue uint64 // bytes that wait for the limit before more are dropped; zero: 65536
}

// reorderWait is how long a frame that shall come behind the next one waits
// for a next one.
const reorderWait = 20 * time.Millisecond

const defaultQueue = 65536

// Verdict is what happens to a frame. The zero Verdict lets it pass. Those of
// the hook, the rules and the chances add up.
type Verdict struct {
	Drop      bool
	Duplicate int           // so many copies more
	Delay     time.Duration // besides that of the direction
	Reorder   bool          // behind the next frame of its direction; alone, after 20 ms
	Corrupt   bool          // one bit behind the IP header is turned over
	Split     int           // a TCP segment with more data becomes two, the first with so many bytes
}

func (v Verdict) and(w Verdict) Verdict {
	v.Drop = v.Drop || w.Drop
	v.Duplicate += w.Duplicate
	v.Delay += w.Delay
	v.Reorder = v.Reorder || w.Reorder
	v.Corrupt = v.Corrupt || w.Corrupt
	v.Split = max(v.Split, w.Split)
	return v
}

// Frame is what a hook sees.
type Frame struct {
	Direction nx.Direction
	Number    uint64        // of the frame in its direction, from 1
	Data      []byte        // the datagram
	Datagram  link.Datagram // its headers; zero when they are malformed
}

// Reasons of drop events.
const (
	DropChance = "fault: by chance"
	DropRule   = "fault: by a rule"
	DropHook   = "fault: by the hook"
	DropRate   = "fault: the queue of the rate limit is full"
	DropStop   = "fault: still under way when the link was stopped"
)

// Counters tell what was done to the frames of one direction.
type Counters struct {
	Frames, Dropped, Duplicated, Delayed, Reordered, Corrupted, Split uint64
}

// Driver makes the faults of all endpoints that it opens. It implements
// link.Driver.
type Driver struct {
	below link.Driver

	mu      sync.Mutex // guards the fields below
	config  Config
	in, out *way
	rules   []*rule
	servers map[server]bool
}

// way is what a driver knows of one direction.
type way struct {
	chances  Chances
	random   *rand.Rand
	counters Counters
	free     time.Duration // when the rate limit has sent what it has taken
}

// Wrap makes a driver over another one.
func Wrap(driver link.Driver, config Config) *Driver {
	d := &Driver{below: driver}
	d.Set(config)
	return d
}

// Set changes the faults, also while traffic flows. The draws and the counts
// of the rules begin anew; the counters go on.
func (d *Driver) Set(config Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, out := newWay(config.In, config.Seed, nx.Received), newWay(config.Out, config.Seed, nx.Sent)
	if d.in != nil {
		in.counters, out.counters = d.in.counters, d.out.counters
	}
	d.config, d.in, d.out = config, in, out
	d.rules = nil
	for _, r := range config.Rules {
		d.rules = append(d.rules, &rule{Rule: r})
	}
	d.servers = make(map[server]bool)
}

func newWay(c Chances, seed uint64, direction nx.Direction) *way {
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	return &way{chances: c, random: rand.New(rand.NewPCG(seed, uint64(direction)))}
}

// Config answers the faults in force.
func (d *Driver) Config() Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// Counters answers what was done so far.
func (d *Driver) Counters() (in, out Counters) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.in.counters, d.out.counters
}

func (d *Driver) way(direction nx.Direction) *way {
	if direction == nx.Received {
		return d.in
	}
	return d.out
}

// Open implements link.Driver.
func (d *Driver) Open(a link.Attachment) (link.Endpoint, error) {
	if a.Clock == nil {
		a.Clock = nx.RealClock
	}
	below, err := d.below.Open(a.OnWire("fault"))
	if err != nil {
		return nil, err
	}
	e := &endpoint{driver: d, clock: a.Clock, recorder: a.Recorder}
	e.Init("fault", below, e)
	return e, nil
}

// fate is what was decided on one frame.
type fate struct {
	Verdict
	reason string        // of a drop
	bit    uint64        // to turn over, modulo the bits there are
	wait   time.Duration // until it moves
}

// decide draws the fate of a frame. now is the time of the endpoint.
func (d *Driver) decide(direction nx.Direction, data []byte, now time.Duration) fate {
	f := Frame{Direction: direction, Data: data}
	datagram, ok := link.Dissect(data, len(data))
	if ok {
		f.Datagram = datagram
	}
	d.mu.Lock()
	w := d.way(direction)
	w.counters.Frames++
	f.Number = w.counters.Frames
	byChance, jitter, bit := w.draw()
	byRule := d.ruled(f)
	hook := d.config.Hook
	d.mu.Unlock()

	byHook := Verdict{}
	if hook != nil {
		byHook = hook(f) // not under the lock
	}
	fate := fate{Verdict: byChance.and(byRule).and(byHook), bit: bit}
	switch {
	case byHook.Drop:
		fate.reason = DropHook
	case byRule.Drop:
		fate.reason = DropRule
	case byChance.Drop:
		fate.reason = DropChance
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	if !fate.Drop && !w.limit(&fate, len(data), now) {
		fate.Drop, fate.reason = true, DropRate
	}
	if !fate.Drop {
		fate.wait += max(w.chances.Delay+jitter+fate.Delay, 0)
	}
	w.note(fate)
	return fate
}

// draw makes the draws of one frame, always the same number.
func (w *way) draw() (v Verdict, jitter time.Duration, bit uint64) {
	hit := func(chance float64) bool { return w.random.Float64() < chance }
	v.Drop = hit(w.chances.Drop)
	if hit(w.chances.Duplicate) {
		v.Duplicate = 1
	}
	v.Reorder = hit(w.chances.Reorder)
	v.Corrupt = hit(w.chances.Corrupt)
	jitter = time.Duration((2*w.random.Float64() - 1) * float64(w.chances.Jitter))
	return v, jitter, w.random.Uint64()
}

// limit lets the frame leave when the ones before it have; false when too much
// waits already.
func (w *way) limit(f *fate, size int, now time.Duration) bool {
	rate := w.chances.Rate
	if rate == 0 {
		return true
	}
	start := max(w.free, now)
	if waiting := float64(start-now) / float64(time.Second) * float64(rate); waiting > float64(w.chances.Queue) {
		return false
	}
	w.free = start + time.Duration(float64(size)/float64(rate)*float64(time.Second))
	f.wait = w.free - now
	return true
}

func (w *way) note(f fate) {
	if f.Drop {
		w.counters.Dropped++
		return
	}
	w.counters.Duplicated += uint64(f.Duplicate)
	for _, c := range []struct {
		done  bool
		count *uint64
	}{
		{f.wait > 0, &w.counters.Delayed},
		{f.Reorder, &w.counters.Reordered},
		{f.Corrupt, &w.counters.Corrupted},
		{f.Split > 0, &w.counters.Split},
	} {
		if c.done {
			*c.count++
		}
	}
}
