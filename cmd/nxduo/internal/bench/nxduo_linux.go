package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/tun"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"
)

// nxduo is what is measured: the services of ip, tcp and smtp, with pools in
// force, as a program uses them that wants to be fast.
type nxduo struct {
	part part
	host
	mails sync.Map // of *mailers, by address
}

// The pools, as a program on a machine with memory makes them. Inbound, a frame
// costs by the packets that it takes, and each of its segments takes one, too, when
// it is handed out, whose memory serves others: so packets hold many segments,
// and all of it where one segment is as long as a super-segment, and there are
// 4000 of them, which is a decent window for each of 64 connections. Where there is
// less memory they hold fewer, and where there is little one: the window is reckoned
// so. Outbound, a packet is a message, and a message is a super-segment.
const (
	inMemory   = 64 << 20
	inPayload  = 16384
	inLarge    = 65536
	inMiddle   = 8192 // up to 8 MiB
	inSmall    = 1536 // up to 1 MiB
	outPayload = 65536

	bulkWindow = 4 << 20  // bytes; it follows the pool where that is smaller
	bulkBlock  = 62 << 10 // fits a super-segment, and the first window of Linux, 64240 bytes: what does not fit is sent in parts, and each takes another packet
	bulkFlight = 1 << 20  // bytes of segments that are not acknowledged: about what fits the processor's cache
)

// host is an instance with its pools.
type host struct {
	memory  uint32 // bytes of each pool; zero: inMemory and poolMemory
	in, out packetpool.Pool
	inst    ip.Instance
}

// inbound is the payload of inbound packets.
func (s *host) inbound(mtu int) uint32 {
	switch memory := s.bytes(inMemory); {
	case mtu > inPayload:
		return inLarge
	case memory <= 1<<20:
		return inSmall
	case memory <= 8<<20:
		return inMiddle
	}
	return inPayload
}

func newNXDuo(p part) (design, error) {
	d := &nxduo{part: p}
	d.memory = p.Pool
	return d, d.up(p.MTU, p.Host, p.Stack)
}

// up makes the pools and the instance.
func (s *host) up(mtu int, far, own []netip.Prefix) error {
	if err := packetpool.PoolCreate(&s.in, "inbound", s.inbound(mtu), s.bytes(inMemory)); err != nil {
		return err
	}
	if err := packetpool.PoolCreate(&s.out, "outbound", outPayload, s.bytes(poolMemory)); err != nil {
		return err
	}
	return s.create(tun.New(tun.Config{MTU: uint32(mtu), Addresses: far}), own)
}

// bytes is the size of a pool.
func (s *host) bytes(otherwise uint32) uint32 {
	if s.memory != 0 {
		return s.memory
	}
	return otherwise
}

// memoryFor is the size of a pool with so many packets.
func memoryFor(packets, payload uint32) uint32 { return packets * (payload + 60) }

// create makes the instance, with an address of each family.
func (s *host) create(driver link.Driver, own []netip.Prefix) error {
	s.inst.Config = &ip.Config{NoDAD: true} // nobody else is on the link
	address, mask := ip.IPAddress(0, 0, 0, 0), ip.IPAddress(0, 0, 0, 0)
	for _, p := range own {
		if p.Addr().Is4() {
			address, mask = p.Addr(), ip.AddressFromWords(^uint32(0)<<(32-p.Bits()))
		}
	}
	if err := ip.Create(&s.inst, "bench", address, mask, &s.in, driver, 2048, 1); err != nil {
		return err
	}
	for _, enable := range []func(*ip.Instance) error{ip.ICMPEnable, ip.IPv6Enable, tcp.Enable} {
		if err := enable(&s.inst); err != nil {
			return err
		}
	}
	for _, p := range own {
		if p.Addr().Is6() {
			if _, err := ip.IPv6AddressSet(&s.inst, 0, p.Addr(), uint32(p.Bits())); err != nil {
				return err
			}
		}
	}
	return nil
}

// down takes the instance away, and then the pools, which must be whole again.
func (s *host) down() error {
	if err := ip.Delete(&s.inst); err != nil {
		return err
	}
	for _, pool := range []*packetpool.Pool{&s.in, &s.out} {
		if info, err := packetpool.PoolInfoGet(pool); err == nil && info.FreePackets != info.TotalPackets {
			return fmt.Errorf("the pool %s has %d of %d packets at the end: %v", pool.Name(), info.FreePackets, info.TotalPackets, pool.Holders())
		}
		if err := packetpool.PoolDelete(pool); err != nil {
			return err
		}
	}
	return nil
}

func (d *nxduo) about() string {
	return fmt.Sprintf("ip, tcp, smtp over %s; pools of %s in packets of %d bytes in and %s in packets of %d out",
		offload(d.inst.Link()), byteSize(int(d.bytes(inMemory))), d.inbound(d.part.MTU), byteSize(int(d.bytes(poolMemory))), outPayload)
}

func (d *nxduo) frames() Frames {
	f := framesOf(d.inst.Link())
	if info, err := tcp.InfoGet(&d.inst); err == nil {
		f.Dropped += float64(info.ReceivePacketsDropped)
		f.Again = float64(info.RetransmittedPackets)
	}
	return f
}

