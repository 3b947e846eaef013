package trace

import (
	"encoding/binary"
	"fmt"
	"time"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"
)

// arrival is a segment that has come in.
type arrival struct {
	flow     flow
	from, to uint32
	ack      uint32
	at       time.Duration
}

// connection is what is known of a flow; it is told of before its first
// segment. The caller holds the lock.
func (s *Side) connection(at time.Duration, f flow, d nx.Direction, flags uint8) *conn {
	if c := s.connections[f]; c != nil {
		return c
	}
	s.w.connections++
	c := &conn{id: s.w.connections, role: "unknown", copied: make(map[uint32]bool)}
	if flags&(syn|ack) == syn {
		c.role = "server"
		if d == nx.Sent {
			c.role = "client"
		}
	}
	s.connections[f] = c
	s.put(at, ConnectionStarted, &Connection{Connection: c.id, Local: address(f.local), Remote: address(f.remote), Role: c.role})
	return c
}

// segment tells of a segment. The caller holds the lock.
func (s *Side) segment(at time.Duration, e nx.SegmentEvent) nx.SegmentEvent {
	if e.Damaged {
		s.damaged = true
		return e // the drop that follows tells of it: its ports may be anybody's
	}
	f := flow{e.Local, e.Remote}
	if c := s.connections[f]; c != nil && e.Flags&(syn|ack) == syn {
		if w := c.first(e.Direction); w.started && w.initial != e.Sequence {
			delete(s.connections, f) // the same ports for another connection
		}
	}
	c := s.connection(at, f, e.Direction, e.Flags)
	var v verdict
	name, own, other := SegmentSent, &c.sent, &c.got
	if e.Direction == nx.Received {
		name, own, other = SegmentReceived, &c.got, &c.sent
		from, to := reach(&e)
		s.told = arrival{f, from, to, e.Ack, at}
		v = c.segmentReceived(&e, at)
	} else {
		v = c.segmentSent(&e, at)
	}
	d := &Segment{
		Connection: c.id, Flags: letters(e.Flags), Seq: own.relative(e.Sequence), SeqAbsolute: e.Sequence,
		Length: e.Length, Segments: 1, Window: int64(e.Scaled), MSS: e.MSS, Selective: e.Selective,
		OutOfOrder: v.late, Again: v.again, Cause: v.cause, Earlier: v.earlier.fate,
	}
	if e.Flags&ack != 0 {
		d.Ack, d.AckAbsolute = other.relative(e.Ack), e.Ack
	}
	if e.GSOSize > 0 && e.Length > e.GSOSize {
		d.Segments = (e.Length + e.GSOSize - 1) / e.GSOSize
	}
	if e.Flags&syn != 0 && e.Scale >= 0 {
		d.Scale = &e.Scale
	}
	for _, b := range e.SACK {
		d.SACK = append(d.SACK, [2]int64{other.relative(b.Left), other.relative(b.Right)})
	}
	if v.known {
		waited := milliseconds(v.waited)
		d.Waited = &waited
	}
	s.put(at, name, d)
	if v.again {
		e.Again, e.Cause = true, words(v)
	}
	return e
}

// first is the direction of a SYN.
func (c *conn) first(d nx.Direction) *way {
	if d == nx.Sent {
		return &c.sent
	}
	return &c.got
}

// words is a verdict for people.
func words(v verdict) string {
	text := map[Cause]string{
		CauseTimeout:      "the retransmission timer went off",
		CauseAfterTimeout: "it was on its way when the retransmission timer went off",
		CauseFast:         "duplicate or selective acknowledgements show that it is missing",
		CauseHandshake:    "the handshake was not answered",
		CauseWindowProbe:  "probe of a closed window",
		CauseKeepalive:    "keepalive",
		CauseLost:         "the earlier one did not arrive",
		CauseDuplicate:    "the link made two of one",
		CauseUnneeded:     "the peer does not know that it has arrived",
	}[v.cause]
	if text == "" {
		text = "nobody knows why"
	}
	if v.known {
		text += fmt.Sprintf(", after %v", v.waited.Round(time.Microsecond))
	}
	if v.earlier.fate != "" {
		text += "; the earlier one was dropped: " + v.earlier.fate
	}
	return text
}

