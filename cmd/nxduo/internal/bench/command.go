package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// Command is `nxduo bench` for kong.
type Command struct {
	Out io.Writer `kong:"-"` // nil: standard output
	Err io.Writer `kong:"-"` // nil: standard error

	All   Everything `cmd:"" default:"withargs" name:"all" help:"Measure the stack against the kernel and against the naive design."`
	Mail  MailOnly   `cmd:"" help:"Mails a second, against net/smtp over the kernel to the same server."`
	Scale Scaling    `cmd:"" help:"How cost grows with connections, bytes and the size of the pools."`
	Soak  Soaking    `cmd:"" help:"Full load in both directions for a long time, with faults; every byte is looked at, and nothing may be left."`
}

// Help is what kong shows behind the description.
func (Command) Help() string {
	return `Client and peer are processes on hosts of their own, in namespaces that the program makes; the stack's client has a TUN device. Without a command it is "bench all".

    nxduo bench
    nxduo bench --only bulk-in --family 4 --at-once 1 --mtu 1500
    nxduo bench mail --rounds 9 --json
    nxduo bench scale --connections 1,100
    nxduo bench soak --duration 1h --lanes 32

Exit codes:
    0    measured
    1    something could not be measured; scale: a cost is not linear; soak: a leak, a stall, a wrong byte
    2    flags are wrong; nothing was measured
    3    no namespaces or no TUN device`
}

// flags that both commands have.
type flags struct {
	Family   []int         `help:"IP families to measure (4,6)." enum:"4,6" placeholder:"4|6"`
	MTU      []int         `name:"mtu" help:"MTU of the TUN devices. Default: 1500, and for bulk also 65535." placeholder:"BYTES"`
	AtOnce   []int         `help:"Connections or clients at once (1,64)." placeholder:"N"`
	Rounds   int           `help:"Rounds, of which the median counts." default:"5"`
	Duration time.Duration `help:"How long one measurement takes." default:"250ms"`
	JSON     bool          `name:"json" help:"Print JSON instead of the table."`
	Quiet    bool          `help:"No progress on standard error."`
	Profile  string        `help:"Folder for CPU profiles of the stacks, one for each measurement." type:"existingdir" placeholder:"DIR"`
}

// Everything is `nxduo bench`.
type Everything struct {
	Only     []string `help:"Workloads: bulk-out, bulk-in, roundtrip, connect, mails. Default: all." placeholder:"WORKLOAD"`
	Design   []string `help:"Designs: kernel, naive, nxduo, bare (gVisor over our driver, without pool and sockets of ours). Default: the first three." placeholder:"DESIGN"`
	NoExtras bool     `help:"Leave out memory of idle connections and time to create an instance."`

	Congestion string `help:"Congestion control of the kernel, and of the peer. Default: the system's." placeholder:"NAME"`
	flags
}

// MailOnly is `nxduo bench mail`.
type MailOnly struct{ flags }

// Run runs the command.
func (c *Everything) Run(parent *Command) error {
	only, err := parse("workload", c.Only, kinds)
	if err != nil {
		return err
	}
	chosen, err := parse("design", c.Design, designs)
	if err != nil {
		return err
	}
	return c.run(parent, Options{Selection: Selection{Kinds: only, Designs: chosen}, NoExtras: c.NoExtras || len(only) > 0, Congestion: c.Congestion})
}

// Run runs the command.
func (c *MailOnly) Run(parent *Command) error {
	return c.run(parent, Options{Selection: Selection{Kinds: []Kind{Mails}, Designs: []Name{Kernel, NXDuo}}, NoExtras: true})
}

// Soaking is `nxduo bench soak`.
type Soaking struct {
	Duration time.Duration `help:"How long; connections under way then come to their end." default:"10m"`
	Lanes    int           `help:"Connections at once, of each of the two instances." default:"8"`
	Faults   string        `help:"Faults of the second instance, as nxduo demo --fault has them; empty: no such instance." default:"loss=0.5%,reorder=1%,duplicate=0.5%,corrupt=0.2%"`
	Stall    time.Duration `help:"A connection that does not move for so long has stalled." default:"60s"`
	Seed     uint64        `help:"Of lengths and bytes." default:"1"`
	JSON     bool          `name:"json" help:"Print JSON."`
	Quiet    bool          `help:"No progress on standard error."`
}

