package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/tun"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// soakHost is an instance of the soak and its kernel at the other end of the
// device.
type soakHost struct {
	host
	report   SoakInstance
	far, own []netip.Prefix
	kernel   net.Listener // where the stack is the client
	service  net.Listener // where it is the server
	largest  int          // bytes of a stream

	connections    atomic.Uint64
	sent, received atomic.Uint64 // bytes, by the stack
	serving        sync.WaitGroup
}

const (
	soakMemory  = 8 << 20 // of each pool
	soakPayload = 1536
	soakWindow  = 256 << 10
	soakService = 4001
)

// Soak runs a soak. The process must be in a network of its own, see [Enter].
func Soak(ctx context.Context, o SoakOptions) (*SoakReport, error) {
	r := &SoakReport{}
	soakTable()
	r.Goroutines[0], r.Descriptors[0] = runtime.NumGoroutine(), descriptors()
	faults, err := fault.Parse(o.Faults)
	if err != nil {
		return nil, err
	}
	hosts := []*soakHost{
		{report: SoakInstance{Name: "fast"}, far: network(1, 1), own: network(1, 2), largest: 64 << 20},
		{report: SoakInstance{Name: "faulty", Faults: faults.String()}, far: network(2, 1), own: network(2, 2), largest: 4 << 20},
	}
	if o.Faults == "" {
		hosts = hosts[:1]
	}
	for _, h := range hosts {
		var driver link.Driver = tun.New(tun.Config{Addresses: h.far})
		if h.report.Faults != "" {
			driver = fault.Wrap(driver, faults)
		}
		if err := h.up(driver); err != nil {
			return nil, fmt.Errorf("instance %s: %w", h.report.Name, err) // the process ends with it
		}
	}
	started := time.Now()
	s := &soak{options: o}
	s.ctx, s.cancel = context.WithTimeout(ctx, o.Duration)
	defer s.cancel()
	for _, h := range hosts {
		h.start(s)
	}
	joined := s.watch(func(at time.Duration) {
		if r.Heap[0] == 0 {
			r.Heap[0] = heapInUse()
		}
		if o.Progress != nil {
			o.Progress(progressOf(hosts, at))
		}
	})
	if r.Heap[0] == 0 {
		r.Heap[0] = heapInUse()
	}
	r.Heap[1] = heapInUse()
	for _, h := range hosts {
		if err := h.end(joined); err != nil {
			s.fail("instance %s: %v", h.report.Name, err)
		}
		r.Instances = append(r.Instances, h.report)
	}
	if joined {
		r.leaks(s)
	}
	r.Duration, r.Failures = time.Since(started), s.failures
	return r, context.Cause(ctx) // interrupted, or nothing
}

// leaks looks what is left of the process.
func (r *SoakReport) leaks(s *soak) {
	if r.Goroutines[1] = awaitGoroutines(r.Goroutines[0]); r.Goroutines[1] > r.Goroutines[0] {
		s.fail("%d goroutines are left", r.Goroutines[1]-r.Goroutines[0])
	}
	// The first use of the network makes some of the runtime's own.
	const own = 4
	if r.Descriptors[1] = descriptors(); r.Descriptors[1] > r.Descriptors[0]+own {
		s.fail("%d descriptors are left", r.Descriptors[1]-r.Descriptors[0])
	}
	if r.Heap[1] > 2*r.Heap[0]+16<<20 {
		s.fail("the heap has grown from %d to %d bytes", r.Heap[0], r.Heap[1])
	}
}

func progressOf(hosts []*soakHost, at time.Duration) string {
	line := fmt.Sprintf("%v:", at.Round(time.Second))
	for _, h := range hosts {
		line += fmt.Sprintf(" %s %d connections, %.2f GB out, %.2f GB in;", h.report.Name,
			h.connections.Load(), float64(h.sent.Load())/1e9, float64(h.received.Load())/1e9)
	}
	return line
}

func descriptors() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

