package ram

import (
	"errors"
	"slices"
	"sync"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Driver is one port of a network. It implements link.Driver.
type Driver struct {
	network *Network
	device  string

	mu        sync.Mutex // guards the fields below
	current   *endpoint  // nil: free
	unplugged bool
}

// ErrUnplugged is why the link is down after Unplug.
var ErrUnplugged = errors.New("the cable is unplugged")

// Open implements link.Driver.
func (d *Driver) Open(a link.Attachment) (link.Endpoint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current != nil {
		return nil, link.ErrInUse
	}
	e := &endpoint{driver: d, network: d.network, ended: make(chan struct{})}
	e.Init("ram", d.device, d.network.config.MTU, a)
	if d.unplugged {
		e.LinkChange(false, ErrUnplugged)
	}
	d.current = e

	n := d.network
	n.mu.Lock()
	n.open = append(n.open, e)
	n.mu.Unlock()
	return e, nil
}

// Unplug pulls the cable: frames in both directions are dropped, and the
// instance is told. Plug puts it back. Both may be called at any time.
func (d *Driver) Unplug() { d.plug(false) }

// Plug undoes Unplug.
func (d *Driver) Plug() { d.plug(true) }

func (d *Driver) plug(in bool) {
	d.mu.Lock()
	d.unplugged = !in
	e := d.current
	d.mu.Unlock()
	if e == nil {
		return
	}
	if in {
		e.LinkChange(true, nil)
	} else {
		e.LinkChange(false, ErrUnplugged)
	}
}

func (d *Driver) pluggedIn() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.unplugged
}

// frame is a datagram with the port that sent it; nil when it was injected.
type frame struct {
	Frame
	from    *endpoint
	arrived bool // see Network.Arrive
	at      []arrival
}

// arrival is a frame at one of the ports that it goes to.
type arrival struct {
	port  *endpoint
	frame link.Stored
}

// endpoint is what a port is while an instance uses it. Its reader is one
// goroutine, started by Attach and ended by Stop; in manual mode there is none.
type endpoint struct {
	link.Base
	driver  *Driver
	network *Network
	ended   chan struct{} // closed by the reader

	mu       sync.Mutex // guards the fields below
	waiting  queue
	parked   *nx.Suspension // of the reader, while it waits for a frame
	reading  bool           // the reader was started
	stopped  bool
	released bool

	delivering sync.Mutex // manual mode: held by Step for one delivery; taken before mu
}

// Attach implements stack.LinkEndpoint. The first stack starts the reader.
func (e *endpoint) Attach(d stack.NetworkDispatcher) {
	e.Base.Attach(d)
	if d == nil || e.network.config.Manual {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.reading && !e.stopped {
		e.reading = true
		go e.receive()
	}
}

// receive is the reader.
func (e *endpoint) receive() {
	defer close(e.ended)
	for {
		e.mu.Lock()
		if e.stopped {
			e.mu.Unlock()
			return
		}
		f, ok := e.waiting.pop()
		if !ok {
			s := nx.NewSuspension(e.Attachment().Clock)
			e.parked = s
			e.mu.Unlock()
			s.Await(nx.WaitForever)
			continue
		}
		e.mu.Unlock()
		e.Deliver(f.Data)
	}
}

// wake ends the reader's wait, if it waits. The caller holds the lock.
func (e *endpoint) wake() {
	if e.parked != nil {
		e.parked.Resume()
		e.parked = nil
	}
}

// enqueue gives a frame to the reader.
func (e *endpoint) enqueue(f frame) {
	if !e.driver.pluggedIn() {
		e.Drop(nx.Received, link.DropLinkDown, len(f.Data), f.Data)
		return
	}
	e.mu.Lock()
	full := e.waiting.len() >= e.network.config.Queue
	stopped := e.stopped
	if !full && !stopped {
		e.waiting.push(f)
		e.wake()
	}
	e.mu.Unlock()
	if stopped {
		e.Drop(nx.Received, link.DropStopped, len(f.Data), f.Data)
	} else if full {
		e.Drop(nx.Received, link.DropQueueFull, len(f.Data), f.Data)
	}
}

// deliver gives a frame to the stack, in the goroutine of Step.
func (e *endpoint) deliver(f frame) {
	e.delivering.Lock()
	defer e.delivering.Unlock()
	if e.takes(f) {
		e.Deliver(f.Data)
	}
}

// takes tells whether a frame can come in now. If not it is dropped.
func (e *endpoint) takes(f frame) bool {
	e.mu.Lock()
	stopped := e.stopped
	e.mu.Unlock()
	switch {
	case stopped:
		e.Drop(nx.Received, link.DropStopped, len(f.Data), f.Data)
	case !e.driver.pluggedIn():
		e.Drop(nx.Received, link.DropLinkDown, len(f.Data), f.Data)
	default:
		return true
	}
	return false
}

// arrive stores a frame for the stack.
func (e *endpoint) arrive(f *frame) {
	e.delivering.Lock()
	defer e.delivering.Unlock()
	if !e.takes(*f) {
		return
	}
	if stored, ok := e.Base.Arrive(f.Data); ok {
		f.at = append(f.at, arrival{e, stored})
	}
}

// hand gives a stored frame to the stack.
func (a arrival) hand(f frame) {
	e := a.port
	e.delivering.Lock()
	defer e.delivering.Unlock()
	e.Hand(a.frame, e.takes(f))
}

func (e *endpoint) pending() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.waiting.len()
}