// Run runs the command.
func (c *Soaking) Run(parent *Command) error {
	switch {
	case c.Duration < time.Second || c.Stall < time.Second:
		return wrong("a soak, and a stall, take at least 1s")
	case c.Lanes < 1 || c.Lanes > 1000:
		return wrong("%d connections at once", c.Lanes)
	}
	if err := Enter(); err != nil {
		return err
	}
	o := SoakOptions{Duration: c.Duration, Lanes: c.Lanes, Faults: c.Faults, Stall: c.Stall, Seed: c.Seed}
	if !c.Quiet {
		o.Progress = func(line string) { fmt.Fprintln(parent.Err, line) }
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := Soak(ctx, o)
	if report == nil {
		return err
	}
	if err := write(parent.Out, report, report.Text, c.JSON); err != nil {
		return err
	}
	if report.Failed() {
		return errSoak
	}
	return err
}

// Scaling is `nxduo bench scale`.
type Scaling struct {
	Connections []int         `help:"Connections at once (1,10,100,1000)." placeholder:"N"`
	Sizes       []int         `help:"Bytes of a transfer (1000 to 1000000000)." placeholder:"BYTES"`
	Pools       []int         `help:"Bytes of memory of each pool (524288,4194304,33554432)." placeholder:"BYTES"`
	Rounds      int           `help:"Rounds of connections at once, of which the cheapest counts." default:"5"`
	Duration    time.Duration `help:"How long one measurement takes, at least." default:"300ms"`
	JSON        bool          `name:"json" help:"Print JSON."`
	Quiet       bool          `help:"No progress on standard error."`
}

// Run runs the command.
func (c *Scaling) Run(parent *Command) error {
	for _, list := range [][]int{c.Connections, c.Sizes, c.Pools} {
		if slices.ContainsFunc(list, func(n int) bool { return n < 1 }) {
			return wrong("numbers from 1 on")
		}
	}
	if c.Rounds < 1 {
		return wrong("at least one round")
	}
	if err := Enter(); err != nil {
		return err
	}
	o := ScaleOptions{Connections: c.Connections, Sizes: c.Sizes, Pools: c.Pools, Rounds: c.Rounds, Duration: c.Duration}
	if !c.Quiet {
		show := &progress{w: parent.Err, overwrite: isTerminal(parent.Err), left: 210 * time.Second}
		o.Progress = show.step
		defer show.end()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := Scale(ctx, o)
	if err != nil {
		return err
	}
	if err := write(parent.Out, report, report.Table, c.JSON); err != nil {
		return err
	}
	switch steps := report.Steps(); {
	case report.Failed():
		return errShort
	case steps > 0:
		return fmt.Errorf("%w: %d", errSteps, steps)
	}
	return nil
}

// ErrFlags is the answer to flags that mean nothing.
var ErrFlags = errors.New("not like this")

func wrong(format string, values ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFlags}, values...)...)
}

// errSteps is the answer when something costs more per unit the more there is of it.
var errSteps = errors.New("costs that do not grow linearly")

// errSoak is the answer of a soak after which not all was well.
var errSoak = errors.New("the soak has failed")

// errShort is the answer of a run in which something could not be measured.
var errShort = errors.New("not everything could be measured")

// AfterApply lets Run of the commands know what they belong to.
func (c *Command) AfterApply(ctx *kong.Context) error {
	if c.Out == nil {
		c.Out = os.Stdout
	}
	if c.Err == nil {
		c.Err = os.Stderr
	}
	ctx.Bind(c)
	return nil
}

func (f *flags) run(to *Command, o Options) error {
	o.Families, o.MTUs, o.Lanes = f.Family, f.MTU, f.AtOnce
	o.Rounds, o.Duration, o.Profiles = f.Rounds, f.Duration, f.Profile
	if err := f.check(); err != nil {
		return err
	}
	if err := Enter(); err != nil {
		return err
	}
	if !f.Quiet {
		show := &progress{w: to.Err, overwrite: isTerminal(to.Err), left: o.Estimate()}
		o.Progress = show.step
		defer show.end()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := Run(ctx, o)
	if err != nil {
		return err
	}
	if err := write(to.Out, report, report.Table, f.JSON); err != nil {
		return err
	}
	if report.Failed() {
		return errShort
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (f *flags) check() error {
	switch {
	case f.Rounds < 1:
		return wrong("at least one round")
	case f.Duration < 10*time.Millisecond:
		return wrong("a measurement takes at least 10ms")
	}
	for _, n := range f.AtOnce {
		if n < 1 || n > 10000 {
			return wrong("%d connections at once", n)
		}
	}
	for _, mtu := range f.MTU {
		if mtu < 1280 || mtu > large {
			return wrong("an MTU of %d: from 1280, which IPv6 demands, to %d", mtu, large)
		}
	}
	return nil
}

// write prints a report, for people or as JSON.
func write(w io.Writer, report any, text func() string, asJSON bool) error {
	if !asJSON {
		_, err := io.WriteString(w, text())
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(report)
}

// progress shows how far a run is: in one line on a terminal, otherwise in a
// line each.
type progress struct {
	w         io.Writer
	overwrite bool
	started   time.Time
	left      time.Duration // estimated for the whole run
}

func (p *progress) step(what string, done, of int) {
	if p.started.IsZero() {
		p.started = time.Now().Add(-p.left / time.Duration(of)) // this step has been made
	}
	left := time.Since(p.started) / time.Duration(done) * time.Duration(of-done)
	line := fmt.Sprintf("%d/%d, %v left: %s", done, of, left.Round(time.Second), what)
	if p.overwrite {
		fmt.Fprintf(p.w, "\r%.100s\x1b[K", line)
	} else {
		fmt.Fprintln(p.w, line)
	}
}

func (p *progress) end() {
	if p.overwrite {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
