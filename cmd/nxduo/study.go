package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"gonetx/cmd/nxduo/internal/study"
	"gonetx/cmd/nxduo/internal/trace"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/tun/netns"
	"gonetx/packetpool/nx"

	"github.com/alecthomas/kong"
)

// runFlags are what a study and a sweep have in common.
type runFlags struct {
	Workload string `arg:"" optional:"" enum:"mail,in,out,request,many" default:"mail" help:"mail: send mails; in, out: one stream; request: requests and responses; many: connections at once."`

	Family  string        `enum:"4,6" default:"4" group:"Run" help:"4 or 6."`
	Both    bool          `group:"Run" help:"Both families, one after the other, each with an instance and pools of its own and the same faults."`
	Size    byteSize      `placeholder:"BYTES" group:"Run" help:"Bytes of a stream, a mail or a response, such as 256k. The workload has its own if it is not given."`
	Times   int           `placeholder:"N" group:"Run" help:"Mails, requests or connections."`
	Link    string        `enum:"auto,tun,ram" default:"auto" group:"Run" help:"auto: a TUN device, or the network in memory where there can be none; tun or ram: only that."`
	Release bool          `group:"Run" help:"TCP with the timing of NetX Duo 6.4.2: no selective acknowledgements, a segment again every second."`
	Limit   time.Duration `default:"60s" group:"Run" help:"End a run that takes longer."`

	Pool   poolSizes `default:"16x1536" placeholder:"NxBYTES" group:"Pools" help:"The pool of what is sent: N packets of BYTES payload; ${default} if it is not given. 800x10 is taken as ten packets of 800."`
	IPPool poolSizes `name:"ip-pool" default:"64x1536" placeholder:"NxBYTES" group:"Pools" help:"The instance's pool, which holds all that comes in; ${default} if it is not given."`

	Drop      percent       `placeholder:"PERCENT" group:"Faults" help:"Lose datagrams, in both directions as all of these."`
	Delay     time.Duration `placeholder:"DURATION" group:"Faults" help:"Delay every datagram."`
	Jitter    time.Duration `placeholder:"DURATION" group:"Faults" help:"Delay by so much more or less, which reorders."`
	Reorder   percent       `placeholder:"PERCENT" group:"Faults" help:"Put datagrams behind the next one."`
	Duplicate percent       `placeholder:"PERCENT" group:"Faults" help:"Send datagrams twice."`
	Corrupt   percent       `placeholder:"PERCENT" group:"Faults" help:"Turn one bit over."`
	Rate      string        `placeholder:"RATE" group:"Faults" help:"Bits a second, such as 10mbit."`
	Queue     string        `placeholder:"BYTES" group:"Faults" help:"How much waits for the rate before more is lost, such as 64k."`
	Fault     []string      `sep:"none" placeholder:"FAULT" group:"Faults" help:"Faults in text, such as \"drop(server data 3)\", \"delay(200ms, in fin)\", \"in.loss=2%\"; may be given again."`
	Seed      uint64        `default:"1" group:"Faults" help:"What the chances are drawn from."`
}

type studyCommand struct {
	runFlags
	AtOnce bool `group:"Run" help:"Run both families at the same time."`

	Out   string `placeholder:"DIR" group:"Output" help:"Folder for the trace, the capture and the report. It must be new or empty. Made of the workload and the time if it is not given."`
	Title string `placeholder:"TEXT" group:"Output" help:"Title of the report."`
	Plain bool   `group:"Output" help:"Lines, also on a terminal."`
	Quiet bool   `short:"q" group:"Output" help:"No lines while it runs."`
	JSON  bool   `name:"json" group:"Output" help:"Print the result as one JSON object."`
}

func (studyCommand) Help() string {
	return `It runs a workload in namespaces of its own over a TUN device, with the Linux kernel at the other end (over a network in memory where there can be no TUN device), shows it while it runs, and leaves a folder:

    trace.jsonl      what happened, event by event; "nxduo trace schema" describes it
    capture.pcapng   for Wireshark, with comments: dropped by a fault, sent again and why
    report.html      graphs and findings, in one file

    nxduo study
    nxduo study out --both --drop 5 --delay 40ms --seed 7
    nxduo study in --ip-pool 10x128 --size 100k
    nxduo study mail --pool 800x10 --fault "drop(server data 3)" --out lost-greeting
    nxduo study out --rate 10mbit --queue 20k --plain
    nxduo view DIR, nxduo report DIR, nxduo diff DIR DIR

` + exitHelp
}

// options are the run that the flags describe.
func (c *runFlags) options() (study.Options, error) {
	w, _ := study.Find(c.Workload)
	o := study.Options{
		Workload: w, Families: []string{study.IPv4}, Bytes: int64(c.Size), Times: c.Times,
		Pool: study.PoolSize(c.Pool), IPPool: study.PoolSize(c.IPPool), Release: c.Release, Limit: c.Limit,
	}
	switch {
	case c.Both:
		o.Families = []string{study.IPv4, study.IPv6}
	case c.Family == "6":
		o.Families = []string{study.IPv6}
	}
	if c.Times < 0 || c.Limit <= 0 {
		return o, usage("--times and --limit are above zero")
	}
	words := []string{fmt.Sprintf("seed=%d", c.Seed)}
	for _, f := range []struct {
		name  string
		given bool
		value string
	}{
		{"loss", c.Drop != "", string(c.Drop)}, {"delay", c.Delay != 0, c.Delay.String()}, {"jitter", c.Jitter != 0, c.Jitter.String()},
		{"reorder", c.Reorder != "", string(c.Reorder)}, {"duplicate", c.Duplicate != "", string(c.Duplicate)}, {"corrupt", c.Corrupt != "", string(c.Corrupt)},
		{"rate", c.Rate != "", c.Rate}, {"queue", c.Queue != "", c.Queue},
	} {
		if f.given {
			words = append(words, f.name+"="+f.value)
		}
	}
	faults, err := fault.Parse(strings.Join(append(words, c.Fault...), ","))
	if err != nil {
		return o, &failure{code: exitUsage, what: "these faults", err: err}
	}
	o.Faults = faults
	return o, nil
}

