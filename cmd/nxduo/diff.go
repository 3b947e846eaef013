package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"gonetx/cmd/nxduo/internal/trace"
)

type diffCommand struct {
	A    string `arg:"" name:"a" help:"The folder of a study, or a trace."`
	B    string `arg:"" optional:"" name:"b" help:"Another one. Without it, the families of A are compared."`
	JSON bool   `name:"json" help:"Print the differences as one JSON object."`
}

func (diffCommand) Help() string {
	return `It compares two runs: what was set up, what came of it, and the first event in which they part. Times that differ by a tenth or by 5 ms are taken as the same. What came in, and when, is compared in counts only, because it depends on the time.

    nxduo diff study-out-1 study-out-2
    nxduo diff study-mail-both            IPv4 and IPv6 of one run
    nxduo diff lossy/trace.jsonl clean/trace.jsonl --json

Exit codes:
    0    they agree
    1    they differ
    2    one of them cannot be read, or is no trace`
}

func (c *diffCommand) Run(std streams) error {
	a, err := readWhole(c.A)
	if err != nil {
		return err
	}
	var b *trace.Trace
	if c.B == "" {
		ok := false
		names := a.Header.Families
		if a, b, ok = trace.Between(a); !ok {
			return usage("%s is not of two families; name another trace", c.A)
		}
		if !c.JSON {
			fmt.Fprintf(std.out, "A is %s, B is %s.\n\n", names[0].Family, names[1].Family)
		}
	} else if b, err = readWhole(c.B); err != nil {
		return err
	}
	d := trace.Diff(a, b)
	if c.JSON {
		err = writeJSON(std.out, d)
	} else {
		showDiff(std.out, &d)
	}
	if err == nil && !d.None() {
		err = &failure{code: exitOther, what: "the runs differ", silent: true}
	}
	return err
}

// readWhole reads a trace for a command to which a difference is exit code 1.
func readWhole(path string) (*trace.Trace, error) {
	t, err := readFolder(path)
	if err != nil && !errors.Is(err, trace.ErrTruncated) {
		return nil, &failure{code: exitUsage, what: "cannot compare", err: err}
	}
	return t, nil
}

// showDiff prints the differences.
func showDiff(out io.Writer, d *trace.Differences) {
	if d.None() {
		fmt.Fprintln(out, "The runs agree.")
		return
	}
	for _, part := range []struct {
		title string
		list  []trace.Difference
	}{{"What was set up", d.Setup}, {"What came of it", d.Outcome}} {
		if len(part.list) == 0 {
			continue
		}
		fmt.Fprintf(out, "%s\n", part.title)
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "\t\tA\tB")
		for _, x := range part.list {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", x.Family, x.What, x.A, x.B)
		}
		_ = table.Flush()
		fmt.Fprintln(out)
	}
	for _, p := range d.Partings {
		fmt.Fprintf(out, "%s: event %d is the first that differs:\n", p.Family, p.Event)
		for _, side := range []struct {
			name, words string
			time        float64
		}{{"A", p.A, p.TimeA}, {"B", p.B, p.TimeB}} {
			if side.words == "" {
				fmt.Fprintf(out, "  %s  has ended\n", side.name)
				continue
			}
			fmt.Fprintf(out, "  %s  %10.3f  %s\n", side.name, side.time, side.words)
		}
	}
	for _, f := range d.Findings {
		fmt.Fprintln(out, f)
	}
}