// WritePackets implements stack.LinkEndpoint. A frame that is dropped counts
// as sent, as on any wire.
func (e *endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	list := pkts.AsSlice()
	for _, pkt := range list {
		e.send(link.Bytes(pkt))
	}
	return len(list), nil
}

func (e *endpoint) send(data []byte) {
	e.mu.Lock()
	released := e.released
	e.mu.Unlock()
	reason := ""
	switch {
	case released:
		reason = link.DropReleased
	case !e.driver.pluggedIn():
		reason = link.DropLinkDown
	case len(data) > int(e.network.config.MTU):
		reason = link.DropTooLong
	case e.network.wireFull():
		reason = link.DropQueueFull
	}
	if reason != "" {
		e.Drop(nx.Sent, reason, len(data), data)
		return
	}
	e.CountOut(1)
	e.network.put(frame{Frame: Frame{From: e.Attachment().Instance, Data: data}, from: e})
}

// Stop implements link.Endpoint. Frames that wait are dropped.
func (e *endpoint) Stop() {
	e.delivering.Lock()
	e.mu.Lock()
	e.stopped = true
	left := e.waiting
	e.waiting = queue{}
	e.wake()
	reading := e.reading
	e.mu.Unlock()
	e.delivering.Unlock()

	for f, ok := left.pop(); ok; f, ok = left.pop() {
		e.Drop(nx.Received, link.DropStopped, len(f.Data), f.Data)
	}
	if reading {
		<-e.ended
	}
}

// Release implements link.Endpoint: the port is free again.
func (e *endpoint) Release() error {
	e.Stop()
	e.mu.Lock()
	e.released = true
	e.mu.Unlock()

	n := e.network
	n.mu.Lock()
	n.open = slices.DeleteFunc(n.open, func(other *endpoint) bool { return other == e })
	n.mu.Unlock()

	e.driver.mu.Lock()
	defer e.driver.mu.Unlock()
	if e.driver.current == e {
		e.driver.current = nil
	}
	return nil
}

// Info implements link.Endpoint.
func (e *endpoint) Info() link.Info {
	info := e.Base.Info()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.released {
		info.Up, info.Why = false, link.DropReleased
	} else if info.Up {
		info.Why = "a network in memory carries wire segments"
	}
	return info
}

// queue is a FIFO of frames.
type queue struct {
	frames []frame
	first  int
}

func (q *queue) len() int { return len(q.frames) - q.first }

func (q *queue) push(f frame) {
	if q.first > len(q.frames)/2 { // a queue that is never empty must not grow for ever
		n := copy(q.frames, q.frames[q.first:])
		clear(q.frames[n:])
		q.frames, q.first = q.frames[:n], 0
	}
	q.frames = append(q.frames, f)
}

func (q *queue) pop() (frame, bool) {
	if q.len() == 0 {
		return frame{}, false
	}
	f := q.frames[q.first]
	q.frames[q.first] = frame{}
	q.first++
	if q.first == len(q.frames) {
		q.frames, q.first = q.frames[:0], 0
	}
	return f, true
}

// find is the oldest frame of which that is true; nil: there is none.
func (q *queue) find(is func(*frame) bool) *frame {
	for i := q.first; i < len(q.frames); i++ {
		if is(&q.frames[i]) {
			return &q.frames[i]
		}
	}
	return nil
}

// take removes the oldest frame that pick accepts.
func (q *queue) take(pick func(Frame) bool) (frame, bool) {
	for i := q.first; i < len(q.frames); i++ {
		f := q.frames[i]
		if !pick(f.Frame) {
			continue
		}
		if i == q.first {
			return q.pop()
		}
		q.frames = slices.Delete(q.frames, i, i+1)
		return f, true
	}
	return frame{}, false
}
