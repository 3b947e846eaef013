package fault

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// endpoint has no goroutine of its own. Frames that are late lie in a queue
// that a timer of the clock empties; Stop ends the timer and the queue.
type endpoint struct {
	link.WireWrapper
	driver   *Driver
	clock    nx.Clock
	recorder nx.Recorder
	drops    link.Drops

	// delivering makes the reader and the timer one goroutine for the stack.
	delivering sync.Mutex
	// releasing is held by the timer's function. It is taken before mu and
	// before delivering.
	releasing sync.Mutex

	mu      sync.Mutex // guards the fields below
	frames  uint64     // that got a number
	late    lateFrames
	pushed  uint64 // frames that were late
	behind  int    // of those that are late, how many wait to be overtaken
	timer   nx.Timer
	stopped bool
}

// WritePackets implements stack.LinkEndpoint.
func (e *endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	list := pkts.AsSlice()
	for _, pkt := range list {
		number, passes := e.handle(nx.Sent, pkt)
		if !passes {
			continue
		}
		if err := e.Send(pkt); err != nil {
			return 0, err
		}
		e.overtaken(nx.Sent, number)
	}
	return len(list), nil
}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (e *endpoint) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	if number, passes := e.handle(nx.Received, pkt); passes {
		e.deliver(protocol, pkt)
		e.overtaken(nx.Received, number)
	}
}

func (e *endpoint) deliver(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	e.delivering.Lock()
	defer e.delivering.Unlock()
	e.Wrapper.DeliverNetworkPacket(protocol, pkt)
}

// handle answers true for a packet that passes as it is. It has done with any
// other.
func (e *endpoint) handle(direction nx.Direction, pkt *stack.PacketBuffer) (number uint64, passes bool) {
	number, stopped := e.next()
	if stopped {
		return number, true
	}
	data := link.Bytes(pkt)
	f := e.driver.decide(direction, data, e.clock.Now())
	if f.Drop {
		e.drops.Add(e.recorder, "fault", direction, f.reason, len(data), data)
		return number, false
	}
	if f.Verdict == (Verdict{}) && f.wait == 0 {
		return number, true
	}
	e.record(direction, f, data)
	if f.Corrupt {
		corrupt(data, f.bit)
	}
	parts := [][]byte{data}
	if f.Split > 0 {
		parts = split(data, f.Split)
	}
	for _, part := range parts {
		for range 1 + f.Duplicate {
			e.move(&lateFrame{direction: direction, data: part, number: number}, f)
		}
	}
	return number, false
}

// next numbers the frames of both directions.
func (e *endpoint) next() (number uint64, stopped bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.frames++
	return e.frames, e.stopped
}

// move sends a frame on, now or later.
func (e *endpoint) move(l *lateFrame, f fate) {
	if f.wait == 0 && !f.Reorder {
		e.forward(l)
		return
	}
	e.mu.Lock()
	if e.stopped { // since it got its number
		e.mu.Unlock()
		e.leave(l)
		return
	}
	defer e.mu.Unlock()
	l.due = e.clock.Now() + f.wait
	if f.Reorder {
		l.behind, l.due = true, l.due+reorderWait
		e.behind++
	}
	e.pushed++
	l.order = e.pushed
	heap.Push(&e.late, l)
	e.arm()
}

// forward sends a frame on, and those that waited to come behind it.
func (e *endpoint) forward(l *lateFrame) {
	e.hand(l)
	e.overtaken(l.direction, l.number)
}

// hand makes a packet of a frame and hands it on.
func (e *endpoint) hand(l *lateFrame) {
	protocol := link.Protocol(l.data[0])
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(l.data)})
	defer pkt.DecRef()
	pkt.NetworkProtocolNumber = protocol
	if l.direction == nx.Received {
		e.deliver(protocol, pkt)
		return
	}
	_ = e.Send(pkt) // the endpoint below counts what it does not take
}

// overtaken hands on the frames that waited for a later one of their direction.
func (e *endpoint) overtaken(direction nx.Direction, by uint64) {
	e.mu.Lock()
	if e.behind == 0 {
		e.mu.Unlock()
		return
	}
	var passed []*lateFrame
	e.late = slices.DeleteFunc(e.late, func(l *lateFrame) bool {
		if !l.behind || l.direction != direction || l.number >= by {
			return false
		}
		passed = append(passed, l)
		return true
	})
	heap.Init(&e.late)
	e.behind -= len(passed)
	e.mu.Unlock()
	slices.SortFunc(passed, (*lateFrame).compare)
	for _, l := range passed {
		e.hand(l)
	}
}

