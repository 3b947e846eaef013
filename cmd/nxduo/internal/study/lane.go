package study

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"gonetx/cmd/nxduo/internal/trace"
	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/capture"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/ram"
	"gonetx/ip/link/tun"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// The families, with the addresses of their runs (RFC 5737, RFC 3849).
const (
	IPv4 = "IPv4"
	IPv6 = "IPv6"
)

type ends struct{ client, peer netip.Prefix }

var addresses = map[string]ends{
	IPv4: {netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("192.0.2.1/24")},
	IPv6: {netip.MustParsePrefix("2001:db8::2/64"), netip.MustParsePrefix("2001:db8::1/64")},
}

// PoolSize is the size of a packet pool.
type PoolSize struct{ Packets, Payload uint32 }

func (p PoolSize) String() string { return fmt.Sprintf("%dx%d", p.Packets, p.Payload) }

// memory is what packetpool.PoolCreate takes.
func (p PoolSize) memory() uint32 {
	const header = 60 // of a packet, see packetpool.PoolCreate
	return p.Packets * (header + (p.Payload+3)&^3)
}

// lane is one family's instance, with all that belongs to it.
type lane struct {
	family string
	ends   ends
	faults *fault.Driver
	side   *trace.Side
	pool   packetpool.Pool // of what is sent
	ipPool packetpool.Pool // of what comes in
	inst   ip.Instance
	other  *peer // the stack at the other end; nil: the kernel's
	stop   func()
}

// errLink marks that a link did not open.
var errLink = errors.New("the link does not open")

// sampling is how often at most the trace tells who holds the packets.
const sampling = 2 * time.Millisecond

// newLane brings a family's instance up. After an error there is nothing to
// take down.
func newLane(family string, o *Options, w *trace.Writer, file *capture.File) (*lane, error) {
	l := &lane{family: family, ends: addresses[family]}
	var below link.Driver
	if o.Link == LinkRAM {
		network := ram.NewNetwork(ram.Config{})
		var err error
		if l.other, err = newPeer(l.ends.peer, network.Driver()); err != nil {
			return nil, fmt.Errorf("the stack at the other end: %w", err)
		}
		below = network.Driver()
	} else {
		below = tun.New(tun.Config{Addresses: []netip.Prefix{l.ends.peer}})
	}
	l.faults = fault.Wrap(below, o.Faults)
	captured := file.Wrap(l.faults)
	l.side = w.Side(family, captured.Recorder(nil))
	if err := l.create(o, captured); err != nil {
		return nil, errors.Join(err, l.down())
	}
	l.stop = l.side.Sample(sampling, &l.pool, &l.ipPool)
	return l, nil
}

func (l *lane) create(o *Options, driver link.Driver) error {
	l.pool.Config = &packetpool.Config{Recorder: l.side}
	l.ipPool.Config = &packetpool.Config{Recorder: l.side}
	if err := packetpool.PoolCreate(&l.pool, "send pool", o.Pool.Payload, o.Pool.memory()); err != nil {
		return fmt.Errorf("the pool of %v: %w", o.Pool, err)
	}
	if err := packetpool.PoolCreate(&l.ipPool, "IP pool", o.IPPool.Payload, o.IPPool.memory()); err != nil {
		return fmt.Errorf("the IP pool of %v: %w", o.IPPool, err)
	}
	l.inst.Config = &ip.Config{Recorder: l.side, NoDAD: true, Release: o.Release} // nobody else is on the link
	return bringUp(&l.inst, "study over "+l.family, l.ends.client, &l.ipPool, driver)
}

// bringUp makes an instance with one address and TCP.
func bringUp(inst *ip.Instance, name string, at netip.Prefix, pool *packetpool.Pool, driver link.Driver) error {
	address, mask := ip.IPAddress(0, 0, 0, 0), ip.IPAddress(0, 0, 0, 0)
	if at.Addr().Is4() {
		address, mask = at.Addr(), ip.AddressFromWords(^uint32(0)<<(32-at.Bits()))
	}
	if err := ip.Create(inst, name, address, mask, pool, driver, 2048, 1); err != nil {
		if errors.Is(err, nx.NotSuccessful) {
			return fmt.Errorf("%w: %w", errLink, err)
		}
		return err
	}
	for _, enable := range []func(*ip.Instance) error{ip.ICMPEnable, ip.IPv6Enable, tcp.Enable} {
		if err := enable(inst); err != nil {
			return err
		}
	}
	if at.Addr().Is4() {
		return nil
	}
	_, err := ip.IPv6AddressSet(inst, 0, at.Addr(), uint32(at.Bits()))
	return err
}

