package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/tun"
	"gonetx/ip/link/tun/netns"
	"gonetx/netns-tests/topology"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Run measures. The process must be in a network of its own, see netns.Enter,
// and its program must call [Play].
func Run(ctx context.Context, o Options) (*Report, error) {
	l, err := newNamespaces(all(o.cells()), o.Congestion)
	if err != nil {
		return nil, err
	}
	r, err := run(ctx, l, o)
	return r, errors.Join(err, l.close())
}

// Enter puts the program into a network of its own, see netns.Enter, and sees
// whether there can be a TUN device: what is measured without one is nothing.
func Enter() error {
	err := netns.Enter()
	var e link.Endpoint
	if err == nil {
		e, err = tun.New(tun.Config{LeaveDown: true}).Open(link.Attachment{})
	}
	if err != nil {
		return fmt.Errorf("no TUN device: %w", err)
	}
	return e.Release()
}

// namespaces is the lab: two hosts, the peer, and the clients' processes.
type namespaces struct {
	hosts   *topology.Direct
	clients []Client
	meters  []*os.File // the clients' ends, in the order of clients
	running map[Client]*process
	server  *process // the peer's: it serves as long as its standard input is open
	pool    uint32   // bytes of memory of the clients' pools; zero: the default

	congestion string // of the kernel's sockets; empty: the system's
}

// process is a client's.
type process struct {
	program *exec.Cmd
	in      *os.File
	out     *os.File
	decode  *json.Decoder
	about   About
	broken  bool
}

func newNamespaces(clients []Client, congestion string) (*namespaces, error) {
	hosts, err := topology.NewDirect()
	if err != nil {
		return nil, err
	}
	l := &namespaces{hosts: hosts, clients: clients, congestion: congestion, running: map[Client]*process{}}
	if err := l.startPeer(); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// close ends the processes, their devices, and the namespaces.
func (l *namespaces) close() error {
	var errs []error
	for _, p := range l.running {
		errs = append(errs, p.end())
	}
	for _, f := range l.meters {
		_ = f.Close()
	}
	return errors.Join(append(errs, l.hosts.Close())...)
}

// startPeer starts the peer with one meter for each client.
func (l *namespaces) startPeer() error {
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
	}()
	for range l.clients {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		l.meters = append(l.meters, os.NewFile(uintptr(pair[0]), "meter"))
		theirs = append(theirs, os.NewFile(uintptr(pair[1]), "meter"))
	}
	p, err := l.start(l.hosts.Far, part{Role: rolePeer, Meters: len(theirs)}, theirs)
	if err != nil {
		return err
	}
	defer p.out.Close()
	_ = p.out.SetReadDeadline(time.Now().Add(longPatience))
	line, err := bufio.NewReader(p.out).ReadString('\n')
	if line != "ready\n" {
		return fmt.Errorf("the peer is not ready: %q, %w", line, err)
	}
	l.server = p // a file that nobody refers to is closed by the collector
	return nil
}

// start starts this program as a part of the benchmark.
func (l *namespaces) start(on *topology.Host, p part, files []*os.File) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p.Congestion = l.congestion
	role, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inRead.Close(), inWrite.Close())
	}
	program := exec.Command(self)
	program.Env = append(os.Environ(), partVariable+"="+string(role), fmt.Sprint("GOMAXPROCS=", procs()))
	program.Stdin, program.Stdout, program.Stderr = inRead, outWrite, os.Stderr
	program.ExtraFiles = files
	err = on.Start(program)
	_ = inRead.Close()
	_ = outWrite.Close()
	if err != nil {
		return nil, errors.Join(err, inWrite.Close(), outRead.Close())
	}
	return &process{program: program, in: inWrite, out: outRead, decode: json.NewDecoder(outRead)}, nil
}

// end lets the process end by itself for a while.
func (p *process) end() error {
	_ = p.in.Close()
	defer p.out.Close()
	if p.broken {
		_ = p.program.Process.Kill()
		_ = p.program.Wait()
		return nil
	}
	_ = p.out.SetReadDeadline(time.Now().Add(longPatience))
	if _, err := io.Copy(io.Discard, p.out); err != nil {
		_ = p.program.Process.Kill()
		_ = p.program.Wait()
		return fmt.Errorf("%s does not end: %w", p.about.Client, err)
	}
	if err := p.program.Wait(); err != nil {
		return fmt.Errorf("%s: %w", p.about.Client, err)
	}
	return nil
}

// ask sends an order and waits for the answer. After a failure to talk the
// process is of no use any more.
func (p *process) ask(ctx context.Context, o order) (answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = p.out.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var a answer
	err := json.NewEncoder(p.in).Encode(o)
	if err == nil {
		err = p.decode.Decode(&a)
	}
	if err != nil {
		p.broken = true
		return a, fmt.Errorf("the process of %s: %w", p.about.Client, cmpOr(context.Cause(ctx), err))
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// client implements lab.
func (l *namespaces) client(c Client) (asker, About, error) {
	if p := l.running[c]; p != nil {
		if !p.broken {
			return p, p.about, nil
		}
		_ = p.end()
		delete(l.running, c)
	}
	i := l.index(c)
	on, description := l.hosts.Near, part{Role: string(c.Design), MTU: c.MTU, Pool: max(c.Pool, l.pool)}
	if c.Design != Kernel {
		on = l.hosts.Far // where its device is, with the peer at the host's side
		description.Host, description.Stack = network(i, 1), network(i, 2)
	}
	p, err := l.start(on, description, l.meters[i:i+1])
	if err != nil {
		return nil, About{}, err
	}
	p.about.Client = c
	l.running[c] = p
	ctx, cancel := context.WithTimeout(context.Background(), longPatience)
	defer cancel()
	a, err := p.greeting(ctx)
	if err != nil {
		return nil, About{}, err
	}
	p.about.Text = a.About
	return p, p.about, nil
}

// greeting is the first line of a client's process.
func (p *process) greeting(ctx context.Context) (a answer, err error) {
	stop := context.AfterFunc(ctx, func() { _ = p.out.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := p.decode.Decode(&a); err != nil {
		p.broken = true
		return a, fmt.Errorf("%s does not start: %w", p.about.Client, err)
	}
	return a, nil
}

// peer implements lab.
func (l *namespaces) peer(c Client, family int) netip.Addr {
	addresses := []netip.Prefix{topology.Far4, topology.Far6}
	if c.Design != Kernel {
		addresses = network(l.index(c), 1)
	}
	for _, a := range addresses {
		if a.Addr().Is4() == (family == 4) {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

func (l *namespaces) index(c Client) int {
	for i, known := range l.clients {
		if known == c {
			return i
		}
	}
	return -1
}

// network is the addresses of a host on the network of the device of the client
// with the index.
func network(index int, host byte) []netip.Prefix {
	v4 := netip.AddrFrom4([4]byte{10, 80, byte(index), host})
	v6 := netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x80, 7: byte(index), 15: host})
	return []netip.Prefix{netip.PrefixFrom(v4, 24), netip.PrefixFrom(v6, 64)}
}

func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func kernelVersion() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return strings.TrimRight(string(u.Release[:]), "\x00")
}

func setCongestion(fd uintptr) error {
	return unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
}

// lostBy is how many frames a device of this namespace had no room for in its queue.
func lostBy(device string) float64 {
	l, err := netlink.LinkByName(device)
	if err != nil || l.Attrs().Statistics == nil {
		return 0
	}
	return float64(l.Attrs().Statistics.TxDropped)
}
