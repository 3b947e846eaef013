package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/tun"
	"gonetx/ip/link/tun/netns"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

type pingCommand struct {
	Host string `arg:"" optional:"" help:"Address to ping, or a name, which this machine resolves. With --alone it may be left out: the host's side of the device."`

	Count    uint          `short:"c" placeholder:"N" group:"Requests" help:"How many requests to send; without it, until it is interrupted."`
	Interval time.Duration `short:"i" default:"1s" group:"Requests" help:"Time between two requests; 0: each one when the one before is done."`
	Size     uint          `short:"s" default:"56" group:"Requests" help:"Bytes of data, 65507 at most. What is longer than the MTU goes in fragments."`
	TTL      uint8         `short:"t" name:"ttl" placeholder:"N" group:"Requests" help:"Time to live, or hop limit; 128 and 255, as NetX Duo has them, if it is not given."`
	Timeout  time.Duration `short:"W" default:"2s" group:"Requests" help:"How long to wait for each reply."`
	Deadline time.Duration `short:"w" placeholder:"DURATION" group:"Requests" help:"When to end, however many requests there were."`

	networkFlags
	Alone bool `group:"Network" help:"In namespaces of its own: no rights are needed, nothing is changed, and the host's side of the device is the only one to answer."`

	IPPool poolFlag `name:"ip-pool" default:"256x1536" placeholder:"NxBYTES" group:"Limits" help:"The instance's packet pool, out of which requests go and which replies come into; ${default} if it is not given."`

	Pcap  string `placeholder:"FILE" group:"Output" help:"Write what crosses the device to a pcapng file."`
	Quiet bool   `short:"q" group:"Output" help:"Only the summary."`
	JSON  bool   `name:"json" group:"Output" help:"Print the result as one JSON object, at the end."`
}

// Exit codes of ping: those of the familiar tool.
const (
	pingNoAnswer = 1
	pingFailed   = 2
)

func (pingCommand) Help() string {
	return `As the familiar tool, but out of a stack of its own on a TUN device. Sequence numbers are those on the wire, which NetX Duo counts from 0. Ctrl-C prints the summary.

    nxduo ping --alone -c 3
    nxduo ping --alone -c 3 --size 20000 fd77::1
    nxduo ping --netns lab 192.0.2.25
    nxduo ping --tun tun0 --ttl 1 -c 1 2001:db8::25

To reach more than the host itself it needs what "nxduo send" needs, see there.

Exit codes:
    0  there was a reply
    1  there was none
    2  something else; nothing, or not all, was sent`
}

func (c *pingCommand) Run(std streams) error {
	p, err := c.plan()
	if err == nil && c.Alone {
		if err = netns.Enter(); err != nil {
			err = noTUN(err)
		}
	}
	report := &pingReport{Replies: []pingLine{}}
	if err == nil {
		report.Host, report.Address, report.Source, report.Size = p.name, p.at.Addr(), p.address.Addr(), c.Size
		err = c.run(p, std, report)
	}
	if err != nil {
		f := &failure{code: pingFailed, what: err.Error(), advice: adviceOn(err)}
		if report.Error = f.what; c.JSON {
			return errors.Join(f, writeJSON(std.out, report))
		}
		return f
	}
	report.conclude()
	if c.JSON {
		err = writeJSON(std.out, report)
	} else {
		_, err = fmt.Fprint(std.out, report.summary())
	}
	if err == nil && report.Received == 0 {
		return &failure{code: pingNoAnswer, what: "no reply"}
	}
	return err
}

func (c *pingCommand) plan() (*plan, error) {
	p := &plan{netns: c.namespace()}
	switch {
	case c.Size > 65507:
		return nil, usage("--size %d: no datagram holds that", c.Size)
	case c.Interval < 0 || c.Timeout <= 0 || c.Deadline < 0:
		return nil, usage("a time must be longer than nothing")
	case c.Alone && (c.Netns != "" || c.Tun != ""):
		return nil, usage("--alone has namespaces and a device of its own: no --netns, no --tun")
	case c.Host == "" && !c.Alone:
		return nil, usage("which host? With --alone it may be left out")
	case c.Host == "":
		for _, a := range c.Address {
			if c.Family == "any" || (c.Family == "4") == a.Addr().Is4() {
				c.Host = firstOther(a).String()
				break
			}
		}
	}
	return p, c.way(p, "the host", c.Host, 0)
}

