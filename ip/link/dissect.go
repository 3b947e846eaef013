package link

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Datagram is what a wrapper wants to know of a frame.
type Datagram struct {
	Version   int                           // 4 or 6
	Transport tcpip.TransportProtocolNumber // behind the extension headers of IPv6
	Fragment  bool                          // a part of a datagram; ports and flags only when it is the first
	From, To  netip.AddrPort                // ports: zero when there are none
	Flags     header.TCPFlags               // of TCP
	Sequence  uint32                        // of TCP
	At        int                           // where the transport header begins
	Payload   int                           // where the data of TCP or UDP begins
	Length    int                           // bytes of that data
}

// Dissect reads the headers of a frame of size bytes, of which head is the
// begin, at least 100 bytes or all of it. It answers false when it is no
// datagram of IPv4 or IPv6 with whole headers.
func Dissect(head []byte, size int) (d Datagram, ok bool) {
	if !whole(head, size) {
		return d, false
	}
	end, first := 0, true
	if head[0]>>4 == header.IPv4Version {
		d.Version, d.Transport = 4, tcpip.TransportProtocolNumber(head[9])
		d.From, d.To = port(head[12:16]), port(head[16:20])
		d.At, end = int(head[0]&0x0F)*4, int(binary.BigEndian.Uint16(head[2:]))
		fragment := binary.BigEndian.Uint16(head[6:])
		d.Fragment, first = fragment&0x3FFF != 0, fragment&0x1FFF == 0
	} else {
		d.Version = 6
		d.From, d.To = port(head[8:24]), port(head[24:40])
		end = header.IPv6MinimumSize + int(binary.BigEndian.Uint16(head[4:]))
		if d.At, d.Transport, d.Fragment, first, ok = extensions(head); !ok {
			return d, false
		}
	}
	if d.At > end {
		return d, false
	}
	d.Payload, d.Length = d.At, end-d.At
	if !first {
		return d, true
	}
	return d, d.transport(head, end)
}

// whole tells whether an IP header fits, and its datagram. Bytes behind the
// datagram are allowed, as on an Ethernet, where short frames are padded.
func whole(head []byte, size int) bool {
	if len(head) < header.IPv4MinimumSize {
		return false
	}
	switch head[0] >> 4 {
	case header.IPv4Version:
		headerLength, total := int(head[0]&0x0F)*4, int(binary.BigEndian.Uint16(head[2:]))
		return headerLength >= header.IPv4MinimumSize && total >= headerLength && total <= size && headerLength <= len(head)
	case header.IPv6Version:
		return len(head) >= header.IPv6MinimumSize && header.IPv6MinimumSize+int(binary.BigEndian.Uint16(head[4:])) <= size
	}
	return false
}

// port makes an address of an IP header; the port comes later.
func port(address []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(address)
	return netip.AddrPortFrom(a, 0)
}

// extensions walks the extension headers of IPv6, RFC 8200 section 4.
func extensions(head []byte) (at int, transport tcpip.TransportProtocolNumber, fragment, first, ok bool) {
	at, next, first := header.IPv6MinimumSize, head[6], true
	for {
		switch header.IPv6ExtensionHeaderIdentifier(next) {
		case header.IPv6HopByHopOptionsExtHdrIdentifier, header.IPv6RoutingExtHdrIdentifier, header.IPv6DestinationOptionsExtHdrIdentifier:
			if len(head) < at+8 {
				return at, 0, fragment, first, false
			}
			next, at = head[at], at+8+int(head[at+1])*8
		case header.IPv6FragmentExtHdrIdentifier:
			if len(head) < at+8 {
				return at, 0, fragment, first, false
			}
			fragment, first = true, binary.BigEndian.Uint16(head[at+2:])&^7 == 0
			next, at = head[at], at+8
		default:
			return at, tcpip.TransportProtocolNumber(next), fragment, first, true
		}
	}
}

// transport reads the header of TCP or UDP.
func (d *Datagram) transport(head []byte, end int) bool {
	least := 0
	switch d.Transport {
	case header.TCPProtocolNumber:
		least = header.TCPMinimumSize
	case header.UDPProtocolNumber:
		least = header.UDPMinimumSize
	default:
		return true
	}
	if d.At+least > len(head) || d.At+least > end {
		return false
	}
	h := head[d.At:]
	d.From = netip.AddrPortFrom(d.From.Addr(), binary.BigEndian.Uint16(h))
	d.To = netip.AddrPortFrom(d.To.Addr(), binary.BigEndian.Uint16(h[2:]))
	if d.Transport == header.TCPProtocolNumber {
		t := header.TCP(h)
		least = int(t.DataOffset())
		d.Flags, d.Sequence = t.Flags(), t.SequenceNumber()
	}
	d.Payload, d.Length = d.At+least, end-d.At-least
	return d.Length >= 0 && (d.Transport != header.TCPProtocolNumber || least >= header.TCPMinimumSize)
}

// HeaderBytes is how many bytes of a frame the stack reads as headers, before
// the data: of IP, its extensions, and TCP or UDP. The pool lends them to the
// stack as a copy, because gVisor replaces the memory in which they lie. pieces
// are the frame's n bytes, as they lie in packets. 0: malformed, or a connection
// request: those are read at the gate, and one that waits in a listen queue waits
// in the packet that it came in, all of it.
func HeaderBytes(pieces [][]byte, n int) int {
	if len(pieces) == 0 {
		return 0
	}
	head := pieces[0]
	var buf [HeadBytes]byte
	if len(head) < min(n, HeadBytes) { // small packets
		at := 0
		for _, p := range pieces {
			at += copy(buf[at:], p)
		}
		head = buf[:at]
	}
	return headers(head[:min(len(head), n)], n)
}

// headers is HeaderBytes of a frame of size bytes that begins with head.
func headers(head []byte, size int) int {
	if !whole(head, size) {
		return 0
	}
	at, transport, first := header.IPv6MinimumSize, tcpip.TransportProtocolNumber(head[9]), true
	if head[0]>>4 == header.IPv4Version {
		at, first = int(head[0]&0x0F)*4, binary.BigEndian.Uint16(head[6:])&0x1FFF == 0
	} else {
		ok := false
		if at, transport, _, first, ok = extensions(head); !ok {
			return 0
		}
	}
	switch {
	case !first:
	case transport == header.TCPProtocolNumber:
		if len(head) < at+header.TCPMinimumSize {
			return 0
		}
		tcp := header.TCP(head[at:])
		if tcp.Flags()&(header.TCPFlagSyn|header.TCPFlagAck) == header.TCPFlagSyn {
			return 0
		}
		at += int(tcp.DataOffset())
	case transport == header.UDPProtocolNumber:
		at += header.UDPMinimumSize
	case transport == header.ICMPv4ProtocolNumber, transport == header.ICMPv6ProtocolNumber:
		at += header.ICMPv4MinimumSize // as long as those of ICMPv6
	}
	if at > len(head) {
		return 0
	}
	return at
}

// Peek copies the begin of the datagram that pkt holds to buf, as far as it
// goes, and answers that part of buf.
func Peek(pkt *stack.PacketBuffer, buf []byte) []byte {
	views, skip := pkt.AsViewList()
	n := 0
	for v := views.Front(); v != nil && n < len(buf); v = v.Next() {
		b := v.AsSlice()
		from := min(skip, len(b))
		skip -= from
		n += copy(buf[n:], b[from:])
	}
	return buf[:n]
}
