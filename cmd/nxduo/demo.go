package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"gonetx/cmd/nxduo/internal/ladder"
	"gonetx/netns-tests/mailserver"
	"gonetx/smtp"
)

type demoCommand struct {
	Link    string `enum:"auto,tun,ram" default:"auto" help:"auto: a TUN device, or the network in memory where there can be none; tun or ram: only that."`
	Pcap    string `placeholder:"FILE" help:"Write what crosses the link to a pcapng file."`
	Verbose bool   `short:"v" help:"Show every segment, and the states of the socket."`
	JSON    bool   `name:"json" help:"Print the result as one JSON object."`
}

func (demoCommand) Help() string {
	return `It enters new user and network namespaces by itself (no root needed where the kernel allows it), opens a TUN device, makes the packet pools of the guide's small example, 10 packets of 128 bytes for the instance and 9 of 800 bytes for the client, and sends two mails to a server on the other side: over IPv4 with AUTH PLAIN, over IPv6 with AUTH LOGIN.

It prints the dialogue, the TCP segments that each message took, the pools, and whether what the server stored is what was sent, byte for byte.

    nxduo demo
    nxduo demo --verbose --pcap demo.pcapng
    nxduo demo --link ram --json

` + exitHelp
}

// The guide's example.
const (
	username    = "myusername"
	password    = "mypassword"
	fromAddress = "my@mycompany.com"
	recipient   = "your@yourcompany.com"
	domain      = "mycompany.com"
	subject     = "NetX Duo SMTP Client Demo"
)

var (
	guideIPPool     = poolSize{payload: 128, memory: 2048} // 10 packets
	guideClientPool = poolSize{payload: 800, memory: 8000} // 9 packets
)

// body has what a mail may go wrong with: lines that begin with a dot, or are
// nothing but one, and more than one packet of text.
var body = "This mail went through a TCP/IP stack with ten packets of 128 bytes.\r\n" +
	"The next line is a single dot, which must not end the mail:\r\n" +
	".\r\n" +
	"..two dots, and\r\n" +
	".a line that begins with one.\r\n" +
	strings.Repeat("Text that does not fit one packet goes out in further ones.\r\n", 20) +
	"The end.\r\n"

// demoMail is one of the two mails.
type demoMail struct {
	family string
	server netip.Prefix
	client netip.Prefix
	auth   smtp.AuthType
}

var demoMails = []demoMail{
	{"IPv4", server4, client4, smtp.AuthPlain},
	{"IPv6", server6, client6, smtp.AuthLogin},
}

func (c *demoCommand) Run(std streams) error {
	started := time.Now()
	report := &demoReport{}
	err := c.run(std, report)
	report.Took = time.Since(started)
	if c.JSON {
		return errors.Join(err, writeJSON(std.out, report))
	}
	return err
}

func (c *demoCommand) run(std streams, report *demoReport) error {
	var w *world
	var err error
	switch c.Link {
	case "tun":
		if w, err = tunWorld(); err != nil {
			return noTUN(err)
		}
	case "ram":
		w, err = ramWorld()
	default:
		var why error
		if w, why, err = fallback(); why != nil {
			report.NoTUN = refusal(why).Error()
		}
	}
	if err != nil {
		return err
	}
	err = c.in(w, std, report)
	if c.Link == "auto" && w.kind == "TUN" && isNoTUN(err) {
		report.NoTUN = refusal(err).Error()
		if w, err = ramWorld(); err != nil {
			return err
		}
		return c.in(w, std, report)
	}
	if isNoTUN(err) {
		return noTUN(err)
	}
	return err
}

// in sends the mails in a world, and closes it.
func (c *demoCommand) in(w *world, std streams, report *demoReport) (err error) {
	defer func() { err = errors.Join(err, w.close()) }()
	out := std.out
	if c.JSON {
		out = io.Discard
	}
	events := newRelay()
	driver, recorder, stopCapture, err := capturing(c.Pcap, w.driver, events)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopCapture()) }()

	s := &stack{}
	err = s.up(stackConfig{
		name: "client", ipPool: guideIPPool, clientPool: guideClientPool,
		addresses: []netip.Prefix{client4, client6}, driver: driver, recorder: recorder,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.down()) }()

	report.begin(out, w, s.pools())
	for i, m := range demoMails {
		if err := c.send(w, s, events, m, report.mail(m)); err != nil {
			return err
		}
		report.showMail(out, i)
	}
	if err := s.stop(); err != nil {
		return err
	}
	report.end(out, events.lowest())
	err = report.verdict()
	report.conclude(out)
	return err
}

// send sends one mail and compares what came of it.
func (c *demoCommand) send(w *world, s *stack, events *relay, m demoMail, r *mailReport) error {
	at := netip.AddrPortFrom(m.server.Addr(), smtp.DefaultPort)
	l, err := w.listen(at)
	if err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	server := mailserver.Start(l, mailserver.Config{Users: map[string]string{username: password}})
	defer server.Close()

	rec := ladder.New(c.Verbose)
	events.to(rec)
	defer events.to(nil)
	now := time.Now()
	client := &smtp.Client{Config: &smtp.Config{Now: func() time.Time { return now }}}
	if err := smtp.ClientCreate(client, &s.inst, &s.clientPool, username, password, fromAddress, domain, m.auth, m.server.Addr(), smtp.DefaultPort); err != nil {
		return err
	}
	err = smtp.MailSend(client, recipient, smtp.PriorityNormal, subject, []byte(body))
	r.Took = time.Since(now)
	if deleteErr := smtp.ClientDelete(client); err == nil {
		err = deleteErr
	}
	r.Rows, r.Summary = rec.Rows(), rec.Summary()
	if err != nil {
		r.Error = err.Error()
		return mailFailure(at.String(), err)
	}
	r.Differences = compare(server.Mails(), expectation{auth: m.auth.String(), date: now, body: body})
	return nil
}
