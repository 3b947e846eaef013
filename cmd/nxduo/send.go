package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"time"

	"gonetx/cmd/nxduo/internal/ladder"
	"gonetx/ip/link/tun"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"
)

type sendCommand struct {
	Server string `required:"" placeholder:"HOST" group:"Mail" help:"Address of the mail server, or its name, which this machine resolves."`
	Port   uint16 `default:"25" group:"Mail" help:"Port of the mail server."`
	From   string `required:"" placeholder:"ADDRESS" group:"Mail" help:"Sender."`
	To     string `required:"" placeholder:"ADDRESS" group:"Mail" help:"Recipient."`

	Subject string `group:"Mail" help:"Subject."`
	Domain  string `placeholder:"NAME" group:"Mail" help:"Name of this client in EHLO; the domain of --from if it is not given."`

	Auth        string `enum:"none,plain,login" default:"none" group:"Authentication" help:"none, plain or login. The guide's rule holds: none becomes PLAIN where the server offers AUTH and there is a user name."`
	Credentials string `placeholder:"FILE" group:"Authentication" help:"File with the user name on the first line and the password on the second. Without it they are taken from NXDUO_USER and NXDUO_PASSWORD."`
	TLS         string `name:"tls" enum:"none,starttls,implicit" default:"none" group:"Authentication" help:"none, as NetX Duo; starttls: nothing is sent before STARTTLS; implicit: TLS from the first byte. SSL_CERT_FILE names the authorities to believe, if not the system's."`

	networkFlags

	Pool           poolFlag      `default:"16x1536" placeholder:"NxBYTES" group:"Limits" help:"The client's packet pool: N packets of BYTES payload; ${default} if it is not given."`
	IPPool         poolFlag      `name:"ip-pool" default:"64x1536" placeholder:"NxBYTES" group:"Limits" help:"The instance's packet pool, which holds all that comes in; ${default} if it is not given."`
	ConnectTimeout time.Duration `default:"10s" group:"Limits" help:"How long to wait for the connection."`
	ReplyTimeout   time.Duration `placeholder:"DURATION" group:"Limits" help:"How long to wait for each reply; the minutes of RFC 5321, 4.5.3.2, if it is not given."`

	Pcap    string `placeholder:"FILE" group:"Output" help:"Write what crosses the device to a pcapng file."`
	Verbose bool   `short:"v" group:"Output" help:"Show the dialogue, and the packet pools at its end."`
	JSON    bool   `name:"json" group:"Output" help:"Print the result as one JSON object."`
}

func (sendCommand) Help() string {
	return `The mail is standard input: plain text, whose line ends may be LF or CRLF; the header is made from the flags. The mail goes through a stack of its own on a TUN device, with its own address: the host is its router, and has to forward and, on most networks, to translate its address. Nothing of that is ever changed here; where no reply comes back, the commands that are missing are printed.

To make the device needs root or CAP_NET_ADMIN. A user can be given one:

    ip tuntap add dev tun0 mode tun user alice multi_queue
    ip address add 10.77.0.1/24 dev tun0
    ip address add fd77::1/64 dev tun0 nodad
    ip link set tun0 up

    nxduo send --tun tun0 --server mail.example.com --from a@b.example --to c@d.example < mail.txt
    nxduo send --netns lab --server 192.0.2.25 --from a@b.example --to c@d.example -v < mail.txt
    NXDUO_USER=alice NXDUO_PASSWORD=... nxduo send --tls starttls --port 587 --auth plain ...

` + exitHelp
}

func (c *sendCommand) Run(std streams) error {
	report := &sendReport{From: c.From, To: c.To, Rows: []ladder.Row{}, Pools: []poolState{}}
	p, err := c.plan(std)
	if err == nil {
		report.plan(p)
		started := time.Now()
		err = c.send(p, std, report)
		report.Took = time.Since(started)
	}
	report.conclude(err)
	if c.JSON {
		return errors.Join(err, writeJSON(std.out, report))
	}
	if err == nil {
		fmt.Fprintf(std.out, "%s has taken the mail: %d bytes of text in %.2f s.\n", p.where(), len(p.body), report.Took.Seconds())
	}
	return err
}

