package study

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"gonetx/cmd/nxduo/internal/trace"
	"gonetx/ip/link/capture"
	"gonetx/ip/link/fault"
)

// Links that a study may run over.
const (
	LinkTUN = "tun"
	LinkRAM = "ram"
)

// Options describe a run.
type Options struct {
	Workload Workload
	Families []string // in the order of their runs
	AtOnce   bool     // not one after the other
	Link     string
	Bytes    int64 // zero: the workload's
	Times    int   // zero: the workload's
	Pool     PoolSize
	IPPool   PoolSize
	Faults   fault.Config
	Release  bool // the timing of release 6.4.2
	Limit    time.Duration

	Title   string
	Command []string // that repeats the run
	Notes   []string
}

// Outputs are where a run leaves what it saw. Nil writers are discarded.
type Outputs struct {
	Trace   io.Writer
	Capture io.Writer
	Header  func(trace.Header) // sees the header, before the first event
	Watch   func(trace.Event)  // sees each event, in the order of the trace; it must not block for long
}

// Run runs a study. The result is never nil; the error is that of the run, as
// in the result, or one of the outputs. When ctx ends the run is aborted, and
// what was seen until then is complete.
func Run(ctx context.Context, o Options, out Outputs) (result *Result, err error) {
	result = &Result{Title: o.Title, Workload: o.Workload.Name, Link: o.Link, Faults: o.Faults.String()}
	defer func() { result.conclude(err) }()
	if out.Trace == nil {
		out.Trace = io.Discard
	}
	if out.Capture == nil {
		out.Capture = io.Discard
	}
	limited, cancel := context.WithTimeoutCause(ctx, o.Limit, fmt.Errorf("%w of %v", ErrLimit, o.Limit))
	defer cancel()

	count := newCounter()
	w := trace.NewWriter(out.Trace, nil, func(e trace.Event) {
		count.add(&e)
		if out.Watch != nil {
			out.Watch(e)
		}
	})
	file := capture.NewFile(out.Capture)
	file.Hold = 64
	lanes, err := bringLanesUp(&o, w, file)
	if err != nil {
		return result, err
	}
	defer func() {
		for _, l := range lanes {
			err = errors.Join(err, l.down())
		}
		err = errors.Join(err, file.Close())
	}()
	h := o.header(lanes)
	if err := w.Start(h); err != nil {
		return result, err
	}
	if out.Header != nil {
		out.Header(h)
	}
	runs := o.runLanes(limited, lanes)
	interrupted, why := context.Cause(limited) != nil, ""
	if interrupted {
		why = context.Cause(limited).Error()
	}
	err = w.Close(interrupted, why)
	for i, r := range runs {
		count.fill(&r)
		runs[i] = r
		if r.err != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.Family, r.err))
		}
	}
	result.Runs, result.Interrupted = runs, interrupted
	if interrupted {
		err = errors.Join(context.Cause(limited), err)
	}
	return result, err
}

// ErrLimit is the time limit of a run.
var ErrLimit = errors.New("the run has reached its limit")

// IsNoLink tells that a run did not begin because a link did not open.
func IsNoLink(err error) bool { return errors.Is(err, errLink) }

func bringLanesUp(o *Options, w *trace.Writer, file *capture.File) (lanes []*lane, err error) {
	for _, family := range o.Families {
		l, err := newLane(family, o, w, file)
		if err != nil {
			for _, l := range lanes {
				err = errors.Join(err, l.down())
			}
			return nil, err
		}
		lanes = append(lanes, l)
	}
	return lanes, nil
}

func (o *Options) header(lanes []*lane) trace.Header {
	h := trace.Header{
		Format: trace.Format, Version: trace.Version, Program: Program(),
		Title: o.Title, Command: o.Command, Started: time.Now(), Workload: o.Workload.Name,
		Faults: o.Faults.String(), Notes: o.Notes,
	}
	for _, l := range lanes {
		h.Families = append(h.Families, l.describe())
	}
	return h
}

// Program is this program with its version.
func Program() string {
	name := "nxduo"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		name += " " + info.Main.Version
	}
	return name
}

// runLanes runs the workload over each lane.
func (o *Options) runLanes(ctx context.Context, lanes []*lane) []FamilyResult {
	runs := make([]FamilyResult, len(lanes))
	if !o.AtOnce {
		for i, l := range lanes {
			runs[i] = o.runLane(ctx, l)
		}
		return runs
	}
	var group sync.WaitGroup
	for i, l := range lanes {
		group.Go(func() { runs[i] = o.runLane(ctx, l) })
	}
	group.Wait()
	return runs
}

func (o *Options) runLane(ctx context.Context, l *lane) FamilyResult {
	r := FamilyResult{Family: l.family}
	if err := ctx.Err(); err != nil {
		r.err = context.Cause(ctx)
		return r
	}
	j := &job{lane: l, ctx: ctx, bytes: o.Bytes, times: o.Times, packets: o.Pool.Packets}
	if j.bytes == 0 {
		j.bytes = o.Workload.Bytes
	}
	if j.times == 0 {
		j.times = o.Workload.Times
	}
	l.side.Begin(o.Workload.About)
	began := time.Now()
	r.err = o.Workload.run(j)
	r.Took = time.Since(began)
	r.Bytes = j.moved.Load()
	counted := l.inst.Stack().Stats().TCP
	missing, err := l.rest()
	r.Stack = StackCounts{
		Retransmits: counted.Retransmits.Value(), Timeouts: counted.Timeouts.Value(),
		FastRecoveries: counted.FastRecovery.Value() + counted.SACKRecovery.Value(),
	}
	r.err = errors.Join(r.err, err)
	if r.Missing = missing; missing > 0 {
		r.err = errors.Join(r.err, fmt.Errorf("%d packets are missing from the pools", missing))
	}
	end := trace.Mark{Text: "done", Bytes: r.Bytes}
	if r.err != nil {
		end.Text, end.Failed = r.err.Error(), true
	}
	l.side.Mark(trace.WorkloadEnd, end)
	return r
}
