package trace

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"
)

// Writer makes the trace of a run while it goes on. Events are put in a queue
// where they happen; one goroutine, from Start to Close, writes them. When the
// queue is full, events are lost, and a line says so.
type Writer struct {
	to    *bufio.Writer
	watch func(Event)
	clock nx.Clock
	ended chan struct{} // closed by the goroutine; nil: it was not started

	mu          sync.Mutex // guards the fields below
	more        *sync.Cond // the queue has something, or there will be nothing any more
	queue       []Event
	lost        int
	closed      bool
	connections int
	err         error

	events int // lines; of the goroutine
}

// queueMost is how many events wait to be written.
const queueMost = 1 << 16

// NewWriter makes a writer. watch, which may be nil, sees each event when it is
// written, in the goroutine that writes. A nil clock is the machine's.
func NewWriter(to io.Writer, clock nx.Clock, watch func(Event)) *Writer {
	if clock == nil {
		clock = nx.RealClock
	}
	w := &Writer{to: bufio.NewWriterSize(to, 1<<16), watch: watch, clock: clock}
	w.more = sync.NewCond(&w.mu)
	return w
}

// Start begins the trace with its header; what has come before follows it. It is
// called once.
func (w *Writer) Start(h Header) error {
	h.Format, h.Version = Format, Version
	if err := w.line(h); err != nil {
		return err
	}
	w.ended = make(chan struct{})
	go w.write()
	return nil
}

// line writes one line.
func (w *Writer) line(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = w.to.Write(append(b, '\n'))
	}
	return err
}

// write is the goroutine.
func (w *Writer) write() {
	defer close(w.ended)
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.closed {
			w.more.Wait()
		}
		queue, lost, closed := w.queue, w.lost, w.closed
		w.queue, w.lost = nil, 0
		w.mu.Unlock()
		for i := range queue {
			w.put(&queue[i])
		}
		if lost > 0 {
			w.put(&Event{Time: queue[len(queue)-1].Time, Family: queue[len(queue)-1].Family, Name: TraceLost, Data: &Lost{lost}})
		}
		if closed {
			return
		}
	}
}

func (w *Writer) put(e *Event) {
	err := w.line(e)
	w.events++
	if err != nil {
		w.mu.Lock()
		if w.err == nil {
			w.err = err
		}
		w.mu.Unlock()
	}
	if w.watch != nil {
		w.watch(*e)
	}
}

// Close ends the trace. Events that come later are lost without a word.
func (w *Writer) Close(interrupted bool, why string) error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.more.Signal()
	w.mu.Unlock()
	if again {
		return errors.New("the trace is closed already")
	}
	if w.ended == nil {
		return errors.New("the trace has not begun")
	}
	<-w.ended
	err := errors.Join(w.err, w.line(&Event{Time: 0, Name: TraceEnd, Data: &End{Events: w.events, Interrupted: interrupted, Why: why}}))
	return errors.Join(err, w.to.Flush())
}

// add puts an event in the queue. The caller holds the lock.
func (w *Writer) add(e Event) {
	if w.closed {
		return
	}
	if len(w.queue) >= queueMost {
		w.lost++
		return
	}
	w.queue = append(w.queue, e)
	if len(w.queue) == 1 {
		w.more.Signal()
	}
}

// Side is the part of a trace that one family's stack makes. It implements
// nx.Recorder: hang it on the instance and its pools.
type Side struct {
	w      *Writer
	family string
	next   nx.Recorder
	pools  pools

	// Guarded by the writer's lock.
	began       time.Duration
	running     bool
	connections map[flow]*conn
	damaged     bool // the drop that comes next is of a segment in which nothing can be believed
}

// Side makes the recorder of a family. next, which may be nil, gets the same
// events afterwards; those of segments say there whether and why they come
// again.
func (w *Writer) Side(family string, next nx.Recorder) *Side {
	return &Side{w: w, family: family, next: next, connections: make(map[flow]*conn)}
}

// SetNext sets who gets the events afterwards. It is called before there are
// any.
func (s *Side) SetNext(next nx.Recorder) { s.next = next }

// Begin begins the family's run: its time is zero now. What came before has
// this time, too.
func (s *Side) Begin(text string) {
	s.w.mu.Lock()
	s.began, s.running = s.w.clock.Now(), true
	s.w.mu.Unlock()
	s.Mark(WorkloadBegin, Mark{Text: text})
}

// Mark tells where the workload has got to.
func (s *Side) Mark(name string, m Mark) { s.add(name, &m) }

func (s *Side) add(name string, data any) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.put(s.now(), name, data)
}

