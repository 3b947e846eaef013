package trace

import (
	"net/netip"
	"time"

	"gonetx/packetpool/nx"
)

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
	told        arrival // the segment that TCP received last: a drop may follow
	damaged     bool    // the drop that comes next is of a segment in which nothing can be believed
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
		segment, unseen, again := s.dropped(at, e)
		s.put(at, PacketDropped, &Dropped{
			Where: e.Where, Direction: direction(e.Direction), Reason: e.Reason, Bytes: e.Bytes, Segment: segment, Unseen: unseen, Again: again,
		})
	case nx.FaultEvent:
		s.put(at, PacketChanged, &Changed{
			Direction: direction(e.Direction), Done: e.Done, Bytes: e.Bytes, Segment: s.changed(at, e),
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