// up makes the instance and both listeners.
func (h *soakHost) up(driver link.Driver) error {
	if err := packetpool.PoolCreate(&h.in, "inbound", soakPayload, soakMemory); err != nil {
		return err
	}
	if err := packetpool.PoolCreate(&h.out, "outbound", soakPayload, soakMemory); err != nil {
		return err
	}
	if err := h.create(driver, h.own); err != nil {
		return err
	}
	l := h.inst.Link()
	h.report.Device, h.report.Offload = l.Device, l.Offload
	var err error
	h.service, err = tcp.Listen(&h.inst, soakService, &tcp.ConnOptions{Pool: &h.out, Window: soakWindow, Queue: 64, Config: soakConfig()})
	if err != nil {
		return err
	}
	h.kernel, err = net.Listen("tcp", ":0")
	return err
}

func soakConfig() *tcp.Config { return &tcp.Config{WindowScaling: true, TransmitQueue: 1000} }

// start starts what serves, and the lanes: by turns the stack is the client and
// the server, over IPv4 and IPv6.
func (h *soakHost) start(s *soak) {
	kernelPort := h.kernel.Addr().(*net.TCPAddr).AddrPort().Port()
	h.serve(s, h.kernel, false)
	h.serve(s, h.service, true)
	for i := range s.options.Lanes {
		far, own, family := h.far[i/2%2].Addr(), h.own[i/2%2].Addr(), []string{"IPv4", "IPv6"}[i/2%2]
		if i%2 == 0 {
			s.lane(fmt.Sprintf("%s %s client %d", h.report.Name, family, i), func(l *soakLane, random *rand.Rand) error {
				return h.client(l, netip.AddrPortFrom(far, kernelPort), random.Uint64(), soakSize(random, h.largest))
			})
			continue
		}
		s.lane(fmt.Sprintf("%s %s server %d", h.report.Name, family, i), func(l *soakLane, random *rand.Rand) error {
			return h.dial(l, netip.AddrPortFrom(own, soakService), random.Uint64(), soakSize(random, h.largest))
		})
	}
}

// A connection begins with the seed and the length of the streams: the one that
// whoever has connected sends, and the one with the next seed that comes back.
const soakHeader = 16

func headerOf(seed uint64, size int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	return binary.LittleEndian.AppendUint64(b, uint64(size))
}

// serve answers connections until the listener is closed. stack tells on which
// side of the device it is.
func (h *soakHost) serve(s *soak, l net.Listener, stack bool) {
	h.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					s.fail("%s: %v", h.report.Name, err)
				}
				return
			}
			h.serving.Go(func() {
				defer c.Close()
				var header [soakHeader]byte
				_, err := io.ReadFull(c, header[:])
				if err == nil {
					seed, size := binary.LittleEndian.Uint64(header[:]), int(binary.LittleEndian.Uint64(header[8:]))
					var unseen atomic.Uint64 // the lane at the other end counts
					err = exchange(c, seed+1, seed, size, &unseen)
					if stack {
						h.sent.Add(uint64(size))
						h.received.Add(uint64(size))
					}
				}
				if err != nil {
					s.fail("%s, serving %v: %v", h.report.Name, c.RemoteAddr(), err)
				}
			})
		}
	})
}

// exchange sends one stream and takes another one at the same time.
func exchange(c net.Conn, sends, takes uint64, size int, moved *atomic.Uint64) error {
	sent := make(chan error, 1)
	go func() { sent <- copyStream(c, newSoakStream(sends, size), moved) }()
	err := checkStream(c, newSoakStream(takes, size), moved)
	return errors.Join(err, <-sent)
}

// dial is a connection from the kernel to the stack.
func (h *soakHost) dial(l *soakLane, to netip.AddrPort, seed uint64, size int) error {
	c, err := net.DialTimeout("tcp", to.String(), longPatience)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(headerOf(seed, size)); err != nil {
		return err
	}
	if err := exchange(c, seed, seed+1, size, &l.moved); err != nil {
		return err
	}
	h.connections.Add(1)
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("%d bytes where the end was expected: %v", n, err)
	}
	return nil
}

