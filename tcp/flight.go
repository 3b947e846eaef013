package tcp

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// flying is a part of the stream that was sent and is not acknowledged. gVisor
// has its bytes; the watch of the gate sends from here when gVisor does not.
type flying struct {
	from, to uint32
	data     buffer.Buffer // references to gVisor's memory, no copy
}

// fly keeps what is new in a segment that leaves. It is called before reach.
func (t *sender) fly(pkt *stack.PacketBuffer, from, to uint32) {
	if !before(t.max, to) {
		return
	}
	data := pkt.Data().ToBuffer()
	if before(from, t.max) {
		data.TrimFront(int64(t.max - from))
		from = t.max
	}
	t.flight.push(flying{from, to, data})
}

// land lets go of what is acknowledged.
func (t *sender) land() {
	n, flight := 0, t.flight.all()
	for n < len(flight) && !before(t.una, flight[n].to) {
		flight[n].data.Release()
		n++
	}
	t.flight.drop(n)
}

// missing is the first segment that is not acknowledged; false when there is
// none.
func (t *sender) missing() (control, bool) {
	if t.flight.len() == 0 {
		return control{}, false
	}
	first := &t.flight.all()[0]
	from := later(t.una, first.from)
	n := min(first.to-from, max(t.mss, 1))
	data := make([]byte, n)
	read, _ := first.data.ReadAt(data, int64(from-first.from)) // less than asked for only at the end
	return control{seq: from, data: data[:read]}, true
}
