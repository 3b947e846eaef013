package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"
	"syscall"

	"gonetx/ip/link/tun/netns"
	parity "gonetx/netns-tests"
)

type parityCommand struct {
	Scenario []string `short:"s" placeholder:"NAME" help:"Run only scenarios of this name; * and ? stand for others. May be given again."`
	Only     []string `placeholder:"PLACE" help:"Run only at this place: ram, tun, offload, pair, routed, kernel. May be given again."`
	File     []string `type:"existingfile" placeholder:"FILE" help:"Run the scenarios of a file instead of the table. May be given again."`
	Seed     uint64   `default:"1" help:"What faults by chance are drawn from."`

	List   bool `help:"List scenarios and places, and run nothing."`
	Format bool `help:"Describe the files of scenarios, and run nothing."`
	Matrix bool `help:"Run the matrix of loss x pool size x family instead, in memory: how many transfers complete intact, and how the others end."`

	HTML   string `name:"html" placeholder:"FILE" help:"Write a page with both traces of everything side by side."`
	JSON   bool   `name:"json" help:"Print the result as one JSON object."`
	Traces bool   `help:"With --json: all traces, too."`
	Quiet  bool   `short:"q" help:"No progress."`
}

func (parityCommand) Help() string {
	return `It runs conversations (connect, refuse, transfers of awkward sizes, half-close, resets, lost and damaged segments, empty pools, mails with every authentication and every refusal, ...) over IPv4 and over IPv6, and compares what can be seen of both, event by event: statuses, states, segments, drops, packets of the pools. What must differ, such as the 20 bytes by which IPv6's header is longer, is a named rule; anything else is shown with both traces side by side.

It runs in memory, with time driven, on TUN devices with the Linux kernel as the peer, with two stacks back to back, through a router, and, as the control, with the kernel on both sides. It makes namespaces of its own and needs no root where the kernel allows that.

    nxduo parity
    nxduo parity --only ram
    nxduo parity --scenario 'mail-*' --html parity.html
    nxduo parity --file my.parity --only tun
    nxduo parity --format
    nxduo parity --matrix --seed 7

Exit codes:
    0    everything was run, and both families are the same
    1    something differs, or a scenario fails
    2    flags or files are wrong; nothing was run
    3    what was run is the same, but not everything could be run here
    130  interrupted`
}

func (c *parityCommand) Run(std streams) error {
	if c.Format {
		_, err := io.WriteString(std.out, parity.Format())
		return err
	}
	if c.Matrix {
		return c.matrix(std.out)
	}
	scenarios, err := c.choose()
	if err != nil {
		return err
	}
	if c.List {
		return c.list(std.out, scenarios)
	}
	if !c.any(scenarios) {
		return usage("none of these scenarios runs at %s", strings.Join(c.Only, ", "))
	}
	if len(c.Only) != 1 || c.Only[0] != "ram" {
		// Where it fails, the places with devices say themselves why they are not
		// there.
		_ = netns.Enter()
	}
	page, err := c.page()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	options := parity.Options{Scenarios: scenarios, Places: c.Only, Seed: c.Seed}
	watch := &parityProgress{err: std.err, terminal: isTerminal(std.err)}
	if !c.Quiet {
		options.Progress = watch.tell
	}
	report := parity.Run(ctx, options)
	watch.clear()
	if page != nil {
		if err := errors.Join(report.WriteHTML(page), page.Close()); err != nil {
			return err
		}
	}
	if err := c.print(std.out, report); err != nil {
		return err
	}
	return c.verdict(ctx, report)
}

// any tells that at least one scenario runs at one of the places.
func (c *parityCommand) any(scenarios []parity.Scenario) bool {
	return len(c.Only) == 0 || slices.ContainsFunc(scenarios, func(s parity.Scenario) bool { return slices.ContainsFunc(c.Only, s.Runs) })
}

// matrix runs the matrix.
func (c *parityCommand) matrix(w io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cells, err := parity.Matrix(ctx, c.Seed)
	if ctx.Err() != nil {
		return &failure{code: exitInterrupted, what: "interrupted"}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(w, cells)
	} else {
		err = parity.WriteMatrix(w, cells, true)
	}
	if slices.ContainsFunc(cells, func(c parity.Cell) bool { return len(c.Failures) > 0 }) {
		return &failure{code: exitOther, what: "a transfer neither completed intact nor ended with an error in its time"}
	}
	return err
}

