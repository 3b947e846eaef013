package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gonetx/cmd/nxduo/internal/report"
	"gonetx/cmd/nxduo/internal/trace"
)

type reportCommand struct {
	Path    string `arg:"" name:"folder" help:"The folder of a study, or a trace."`
	Output  string `short:"o" placeholder:"FILE" help:"Where to write the report; \"-\" is standard output. Without it, report.html beside the trace."`
	Partial bool   `help:"Make the report of a trace that is cut off, too: of what there is."`
}

func (reportCommand) Help() string {
	return `It makes the report of a saved trace anew: one HTML file that needs nothing beside itself, with the run in a table, findings in words and the passage that says how it should be, and graphs of all families on one time axis: sequence numbers, congestion window, round trip, packet pools, the SMTP dialogue.

    nxduo report study-mail-20260102-150405
    nxduo report trace.jsonl -o mail.html
    nxduo report trace.jsonl --partial -o -

Exit codes:
    0    the report is made
    1    the file is no trace, or a damaged one: the line is named
    2    there is no such file, or the report cannot be written`
}

func (c *reportCommand) Run(std streams) error {
	t, err := readFolder(c.Path)
	cutOff := ""
	if c.Partial && t != nil && errors.Is(err, trace.ErrTruncated) {
		cutOff = "Of " + c.Path + " there is this much: " + truncation(err) + "."
		err = nil
	}
	if err != nil {
		return err
	}
	if c.Output == "-" {
		return report.Write(std.out, t, report.Options{Command: repeat(t.Header.Command), CutOff: cutOff})
	}
	to := c.Output
	if to == "" {
		to = c.Path
		if info, err := os.Stat(to); err != nil || !info.IsDir() {
			to = filepath.Dir(to)
		}
		to = filepath.Join(to, reportFile)
	}
	if err := writeReport(to, t, cutOff); err != nil {
		return err
	}
	fmt.Fprintln(std.out, to)
	return nil
}

// truncation is the error of the reader, with its line.
func truncation(err error) string {
	var line *trace.LineError
	if errors.As(err, &line) {
		return line.Error()
	}
	return err.Error()
}

// makeReport makes the report of a folder.
func makeReport(path string) error {
	t, err := readFolder(path)
	if err != nil {
		return err
	}
	return writeReport(filepath.Join(path, reportFile), t, "")
}

func writeReport(path string, t *trace.Trace, cutOff string) error {
	to, err := os.Create(path)
	if err == nil {
		b := bufio.NewWriter(to)
		err = report.Write(b, t, report.Options{Command: repeat(t.Header.Command), CutOff: cutOff})
		err = errors.Join(err, b.Flush(), to.Close())
	}
	if err != nil {
		return &failure{code: exitUsage, what: "the report", err: err}
	}
	return nil
}