// describe is the lane in the header of the trace.
func (l *lane) describe() trace.Family {
	_, mss := l.inst.ReceiveLimit(l.ends.client.Addr().Is6())
	info := l.inst.Link()
	f := trace.Family{
		Family: l.family, Instance: l.inst.Name(), Address: l.ends.client.String(), Peer: l.ends.peer.Addr().String(), MSS: int(mss),
		Link: trace.Link{
			Kind: info.Kind, Device: info.Device, Offload: info.Offload, Why: info.Why,
			Wrappers: slices.Clone(info.Wrappers), Peer: "the Linux kernel",
		},
	}
	if i, err := ip.InterfaceInfoGet(&l.inst, 0); err == nil {
		f.Link.MTU = int(i.MTU)
	}
	if l.other != nil {
		f.Link.Peer = "a second instance of this module"
	}
	for _, pool := range []*packetpool.Pool{&l.pool, &l.ipPool} {
		if info, err := packetpool.PoolInfoGet(pool); err == nil {
			f.Pools = append(f.Pools, trace.Pool{Name: pool.Name(), Payload: int(pool.PayloadSize()), Packets: int(info.TotalPackets)})
		}
	}
	return f
}

// listen opens a port at the other end.
func (l *lane) listen(port uint16) (net.Listener, error) {
	if l.other != nil {
		return tcp.Listen(&l.other.inst, uint(port), &tcp.ConnOptions{Pool: &l.other.pool})
	}
	return net.Listen("tcp", netip.AddrPortFrom(l.ends.peer.Addr(), port).String())
}

// rest deletes the instance, so that nothing moves any more, and answers what
// is missing from the pools.
func (l *lane) rest() (missing int, err error) {
	if l.inst.Created() {
		err = ip.Delete(&l.inst)
	}
	if l.stop != nil {
		l.stop()
	}
	for _, pool := range []*packetpool.Pool{&l.pool, &l.ipPool} {
		if info, err := packetpool.PoolInfoGet(pool); err == nil {
			missing += int(info.TotalPackets - info.FreePackets)
		}
	}
	return missing, err
}

// down takes everything away. It may be called on what is half up.
func (l *lane) down() error {
	_, err := l.rest()
	errs := []error{err}
	for _, pool := range []*packetpool.Pool{&l.pool, &l.ipPool} {
		if pool.Name() != "" {
			errs = append(errs, packetpool.PoolDelete(pool))
		}
	}
	if l.other != nil {
		errs = append(errs, l.other.down())
	}
	return errors.Join(errs...)
}

// peer is an instance at the other end of a network in memory.
type peer struct {
	pool, ipPool packetpool.Pool
	inst         ip.Instance
}

func newPeer(at netip.Prefix, driver link.Driver) (*peer, error) {
	p := &peer{}
	p.inst.Config = &ip.Config{NoDAD: true}
	size := PoolSize{Packets: 512, Payload: 1536}
	err := packetpool.PoolCreate(&p.pool, "peer's send pool", size.Payload, size.memory())
	if err == nil {
		err = packetpool.PoolCreate(&p.ipPool, "peer's IP pool", size.Payload, size.memory())
	}
	if err == nil {
		err = bringUp(&p.inst, "peer", at, &p.ipPool, driver)
	}
	if err != nil {
		return nil, errors.Join(err, p.down())
	}
	return p, nil
}

func (p *peer) down() error {
	var errs []error
	if p.inst.Created() {
		errs = append(errs, ip.Delete(&p.inst))
	}
	for _, pool := range []*packetpool.Pool{&p.pool, &p.ipPool} {
		if pool.Name() != "" {
			errs = append(errs, packetpool.PoolDelete(pool))
		}
	}
	return errors.Join(errs...)
}