// page opens the file for the page, before anything runs.
func (c *parityCommand) page() (*os.File, error) {
	if c.HTML == "" {
		return nil, nil
	}
	f, err := os.Create(c.HTML)
	if err != nil {
		return nil, usage("%v", err)
	}
	return f, nil
}

// choose answers the scenarios that are asked for.
func (c *parityCommand) choose() ([]parity.Scenario, error) {
	var places []string
	for _, p := range parity.Places() {
		places = append(places, p.Name)
	}
	for _, name := range c.Only {
		if !slices.Contains(places, name) {
			return nil, usage("no place %q: %s", name, strings.Join(places, ", "))
		}
	}
	all := parity.Table()
	if len(c.File) > 0 {
		all = nil
		for _, name := range c.File {
			list, err := parity.ParseFile(name)
			if err != nil {
				return nil, usage("%v", err)
			}
			all = append(all, list...)
		}
	}
	if len(c.Scenario) == 0 {
		return all, nil
	}
	var chosen []parity.Scenario
	for _, pattern := range c.Scenario {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, usage("%q: %v", pattern, err)
		}
	}
	for _, s := range all {
		if slices.ContainsFunc(c.Scenario, func(pattern string) bool { ok, _ := path.Match(pattern, s.Name); return ok }) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, usage("no scenario %s; --list shows them", strings.Join(c.Scenario, ", "))
	}
	return chosen, nil
}

func (c *parityCommand) list(w io.Writer, scenarios []parity.Scenario) error {
	for _, s := range scenarios {
		if _, err := fmt.Fprintf(w, "%-26s %s\n", s.Name, s.Shows); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for _, p := range parity.Places() {
		if _, err := fmt.Fprintf(w, "at %-8s %s\n", p.Name, p.Shows); err != nil {
			return err
		}
	}
	return nil
}

func (c *parityCommand) print(w io.Writer, report *parity.Report) error {
	if !c.JSON {
		return report.WriteText(w)
	}
	shown := *report
	if !c.Traces {
		shown.Results = nil
		for _, x := range report.Results {
			shown.Results = append(shown.Results, x.WithoutTraces())
		}
	}
	return writeJSON(w, struct {
		Agrees  bool     `json:"agrees"`
		NotHere []string `json:"not_run,omitempty"`
		parity.Report
	}{report.Agrees(), report.Missing(), shown})
}

// verdict is the report as an exit code.
func (c *parityCommand) verdict(ctx context.Context, report *parity.Report) error {
	missing := report.Missing()
	switch {
	case ctx.Err() != nil:
		return &failure{code: exitInterrupted, what: "interrupted"}
	case !report.Agrees() && len(missing) < len(report.Results) && differs(report):
		return &failure{code: exitOther, what: report.Headline()}
	case len(missing) > 0:
		return &failure{code: exitNoTUN, what: "not everything was run, see above"}
	}
	return nil
}

func differs(report *parity.Report) bool {
	return slices.ContainsFunc(report.Results, func(x parity.Result) bool {
		return x.Verdict == parity.Different || x.Verdict == parity.Failed
	})
}

// parityProgress shows how far it is: one line that changes on a terminal, a
// line for each place elsewhere.
type parityProgress struct {
	err      io.Writer
	terminal bool
	place    string
	done     int
	bad      int
	shown    int
}

func (p *parityProgress) tell(x parity.Result) {
	if x.Place != p.place {
		p.clear()
		p.place, p.done, p.bad = x.Place, 0, 0
		if !p.terminal {
			fmt.Fprintf(p.err, "at %s\n", p.place)
		}
	}
	p.done++
	if x.Verdict == parity.Different || x.Verdict == parity.Failed {
		p.bad++
		p.clear()
		fmt.Fprintf(p.err, "%s at %s: %s\n", x.Scenario, x.Place, x.Verdict)
	}
	if p.terminal {
		p.clear()
		line := fmt.Sprintf("%s: %d done, %d not the same; %s", p.place, p.done, p.bad, x.Scenario)
		fmt.Fprint(p.err, line)
		p.shown = len(line)
	}
}

func (p *parityProgress) clear() {
	if p.shown > 0 {
		fmt.Fprintf(p.err, "\r%s\r", strings.Repeat(" ", p.shown))
		p.shown = 0
	}
}
