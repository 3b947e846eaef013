package main

import (
	"fmt"
	"os"
	"path/filepath"

	"gonetx/cmd/nxduo/internal/trace"
)

type traceCommand struct {
	Check  traceCheckCommand  `cmd:"" help:"Hold a trace against its schema, line by line."`
	Schema traceSchemaCommand `cmd:"" help:"Print the JSON Schema of a line of a trace."`
}

type traceCheckCommand struct {
	Path string `arg:"" name:"file" help:"A trace, or the folder of a study."`
	Most int    `default:"20" help:"Problems to print."`
	JSON bool   `name:"json" help:"Print the result as one JSON object."`
}

func (traceCheckCommand) Help() string {
	return `It prints each line that is wrong with its number: what is no trace, of another version, cut off, out of order, or not as the schema has it. The trace of an older program of the same version is right: the schema only grows.

    nxduo trace check study-mail-20260102-150405
    nxduo trace check trace.jsonl --json

Exit codes:
    0    the trace is as it should be
    1    it is not
    2    there is no such file`
}

// checked is the result, as --json prints it.
type checked struct {
	OK          bool     `json:"ok"`
	File        string   `json:"file"`
	Events      int      `json:"events"`
	Interrupted bool     `json:"interrupted"`
	Problems    []string `json:"problems"`
}

func (c *traceCheckCommand) Run(std streams) error {
	path := c.Path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, traceFile)
	}
	in, err := os.Open(path)
	if err != nil {
		return &failure{code: exitUsage, what: "no trace", err: err}
	}
	defer in.Close()
	seen, err := trace.Check(in, max(c.Most, 1))
	if err != nil {
		return err
	}
	result := checked{OK: len(seen.Problems) == 0, File: path, Events: seen.Events, Interrupted: seen.Interrupted, Problems: []string{}}
	for _, p := range seen.Problems {
		result.Problems = append(result.Problems, p.Error())
	}
	if c.JSON {
		if err := writeJSON(std.out, result); err != nil {
			return err
		}
	} else {
		for _, p := range result.Problems {
			fmt.Fprintf(std.out, "%s: %s\n", path, p)
		}
	}
	if !result.OK {
		return &failure{code: exitOther, what: fmt.Sprintf("%s is not as it should be", path)}
	}
	if !c.JSON {
		how := "complete"
		if result.Interrupted {
			how = "complete; the run was interrupted"
		}
		fmt.Fprintf(std.out, "%s: %d events, %s\n", path, result.Events, how)
	}
	return nil
}

type traceSchemaCommand struct{}

func (traceSchemaCommand) Run(std streams) error {
	_, err := std.out.Write(trace.Schema())
	return err
}