func (s *Side) congestion(at time.Duration, e nx.CongestionEvent) {
	c := s.connections[flow{e.Local, e.Remote}]
	if c == nil {
		return
	}
	c.state = e
	d := &Congestion{
		Connection: c.id, Window: e.Window, WindowBytes: int64(e.Window) * int64(e.MSS),
		InFlight: int64(e.InFlight), Outstanding: e.Outstanding, RTO: milliseconds(e.RTO), State: e.State,
	}
	if e.Threshold > 0 {
		bytes := int64(e.Threshold) * int64(e.MSS)
		d.Threshold = &bytes
	}
	if e.SRTT > 0 {
		srtt, rttvar := milliseconds(e.SRTT), milliseconds(e.RTTVar)
		d.SRTT, d.RTTVar = &srtt, &rttvar
	}
	s.put(at, CongestionState, d)
}

// dropped finds the segment that was dropped, and notes its fate. The caller
// holds the lock.
func (s *Side) dropped(at time.Duration, e nx.DropEvent) (_ *SegmentName, unseen, again bool) {
	if s.damaged && e.Direction == nx.Received {
		s.damaged = false
		return nil, false, false
	}
	if e.Where == "fault" {
		s.told = arrival{} // the link's: nothing that TCP was told of
	}
	return s.about(at, e.Direction, e.Packet, e.Bytes, e.Reason)
}

// changed finds the segment that a fault has changed. The caller holds the lock.
func (s *Side) changed(at time.Duration, e nx.FaultEvent) *SegmentName {
	fate := ""
	if e.Corrupted && e.Direction == nx.Received {
		fate = "fault: corrupted"
	}
	name, _, _ := s.about(at, e.Direction, e.Packet, e.Bytes, fate)
	if name != nil && e.Copies > 0 && e.Direction == nx.Received && name.Length > 0 {
		g, _ := link.Dissect(e.Packet, e.Bytes)
		c := s.connections[flow{g.To, g.From}]
		c.copied[g.Sequence] = true
	}
	return name
}

// about finds the segment that a datagram holds. A fate is noted: bytes that
// were dropped on their way in were on their way all the same. The caller holds
// the lock.
func (s *Side) about(at time.Duration, d nx.Direction, head []byte, size int, fate string) (_ *SegmentName, unseen, again bool) {
	const tcp = 6
	g, ok := link.Dissect(head, size)
	if !ok || d == 0 || g.Transport != tcp || g.Fragment {
		return nil, false, false
	}
	f := flow{g.From, g.To}
	if d == nx.Received {
		f = flow{g.To, g.From}
	}
	e := nx.SegmentEvent{Flags: uint8(g.Flags), Sequence: g.Sequence, Length: g.Length}
	c := s.connections[f]
	if c == nil && e.Flags&(syn|ack) == syn {
		c = s.connection(at, f, d, e.Flags)
	}
	if c == nil {
		return nil, false, false
	}
	from, to := reach(&e)
	w := c.first(d)
	w.begin(e.Sequence, e.Flags)
	acknowledges := binary.BigEndian.Uint32(head[g.At+8:])
	unseen = d == nx.Received && !(s.told == (arrival{f, from, to, acknowledges, s.told.at}) && at-s.told.at < aMoment)
	if from != to && fate != "" {
		if unseen {
			again, _, _ = w.note(from, to, at)
		}
		w.fate(from, to, fate)
	}
	return &SegmentName{Connection: c.id, Flags: letters(e.Flags), Seq: w.relative(e.Sequence), Length: g.Length}, unseen, again
}
