package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"gonetx/cmd/nxduo/internal/study"

	"charm.land/lipgloss/v2"
	"github.com/alecthomas/kong"
)

type sweepCommand struct {
	runFlags

	Drops   []percent `default:"0,1,2,5,10" placeholder:"PERCENT" group:"Sweep" help:"Losses, in both directions."`
	Packets []uint32  `default:"2,4,8,16,32" placeholder:"N" group:"Sweep" help:"Packets of the pool that the workload fills: of the IP pool for \"in\", otherwise of the pool of what is sent. Their payload is that of --pool or --ip-pool."`
	Repeat  int       `default:"1" group:"Sweep" help:"Runs of each pair; the median counts."`

	HTML string `name:"html" placeholder:"FILE" group:"Output" help:"Write the heat map as one HTML file."`
	JSON bool   `name:"json" group:"Output" help:"Print the result as one JSON object."`
}

func (sweepCommand) Help() string {
	return `It runs a workload over all pairs of a loss and a pool size, and prints how fast each was, as a table and a heat map, and for each loss the smallest pool that still reaches nine tenths of the speed.

    nxduo sweep out --delay 20ms
    nxduo sweep in --delay 10ms --drops 0,2,5 --packets 8,16,32,64 --size 500k
    nxduo sweep out --both --delay 20ms --repeat 3 --html sweep.html
    nxduo sweep mail --size 20k --json

` + exitHelp
}

func (c *sweepCommand) Run(std streams, parsed *kong.Context) error {
	s, err := c.sweep()
	if err != nil {
		return err
	}
	s.Options.Command = append([]string{"nxduo"}, parsed.Args...)
	if err := c.place(&s.Options); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := s.Run(ctx, progressOf(std.err))
	if study.IsNoLink(err) && c.Link == "auto" && s.Options.Link == study.LinkTUN {
		c.inMemory(&s.Options, err)
		result, err = s.Run(ctx, progressOf(std.err))
	}
	err = runFailure(ctx, err)
	if c.HTML != "" && len(result.Families) > 0 {
		err = errors.Join(err, writeFile(c.HTML, func(w io.Writer) error { return result.WriteHTML(w) }))
	}
	if c.JSON {
		return errors.Join(err, writeJSON(std.out, result))
	}
	showSweep(std.out, result, isTerminal(std.out))
	return err
}

// sweep is what the flags describe.
func (c *sweepCommand) sweep() (*study.Sweep, error) {
	if c.Drop != "" {
		return nil, usage("the loss is what is swept: --drops instead of --drop")
	}
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	s := &study.Sweep{Options: o, Packets: slices.Compact(slices.Sorted(slices.Values(c.Packets))), Repeat: c.Repeat}
	for _, d := range c.Drops {
		loss, _ := strconv.ParseFloat(strings.TrimSuffix(string(d), "%"), 64)
		s.Losses = append(s.Losses, loss/100)
	}
	slices.Sort(s.Losses)
	s.Losses = slices.Compact(s.Losses)
	if c.Repeat < 1 || len(s.Losses) == 0 || len(s.Packets) == 0 || s.Packets[0] == 0 || s.Packets[len(s.Packets)-1] > 1<<16 {
		return nil, usage("a sweep has losses, packets from 1 to 65536, and is repeated at least once")
	}
	return s, nil
}

// progressOf tells on standard error what is measured: on a terminal in one
// line that changes.
func progressOf(err io.Writer) func(done, of int, loss float64, packets uint32) {
	terminal, shown := isTerminal(err), 0
	return func(done, of int, loss float64, packets uint32) {
		line := fmt.Sprintf("%d of %d: %g %% loss, %d packets", done+1, of, loss*100, packets)
		if !terminal {
			fmt.Fprintln(err, line)
			return
		}
		fmt.Fprintf(err, "\r%-*s", shown, line)
		if shown = len(line); done+1 == of {
			fmt.Fprintf(err, "\r%s\r", strings.Repeat(" ", shown))
		}
	}
}

// writeFile makes a file.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err == nil {
		err = errors.Join(write(f), f.Close())
	}
	if err != nil {
		return &failure{code: exitOther, what: "the file is not complete", err: err}
	}
	return nil
}

// showSweep prints the tables, on a terminal in colours from cold to hot.
func showSweep(out io.Writer, r *study.SweepResult, terminal bool) {
	for _, note := range r.Notes {
		fmt.Fprintln(out, note)
	}
	fmt.Fprintf(out, "Thousands of bytes a second, by loss and packets of %d bytes in the %s\n", r.Payload, r.Pool)
	for _, f := range r.Families {
		fmt.Fprintf(out, "\n%-10s", f.Family)
		for _, n := range r.Packets {
			fmt.Fprintf(out, "%10d", n)
		}
		fmt.Fprintln(out)
		best := f.Best()
		for _, loss := range r.Losses {
			fmt.Fprintf(out, "%8g %%", loss*100)
			for _, c := range f.Row(loss) {
				fmt.Fprint(out, heat(c, best, terminal))
			}
			fmt.Fprintln(out)
		}
		for _, e := range f.Enough {
			fmt.Fprintf(out, "At %g %% loss %d packets reach nine tenths of the best, %.0f.\n", e.Loss*100, e.Packets, e.Best/1000)
		}
	}
	for _, f := range r.Families {
		for _, c := range f.Cells {
			if c.Error != "" {
				fmt.Fprintf(out, "* %s, %g %%, %d packets: %s\n", f.Family, c.Loss*100, c.Packets, c.Error)
			}
		}
	}
}

// heat is a cell of the table: the number, and how much it is of the best, as a
// block and on a terminal as a colour.
func heat(c study.Cell, best float64, terminal bool) string {
	share := 0.0
	if best > 0 {
		share = c.Rate / best
	}
	mark := ""
	if c.Error != "" {
		mark = "*"
	}
	blocks := []rune("▁▂▃▄▅▆▇█")
	block := string(blocks[min(int(share*float64(len(blocks))), len(blocks)-1)])
	text := fmt.Sprintf("%8s ", fmt.Sprintf("%.0f%s", c.Rate/1000, mark))
	if !terminal {
		return text + block
	}
	colours := []uint8{196, 202, 208, 214, 220, 190, 154, 118}
	colour := colours[min(int(share*float64(len(colours))), len(colours)-1)]
	return text + lipgloss.NewStyle().Foreground(lipgloss.ANSIColor(colour)).Render(block)
}
