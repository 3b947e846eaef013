package tun

import (
	"errors"
	"iter"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/tun/netns"
	"gonetx/packetpool/nx"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// endpoint is an open device. Its reader is one goroutine, started by Attach
// and ended by Stop.
type endpoint struct {
	link.Base
	driver *Driver
	device *device
	raw    syscall.RawConn
	spin   time.Duration
	idle   time.Time // since when the reader waits; zero: it does not
	intake intake
	ended  chan struct{} // closed by the reader

	stopping atomic.Bool   // the reader shall end
	verified atomic.Bool   // the frame under delivery needs no checksum verified
	downs    atomic.Uint32 // odd while the device takes no frames; counts with each change

	mu      sync.Mutex // guards the field below
	reading bool       // the reader was started

	writings sync.Pool // of *writing

	// writers is held for reading while a frame is written and for writing by
	// Release, so that no write hits a descriptor that is somebody else's.
	writers sync.RWMutex
	fd      int // -1 after Release
}

// writing is the memory that one write needs.
type writing struct {
	header [vnetBytes]byte
	iov    []unix.Iovec
	flat   [flatBytes]byte
}

// flatBytes is up to where a frame is copied into one piece before it is written: the
// kernel takes longer for a list of pieces than such a copy takes.
const flatBytes = 1024

var _ stack.GSOEndpoint = (*endpoint)(nil)

// open makes the endpoint, in the namespace that is configured.
func (d *Driver) open(a link.Attachment) (link.Endpoint, error) {
	noOffload := ""
	switch {
	case d.config.Offload == OffloadOff:
		noOffload = "offload is switched off"
	case a.WireSegments != "":
		noOffload = "wire segments for " + a.WireSegments
	}
	var dev *device
	opening := func() (err error) {
		dev, err = openDevice(d.config, link.LargestFrame(a.Pool), noOffload)
		return err
	}
	if d.config.Namespace == "" {
		if err := opening(); err != nil {
			return nil, err
		}
		return newEndpoint(d, dev, a)
	}
	ns, err := netns.Open(d.config.Namespace)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := ns.Do(opening); err != nil {
		return nil, err
	}
	return newEndpoint(d, dev, a)
}

func newEndpoint(d *Driver, dev *device, a link.Attachment) (*endpoint, error) {
	e := &endpoint{driver: d, device: dev, spin: d.config.Spin, ended: make(chan struct{})}
	if e.spin == 0 {
		e.spin = defaultSpin
	}
	e.writings.New = func() any { return new(writing) }
	e.Init("tun", dev.name, dev.mtu, a)
	e.intake.init(&e.Base, max(dev.tso, dev.mtu), dev.vnet)
	var err error
	if e.raw, err = dev.file.SyscallConn(); err != nil {
		return nil, err
	}
	err = e.raw.Control(func(fd uintptr) { e.fd = int(fd) })
	return e, err
}

// SupportedGSO implements stack.GSOEndpoint.
func (e *endpoint) SupportedGSO() stack.SupportedGSO {
	if e.device.vnet {
		return stack.HostGSOSupported
	}
	return stack.GSONotSupported
}

// GSOMaxSize implements stack.GSOEndpoint.
func (e *endpoint) GSOMaxSize() uint32 {
	if e.device.vnet {
		return 65535
	}
	return 0
}

// Capabilities implements stack.LinkEndpoint. The checksum capability is that
// of the frame under delivery: nic.DeliverNetworkPacket asks for it on each
// frame, in the reader's goroutine, and trusts every checksum when it is set;
// nobody else asks for that bit. So a frame that the kernel has not vouched for
// is verified by the stack.
//
// The stack makes its checksums itself, except on what carries GSO options:
// with CapabilityTXChecksumOffload, SYN and RST would leave without one.
func (e *endpoint) Capabilities() stack.LinkEndpointCapabilities {
	if e.verified.Load() {
		return stack.CapabilityRXChecksumOffload
	}
	return stack.CapabilityNone
}

// maxPieces is how many pieces one write takes: UIO_MAXIOV.
const maxPieces = 1024

// WritePackets implements stack.LinkEndpoint: one write a packet, in the
// goroutine of the caller. A device never makes the writer wait.
func (e *endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	list := pkts.AsSlice()
	for _, pkt := range list {
		if reason := e.write(pkt); reason != "" {
			e.Drop(nx.Sent, reason, pkt.Size(), link.Head(pkt))
		}
	}
	return len(list), nil
}

// write answers why the packet was dropped; nothing when it was not.
func (e *endpoint) write(pkt *stack.PacketBuffer) (reason string) {
	w := e.writings.Get().(*writing)
	defer e.writings.Put(w)
	var header []byte
	if e.device.vnet {
		putVNet(&w.header, pkt)
		header = w.header[:]
	} else if pkt.GSOOptions.Type != stack.GSONone {
		return DropSuper
	}
	small := len(header)+pkt.Size() <= flatBytes
	iov, flat := w.iov[:0], w.flat[:0]
	for b := range pieces(header, pkt) {
		if small {
			flat = append(flat, b...)
		} else {
			iov = append(iov, iovec(b))
		}
	}
	w.iov = iov
	if len(iov) > maxPieces {
		return DropPieces
	}
	downs := e.downs.Load()
	e.writers.RLock()
	released, errno := e.fd < 0, unix.Errno(0)
	switch {
	case released:
	case small:
		errno = write(e.fd, flat)
	default:
		errno = writev(e.fd, iov)
	}
	e.writers.RUnlock()
	if released {
		return link.DropReleased
	}
	if errno != 0 {
		return e.refused(errno)
	}
	e.CountOut(1)
	if downs%2 == 1 && e.downs.CompareAndSwap(downs, downs+1) { // nobody has found it down since
		e.LinkChange(true, nil)
	}
	return ""
}

// pieces yields what of a frame lies together, behind its vnet header.
func pieces(header []byte, pkt *stack.PacketBuffer) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if len(header) > 0 && !yield(header) {
			return
		}
		views, skip := pkt.AsViewList()
		for v := views.Front(); v != nil; v = v.Next() {
			b := v.AsSlice()
			if len(b) <= skip {
				skip -= len(b)
				continue
			}
			if !yield(b[skip:]) {
				return
			}
			skip = 0
		}
	}
}

