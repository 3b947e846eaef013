package capture

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"

	"github.com/gopacket/gopacket/pcapgo"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Driver writes what crosses the endpoint that it opened. It implements
// link.Driver.
type Driver struct {
	below link.Driver
	file  *File

	mu      sync.Mutex // guards the field below
	current *endpoint  // nil: none is open
}

// Wrap makes a driver over another one.
func (f *File) Wrap(driver link.Driver) *Driver { return &Driver{below: driver, file: f} }

// Open implements link.Driver.
func (d *Driver) Open(a link.Attachment) (link.Endpoint, error) {
	if a.Clock == nil {
		a.Clock = nx.RealClock
	}
	below, err := d.below.Open(a.OnWire("capture"))
	if err != nil {
		return nil, err
	}
	e := &endpoint{driver: d, clock: a.Clock, epoch: d.file.Epoch}
	if e.epoch.IsZero() {
		e.epoch = time.Now().Add(-a.Clock.Now())
	}
	e.started = e.epoch.Add(a.Clock.Now())
	info := below.Info()
	e.number = d.file.add(info.Device, strings.TrimSpace(info.Kind+" of "+a.Instance))
	e.Init("capture", below, e)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = e
	return e, nil
}

// Recorder makes comments of events, and hands them on to next, which may be
// nil. Hang it on the instance: the instance gives it to the drivers, too.
func (d *Driver) Recorder(next nx.Recorder) nx.Recorder { return &recorder{d, next} }

type recorder struct {
	driver *Driver
	next   nx.Recorder
}

// Record implements nx.Recorder.
func (r *recorder) Record(event nx.Event) {
	r.driver.mu.Lock()
	e := r.driver.current
	r.driver.mu.Unlock()
	if e != nil {
		e.record(event)
	}
	if r.next != nil {
		r.next.Record(event)
	}
}

// endpoint writes each frame when it has passed, because what happens to it on
// its way becomes a comment. Frames keep the order in which they came.
type endpoint struct {
	link.WireWrapper
	driver  *Driver
	clock   nx.Clock
	epoch   time.Time
	started time.Time
	number  int // of the interface in the file

	mu       sync.Mutex // guards the fields below; taken before that of the file
	frames   []*frame   // not yet written, the oldest first
	comments []string   // for the next frame
	notes    []note     // for frames that are yet to come, each for a certain one
	received uint64
	dropped  uint64
	closing  bool // nothing is held back any more
	closed   bool
}

// frame is one block of the file.
type frame struct {
	at        time.Duration
	direction nx.Direction
	data      []byte
	length    int // of the datagram, when data is only its begin
	datagram  link.Datagram
	comments  []string
	passing   bool // still on its way through the endpoint
}

// WritePackets implements stack.LinkEndpoint.
func (e *endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	list := pkts.AsSlice()
	for _, pkt := range list {
		f := e.begin(nx.Sent, pkt)
		err := e.Send(pkt)
		e.passed(f)
		if err != nil {
			return 0, err
		}
	}
	return len(list), nil
}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (e *endpoint) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	f := e.begin(nx.Received, pkt)
	e.Wrapper.DeliverNetworkPacket(protocol, pkt)
	e.passed(f)
}

func (e *endpoint) begin(direction nx.Direction, pkt *stack.PacketBuffer) *frame {
	f := &frame{at: e.clock.Now(), direction: direction, data: link.Bytes(pkt), passing: true}
	f.datagram, _ = link.Dissect(f.data, len(f.data))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.received++
	f.comments = e.noted(f)
	e.add(f)
	return f
}

// add puts a frame in the line. The caller holds the lock.
func (e *endpoint) add(f *frame) {
	if e.closed {
		return
	}
	f.comments = append(e.comments, f.comments...)
	e.comments = nil
	e.frames = append(e.frames, f)
}

// passed ends a frame's way, and writes the frames that wait for no other.
func (e *endpoint) passed(f *frame) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f.passing = false
	e.write()
}

