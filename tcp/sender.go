package tcp

import (
	"sort"

	"gonetx/packetpool"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// sender is what the gate knows of the data that goes out on a connection, and
// the packets that are not acknowledged yet: the transmit queue of the socket.
// It is guarded by the protocol's lock.
type sender struct {
	started bool
	initial uint32 // sequence number of the SYN
	una     uint32 // the oldest byte that is not acknowledged
	next    uint32 // behind what was given to gVisor
	max     uint32 // behind what has been on the wire
	given   uint32 // behind what gVisor has sent, with the release's timing

	window uint32 // the peer's
	widest uint32 // that the peer has shown
	shift  uint8  // of it
	mss    uint32 // of segments: the smaller one of both sides

	queue    fifo[sent]
	segments uint32 // in queue

	fin     uint32 // sequence number of our FIN
	hasFIN  bool   // it was sent
	finDone bool   // and acknowledged
}

// sent is one message on the transmit queue.
type sent struct {
	packet   packetpool.Packet
	end      uint32 // sequence number behind it
	segments uint32
	writing  bool // on its way into gVisor: its packet is still the caller's
	done     bool // acknowledged or flushed while it was
}

// start begins the sequence space at the SYN.
func (t *sender) start(syn uint32) {
	if !t.started {
		t.started, t.initial = true, syn
		t.una, t.next, t.max, t.given = syn+1, syn+1, syn+1, syn+1
	}
}

// outstanding is how many bytes are not acknowledged.
func (t *sender) outstanding() uint32 { return t.next - t.una }

// usable is how many bytes may be sent now: what the peer's window takes, and
// with the release's timing no more than its congestion window. gVisor's own is
// kept by gVisor.
func (c *connection) usable() uint32 {
	t := &c.sender
	window := t.window
	if c.release != nil {
		window = min(window, c.release.inFlight(t.mss))
	}
	if out := t.outstanding(); out < window {
		return window - out
	}
	return 0
}

// mayAcknowledge tells whether a segment acknowledges what it can: nothing that
// was not sent, and nothing older than a window.
func (t *sender) mayAcknowledge(h header.TCP) bool {
	if !t.started || !h.Flags().Contains(header.TCPFlagAck) {
		return true
	}
	ack := h.AckNumber()
	return !before(t.max, ack) && !before(ack, t.una-maxWindow<<t.shift)
}

// push notes a message of length bytes before it is written. The packet stays
// the caller's until settle.
func (t *sender) push(packet packetpool.Packet, length, segments uint32) {
	t.next += length
	t.segments += segments
	t.queue.push(sent{packet: packet, end: t.next, segments: segments, writing: true})
}

// settle ends the writing of the message that push noted last. When gVisor took
// it, its packet is the queue's now, or free, if it was acknowledged meanwhile.
// The caller keeps the packet otherwise. With copied, the queue needs the bytes no
// more: gVisor has its own copy.
func (t *sender) settle(length uint32, took, copied bool, owner packetpool.Owner) {
	queue := t.queue.all()
	last := len(queue) - 1
	if last < 0 || !queue[last].writing {
		return
	}
	m := &queue[last]
	if !took {
		t.next -= length
		t.removeLast()
		return
	}
	m.writing = false
	enqueue := packetpool.Enqueue
	if copied {
		enqueue = packetpool.EnqueueCopied
	}
	packet, err := enqueue(m.packet, owner)
	if err != nil { // its pool was deleted just now: only its memory goes back
		_ = packetpool.Release(m.packet)
		t.removeLast()
		return
	}
	m.packet = packet
	if m.done {
		_ = packetpool.Dequeue(packet)
		t.removeLast()
	}
}

func (t *sender) removeLast() {
	queue := t.queue.all()
	t.segments -= queue[len(queue)-1].segments
	t.queue.unpush()
}

// cuts answers where messages end inside a segment. gVisor joins what it cannot
// send at once, while its congestion window is closed (snd.go,
// maybeSendSegment); here each message leaves as a segment of its own.
func (t *sender) cuts(from, to uint32) (cuts []int) {
	queue := t.queue.all()
	first := sort.Search(len(queue), func(i int) bool { return before(from, queue[i].end) })
	for _, m := range queue[first:] {
		if !before(m.end, to) {
			break
		}
		cuts = append(cuts, int(m.end-from))
	}
	return cuts
}

// acknowledge frees what ack covers. It answers how many bytes are newly
// acknowledged, and whether the number was worth anything: not older than the
// last one, and not for something that was never sent.
func (t *sender) acknowledge(ack uint32) (bytes uint32, valid bool) {
	if before(ack, t.una) || before(t.max, ack) {
		return 0, false
	}
	if t.hasFIN && before(t.fin, ack) {
		t.finDone = true
		ack = t.fin
	}
	if bytes = ack - t.una; bytes == 0 {
		return 0, true
	}
	t.una = ack
	n, queue := 0, t.queue.all()
	for n < len(queue) && !before(ack, queue[n].end) {
		n++
	}
	t.free(n)
	return bytes, true
}

// unshrink is for a peer that takes back a window that it had told: what was
// sent into it is sent again, whole (RFC 9293 section 3.8.6 allows it). gVisor
// would wait for a window of a whole segment, for ever when the peer has no
// larger one (snd.go, maybeSendSegment: SndUna != SndNxt), so it is shown one. A
// window of zero it probes by itself.
func (t *sender) unshrink(h header.TCP) {
	sent := t.max - h.AckNumber()
	if window := uint32(h.WindowSize()) << t.shift; window == 0 || before(t.max, h.AckNumber()) || window >= sent {
		return
	}
	h.SetWindowSize(uint16(min((sent+1<<t.shift-1)>>t.shift, maxWindow)))
}

// free gives the packets of the first n messages back. Only the last one may be
// on its way into gVisor: settle sees to that.
func (t *sender) free(n int) {
	queue := t.queue.all()
	if n > 0 && queue[n-1].writing {
		queue[n-1].done = true
		n--
	}
	for _, m := range queue[:n] {
		t.segments -= m.segments
		_ = packetpool.Dequeue(m.packet) // nobody else has it
	}
	t.queue.drop(n)
}

// flush frees all: the connection has ended.
func (t *sender) flush() {
	t.free(t.queue.len())
	t.una = t.next
}