// run brings a stack up and pings from it.
func (c *pingCommand) run(p *plan, std streams, report *pingReport) (err error) {
	device, err := p.device(&c.networkFlags)
	if err != nil {
		return err
	}
	driver, recorder, stopCapture, err := capturing(c.Pcap, tun.New(device), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopCapture()) }()
	s := &stack{}
	err = s.up(stackConfig{
		name: "nxduo", ipPool: poolSize(c.IPPool), clientPool: packets(1, 128),
		addresses: []netip.Prefix{p.address}, gateways: []netip.Addr{p.gateway}, driver: driver, recorder: recorder,
	})
	if isNoTUN(err) {
		f := noTUN(err)
		if f.advice = p.adviceOnDevice(device, []netip.Prefix{p.host()}, err); f.advice != nil {
			f.advice = append(f.advice, "To ping the host's side of a device needs no root: nxduo ping --alone")
		}
		return f
	}
	if err != nil {
		return fmt.Errorf("the stack does not come up: %w", err)
	}
	defer func() { err = errors.Join(err, s.down()) }()
	if err := ip.FragmentEnable(&s.inst); err != nil {
		return err
	}
	if !c.Quiet && !c.JSON {
		fmt.Fprint(std.out, report.head())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if c.Deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Deadline)
		defer cancel()
	}
	return c.ping(ctx, s, std, report)
}

// ping sends the requests, and tells of each what became of it. It ends when
// all are answered or overdue, or with the context; what is not answered by then
// is lost.
func (c *pingCommand) ping(ctx context.Context, s *stack, std streams, report *pingReport) (err error) {
	lines := make(chan pingLine)
	var requests sync.WaitGroup
	defer func() { // whoever still waits is resumed by the end of the instance
		go func() {
			err = errors.Join(err, s.stop())
			requests.Wait()
			close(lines)
		}()
		for range lines {
		}
	}()
	began := time.Now()
	defer func() { report.Took = time.Since(began) }()

	var next <-chan time.Time
	ticker := (*time.Ticker)(nil)
	if c.Interval > 0 {
		ticker = time.NewTicker(c.Interval)
		defer ticker.Stop()
		next = ticker.C
	}
	open := 0
	send := func() {
		open++
		report.Sent++
		requests.Add(1)
		go func() {
			defer requests.Done()
			lines <- c.once(s, report.Address)
		}()
	}
	for send(); open > 0 || c.Count == 0 || report.Sent < c.Count; {
		due := next
		if c.Count != 0 && report.Sent >= c.Count {
			due = nil
		}
		select {
		case <-due:
			send()
		case l := <-lines:
			open--
			if l.fatal != nil {
				return l.fatal
			}
			report.add(l)
			if !c.Quiet && !c.JSON {
				fmt.Fprintln(std.out, l.text(c.Timeout))
			}
			if next == nil && ctx.Err() == nil && (c.Count == 0 || report.Sent < c.Count) {
				send()
			}
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// once sends one request and waits for what comes of it.
func (c *pingCommand) once(s *stack, to netip.Addr) pingLine {
	reply, err := ip.ICMPEcho(&s.inst, ip.EchoRequest{Address: to, Data: pingPattern(c.Size), TimeToLive: c.TTL}, nx.Ticks(c.Timeout))
	l := pingLine{Sequence: reply.Sequence, From: to, TTL: reply.TimeToLive, took: reply.Took}
	switch said := (*ip.EchoError)(nil); {
	case errors.As(err, &said):
		l.From, l.Error = said.Source, said.Error()
		return l
	case nx.Code(err) == uint(nx.NoResponse):
		l.Error = "no answer"
		return l
	case err != nil:
		l.fatal = err
		return l
	}
	l.From = reply.Source
	data := make([]byte, c.Size+1)
	n, err := packetpool.DataExtractOffset(reply.Packet, 0, data)
	l.Bytes = uint(n) + 8
	if releaseErr := packetpool.Release(reply.Packet); err != nil || releaseErr != nil {
		l.fatal = errors.Join(err, releaseErr)
	}
	if string(data[:n]) != string(pingPattern(c.Size)) {
		l.Error = "the data that came back is not what was sent"
	}
	return l
}

// pingPattern is data as the familiar tool sends it.
func pingPattern(size uint) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}
