package main

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"gonetx/cmd/nxduo/internal/study"
	"gonetx/cmd/nxduo/internal/trace"
	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/capture"
	"gonetx/packetpool/nx"
)

// session keeps what an instance does while it is up, as a study does: a trace,
// a capture and a report. It implements nx.Recorder. A trace is told family by
// family, and the instance has both: each event goes where its addresses are,
// and what is of the pools, which they share, goes to both.
type session struct {
	folder  *folder
	writer  *trace.Writer
	capture *capture.File
	next    nx.Recorder // of the capture
	sides   map[string]*trace.Side
	stop    []func()

	mu      sync.Mutex
	sockets map[string]string // the family of the last connection of a socket, by its name
}

// newSession opens the folder, and puts the capture around the driver.
func newSession(path string, driver link.Driver, addresses []netip.Prefix) (*session, link.Driver, error) {
	f, err := newFolder(path, "up")
	if err != nil {
		return nil, nil, err
	}
	s := &session{folder: f, capture: capture.NewFile(f.capture), sides: make(map[string]*trace.Side), sockets: make(map[string]string)}
	s.capture.Hold = 64
	s.writer = trace.NewWriter(f.trace, nil, nil)
	wrapped := s.capture.Wrap(driver)
	s.next = wrapped.Recorder(nil)
	for _, a := range addresses {
		s.sides[familyOf(a.Addr())] = s.writer.Side(familyOf(a.Addr()), notPools{s.next})
	}
	return s, wrapped, nil
}

func familyOf(a netip.Addr) string {
	if a.Is4() {
		return study.IPv4
	}
	return study.IPv6
}

// notPools passes everything on but what is told to both families.
type notPools struct{ next nx.Recorder }

func (n notPools) Record(e nx.Event) {
	switch e.(type) {
	case nx.PacketEvent, nx.PoolEmptyEvent:
	default:
		n.next.Record(e)
	}
}

// Record implements nx.Recorder.
func (s *session) Record(event nx.Event) {
	switch e := event.(type) {
	case nx.PacketEvent, nx.PoolEmptyEvent:
		for _, side := range s.sides {
			side.Record(e)
		}
		s.next.Record(e)
	case nx.SegmentEvent:
		s.to(familyOf(e.Local.Addr()), e)
	case nx.CongestionEvent:
		s.to(familyOf(e.Local.Addr()), e)
	case nx.SocketEvent:
		if e.Remote.IsValid() {
			family := familyOf(e.Remote.Addr())
			s.mu.Lock()
			s.sockets[e.Socket] = family
			s.mu.Unlock()
			s.to(family, e)
		}
	case nx.CallEvent:
		s.mu.Lock()
		family := s.sockets[e.Object]
		s.mu.Unlock()
		s.to(family, e)
	case nx.DropEvent:
		s.to(familyIn(e.Packet), e)
	case nx.FaultEvent:
		s.to(familyIn(e.Packet), e)
	}
}

// to gives an event to a family, if the instance has it.
func (s *session) to(family string, e nx.Event) {
	if side := s.sides[family]; side != nil {
		side.Record(e)
	}
}

// familyIn is the family of a datagram; empty when there is none.
func familyIn(datagram []byte) string {
	if len(datagram) == 0 {
		return ""
	}
	return map[byte]string{4: study.IPv4, 6: study.IPv6}[datagram[0]>>4]
}

// begin begins the trace, when the stack is up.
func (s *session) begin(stack *stack, c *upCommand) error {
	h := trace.Header{
		Program: study.Program(), Title: "What a stack was used for", Command: append([]string{"nxduo"}, os.Args[1:]...),
		Started: time.Now(), Workload: "up", Faults: c.Fault,
		Notes: []string{"One instance has both families, and they share its pools."},
	}
	info := stack.inst.Link()
	for _, a := range c.Address {
		_, mss := stack.inst.ReceiveLimit(a.Addr().Is6())
		f := trace.Family{
			Family: familyOf(a.Addr()), Instance: stack.inst.Name(), Address: a.String(), Peer: firstOther(a).String(), MSS: int(mss),
			Link: trace.Link{Kind: info.Kind, Device: info.Device, Offload: info.Offload, Why: info.Why, Wrappers: info.Wrappers, Peer: "the Linux kernel"},
		}
		if i, err := ip.InterfaceInfoGet(&stack.inst, 0); err == nil {
			f.Link.MTU = int(i.MTU)
		}
		for _, p := range stack.pools() {
			f.Pools = append(f.Pools, trace.Pool{Name: p.Name, Payload: int(p.Payload), Packets: int(p.Packets)})
		}
		h.Families = append(h.Families, f)
	}
	if err := s.writer.Start(h); err != nil {
		return err
	}
	for _, side := range s.sides {
		side.Begin("the services are up")
		s.stop = append(s.stop, side.Sample(sessionPace, &stack.clientPool, &stack.ipPool))
	}
	return nil
}

// sessionPace is how often at most the trace tells who holds the packets.
const sessionPace = 2 * time.Millisecond

// end ends the trace, while the pools exist.
func (s *session) end() error {
	for _, stop := range s.stop {
		stop()
	}
	for _, side := range s.sides {
		side.Mark(trace.WorkloadEnd, trace.Mark{Text: "the services are down"})
	}
	return s.writer.Close(false, "")
}

// finish completes the folder, when the instance is gone. begun false: nothing
// came of it, and the folder is taken away.
func (s *session) finish(begun bool) error {
	err := s.capture.Close()
	if !begun {
		return errors.Join(err, s.folder.discard())
	}
	return errors.Join(err, s.folder.finish())
}
