package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gonetx/cmd/nxduo/internal/inetd"
	"gonetx/cmd/nxduo/internal/stat"
	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/tun"
	"gonetx/ip/link/tun/netns"
	"gonetx/packetpool"
)

type upCommand struct {
	Command []string `arg:"" optional:"" passthrough:"" help:"Command to run beside the stack, in namespaces of their own. Without one the stack is up in this network, until it is interrupted."`

	Name    string         `placeholder:"NAME" group:"Network" help:"Name for \"nxduo stat\"; that of the device if none is given."`
	Tun     string         `placeholder:"NAME" group:"Network" help:"TUN device. One that stands already is used; otherwise it is made, and gone afterwards. The kernel chooses the name if none is given."`
	Netns   string         `placeholder:"NAME|PATH" group:"Network" help:"Network namespace to open the device in, as \"ip netns\" knows it, or a path such as /proc/1234/ns/net."`
	Address []netip.Prefix `default:"10.77.0.2/24,fd77::2/64" group:"Network" help:"Address and prefix of the stack, one for each family. The host gets the first other one of the prefix."`
	MTU     uint32         `name:"mtu" placeholder:"BYTES" group:"Network" help:"MTU of the device; 1500 for a new one."`
	Fault   string         `placeholder:"FAULTS" group:"Network" help:"What goes wrong on the link: \"loss=5%,delay=20ms,seed=7\", \"drop(in data 3)\"."`

	Pool   poolFlag `default:"1024x1536" placeholder:"NxBYTES" group:"Limits" help:"The packet pool that the services send out of: N packets of BYTES payload; ${default} if it is not given."`
	IPPool poolFlag `name:"ip-pool" default:"1024x1536" placeholder:"NxBYTES" group:"Limits" help:"The instance's packet pool, which holds all that comes in; ${default} if it is not given."`

	Out  string `placeholder:"DIR" group:"Output" help:"Folder for a trace, a capture and a report of all that happens, as those of a study. It must be new or empty."`
	Pcap string `placeholder:"FILE" group:"Output" help:"Write what crosses the device to a pcapng file."`
	JSON bool   `name:"json" group:"Output" help:"Tell as one JSON object that the stack is up."`
}

func (upCommand) Help() string {
	return `It opens a TUN device, makes an instance with two packet pools on it, and answers there, over both families: ping, and connections to echo (7), discard (9), daytime (13), chargen (19) and a web page (80). So there is something to talk to for ping, curl, nc, tcpdump, Wireshark and loads.

With a command, both are in namespaces of their own, where no root is needed if the kernel allows that, and which nobody else sees. The command finds NXDUO_NAME, NXDUO_DEVICE, NXDUO_IPV4 and NXDUO_IPV6 in its environment, and its exit code is handed on. Without one, the device is made in this network, which needs root or CAP_NET_ADMIN, or --tun and a device that root made for you, see "nxduo send"; Ctrl-C ends it. Nothing of the host is changed but the device. With --out all that happens is kept as a study keeps it, with a report of what your own program did to the stack; the command line is in it.

    nxduo up -- bash
    nxduo up -- ping -c1 10.77.0.2
    nxduo up -- sh -c 'curl -s http://[$NXDUO_IPV6]/stat'
    nxduo up --ip-pool 10x128 --fault loss=2% -- bash
    nxduo up --out lab -- curl -s -o /dev/null http://10.77.0.2/bytes/1000000
    nxduo up --tun lab0 --pcap lab.pcapng &
    nxduo stat lab0 --watch

` + exitHelp
}

func (c *upCommand) Run(std streams) error {
	p, faults, err := c.plan()
	if err != nil {
		return err
	}
	if len(c.Command) > 0 {
		if err := netns.Enter(); err != nil {
			return noTUN(err)
		}
	}
	return c.run(p, faults, std)
}

// plan checks the flags before anything is opened.
func (c *upCommand) plan() (*plan, fault.Config, error) {
	p := &plan{netns: c.Netns}
	if len(c.Command) > 0 && c.Command[0] == "--" {
		c.Command = c.Command[1:]
	}
	if c.Netns != "" && len(c.Command) > 0 {
		return nil, fault.Config{}, usage("a command runs in a namespace of its own: either it or --netns")
	}
	if c.Out != "" && c.Pcap != "" {
		return nil, fault.Config{}, usage("--out has a capture, too: either it or --pcap")
	}
	if c.Netns != "" && !strings.Contains(c.Netns, "/") {
		p.netns = filepath.Join("/run/netns", c.Netns)
	}
	if c.Name != "" {
		if err := stat.CheckName(c.Name); err != nil {
			return nil, fault.Config{}, usage("--name %v", err)
		}
	}
	if err := checkAddresses(c.Address); err != nil {
		return nil, fault.Config{}, err
	}
	faults, err := fault.Parse(c.Fault)
	if err != nil {
		return nil, faults, &failure{code: exitUsage, what: "--fault", err: err}
	}
	return p, faults, nil
}

// checkAddresses wants one usable address of a family at most.
func checkAddresses(addresses []netip.Prefix) error {
	seen := map[bool]bool{}
	for _, a := range addresses {
		switch {
		case !usable(a) || !usable(netip.PrefixFrom(firstOther(a), a.Bits())):
			return usage("--address %s: no two hosts can be there", a)
		case seen[a.Addr().Is4()]:
			return usage("--address %s: the family has one already", a)
		}
		seen[a.Addr().Is4()] = true
	}
	return nil
}

