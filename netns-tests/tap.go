package parity

import (
	"fmt"
	"strings"
	"sync"

	"gonetx/ip/link"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// tap is a driver that writes what crosses another one into a log. It stands
// over the faults: what it sees is what the stack sends and gets.
type tap struct {
	below link.Driver
	log   *log

	mu    sync.Mutex // guards the field below
	flows map[string]*flow
}

// segment is what is kept of a TCP segment for the events of a real wire.
type segment struct {
	sent          bool
	flow          string
	syn, fin, rst bool
	from          seqnum.Value
	data          int
	fresh         int  // bytes of data that had not been seen
	again         bool // nothing in it had not been seen
}

// begin and end are the sequence numbers of its data: RFC 9293 section 3.4 has
// the SYN in front of it, and the FIN behind.
func (s *segment) begin() seqnum.Value {
	if s.syn {
		return s.from + 1
	}
	return s.from
}

func (s *segment) end() seqnum.Value { return s.begin().Add(seqnum.Size(s.data)) }

func newTap(driver link.Driver, l *log) *tap {
	return &tap{below: driver, log: l, flows: map[string]*flow{}}
}

// Open implements link.Driver.
func (t *tap) Open(a link.Attachment) (link.Endpoint, error) {
	below, err := t.below.Open(a.OnWire("parity"))
	if err != nil {
		return nil, err
	}
	e := &tapEndpoint{tap: t}
	e.Init("parity", below, e)
	return e, nil
}

type tapEndpoint struct {
	link.WireWrapper
	tap *tap
}

// WritePackets implements stack.LinkEndpoint.
func (e *tapEndpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		e.tap.see(nx.Sent, pkt)
	}
	return e.WireWrapper.WritePackets(pkts)
}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (e *tapEndpoint) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	e.tap.see(nx.Received, pkt)
	e.WireWrapper.DeliverNetworkPacket(protocol, pkt)
}

// see makes the event of a datagram. Multicast is the link's own business: a
// link of IPv6 has some, one of IPv4 has none.
func (t *tap) see(direction nx.Direction, pkt *stack.PacketBuffer) {
	var buf [link.HeadBytes]byte
	head := link.Peek(pkt, buf[:])
	d, ok := link.Dissect(head, pkt.Size())
	if !ok || d.To.Addr().IsMulticast() {
		return
	}
	way := "gets"
	if direction == nx.Sent {
		way = "sends"
	}
	switch {
	case d.Fragment:
		t.log.add(Event{Lane: Wire, What: way + " a fragment"})
		return
	case d.Transport == header.TCPProtocolNumber && len(head) < d.At+header.TCPMinimumSize:
		t.log.add(Event{Lane: Wire, What: way + " half a segment"})
		return
	}
	switch d.Transport {
	case header.TCPProtocolNumber:
		t.log.add(t.segment(way, d, header.TCP(head[d.At:])))
	case header.ICMPv4ProtocolNumber, header.ICMPv6ProtocolNumber:
		t.log.add(Event{Lane: Wire, What: way + " " + icmpName(d, head)})
	default:
		t.log.add(Event{Lane: Wire, What: way + " a datagram of another protocol"})
	}
}

func (t *tap) segment(way string, d link.Datagram, h header.TCP) Event {
	s := &segment{
		sent: way == "sends", flow: d.From.String() + d.To.String(), data: d.Length, from: seqnum.Value(d.Sequence),
		syn: d.Flags.Contains(header.TCPFlagSyn), fin: d.Flags.Contains(header.TCPFlagFin), rst: d.Flags.Contains(header.TCPFlagRst),
	}
	t.note(s)
	words := []string{way}
	for _, f := range []struct {
		set  bool
		name string
	}{{s.syn, "SYN"}, {s.fin, "FIN"}, {s.rst, "RST"}, {d.Flags.Contains(header.TCPFlagAck), "ACK"}} {
		if f.set {
			words = append(words, f.name)
		}
	}
	if s.again {
		words = append(words, "again")
	}
	if h.WindowSize() == 0 && !s.rst {
		words = append(words, "with a closed window")
	}
	e := Event{Lane: Wire, segment: s}
	if d.Length > 0 {
		e.Numbers = append(e.Numbers, Number{"data", d.Length})
	}
	if mss := mssOf(h, d); mss != 0 {
		e.Numbers = append(e.Numbers, Number{"mss", mss})
	}
	e.What = strings.Join(words, " ")
	return e
}

// note tells what of a segment had not been seen.
func (t *tap) note(s *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flows[s.flow]
	if f == nil || s.syn && f.first != s.from { // the ports are used again
		f = &flow{first: s.from, next: s.from}
		t.flows[s.flow] = f
	}
	s.fresh = f.see(s.begin(), s.end())
	fresh := s.fresh
	if s.syn {
		fresh += f.see(s.from, s.begin())
	}
	if s.fin {
		fresh += f.see(s.end(), s.end()+1)
	}
	s.again = fresh == 0 && (s.syn || s.fin || s.data > 0)
}

func mssOf(h header.TCP, d link.Datagram) int {
	if !d.Flags.Contains(header.TCPFlagSyn) || len(h) < int(h.DataOffset()) {
		return 0
	}
	return int(header.ParseSynOptions(h.Options(), d.Flags.Contains(header.TCPFlagAck)).MSS)
}

// icmpName is what an ICMP message says, in words for both families.
func icmpName(d link.Datagram, head []byte) string {
	if len(head) < d.At+8 {
		return "a short ICMP message"
	}
	kind, code := head[d.At], head[d.At+1]
	if d.Version == 4 {
		switch header.ICMPv4Type(kind) {
		case header.ICMPv4Echo:
			return "an echo request"
		case header.ICMPv4EchoReply:
			return "an echo reply"
		case header.ICMPv4DstUnreachable:
			switch header.ICMPv4Code(code) {
			case header.ICMPv4FragmentationNeeded:
				return "ICMP: too long for the way"
			case header.ICMPv4PortUnreachable:
				return "ICMP: port unreachable"
			}
			return "ICMP: unreachable"
		}
	} else {
		switch header.ICMPv6Type(kind) {
		case header.ICMPv6EchoRequest:
			return "an echo request"
		case header.ICMPv6EchoReply:
			return "an echo reply"
		case header.ICMPv6PacketTooBig:
			return "ICMP: too long for the way"
		case header.ICMPv6DstUnreachable:
			if header.ICMPv6Code(code) == header.ICMPv6PortUnreachable {
				return "ICMP: port unreachable"
			}
			return "ICMP: unreachable"
		case header.ICMPv6NeighborSolicit, header.ICMPv6NeighborAdvert:
			return "neighbor discovery"
		}
	}
	return fmt.Sprintf("ICMP of type %d", kind)
}