// write writes the frames at the head of the line, but those that are held
// back. The caller holds the lock.
func (e *endpoint) write() {
	n := slices.IndexFunc(e.frames, func(f *frame) bool { return f.passing })
	if n < 0 {
		n = len(e.frames)
	}
	if !e.closing {
		n = min(n, len(e.frames)-e.driver.file.Hold)
	}
	if n <= 0 {
		return
	}
	e.driver.file.write(e.number, e.epoch, e.frames[:n])
	e.frames = slices.Delete(e.frames, 0, n)
}

// record makes a comment of an event: of the frame that it is about, otherwise
// of the one that passes now, otherwise of the next one. A dropped frame that
// did not come this far is written as far as the event shows it.
func (e *endpoint) record(event nx.Event) {
	text := clip(comment(event))
	if text == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	f, done := e.frameOf(event, text)
	switch {
	case done:
		return
	case f == nil:
		f = e.newest()
	}
	if f != nil {
		f.comments = append(f.comments, text)
		return
	}
	const most = 100 // when no frame comes any more
	if len(e.comments) < most {
		e.comments = append(e.comments, text)
	}
}

// frameOf is the frame that an event is about; nil: none that is known. When it
// is done, the text is where it belongs already. The caller holds the lock.
func (e *endpoint) frameOf(event nx.Event, text string) (f *frame, done bool) {
	switch event := event.(type) {
	case nx.DropEvent:
		e.dropped++
		if f = e.about(event.Direction, event.Packet); f != nil || len(event.Packet) == 0 {
			return f, false
		}
		e.add(&frame{
			at: e.clock.Now(), direction: event.Direction, data: event.Packet, length: event.Bytes, comments: []string{text},
		})
		e.write()
		return nil, true
	case nx.FaultEvent:
		if f = e.about(event.Direction, event.Packet); f == nil && event.Direction == nx.Received && len(event.Packet) > 0 {
			e.await(note{text: text, is: func(f *frame) bool { return resembles(f, event) }, times: 1 + event.Copies, fault: true})
			return nil, true
		}
	case nx.SegmentEvent:
		is := func(f *frame) bool { return carries(f, event) }
		if event.Direction == nx.Sent {
			e.await(note{text: text, is: is, times: 1})
			return nil, true
		}
		return e.last(is), false
	case nx.PoolEmptyEvent:
		if event.Served {
			e.await(note{text: text, is: func(f *frame) bool { return hasData(f, nx.Sent) }, times: 1})
			return nil, true
		}
	case nx.DialogueEvent:
		is := func(f *frame) bool { return hasData(f, event.Direction) }
		if event.Direction == nx.Sent && event.Text != "" { // it is about to be sent
			e.await(note{text: text, is: is, times: 1})
			return nil, true
		}
		return e.last(is), false
	}
	return f, false
}

// about is the frame on its way that begins with head; the newest of several.
func (e *endpoint) about(direction nx.Direction, head []byte) *frame {
	if len(head) == 0 {
		return nil
	}
	for _, f := range slices.Backward(e.frames) {
		if f.passing && f.direction == direction && bytes.HasPrefix(f.data, head) {
			return f
		}
	}
	return nil
}

// newest is the frame that began to pass last.
func (e *endpoint) newest() *frame {
	for _, f := range slices.Backward(e.frames) {
		if f.passing {
			return f
		}
	}
	return nil
}

// Release implements link.Endpoint: comments that no frame came for get an
// empty one, and the interface its statistics.
func (e *endpoint) Release() error {
	err := e.Wrapper.Release()
	e.driver.mu.Lock()
	if e.driver.current == e {
		e.driver.current = nil
	}
	e.driver.mu.Unlock()

	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closing = true
		for _, n := range e.notes {
			if !n.taken { // the frame never came
				e.comments = append(e.comments, n.text)
			}
		}
		if len(e.comments) > 0 {
			e.add(&frame{at: e.clock.Now()}) // without bytes, to carry them
		}
		e.write()
		e.closed = true
		e.driver.file.close(e.number, e.epoch.Add(e.clock.Now()), pcapgo.NgInterfaceStatistics{
			StartTime: e.started, PacketsReceived: e.received, PacketsDropped: e.dropped,
		})
	}
	return err
}
