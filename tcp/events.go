package tcp

import (
	"encoding/binary"
	"time"

	"gonetx/ip"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// What a recorder is told of segments and calls.

// record makes the event of a segment, and of each piece of one that leaves in
// pieces. cause is why it is sent, when only the stack knows. There is a recorder.
func (p *protocol) record(direction nx.Direction, seg *ip.Segment) {
	h, flags := seg.TCP, seg.TCP.Flags()
	e := nx.SegmentEvent{
		Instance: p.inst.Name(), Direction: direction, Local: seg.Local, Remote: seg.Remote,
		Flags: uint8(flags), Sequence: h.SequenceNumber(), Ack: h.AckNumber(), Window: uint32(h.WindowSize()),
		Length: seg.Payload, GSOSize: seg.GSOSize, Damaged: seg.Damaged,
	}
	e.Scaled = e.Window
	if flags.Contains(header.TCPFlagSyn) {
		e.MSS, e.Scale = int(mssOf(h)), -1
	} else {
		e.Scaled <<= p.shiftOf(direction, flow{seg.Local, seg.Remote})
	}
	eachOption(h, func(kind byte, option []byte) {
		switch {
		case kind == header.TCPOptionWS && len(option) == header.TCPOptionWSLength && flags.Contains(header.TCPFlagSyn):
			e.Scale = int(option[2])
		case kind == header.TCPOptionSACKPermitted:
			e.Selective = flags.Contains(header.TCPFlagSyn)
		case kind == header.TCPOptionSACK:
			for b := option[2:]; len(b) >= 8; b = b[8:] {
				e.SACK = append(e.SACK, nx.Block{Left: binary.BigEndian.Uint32(b), Right: binary.BigEndian.Uint32(b[4:])})
			}
		}
	})
	if len(seg.Cuts) == 0 {
		p.recorder.Record(e)
		return
	}
	from := 0
	for _, to := range append(seg.Cuts[:len(seg.Cuts):len(seg.Cuts)], seg.Payload) {
		piece := e
		piece.Sequence, piece.Length = e.Sequence+uint32(from), to-from
		if to != seg.Payload {
			piece.Flags &^= uint8(header.TCPFlagFin)
		}
		p.recorder.Record(piece)
		from = to
	}
}

// shiftOf is how far the window in a segment's header is to be shifted.
func (p *protocol) shiftOf(direction nx.Direction, f flow) uint8 {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.connections[f]
	switch {
	case c == nil:
		return 0
	case direction == nx.Received:
		return c.sender.shift
	}
	return uint8(max(c.receiver.shift, 0))
}

// call is a service call on a socket, for a recorder. It is nothing when there
// is none.
type call struct {
	p       *protocol
	service string
	socket  *Socket
	began   time.Duration
}

// called begins a call.
func (p *protocol) called(service string, s *Socket) call {
	if p.recorder == nil {
		return call{}
	}
	return call{p, service, s, p.clock.Now()}
}

// end makes the event. bytes is how much data the call moved.
func (c call) end(status nx.Status, bytes uint32) {
	if c.p != nil {
		c.p.recorder.Record(nx.CallEvent{
			Service: c.service, Object: c.socket.name, Took: c.p.clock.Now() - c.began, Status: status.String(), Bytes: int(bytes),
		})
	}
}
