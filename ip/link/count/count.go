// Package count is a driver that counts what crosses another one.
//
//	counted := count.Wrap(tun.New(tun.Config{}))
//	… ip.Create(…, counted, …)
//	fmt.Println(counted.Counters().Out.Segments)
//
// It leaves every frame alone, super-segments too, and works at full speed.
package count

import (
	"sync/atomic"

	"gonetx/ip/link"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Driver counts the frames of all endpoints that it made. It implements
// link.Driver.
type Driver struct {
	below   link.Driver
	in, out counters
}

// Wrap makes a driver over another one.
func Wrap(driver link.Driver) *Driver { return &Driver{below: driver} }

// Counters are the counts of both directions, seen from the instance.
type Counters struct{ In, Out Direction }

// Direction counts what went one way.
type Direction struct {
	Frames   uint64 // datagrams; a super-segment is one
	Segments uint64 // the same on the wire: a super-segment counts as what it is cut into
	Bytes    uint64 // of the frames, headers included

	IPv4, IPv6            uint64 // frames
	TCP, UDP, ICMP, Other uint64 // frames; Other also counts what is malformed

	Data          uint64 // TCP frames that carry data
	DataBytes     uint64 // in them
	SYN, FIN, RST uint64 // TCP frames with the flag
}

// Counters answers the counts at this moment.
func (d *Driver) Counters() Counters { return Counters{In: d.in.snapshot(), Out: d.out.snapshot()} }

// Open implements link.Driver.
func (d *Driver) Open(a link.Attachment) (link.Endpoint, error) {
	below, err := d.below.Open(a)
	if err != nil {
		return nil, err
	}
	e := &endpoint{driver: d}
	e.Init("count", below, e)
	return e, nil
}

type endpoint struct {
	link.Wrapper
	driver *Driver
}

// WritePackets implements stack.LinkEndpoint.
func (e *endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		e.driver.out.count(pkt)
	}
	return e.Wrapper.WritePackets(pkts)
}

// DeliverNetworkPacket implements stack.NetworkDispatcher.
func (e *endpoint) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	e.driver.in.count(pkt)
	e.Wrapper.DeliverNetworkPacket(protocol, pkt)
}

// counters are a Direction that several goroutines may write.
type counters struct {
	frames, segments, bytes, ipv4, ipv6, tcp, udp, icmp, other atomic.Uint64
	data, dataBytes, syn, fin, rst                             atomic.Uint64
}

func (c *counters) count(pkt *stack.PacketBuffer) {
	var buf [link.HeadBytes]byte
	size := pkt.Size()
	c.frames.Add(1)
	c.bytes.Add(uint64(size))
	d, ok := link.Dissect(link.Peek(pkt, buf[:]), size)
	if !ok {
		c.segments.Add(1)
		c.other.Add(1)
		return
	}
	c.segments.Add(wireSegments(pkt, d))
	if d.Version == 4 {
		c.ipv4.Add(1)
	} else {
		c.ipv6.Add(1)
	}
	switch d.Transport {
	case header.TCPProtocolNumber:
		c.segment(d)
	case header.UDPProtocolNumber:
		c.udp.Add(1)
	case header.ICMPv4ProtocolNumber, header.ICMPv6ProtocolNumber:
		c.icmp.Add(1)
	default:
		c.other.Add(1)
	}
}

func (c *counters) segment(d link.Datagram) {
	c.tcp.Add(1)
	if d.Length > 0 {
		c.data.Add(1)
		c.dataBytes.Add(uint64(d.Length))
	}
	for _, f := range []struct {
		flag  header.TCPFlags
		count *atomic.Uint64
	}{{header.TCPFlagSyn, &c.syn}, {header.TCPFlagFin, &c.fin}, {header.TCPFlagRst, &c.rst}} {
		if d.Flags.Intersects(f.flag) {
			f.count.Add(1)
		}
	}
}

// wireSegments is how many segments a super-segment is cut into.
func wireSegments(pkt *stack.PacketBuffer, d link.Datagram) uint64 {
	mss := int(pkt.GSOOptions.MSS)
	if pkt.GSOOptions.Type == stack.GSONone || mss == 0 || d.Length <= mss {
		return 1
	}
	return uint64((d.Length + mss - 1) / mss)
}

func (c *counters) snapshot() Direction {
	return Direction{
		Frames: c.frames.Load(), Segments: c.segments.Load(), Bytes: c.bytes.Load(),
		IPv4: c.ipv4.Load(), IPv6: c.ipv6.Load(),
		TCP: c.tcp.Load(), UDP: c.udp.Load(), ICMP: c.icmp.Load(), Other: c.other.Load(),
		Data: c.data.Load(), DataBytes: c.dataBytes.Load(),
		SYN: c.syn.Load(), FIN: c.fin.Load(), RST: c.rst.Load(),
	}
}