// send carries out the plan.
func (c *sendCommand) send(p *plan, std streams, report *sendReport) (err error) {
	device, err := p.device(&c.networkFlags)
	if err != nil {
		return err
	}
	rec := ladder.New(false)
	driver, recorder, stopCapture, err := capturing(c.Pcap, tun.New(device), rec)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopCapture()) }()
	if c.Pcap != "" && c.TLS == "none" && p.username != "" {
		fmt.Fprintf(std.err, "%s will hold the password, if the server asks for it: that is how it crosses the wire.\n", c.Pcap)
	}

	s := &stack{}
	err = s.up(stackConfig{
		name: "nxduo", ipPool: poolSize(c.IPPool), clientPool: poolSize(c.Pool),
		addresses: []netip.Prefix{p.address}, gateways: []netip.Addr{p.gateway}, driver: driver, recorder: recorder,
	})
	if isNoTUN(err) {
		f := noTUN(err)
		f.advice = p.adviceOnDevice(device, []netip.Prefix{p.host()}, err)
		return f
	}
	if err != nil {
		return &failure{code: exitUsage, what: "the stack does not come up", err: err}
	}
	defer func() { err = errors.Join(err, s.down()) }()
	report.Pools = s.pools()
	report.Device = s.inst.Link().Device

	client := &smtp.Client{Config: c.clientConfig(p)}
	if err := smtp.ClientCreate(client, &s.inst, &s.clientPool, p.username, p.password, c.From, p.domain, p.auth, p.at.Addr(), uint(c.Port)); err != nil {
		return mailFailure(p.where(), err)
	}
	err = c.watched(client, rec, p, std)
	if deleteErr := smtp.ClientDelete(client); err == nil {
		err = deleteErr
	}
	var advice []string
	if noAnswer(err) {
		advice = p.adviceOnRoutes(report.Device)
	}
	if stopErr := s.stop(); err == nil {
		err = stopErr
	}
	report.Rows, report.Summary = append(report.Rows, rec.Rows()...), rec.Summary()
	settle(report.Pools, report.Summary.Lowest)
	if c.Verbose {
		showPools(c.talk(std), report.Pools)
	}
	if err != nil {
		f := mailFailure(p.where(), err)
		f.advice = advice
		return f
	}
	return nil
}

// noAnswer tells that nothing at all came back.
func noAnswer(err error) bool {
	var phase *smtp.PhaseError
	return errors.As(err, &phase) && phase.Doing == "connecting" && errors.Is(err, tcp.ErrTimedOut)
}

// watched sends the mail, and shows meanwhile how it goes.
func (c *sendCommand) watched(client *smtp.Client, rec *ladder.Recorder, p *plan, std streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	v := newView(client, rec, p, std.err)
	if c.Verbose {
		out := c.talk(std)
		v.ladder = ladder.NewPrinter(out, terminalWidth(out))
		v.ladder.Head("client "+p.address.Addr().String(), "server "+p.at.String())
	}
	v.start()
	defer v.stop()
	return smtp.MailSendContext(ctx, client, c.To, smtp.PriorityNormal, c.Subject, p.body)
}

// talk is where the dialogue goes: standard output is the program's that reads
// JSON.
func (c *sendCommand) talk(std streams) io.Writer {
	if c.JSON {
		return std.err
	}
	return std.out
}

func (c *sendCommand) clientConfig(p *plan) *smtp.Config {
	config := &smtp.Config{
		MaxUsername: 255, MaxPassword: 255, // NetX Duo's 40 and 20 are too few for today's servers
		ConnectionTimeout: nx.Ticks(c.ConnectTimeout),
		ServerName:        p.name,
	}
	if c.ReplyTimeout > 0 {
		wait := nx.Ticks(c.ReplyTimeout)
		config.GreetingTimeout, config.EnvelopeTimeout, config.MessageTimeout = wait, wait, wait
		config.SendTimeout, config.QuitTimeout = wait, wait
	}
	switch c.TLS {
	case "starttls":
		config.TLS, config.RequireTLS = smtp.StartTLS, true
	case "implicit":
		config.TLS = smtp.ImplicitTLS
	}
	return config
}
