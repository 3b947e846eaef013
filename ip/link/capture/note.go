package capture

import (
	"slices"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// note is a comment for a certain frame that is yet to come.
type note struct {
	text  string
	is    func(*frame) bool
	fault bool // what a fault has done: a frame has one of these
	times int  // so many frames are meant
	taken bool // by one of them
}

// await keeps a note. The oldest ones go when there are too many: their frames
// were lost. The caller holds the lock.
func (e *endpoint) await(n note) {
	const most = 256
	if len(e.notes) == most {
		e.notes = slices.Delete(e.notes, 0, 1)
	}
	e.notes = append(e.notes, n)
}

// noted takes the notes for a frame. The caller holds the lock.
func (e *endpoint) noted(f *frame) (comments []string) {
	e.notes = slices.DeleteFunc(e.notes, func(n note) bool { return n.times == 0 })
	changed := false
	for i := range e.notes {
		if n := &e.notes[i]; !(n.fault && changed) && n.is(f) {
			changed = changed || n.fault
			comments = append(comments, n.text)
			n.times, n.taken = n.times-1, true
		}
	}
	return comments
}

// last is the newest frame of which something holds, as long as it is not
// written; nil: none.
func (e *endpoint) last(is func(*frame) bool) *frame {
	for _, f := range slices.Backward(e.frames) {
		if is(f) {
			return f
		}
	}
	return nil
}

// hasData tells whether a frame is a segment with data.
func hasData(f *frame, d nx.Direction) bool {
	return f.direction == d && f.datagram.Transport == header.TCPProtocolNumber && f.datagram.Length > 0
}

// carries tells whether a frame is the segment of an event.
func carries(f *frame, e nx.SegmentEvent) bool {
	from, to := e.Local, e.Remote
	if e.Direction == nx.Received {
		from, to = to, from
	}
	d := &f.datagram
	return f.direction == e.Direction && d.From == from && d.To == to && d.Sequence == e.Sequence &&
		uint8(d.Flags) == e.Flags && d.Length == e.Length
}

// resembles tells whether a frame is the one that a fault has changed: its
// begin is the same but for the bit that was turned over. The pieces of one that
// was split are not looked for.
func resembles(f *frame, e nx.FaultEvent) bool {
	n := len(e.Packet)
	if f.direction != e.Direction || len(f.data) != e.Bytes || len(f.data) < n {
		return false
	}
	different := 0
	for i := range n {
		if f.data[i] != e.Packet[i] {
			different++
		}
	}
	switch {
	case !e.Corrupted:
		return different == 0
	case n == e.Bytes:
		return different == 1
	}
	return different <= 1
}
