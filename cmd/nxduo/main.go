// Command nxduo runs the NetX Duo model of this module from the command line: a
// demonstration that needs nothing, a mail to a real server, a stack to talk to
// (up, stat, ping), studies of what it does (study, view, diff, report, sweep, trace),
// the comparison of IPv4 and IPv6 (parity), and a benchmark. nxduo --help tells the
// rest.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"gonetx/cmd/nxduo/internal/bench"

	"github.com/alecthomas/kong"
)

const description = `A TCP/IP stack on the model of NetX Duo: an IP instance on a TUN device,
a packet pool of fixed size, TCP, and an SMTP client.

    nxduo demo                        two mails through a stack in namespaces of its own
    nxduo demo --pcap demo.pcapng     the same, with a capture for Wireshark
    nxduo send --server mail.example.com --from a@b.example --to c@d.example < mail.txt
    nxduo up -- bash                  a shell beside a stack that answers ping, curl, nc
    nxduo stat                        sockets, pools and counters of a stack that is up
    nxduo ping --alone -c 3           ping the host from a stack on a TUN device
    nxduo pool --payload 800 --memory 8000 --body 2000   what a mail takes of a packet pool
    nxduo study out --both --drop 5 --delay 40ms   a stream with losses: live, as a trace, as a report
    nxduo parity                      the same over IPv4 and IPv6? conversations, event by event
    nxduo bench                       what it costs, compared with the kernel

` + exitHelp

type commands struct {
	Demo demoCommand `cmd:"" help:"Send the mail of NetX Duo's guide to an embedded server, over IPv4 and over IPv6."`
	Send sendCommand `cmd:"" help:"Send one mail from standard input to a real server."`
	Up   upCommand   `cmd:"" help:"Bring an instance up on a TUN device, with services to talk to, until it is interrupted."`
	Stat statCommand `cmd:"" help:"Show the sockets, pools and counters of an instance that is up."`
	Ping pingCommand `cmd:"" help:"Ping a host from a stack of its own."`
	Pool poolCommand `cmd:"" help:"Tell what a mail takes of a packet pool, and draw one packet."`

	Study  studyCommand  `cmd:"" help:"Run a workload with faults and small pools, watch it, and keep a trace, a capture and a report."`
	Report reportCommand `cmd:"" help:"Make the report of a saved trace."`
	View   viewCommand   `cmd:"" help:"Show a saved trace on the terminal."`
	Diff   diffCommand   `cmd:"" help:"Tell what differs between two studies."`
	Sweep  sweepCommand  `cmd:"" help:"Run a workload over losses and pool sizes, and find the smallest pool that is enough."`
	Trace  traceCommand  `cmd:"" help:"Check the trace of a study, or print its schema."`

	Parity parityCommand `cmd:"" help:"Run conversations over IPv4 and IPv6, in memory and in namespaces, and compare both event by event."`

	Bench bench.Command `cmd:"" help:"Measure the stack, in turns with the kernel and with the naive design."`
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	bench.Play() // a part of a benchmark plays it and does not return
	os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// run is the program: it answers the exit code.
func run(args []string, std streams) (code int) {
	c := commands{Bench: bench.Command{Out: std.out, Err: std.err}}
	type exit int
	defer func() { // kong ends with Exit after --help
		switch e := recover().(type) {
		case nil:
		case exit:
			code = int(e)
		default:
			panic(e)
		}
	}()
	parser, err := kong.New(&c,
		kong.Name("nxduo"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, NoAppDescFormat: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.Bind(std),
	)
	if err != nil {
		fmt.Fprintln(std.err, "nxduo:", err)
		return exitOther
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	context, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(std.err, "nxduo:", err)
		var wrong *kong.ParseError
		if errors.As(err, &wrong) {
			fmt.Fprintf(std.err, "Run \"%s --help\" for what there is.\n", wrong.Context.Command())
		}
		return exitUsage
	}
	err = context.Run()
	if err == nil {
		return exitOK
	}
	if isSilent(err) {
		return exitCode(err)
	}
	fmt.Fprintln(std.err, "nxduo:", err)
	for _, line := range adviceOn(err) {
		fmt.Fprintln(std.err, line)
	}
	return exitCode(err)
}