// arm sets the timer to the first frame that is due. The caller holds mu.
func (e *endpoint) arm() {
	if len(e.late) == 0 || e.stopped {
		return
	}
	wait := max(e.late[0].due-e.clock.Now(), 0)
	if e.timer == nil {
		e.timer = e.clock.AfterFunc(wait, e.release)
		return
	}
	e.timer.Reset(wait)
}

// release is the timer's function: it sends what is due. A driven clock gets
// the frames one at a time, so that the stacks have done with each before the
// next one comes.
func (e *endpoint) release() {
	e.releasing.Lock()
	defer e.releasing.Unlock()
	_, driven := e.clock.(nx.Parker)
	for sent := false; ; sent = true {
		e.mu.Lock()
		if e.stopped || len(e.late) == 0 || e.late[0].due > e.clock.Now() || driven && sent {
			e.arm()
			e.mu.Unlock()
			return
		}
		l := heap.Pop(&e.late).(*lateFrame)
		if l.behind {
			e.behind--
		}
		e.mu.Unlock()
		e.forward(l)
	}
}

// Stop implements link.Endpoint. What is late on its way out leaves now: the
// resets of a stack that closes are among it. What is late on its way in is
// dropped.
func (e *endpoint) Stop() {
	e.Wrapper.Stop()
	e.mu.Lock()
	e.stopped = true
	if e.timer != nil {
		e.timer.Stop()
	}
	left := e.late
	e.late, e.behind = nil, 0
	e.mu.Unlock()
	e.releasing.Lock() // the timer's function has ended
	defer e.releasing.Unlock()
	slices.SortFunc(left, (*lateFrame).compare)
	for _, l := range left {
		e.leave(l)
	}
}

// leave ends the wait of a frame that is late when the endpoint stops.
func (e *endpoint) leave(l *lateFrame) {
	if l.direction == nx.Sent {
		e.hand(l)
		return
	}
	e.drops.Add(e.recorder, "fault", l.direction, DropStop, len(l.data), l.data)
}

// Info implements link.Endpoint.
func (e *endpoint) Info() link.Info {
	info := e.Wrapper.Info()
	e.drops.Show(&info)
	return info
}

// record makes the event of what is done to a frame.
func (e *endpoint) record(direction nx.Direction, f fate, data []byte) {
	if e.recorder == nil {
		return
	}
	var done []string
	if f.wait > 0 {
		done = append(done, fmt.Sprintf("delayed %v", f.wait.Round(time.Microsecond)))
	}
	if f.Reorder {
		done = append(done, "put behind the next frame")
	}
	if f.Duplicate > 0 {
		done = append(done, fmt.Sprintf("sent %d times", 1+f.Duplicate))
	}
	if f.Corrupt {
		done = append(done, "corrupted")
	}
	if f.Split > 0 {
		done = append(done, fmt.Sprintf("split after byte %d of its data", f.Split))
	}
	e.recorder.Record(nx.FaultEvent{
		Direction: direction, Done: strings.Join(done, ", "), Bytes: len(data), Copies: f.Duplicate, Corrupted: f.Corrupt,
		Packet: slices.Clone(data[:min(len(data), link.HeadBytes)]),
	})
}

// lateFrame is a frame that is still on the wire.
type lateFrame struct {
	direction nx.Direction
	data      []byte
	due       time.Duration
	number    uint64
	order     uint64 // among the parts and copies of a frame
	behind    bool   // moves as soon as a frame with a higher number has
}

// compare orders by the time when a frame is due, then as they came.
func (l *lateFrame) compare(m *lateFrame) int {
	return cmp.Or(cmp.Compare(l.due, m.due), cmp.Compare(l.number, m.number), cmp.Compare(l.order, m.order))
}

// lateFrames is a heap.
type lateFrames []*lateFrame

func (h lateFrames) Len() int           { return len(h) }
func (h lateFrames) Less(i, j int) bool { return h[i].compare(h[j]) < 0 }
func (h lateFrames) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lateFrames) Push(x any)        { *h = append(*h, x.(*lateFrame)) }

func (h *lateFrames) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
