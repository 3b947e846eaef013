package main

import (
	"errors"
	"fmt"
	"io"

	"gonetx/cmd/nxduo/internal/screen"
	"gonetx/cmd/nxduo/internal/trace"
)

type viewCommand struct {
	Path  string `arg:"" name:"folder" help:"The folder of a study, or a trace."`
	Plain bool   `help:"Lines, also on a terminal."`
	All   bool   `help:"As lines: every event, not only what is out of the ordinary."`
}

func (viewCommand) Help() string {
	return `It shows a saved trace as a study shows itself while it runs: sequence numbers, congestion window, round trip, packet pools, the dialogue. Time can be stopped, gone back in, and run again, slower or faster. Where there is no terminal it prints lines. What there is of a trace that was cut off is shown, too.

    nxduo view study-mail-20260102-150405
    nxduo view trace.jsonl --plain --all | less

Exit codes:
    0    it was shown
    1    the file is no trace, or a damaged one: the line is named
    2    there is no such file`
}

func (c *viewCommand) Run(std streams) error {
	t, err := readFolder(c.Path)
	if t == nil || err != nil && !errors.Is(err, trace.ErrTruncated) {
		return err
	}
	if !c.Plain && !c.All && isTerminal(std.in) && isTerminal(std.out) {
		return errors.Join(screen.Run(screen.New(t), std.in, std.out), err)
	}
	showTrace(std.out, t, c.All)
	return err
}

// showTrace prints a trace.
func showTrace(out io.Writer, t *trace.Trace, all bool) {
	showHeader(out, t.Header)
	for i := range t.Events {
		if e := &t.Events[i]; all || e.Notable() {
			showEvent(out, e)
		}
	}
	if t.End.Interrupted {
		fmt.Fprintf(out, "The run was interrupted: %s.\n", t.End.Why)
	}
}
