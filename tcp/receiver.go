package tcp

import (
	"gonetx/packetpool"
)

// receiver is what the gate knows of the data that comes in on a connection:
// how much, in which segments, and what window the peer was told. It is guarded
// by the protocol's lock.
type receiver struct {
	size  uint32 // of the window, bytes
	share uint32 // of it: what the pool has for the connection now
	mss   uint32 // advertised
	shift int    // of the window on the wire; -1: no scaling

	started bool
	super   bool   // a super-segment has come
	first   uint32 // number of the first byte
	next    uint32 // behind what has come in order, as seen at the gate
	read    uint32 // behind what the program has taken, or what lies in queue
	acked   uint32 // the last acknowledgement number that went out
	edge    uint32 // right edge of the window that went out last

	order []span   // the segments in order, ascending, from read on
	ahead []span   // came before what they follow, ascending
	queue []queued // taken out of the stack, not yet handed out
	head  int      // of queue: those before have been handed out
	held  uint32   // bytes taken out of the stack, not yet handed out

	finished bool // gVisor has acknowledged the peer's FIN, which stands at next
	told     bool // gVisor has told of it

	arrivals uint32 // segments that joined the stream, to see whether one did
	early    uint32 // those of them before the endpoint was known
}

// span is a piece of the sequence space: one segment, or, with gso, as many as
// a super-segment stands for.
type span struct {
	from, to uint32
	gso      uint32
}

// end answers where the segment ends in which the byte at lies.
func (s span) end(at uint32) uint32 {
	if s.gso == 0 {
		return s.to
	}
	end := s.from + ((at-s.from)/s.gso+1)*s.gso
	if before(s.to, end) {
		return s.to
	}
	return end
}

// segments is how many there are from at on.
func (s span) segments(at uint32) uint32 {
	if s.gso == 0 {
		return 1
	}
	return (s.to-s.from+s.gso-1)/s.gso - (at-s.from)/s.gso
}

// before tells that a lies before b in the sequence space.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// later is the one of two places that lies behind the other.
func later(a, b uint32) uint32 {
	if before(a, b) {
		return b
	}
	return a
}

// start begins the sequence space behind the peer's SYN.
func (r *receiver) start(syn uint32) {
	*r = receiver{
		size: r.size, share: r.share, mss: r.mss, shift: r.shift, early: r.early,
		started: true, first: syn + 1, next: syn + 1, read: syn + 1, acked: syn + 1, edge: syn + 1 + r.share,
	}
}

// accept notes a segment with data that goes up to gVisor, as gVisor's
// receiver will treat it (rcv.go, consumeSegment): what continues the stream,
// what waits for something before it, what is known already. It answers how many
// bytes are new.
//
// gVisor may drop a segment that was noted here. It comes again then, and ends
// at the same place; so the places are right, whatever happens.
func (r *receiver) accept(from, length, gso uint32) (fresh uint32) {
	to := from + length
	if r.finished || !before(r.next, to) {
		return 0
	}
	if before(r.next, from) {
		return r.keep(span{from, to, gso})
	}
	fresh = to - r.next
	r.join(span{from, to, gso})
	for len(r.ahead) > 0 && !before(r.next, r.ahead[0].from) {
		if a := r.ahead[0]; before(r.next, a.to) {
			r.join(a)
		}
		r.ahead = r.ahead[1:]
	}
	if len(r.ahead) == 0 {
		r.ahead = nil
	}
	return fresh
}

// join continues the stream.
func (r *receiver) join(s span) {
	r.order = append(r.order, s)
	r.next = s.to
}

// maxAhead bounds what is remembered. What is not does not get to gVisor, which would
// have something then that the gate knows nothing of.
const maxAhead = 4096

func (r *receiver) keep(s span) uint32 {
	at := 0
	for at < len(r.ahead) && before(r.ahead[at].from, s.from) {
		at++
	}
	if at < len(r.ahead) && r.ahead[at] == s {
		return 0
	}
	r.ahead = append(r.ahead, span{})
	copy(r.ahead[at+1:], r.ahead[at:])
	r.ahead[at] = s
	return s.to - s.from
}