func (d *nxduo) close() error {
	var errs []error
	d.mails.Range(func(_, clients any) bool {
		errs = append(errs, clients.(*mailers).delete())
		return true
	})
	return errors.Join(append(errs, d.down())...)
}

// instance implements instancer: pools, a device, an instance, both families,
// TCP.
func (d *nxduo) instance() (create, remove time.Duration, err error) {
	var s host
	far, own := network(200, 1), network(200, 2)
	started := time.Now()
	if err := packetpool.PoolCreate(&s.in, "small", 1536, memoryFor(64, 1536)); err != nil {
		return 0, 0, err
	}
	if err := packetpool.PoolCreate(&s.out, "small", 1536, memoryFor(64, 1536)); err != nil {
		return 0, 0, err
	}
	if err := s.create(tun.New(tun.Config{MTU: uint32(d.part.MTU), Addresses: far}), own); err != nil {
		return 0, 0, err
	}
	create = time.Since(started)
	started = time.Now()
	err = s.down()
	return create, time.Since(started), err
}

// socket is a connection by the services of tcp.
type socket struct {
	host   *host
	family packetpool.PacketType
	tcp    tcp.Socket
}

var someBytes = make([]byte, bulkBlock)

func (d *nxduo) dial(to netip.AddrPort) (conn, error) {
	s := &socket{host: &d.host, family: packetpool.IPv4TCPPacket}
	if to.Addr().Is6() {
		s.family = packetpool.IPv6TCPPacket
	}
	s.tcp.Config = &tcp.Config{WindowScaling: true, TransmitQueue: uint32(bulkFlight/d.part.MTU + 1)}
	if err := tcp.SocketCreate(&d.inst, &s.tcp, "bench", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, bulkWindow, nil, nil); err != nil {
		return nil, err
	}
	if err := tcp.ClientSocketBind(&s.tcp, tcp.AnyPort, nx.NoWait); err != nil {
		return nil, errors.Join(err, tcp.SocketDelete(&s.tcp))
	}
	if err := tcp.ClientSocketConnect(&s.tcp, to.Addr(), uint(to.Port()), nx.Ticks(patience)); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

func (s *socket) block() int { return bulkBlock }

func (s *socket) send(n int) error {
	packet, err := packetpool.Allocate(&s.host.out, s.family, nx.WaitForever)
	if err != nil {
		return err
	}
	if err = packetpool.DataAppend(packet, someBytes[:n], &s.host.out, nx.WaitForever); err == nil {
		err = tcp.SocketSend(&s.tcp, packet, nx.WaitForever)
	}
	if err != nil {
		return errors.Join(err, packetpool.Release(packet))
	}
	return nil
}

// receive takes one packet and is done with it: the program of a porter would
// look at the bytes where they lie.
func (s *socket) receive() (int, error) {
	packet, err := tcp.SocketReceive(&s.tcp, nx.WaitForever)
	if err != nil {
		return 0, err
	}
	n, err := packetpool.LengthGet(packet)
	return int(n), errors.Join(err, packetpool.Release(packet))
}

func (s *socket) finish() error {
	n, err := s.receive()
	if !errors.Is(err, nx.NotConnected) {
		s.abort()
		return fmt.Errorf("%d bytes where the end was expected: %w", n, err)
	}
	if err := tcp.SocketDisconnect(&s.tcp, nx.Ticks(patience)); err != nil {
		return errors.Join(err, s.remove())
	}
	return s.remove()
}

// end closes in order; the peer has everything then.
func (s *socket) end() error {
	return errors.Join(tcp.SocketDisconnect(&s.tcp, nx.Ticks(patience)), s.remove())
}

func (s *socket) abort() {
	_ = tcp.SocketDisconnect(&s.tcp, nx.NoWait)
	_ = s.remove()
}

func (s *socket) remove() error {
	return errors.Join(tcp.ClientSocketUnbind(&s.tcp), tcp.SocketDelete(&s.tcp))
}

// mailers are SMTP clients of one server that are not in use. A client sends
// one mail after the other.
type mailers struct {
	mu   sync.Mutex // guards the field below
	idle []*smtp.Client
}

func (d *nxduo) mail(to netip.AddrPort) error {
	known, _ := d.mails.LoadOrStore(to, &mailers{})
	m := known.(*mailers)
	c, err := m.take(d, to)
	if err != nil {
		return err
	}
	err = smtp.MailSend(c, mailTo, smtp.PriorityNormal, mailSubject, mailText)
	m.mu.Lock()
	m.idle = append(m.idle, c)
	m.mu.Unlock()
	return err
}

var mailText = []byte(mailBody())

func (m *mailers) take(d *nxduo, to netip.AddrPort) (*smtp.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.idle); n > 0 {
		c := m.idle[n-1]
		m.idle = m.idle[:n-1]
		return c, nil
	}
	c := new(smtp.Client)
	return c, smtp.ClientCreate(c, &d.inst, &d.out, "", "", mailFrom, mailDomain, smtp.AuthNone, to.Addr(), uint(to.Port()))
}

func (m *mailers) delete() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, c := range m.idle {
		errs = append(errs, smtp.ClientDelete(c))
	}
	m.idle = nil
	return errors.Join(errs...)
}
