package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"gonetx/cmd/nxduo/internal/screen"
	"gonetx/cmd/nxduo/internal/study"
	"gonetx/cmd/nxduo/internal/trace"
)

// watcher shows a study while it runs.
type watcher interface {
	// run runs the study. The context that the study gets ends with ctx, or
	// when the user says so.
	run(ctx context.Context, o study.Options, f *folder) (*study.Result, error)
}

func (c *studyCommand) watcher(std streams) watcher {
	out := std.out
	if c.JSON {
		out = std.err
	}
	switch {
	case c.Quiet:
		return lines{io.Discard}
	case !c.Plain && !c.JSON && isTerminal(std.in) && isTerminal(std.out):
		return live{std}
	}
	return lines{out}
}

// live shows the view of package screen. It stays until the user leaves it.
type live struct{ std streams }

func (l live) run(ctx context.Context, o study.Options, f *folder) (result *study.Result, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	feed := &screen.Feed{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result, err = study.Run(ctx, o, study.Outputs{Trace: f.trace, Capture: f.capture, Header: feed.Header, Watch: feed.Push})
		words := "all is in " + f.path
		if err != nil {
			words = err.Error()
		}
		feed.Done(words)
	}()
	shown := screen.Run(screen.Live(feed, stop), l.std.in, l.std.out)
	stop() // the user has left
	<-ended
	return result, errors.Join(err, shown)
}

// lines shows what is notable, a line each.
type lines struct{ out io.Writer }

func (l lines) run(ctx context.Context, o study.Options, f *folder) (*study.Result, error) {
	return study.Run(ctx, o, study.Outputs{
		Trace: f.trace, Capture: f.capture,
		Header: func(h trace.Header) { showHeader(l.out, h) },
		Watch: func(e trace.Event) {
			if e.Notable() {
				showEvent(l.out, &e)
			}
		},
	})
}

// showHeader prints what is about to run.
func showHeader(out io.Writer, h trace.Header) {
	for _, note := range h.Notes {
		fmt.Fprintln(out, note)
	}
	fmt.Fprintf(out, "%s\n%s\n", h.Title, repeat(h.Command))
	for _, f := range h.Families {
		pools := make([]string, len(f.Pools))
		for i, p := range f.Pools {
			pools[i] = fmt.Sprintf("%s of %d x %d", p.Name, p.Packets, p.Payload)
		}
		fmt.Fprintf(out, "%s: %s to %s on %s, MTU %d, MSS %d; %s\n", f.Family, f.Address, f.Peer, f.Link.Device, f.Link.MTU, f.MSS, strings.Join(pools, ", "))
	}
	fmt.Fprintln(out)
}

// showEvent prints an event.
func showEvent(out io.Writer, e *trace.Event) {
	fmt.Fprintf(out, "%10.3f  %-4s  %s\n", e.Time, e.Family, e.Words())
}

// showStudy prints what came of a study.
func showStudy(out io.Writer, o study.Options, r *study.Result) {
	if len(r.Runs) == 0 {
		return
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	line := func(what string, value func(r *study.FamilyResult) string) {
		fmt.Fprint(table, what, "\t")
		for i := range r.Runs {
			fmt.Fprint(table, value(&r.Runs[i]), "\t")
		}
		fmt.Fprintln(table)
	}
	line("", func(r *study.FamilyResult) string { return r.Family })
	line("seconds", func(r *study.FamilyResult) string { return fmt.Sprintf("%.3f", r.Took.Seconds()) })
	line("bytes of user data", func(r *study.FamilyResult) string { return fmt.Sprint(r.Bytes) })
	line("bytes a second", func(r *study.FamilyResult) string { return fmt.Sprintf("%.0f", r.Rate()) })
	line("connections", func(r *study.FamilyResult) string { return fmt.Sprint(r.Connections) })
	line("segments sent", func(r *study.FamilyResult) string { return fmt.Sprint(r.Sent.Segments) })
	line("segments received", func(r *study.FamilyResult) string { return fmt.Sprint(r.Received.Segments) })
	line("sent again", func(r *study.FamilyResult) string { return fmt.Sprint(r.Sent.Again) })
	line("received again", func(r *study.FamilyResult) string { return fmt.Sprint(r.Received.Again) })
	for _, cause := range keys(r.Runs, func(r *study.FamilyResult) map[trace.Cause]int { return r.Causes }) {
		line("  again: "+string(cause), func(r *study.FamilyResult) string { return fmt.Sprint(r.Causes[cause]) })
	}
	for _, reason := range keys(r.Runs, func(r *study.FamilyResult) map[string]int { return r.Drops }) {
		line("dropped: "+reason, func(r *study.FamilyResult) string { return fmt.Sprint(r.Drops[reason]) })
	}
	for _, pool := range keys(r.Runs, func(r *study.FamilyResult) map[string]int { return r.Lowest }) {
		line("lowest in the "+pool, func(r *study.FamilyResult) string { return fmt.Sprint(r.Lowest[pool]) })
		line("  found empty", func(r *study.FamilyResult) string { return fmt.Sprint(r.Empty[pool]) })
	}
	line("waited for packets", func(r *study.FamilyResult) string { return trace.Milliseconds(r.Waited) })
	_ = table.Flush()
	for _, run := range r.Runs {
		if run.Error != "" {
			fmt.Fprintf(out, "%s: %s\n", run.Family, run.Error)
		}
	}
	fmt.Fprintf(out, "\n%s: %s, %s, %s\n", r.Folder, traceFile, captureFile, reportFile)
}

// keys are the keys of a map of all runs, in order.
func keys[K ~string](runs []study.FamilyResult, of func(*study.FamilyResult) map[K]int) []K {
	all := make(map[K]bool)
	for i := range runs {
		for k := range of(&runs[i]) {
			all[k] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
