package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"gonetx/cmd/nxduo/internal/stat"
)

type statCommand struct {
	Name     string        `arg:"" optional:"" help:"Name of the instance; not needed where only one runs."`
	List     bool          `short:"l" help:"Only name the instances that run."`
	JSON     bool          `name:"json" help:"Print one JSON object; with --watch, one on each line."`
	Watch    bool          `short:"w" help:"Look again and again, until the instance ends or this is interrupted."`
	Interval time.Duration `default:"1s" help:"How long to wait in between."`
}

func (statCommand) Help() string {
	return `It shows an instance of "nxduo up" as "ss -tiem" shows the kernel: the pools and who has their packets; listening ports; sockets with their states, congestion window, threshold, round trip, retransmissions, windows and queues; the counters of IP, ICMP, TCP and the link.

Recv-Q is received and not taken by the program, Send-Q is sent and not acknowledged, in bytes; of a listening port, connection requests that wait, and how many may. cwnd and ssthresh are segments, rtt, its variation and rto milliseconds, txq segments on the transmit queue, rxq segments on the receive queue.

Only who started the instance can look at it: it answers on a socket in a directory of its user's.

    nxduo stat
    nxduo stat lab0 --watch
    nxduo stat --list
    nxduo stat lab0 --json | jq '.sockets[] | select(.segments_retransmitted > 0)'

` + exitHelp
}

func (c *statCommand) Run(std streams) error {
	if c.Interval <= 0 {
		return usage("--interval must be longer than nothing")
	}
	if c.List {
		return c.list(std)
	}
	if err := c.choose(); err != nil {
		return err
	}
	if !c.Watch {
		shot, err := c.fetch()
		if err != nil {
			return err
		}
		return c.show(shot, std.out)
	}
	return c.watch(std)
}

func (c *statCommand) list(std streams) error {
	names, err := stat.List()
	if err != nil {
		return err
	}
	if c.JSON {
		if names == nil {
			names = []string{}
		}
		return writeJSON(std.out, names)
	}
	for _, name := range names {
		fmt.Fprintln(std.out, name)
	}
	return nil
}

// choose finds the name where none was given.
func (c *statCommand) choose() error {
	if c.Name != "" {
		if err := stat.CheckName(c.Name); err != nil {
			return usage("%v", err)
		}
		return nil
	}
	names, err := stat.List()
	switch {
	case err != nil:
		return err
	case len(names) == 0:
		return &failure{code: exitNoConnection, what: "no instance runs; \"nxduo up\" starts one"}
	case len(names) > 1:
		return usage("several instances run, name one: %s", strings.Join(names, ", "))
	}
	c.Name = names[0]
	return nil
}

func (c *statCommand) fetch() (stat.Snapshot, error) {
	shot, err := stat.Fetch(c.Name)
	if errors.Is(err, stat.ErrNotRunning) {
		err = &failure{code: exitNoConnection, what: "nothing to show", err: err}
	}
	return shot, err
}

func (c *statCommand) show(shot stat.Snapshot, out io.Writer) error {
	if c.JSON {
		return writeJSON(out, shot)
	}
	return shot.Print(out)
}

// watch shows snapshots, on a terminal one in the place of the other. That the
// instance ends is how it ends.
func (c *statCommand) watch(std streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	for n := 0; ; n++ {
		shot, err := c.fetch()
		if n > 0 && errors.Is(err, stat.ErrNotRunning) {
			fmt.Fprintf(std.err, "%s has ended.\n", c.Name)
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case c.JSON:
			err = writeLine(std.out, shot)
		case isTerminal(std.out):
			fmt.Fprint(std.out, "\033[H\033[2J")
			err = shot.Print(std.out)
		default:
			if n > 0 {
				fmt.Fprintln(std.out)
			}
			fmt.Fprintln(std.out, shot.Taken.Format(time.RFC3339Nano))
			err = shot.Print(std.out)
		}
		if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