// prune forgets the segments that were taken out of the stack. What is left of
// the first one counts from read on.
func (r *receiver) prune() {
	n := 0
	for n < len(r.order) && !before(r.read, r.order[n].to) {
		n++
	}
	if n > 0 {
		r.order = r.order[:copy(r.order, r.order[n:])]
	}
}

// unread is how many bytes have come in order and were not handed out.
func (r *receiver) unread() uint32 {
	if !r.started {
		return 0
	}
	return r.next - r.read + r.held
}

// segments is how many segments are in order and not handed out.
func (r *receiver) segments() uint32 {
	r.prune()
	n := uint32(len(r.queue) - r.head)
	at := r.read
	for _, s := range r.order {
		n += s.segments(later(at, s.from))
		at = s.to
	}
	return n
}

// enqueue puts messages at the end of the queue.
func (r *receiver) enqueue(messages []queued) { r.queue = append(r.queue, messages...) }

// dequeue takes the first message of the queue. The memory of the queue is used
// again when it is empty.
func (r *receiver) dequeue() (q queued, ok bool) {
	if r.head == len(r.queue) {
		return queued{}, false
	}
	q = r.queue[r.head]
	r.queue[r.head] = queued{}
	if r.head++; r.head == len(r.queue) {
		r.queue, r.head = r.queue[:0], 0
	}
	r.held -= q.length
	return q, true
}

// window is what a segment with acknowledgement number ack advertises: the
// right edge moves with what the program takes and never back.
func (r *receiver) window(ack uint32) uint32 {
	ack = r.data(ack)
	edge := r.edge
	if !r.crowded() || r.gain() >= r.step() {
		edge = later(edge, r.read-r.held+r.share)
	}
	if before(edge, ack) {
		return 0
	}
	return edge - ack
}

// data is an acknowledgement number without the FIN, which takes no room.
func (r *receiver) data(ack uint32) uint32 {
	if r.endsWith(ack) {
		return r.next
	}
	return ack
}

// endsWith tells that an acknowledgement of gVisor's covers the peer's FIN: one number
// more than all data that has come. The gate looks at no FIN itself. Which one counts
// is gVisor's to say, and one that is forged, or comes ahead of something, does not.
func (r *receiver) endsWith(ack uint32) bool { return ack == r.next+1 }

// crowded tells that the window is a share of the pool, and that the peer fills it with
// super-segments. They are cut to what it leaves open, and cost as much whatever their
// length, so it opens in large steps then.
func (r *receiver) crowded() bool { return r.super && r.share < r.size }

// step is by how much the window grows before the peer is told: by half of it (RFC 1122
// section 4.2.3.3, nx_tcp_socket_receive.c). Of a small one in a crowd nearly all of
// it, but the peer is never left with less than the segment that it waits to send.
func (r *receiver) step() uint32 {
	step := max(r.share/2, 1)
	if rest := 2 * r.mss; r.crowded() && r.share > rest {
		step = max(step, min(superSegment, r.share-rest))
	}
	return step
}

// low is a window that is nearly closed: four segments, but a kilobyte is enough for the
// next words of a dialogue. With more, no acknowledgement could wait where the window is
// one segment, as that of package smtp is.
func (r *receiver) low() uint32 { return min(4*r.mss, 1000) }

// superSegment is about the largest (link.Info.Offload).
const superSegment = 64 << 10

// shown is the window as the header shows it, and what the peer reads from it.
func (r *receiver) shown(window uint32) (field uint16, meant uint32) {
	shift := max(r.shift, 0)
	window = min(window>>shift, maxWindow)
	return uint16(window), window << shift
}

// gain is by how much the window has grown since the peer was told.
func (r *receiver) gain() uint32 {
	edge := r.read - r.held + r.share
	if before(edge, r.edge) {
		return 0
	}
	return edge - r.edge
}

// forget gives up what has not been taken out of the stack: it is gone.
func (r *receiver) forget() {
	r.order, r.ahead = nil, nil
	r.read = r.next
}

// flush frees what was received and not handed out.
func (r *receiver) flush() {
	for _, q := range r.queue[r.head:] {
		_ = packetpool.Release(q.packet) // nobody else has it
	}
	r.queue, r.head, r.held = nil, 0, 0
	r.forget()
}