// run brings everything up, waits, and takes it down again.
func (c *upCommand) run(p *plan, faults fault.Config, std streams) (err error) {
	ends := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as after nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	// With a command, standard output is the command's.
	talk := std.out
	if len(c.Command) > 0 {
		talk = std.err
	}
	device, err := c.device(p)
	if err != nil {
		return err
	}
	driver, recorder, stopCapture, err := capturing(c.Pcap, c.driver(device, faults), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopCapture()) }()
	var kept *session
	begun := false
	if c.Out != "" {
		if kept, driver, err = newSession(c.Out, driver, c.Address); err != nil {
			return err
		}
		recorder = kept
		defer func() { err = errors.Join(err, kept.finish(begun)) }()
	}

	s := &stack{}
	hosts := c.hosts()
	err = s.up(stackConfig{
		name: "nxduo", poolName: "services' packet pool", ipPool: poolSize(c.IPPool), clientPool: poolSize(c.Pool),
		addresses: c.Address, gateways: addrs(hosts), driver: driver, recorder: recorder,
	})
	if isNoTUN(err) {
		f := noTUN(err)
		if f.advice = p.adviceOnDevice(device, hosts, err); f.advice != nil {
			f.advice = append(f.advice, "A command beside the stack needs no root: nxduo up -- bash")
		}
		return f
	}
	if err != nil {
		return &failure{code: exitUsage, what: "the stack does not come up", err: err}
	}
	defer func() { err = errors.Join(err, s.down()) }()
	if kept != nil {
		if err := kept.begin(s, c); err != nil {
			return err
		}
		begun = true
		defer func() { err = errors.Join(err, kept.end()) }()
	}
	return c.serve(ctx, s, hosts, talk, std)
}

// serve serves until the end, whatever that is, and takes down what it made.
func (c *upCommand) serve(ctx context.Context, s *stack, hosts []netip.Prefix, talk io.Writer, std streams) (err error) {
	gone := make(chan struct{}, 1)
	if err := ip.LinkStatusChangeNotifySet(&s.inst, func(_ *ip.Instance, _ uint, up bool) {
		if up {
			return
		}
		select {
		case gone <- struct{}{}:
		default: // it was told
		}
	}); err != nil {
		return err
	}

	source := stat.Source{Name: s.inst.Link().Device, Instance: &s.inst, Pools: []*packetpool.Pool{&s.ipPool, &s.clientPool}, Began: time.Now()}
	status, err := c.meet(&source)
	if err != nil {
		return &failure{code: exitUsage, what: "no place for nxduo stat", err: err}
	}
	defer func() { err = errors.Join(err, status.Close()) }()
	servers, err := inetd.Start(inetd.Config{Instance: &s.inst, Pool: &s.clientPool, Page: page(&source)})
	if err != nil {
		return err
	}
	u := newUpReport(source, hosts, status.Path)
	if err := c.announce(u, talk); err != nil {
		return errors.Join(err, servers.Stop())
	}

	if len(c.Command) > 0 {
		err = beside(c.Command, u.environment(), std)
	} else {
		select {
		case <-ctx.Done():
		case <-gone:
			err = &failure{code: exitNoTUN, what: "the device " + u.Device + " went away"}
		}
	}
	err = errors.Join(err, servers.Stop())
	return errors.Join(err, c.conclude(s, servers, talk))
}

// device is the configuration of the device, with the host's addresses.
func (c *upCommand) device(p *plan) (tun.Config, error) {
	config := tun.Config{Name: c.Tun, Namespace: p.netns, MTU: c.MTU}
	there, err := p.stands(c.Tun)
	if err != nil {
		return config, noTUN(err)
	}
	config.Addresses = without(c.hosts(), there.addresses)
	return config, nil
}

// driver is the driver of the device, and the faults around it.
func (c *upCommand) driver(config tun.Config, faults fault.Config) link.Driver {
	if c.Fault == "" {
		return tun.New(config)
	}
	return fault.Wrap(tun.New(config), faults)
}

// hosts are the host's addresses on the device.
func (c *upCommand) hosts() []netip.Prefix {
	var hosts []netip.Prefix
	for _, a := range c.Address {
		hosts = append(hosts, netip.PrefixFrom(firstOther(a), a.Bits()))
	}
	return hosts
}

// meet opens the socket for "nxduo stat". A name that was not asked for gets a
// number when it is taken: in namespaces of its own, each device is tun0.
func (c *upCommand) meet(source *stat.Source) (*stat.Server, error) {
	if c.Name != "" {
		source.Name = c.Name
	}
	name := source.Name
	for n := 2; ; n++ {
		status, err := stat.Serve(source.Name, func() stat.Snapshot { return stat.Take(*source) })
		if c.Name != "" || !errors.Is(err, stat.ErrTaken) {
			return status, err
		}
		source.Name = fmt.Sprintf("%s-%d", name, n)
	}
}

// conclude stops the instance and tells whether anything was lost.
func (c *upCommand) conclude(s *stack, servers *inetd.Servers, talk io.Writer) error {
	pools := s.pools()
	if err := s.stop(); err != nil {
		return err
	}
	settle(pools, nil)
	if !c.JSON && len(c.Command) == 0 {
		fmt.Fprintf(talk, "%d connections were served.\n", servers.Served())
	}
	if !full(pools) {
		showPools(talk, pools)
		return errors.New("packets are missing from a pool")
	}
	return nil
}