// client is a connection from the stack to the kernel, by the services as a
// ported program uses them.
func (h *soakHost) client(l *soakLane, to netip.AddrPort, seed uint64, size int) (err error) {
	s := &socket{host: &h.host, family: packetpool.IPv4TCPPacket}
	if to.Addr().Is6() {
		s.family = packetpool.IPv6TCPPacket
	}
	s.tcp.Config = soakConfig()
	if err := tcp.SocketCreate(&h.inst, &s.tcp, l.name, tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, soakWindow, nil, nil); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.abort()
		}
	}()
	if err := tcp.ClientSocketBind(&s.tcp, tcp.AnyPort, nx.NoWait); err != nil {
		return err
	}
	if err := tcp.ClientSocketConnect(&s.tcp, to.Addr(), uint(to.Port()), nx.Ticks(longPatience)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		err := s.sendBytes(headerOf(seed, size))
		for out := newSoakStream(seed, size); out.left > 0 && err == nil; {
			b := out.next(16 << 10)
			if err = s.sendBytes(b); err == nil {
				l.moved.Add(uint64(len(b)))
				h.sent.Add(uint64(len(b)))
			}
		}
		sent <- err
	}()
	err = h.take(s, l, newSoakStream(seed+1, size))
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	h.connections.Add(1)
	packet, err := tcp.SocketReceive(&s.tcp, nx.Ticks(longPatience))
	if !errors.Is(err, nx.NotConnected) {
		_ = packetpool.Release(packet)
		return fmt.Errorf("the end was expected: %v", err)
	}
	if err := tcp.SocketDisconnect(&s.tcp, nx.Ticks(longPatience)); err != nil {
		return err
	}
	return s.remove()
}

func (s *socket) sendBytes(b []byte) error {
	packet, err := packetpool.Allocate(&s.host.out, s.family, nx.WaitForever)
	if err != nil {
		return err
	}
	if err = packetpool.DataAppend(packet, b, &s.host.out, nx.WaitForever); err == nil {
		err = tcp.SocketSend(&s.tcp, packet, nx.WaitForever)
	}
	if err != nil {
		return errors.Join(err, packetpool.Release(packet))
	}
	return nil
}

// take receives a stream and looks at each byte.
func (h *soakHost) take(s *socket, l *soakLane, want *soakStream) error {
	b := make([]byte, 64<<10)
	for want.left > 0 {
		packet, err := tcp.SocketReceive(&s.tcp, nx.WaitForever)
		if err != nil {
			return fmt.Errorf("%d bytes before the end: %w", want.left, err)
		}
		n, err := packetpool.DataRetrieve(packet, b)
		if err = errors.Join(err, packetpool.Release(packet)); err != nil {
			return err
		}
		l.moved.Add(uint64(n))
		h.received.Add(uint64(n))
		if err := want.check(b[:n]); err != nil {
			return err
		}
	}
	return nil
}

// end takes the instance down, unless some lane stands still, and fills in the
// report.
func (h *soakHost) end(joined bool) error {
	l := h.inst.Link()
	h.report.Connections = h.connections.Load()
	h.report.BytesOut, h.report.BytesIn = h.sent.Load(), h.received.Load()
	h.report.Frames, h.report.Drops = [2]uint64{l.InFrames, l.OutFrames}, map[string]uint64{}
	info, err := ip.InfoGet(&h.inst)
	for _, drops := range []map[string]uint64{l.Drops, info.Drops} {
		for reason, n := range drops {
			h.report.Drops[reason] += n
		}
	}
	if joined {
		err = errors.Join(h.kernel.Close(), h.service.Close())
		h.serving.Wait()
	}
	// The last acknowledgements of connections that have just ended may be on
	// their way.
	limit := time.Now().Add(longPatience)
	for {
		whole := true
		for i, pool := range []*packetpool.Pool{&h.in, &h.out} {
			info, infoErr := packetpool.PoolInfoGet(pool)
			err = errors.Join(err, infoErr)
			h.report.Packets[i], h.report.PacketsFree[i] = info.TotalPackets, info.FreePackets
			whole = whole && info.FreePackets == info.TotalPackets
		}
		if whole || !joined {
			break
		}
		if time.Now().After(limit) {
			err = errors.Join(err, fmt.Errorf("packets are missing: %v %v", h.in.Holders(), h.out.Holders()))
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if joined {
		err = errors.Join(err, h.down())
	}
	return err
}
