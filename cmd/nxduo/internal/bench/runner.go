package bench

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"time"
)

// Options of a run. The zero Options measure everything.
type Options struct {
	Selection
	Rounds   int           // zero: 5
	Duration time.Duration // of one measurement; zero: 500 ms
	Profiles string        // folder for CPU profiles of the stacks; empty: none
	NoExtras bool          // no memory, no instances

	Congestion string // congestion control of the kernel's sockets; empty: the system's

	// Progress is told what was measured, with the share that is done. Nil:
	// nobody looks.
	Progress func(what string, done, of int)
}

const (
	defaultRounds   = 5
	defaultDuration = 250 * time.Millisecond

	warm      = 100 * time.Millisecond // before each measurement: windows open, queues fill
	warmMany  = 400 * time.Millisecond // of many streams, which find out how much each may send
	idleConns = 1000                   // for the memory of a connection
	makings   = 9                      // of an instance
)

func (o Options) withDefaults() Options {
	if o.Rounds == 0 {
		o.Rounds = defaultRounds
	}
	if o.Duration == 0 {
		o.Duration = defaultDuration
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	return o
}

// Estimate is about how long a run takes.
func (o Options) Estimate() time.Duration {
	o = o.withDefaults()
	const overhead = 60 * time.Millisecond // to connect, to stop, to collect garbage
	var round time.Duration
	for _, c := range o.cells() {
		round += o.Duration + c.warm() + overhead
	}
	return time.Duration(o.Rounds) * round
}

// asker is a client's process, as the runner sees it.
type asker interface {
	ask(context.Context, order) (answer, error)
}

// lab is where a run takes place: what the runner needs of namespaces and
// processes.
type lab interface {
	// client is the process of a client, which lives until the run ends or until
	// it fails; then the next call makes another one. The address is where the
	// client finds the peer.
	client(c Client) (asker, About, error)
	peer(c Client, family int) netip.Addr
}

// thisMachine describes where it is measured.
func thisMachine() Machine {
	return Machine{CPUs: runtime.NumCPU(), Procs: procs(), Kernel: kernelVersion(), Go: runtime.Version()}
}

// procs is GOMAXPROCS of the client and of the peer, which share the machine: half
// of it for each, unless the environment says otherwise. With all processors for
// both, threads of the client that look for work take them from the peer.
func procs() int {
	if n, err := strconv.Atoi(os.Getenv("GOMAXPROCS")); err == nil && n > 0 {
		return n
	}
	return max(1, runtime.NumCPU()/2)
}

// run measures cell by cell, round by round. What fails is noted in the
// report, and the others go on.
func run(ctx context.Context, l lab, o Options) (*Report, error) {
	o = o.withDefaults()
	cells := o.cells()
	r := &Report{
		Machine: thisMachine(),
		Rounds:  o.Rounds, Duration: o.Duration, Clients: map[string]About{},
	}
	for _, c := range cells {
		r.Results = append(r.Results, Result{Cell: c})
	}
	started := time.Now()
	for round := range o.Rounds {
		for done := range cells {
			i := done
			// Every other round goes the other way, so that nobody always comes
			// after the same one.
			if round%2 == 1 {
				i = len(cells) - 1 - done
			}
			if err := ctx.Err(); err != nil {
				return nil, context.Cause(ctx)
			}
			result := &r.Results[i]
			measureCell(ctx, l, o, r, result, round)
			what := result.Cell.String()
			if n := len(result.Samples); n > 0 && result.Samples[n-1].Round == round {
				what = fmt.Sprintf("%s: %s %s", what, number(result.Samples[n-1].Rate), result.Kind.rateUnit())
			}
			o.Progress(what, round*len(cells)+done+1, o.Rounds*len(cells))
		}
	}
	if !o.NoExtras {
		extras(ctx, l, o, r, all(cells))
	}
	r.finish()
	r.Took = time.Since(started)
	return r, nil
}

// warm is how long a workload takes to get into its stride.
func (c Cell) warm() time.Duration {
	if c.Lanes > 1 && (c.Kind == BulkOut || c.Kind == BulkIn) {
		return warmMany
	}
	return warm
}

func measureCell(ctx context.Context, l lab, o Options, r *Report, result *Result, round int) {
	note := func(err error) {
		if ctx.Err() == nil {
			result.Failures = append(result.Failures, fmt.Sprintf("round %d: %v", round+1, err))
		}
	}
	c := result.Cell
	process, about, err := l.client(c.Client)
	if err != nil {
		note(err)
		return
	}
	r.Clients[c.Client.String()] = about
	m := &measure{
		Kind: c.Kind, Lanes: c.Lanes, Warm: c.warm(), For: o.Duration,
		To: netip.AddrPortFrom(l.peer(c.Client, c.Family), c.Kind.port()),
	}
	if o.Profiles != "" && c.Design != Kernel {
		m.Profile = fmt.Sprintf("%s/%s-%s-x%d-ipv%d-%d-round%d.pprof", o.Profiles, c.Design, c.Kind, c.Lanes, c.Family, c.MTU, round+1)
	}
	ctx, cancel := context.WithTimeout(ctx, m.Warm+m.For+longPatience)
	defer cancel()
	a, err := process.ask(ctx, order{Measure: m})
	if err != nil {
		note(err)
		return
	}
	result.Samples = append(result.Samples, Sample{
		Round: round, Rate: c.Kind.rate(a.Units, a.Seconds), Cost: c.Kind.cost(a.Units, a.CPU),
		Seconds: a.Seconds, Units: a.Units, Frames: a.Frames,
	})
}

// extras measures what is not a rate, for the clients that have a stack of
// their own.
func extras(ctx context.Context, l lab, o Options, r *Report, clients []Client) {
	ask := func(c Client, o order) (answer, error) {
		ctx, cancel := context.WithTimeout(ctx, longPatience)
		defer cancel()
		return ask(ctx, l, c, o)
	}
	for _, c := range clients {
		if c.Design == Kernel {
			continue
		}
		families := or(o.Families, []int{4, 6})
		m := Memory{Client: c, Conns: idleConns, Family: families[0]}
		to := netip.AddrPortFrom(l.peer(c, m.Family), portHold)
		a, err := ask(c, order{Memory: &memory{To: to, Conns: m.Conns}})
		m.Bytes, m.Goroutines, m.Failure = a.BytesPerConn, a.GoroutinesPerConn, text(err)
		r.Memory = append(r.Memory, m)
		if c.Design == NXDuo {
			i := Instances{Client: c, Times: makings}
			a, err := ask(c, order{Times: i.Times})
			i.Create, i.Delete, i.Failure = a.Create, a.Remove, text(err)
			r.Instances = append(r.Instances, i)
		}
	}
}

func ask(ctx context.Context, l lab, c Client, o order) (answer, error) {
	process, _, err := l.client(c)
	if err != nil {
		return answer{}, err
	}
	return process.ask(ctx, o)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// designOf makes what a client's process is to be.
func (p part) design() (design, error) {
	switch Name(p.Role) {
	case Kernel:
		return kernel{}, nil
	case Naive:
		return newNaive(p)
	case NXDuo:
		return newNXDuo(p)
	case Bare:
		return newBare(p)
	}
	return nil, fmt.Errorf("there is no design %q: %s", p.Role, join(designs))
}