// place chooses the link. A TUN device wants namespaces of our own: then the
// program is executed again, and what it did before it does twice.
func (c *runFlags) place(o *study.Options) error {
	o.Link = c.Link
	if c.Link == study.LinkRAM {
		return nil
	}
	err := netns.Enter()
	switch {
	case err == nil:
		o.Link = study.LinkTUN
	case c.Link == study.LinkTUN:
		return noTUN(err)
	default:
		c.inMemory(o, err)
	}
	return nil
}

// inMemory falls back to the network in memory, with a word.
func (c *runFlags) inMemory(o *study.Options, why error) {
	o.Link = study.LinkRAM
	o.Notes = append(o.Notes, "There is no TUN device here: "+refusal(why).Error()+". The network in memory takes its place.")
}

func (c *studyCommand) Run(std streams, parsed *kong.Context) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	o.AtOnce = c.AtOnce
	o.Title = c.Title
	if o.Title == "" {
		o.Title = o.Workload.About
		if text := o.Faults.String(); text != "" {
			o.Title += ", " + text
		}
	}
	o.Command = append([]string{"nxduo"}, parsed.Args...)
	if err := c.place(&o); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := c.study(ctx, std, o)
	if study.IsNoLink(err) && c.Link == "auto" && o.Link == study.LinkTUN {
		c.inMemory(&o, err)
		result, err = c.study(ctx, std, o)
	}
	err = runFailure(ctx, err)
	if c.JSON {
		return errors.Join(err, writeJSON(std.out, result))
	}
	return err
}

// study runs once.
func (c *studyCommand) study(ctx context.Context, std streams, o study.Options) (*study.Result, error) {
	f, err := newFolder(c.Out, o.Workload.Name)
	if err != nil {
		return &study.Result{Title: o.Title, Error: err.Error()}, err
	}
	watch := c.watcher(std)
	result, err := watch.run(ctx, o, f)
	result.Folder = f.path
	if study.IsNoLink(err) {
		return result, errors.Join(err, f.discard())
	}
	err = errors.Join(err, f.finish())
	if !c.JSON {
		showStudy(std.out, o, result)
	}
	return result, err
}

// runFailure says what the error of a run means.
func runFailure(ctx context.Context, err error) error {
	var f *failure
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case study.IsNoLink(err):
		return noTUN(err)
	case ctx.Err() != nil, errors.Is(err, context.Canceled):
		return &failure{code: exitInterrupted, what: "interrupted; the folder is complete"}
	case fromPool(err):
		return &failure{code: exitPoolExhausted, what: "a packet pool is exhausted", err: err}
	case errors.Is(err, nx.NotConnected):
		return &failure{code: exitNoConnection, what: "the connection was lost", err: err}
	}
	return err
}

// folder is where a study leaves what it saw.
type folder struct {
	path           string
	trace, capture *os.File
	made           bool
}

const (
	traceFile   = "trace.jsonl"
	captureFile = "capture.pcapng"
	reportFile  = "report.html"
)

func newFolder(path, workload string) (*folder, error) {
	if path == "" {
		path = "study-" + workload + "-" + time.Now().Format("20060102-150405")
	}
	f := &folder{path: path}
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.made = true
		err = os.MkdirAll(path, 0o755)
	case err == nil && len(entries) > 0:
		return nil, usage("the folder %s is not empty", path)
	}
	if err == nil {
		f.trace, err = os.Create(filepath.Join(path, traceFile))
	}
	if err == nil {
		f.capture, err = os.Create(filepath.Join(path, captureFile))
	}
	if err != nil {
		return nil, &failure{code: exitUsage, what: "the folder for the study", err: err}
	}
	return f, nil
}

// finish closes the files, and makes the report.
func (f *folder) finish() error {
	if err := errors.Join(f.trace.Close(), f.capture.Close()); err != nil {
		return &failure{code: exitOther, what: "the folder is not complete", err: err}
	}
	return makeReport(f.path)
}

// discard takes the folder of a run away that did not begin.
func (f *folder) discard() error {
	err := errors.Join(f.trace.Close(), f.capture.Close(), os.Remove(f.trace.Name()), os.Remove(f.capture.Name()))
	if f.made {
		err = errors.Join(err, os.Remove(f.path))
	}
	return err
}

// readFolder reads the trace of a folder, or a trace file. Of one that is cut
// off it answers what there is, with the error.
func readFolder(path string) (*trace.Trace, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, traceFile)
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, &failure{code: exitUsage, what: "no trace", err: err}
	}
	defer in.Close()
	t, err := trace.Read(in)
	if err != nil {
		return t, &failure{code: exitOther, what: path, err: err}
	}
	return t, nil
}

// repeat is a command as a shell reads it.
func repeat(words []string) string {
	words = slices.Clone(words)
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\"'$&|;<>()*?\\`!#~") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