// refused tells what an error of the device means. EIO: it is not up; EBADFD:
// it was deleted.
func (e *endpoint) refused(errno unix.Errno) (reason string) {
	switch errno {
	case unix.EIO:
		if downs := e.downs.Load(); downs%2 == 0 && e.downs.CompareAndSwap(downs, downs+1) {
			e.LinkChange(false, errors.New(DropDeviceDown))
		}
		return DropDeviceDown
	case unix.EBADFD:
		e.LinkChange(false, disappeared(errno))
		return string(Disappeared)
	}
	return DropDeviceError + errno.Error()
}

func disappeared(err error) error {
	return &netns.Error{Step: "read from the device", Cause: Disappeared, Err: err}
}

// Attach implements stack.LinkEndpoint. The first stack starts the reader.
func (e *endpoint) Attach(d stack.NetworkDispatcher) {
	e.Base.Attach(d)
	if d == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.reading && !e.stopping.Load() {
		e.reading = true
		go e.receive()
	}
}

// Stop implements link.Endpoint. The deadline ends the wait of a parked
// reader; the flag ends a busy one.
func (e *endpoint) Stop() {
	e.mu.Lock()
	e.stopping.Store(true)
	reading := e.reading
	e.mu.Unlock()
	_ = e.device.file.SetReadDeadline(time.Unix(1, 0)) // fails on a closed file, whose reader has ended
	if reading {
		<-e.ended
	}
}

// Release implements link.Endpoint. A device that was made by Open is gone
// afterwards; any other stays, without offload.
func (e *endpoint) Release() error {
	e.Stop()
	e.writers.Lock()
	defer e.writers.Unlock()
	if e.fd < 0 {
		return nil
	}
	e.fd = -1
	e.driver.free()
	if e.device.stays && e.device.vnet {
		_ = e.device.takeOffloadBack() // it may be gone
	}
	return e.device.file.Close()
}

// Info implements link.Endpoint.
func (e *endpoint) Info() link.Info {
	info := e.Base.Info()
	e.writers.RLock()
	released := e.fd < 0
	e.writers.RUnlock()
	info.Offload = e.device.vnet
	switch {
	case released:
		info.Up, info.Why = false, link.DropReleased
	case info.Up:
		info.Why = e.device.why
	}
	return info
}

// receive is the reader.
func (e *endpoint) receive() {
	defer close(e.ended)
	// drain answers false when there is nothing to read, and the runtime parks
	// the goroutine until there is; it calls again for ever, until the deadline
	// that Stop sets, or until drain answers true because the device is gone.
	var gone error
	err := e.raw.Read(func(fd uintptr) bool {
		gone = e.drain(int(fd))
		return gone != nil
	})
	e.intake.park()
	if err == nil {
		err = gone
	}
	if !e.stopping.Load() && !errors.Is(err, os.ErrDeadlineExceeded) {
		e.LinkChange(false, disappeared(err))
	}
}

// turn is how many bytes the reader takes before it lets those run whom they are for:
// what a processor's cache holds. Where many connections receive, it would take in
// all their windows otherwise, and each byte would be gone from the cache when its
// program wants it.
const turn = 1 << 20

// drain reads until there has been nothing for as long as the spin lasts. An
// error tells that the device is gone.
func (e *endpoint) drain(fd int) error {
	taken := 0
	for !e.stopping.Load() {
		n, errno := e.intake.read(fd)
		switch {
		case errno == 0 && n > 0:
			e.idle = time.Time{}
			e.take(n)
			if taken += n; taken >= turn {
				taken = 0
				runtime.Gosched()
			}
		case errno == 0:
			return os.ErrClosed // a TUN device has no end of file
		case errno == unix.EINTR:
		case errno != unix.EAGAIN:
			return errno
		case !e.spins():
			e.intake.park()
			return nil
		default:
			taken = 0
			runtime.Gosched()
		}
	}
	return nil
}

// spins tells whether the reader, for which there is nothing at the moment, looks
// again at once.
func (e *endpoint) spins() bool {
	switch {
	case e.spin < 0:
		return false
	case e.idle.IsZero():
		e.idle = time.Now()
		return true
	}
	return time.Since(e.idle) < e.spin
}

// take delivers what was read: n bytes of the intake.
func (e *endpoint) take(n int) {
	e.CountIn(1)
	head := e.intake.head(n)
	pkt, protocol, reason := e.intake.packet(n)
	if reason != "" {
		e.Drop(nx.Received, reason, n, head)
		return
	}
	if e.verified.Load() != pkt.RXChecksumValidated {
		e.verified.Store(pkt.RXChecksumValidated)
	}
	e.DeliverPacket(protocol, pkt)
	e.intake.reclaim(pkt)
	pkt.DecRef()
}