// now is the time of the family. The caller holds the lock.
func (s *Side) now() time.Duration {
	if !s.running {
		return 0
	}
	return s.w.clock.Now() - s.began
}

// put puts an event in the queue. The caller holds the lock.
func (s *Side) put(at time.Duration, name string, data any) {
	s.w.add(Event{Time: milliseconds(at), Family: s.family, Name: name, Data: data})
}

// milliseconds keeps microseconds.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Record implements nx.Recorder.
func (s *Side) Record(event nx.Event) {
	if e, ok := event.(nx.PacketEvent); ok {
		s.pools.note(e)
	} else {
		event = s.convert(event)
	}
	if s.next != nil {
		s.next.Record(event)
	}
}

// convert puts an event in the queue, and answers it with what the history of
// the connection adds.
func (s *Side) convert(event nx.Event) nx.Event {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	at := s.now()
	switch e := event.(type) {
	case nx.SegmentEvent:
		return s.segment(at, e)
	case nx.CongestionEvent:
		s.congestion(at, e)
	case nx.PoolEmptyEvent:
		s.put(at, PoolEmpty, &Empty{Pool: e.Pool, Waited: milliseconds(e.Waited), Served: e.Served})
	case nx.SocketEvent:
		s.put(at, SocketState, &Socket{
			Socket: e.Socket, Local: address(e.Local), Remote: address(e.Remote), From: e.From, To: e.To, Cause: e.Cause,
		})
	case nx.CallEvent:
		s.put(at, APICall, &Call{Service: e.Service, Object: e.Object, Took: milliseconds(e.Took), Status: e.Status, Bytes: e.Bytes})
	case nx.DialogueEvent:
		s.put(at, e.EventName(), &Dialogue{Client: e.Client, Phase: e.Phase, Text: e.Text, Bytes: e.Bytes, Code: e.Code})
	case nx.DropEvent:
		s.put(at, PacketDropped, &Dropped{
			Where: e.Where, Direction: direction(e.Direction), Reason: e.Reason, Bytes: e.Bytes,
			Segment: s.dropped(at, e),
		})
	case nx.FaultEvent:
		s.put(at, PacketChanged, &Changed{
			Direction: direction(e.Direction), Done: e.Done, Bytes: e.Bytes,
			Segment: s.changed(at, e),
		})
	case nx.WarningEvent:
		s.put(at, StackWarning, &Warning{Where: e.Where, Text: e.Text})
	}
	return event
}

// address writes an address that may be missing.
func address(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		return ""
	}
	return a.String()
}

func direction(d nx.Direction) string {
	if d == 0 {
		return ""
	}
	return d.String()
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
		v = c.segmentReceived(&e, at)
	} else {
		v = c.segmentSent(&e, at)
	}
	d := &Segment{
		Connection: c.id, Flags: letters(e.Flags), Seq: own.relative(e.Sequence), SeqAbsolute: e.Sequence,
		Length: e.Length, Segments: 1, Window: int64(e.Scaled), MSS: e.MSS,
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
		CauseTailProbe:    "tail loss probe",
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
		InFlight: int64(e.InFlight), RTO: milliseconds(e.RTO), State: e.State,
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
func (s *Side) dropped(at time.Duration, e nx.DropEvent) *SegmentName {
	if s.damaged && e.Direction == nx.Received {
		s.damaged = false
		return nil
	}
	return s.about(at, e.Direction, e.Packet, e.Bytes, e.Reason)
}

// changed finds the segment that a fault has changed. The caller holds the lock.
func (s *Side) changed(at time.Duration, e nx.FaultEvent) *SegmentName {
	fate := ""
	if e.Corrupted && e.Direction == nx.Received {
		fate = "fault: corrupted"
	}
	name := s.about(at, e.Direction, e.Packet, e.Bytes, fate)
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
func (s *Side) about(at time.Duration, d nx.Direction, head []byte, size int, fate string) *SegmentName {
	const tcp = 6
	g, ok := link.Dissect(head, size)
	if !ok || d == 0 || g.Transport != tcp || g.Fragment {
		return nil
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
		return nil
	}
	from, to := reach(&e)
	w := c.first(d)
	w.begin(e.Sequence, e.Flags)
	if from != to && fate != "" {
		if d == nx.Received && w.find(from) == nil {
			w.note(from, to, at)
		}
		w.fate(from, to, fate)
	}
	return &SegmentName{Connection: c.id, Flags: letters(e.Flags), Seq: w.relative(e.Sequence), Length: g.Length}
}
