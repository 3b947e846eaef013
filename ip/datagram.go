package ip

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// datagram is what the gate knows of an inbound datagram: where the payload of
// the upper protocol begins behind the IP header, its options or extension
// headers, and whose it is.
type datagram struct {
	pkt                 *stack.PacketBuffer // all of it in Data, nothing consumed
	source, destination netip.Addr
	protocol            uint8 // of the payload
	offset              int   // where the payload begins
	looped              bool  // the instance sent it to itself
	head                []byte

	fragment *fragmentInfo // nil: it is whole
}

type fragmentInfo struct {
	id       uint32
	offset   int // of this piece in the payload
	more     bool
	header   int   // length of the part of the datagram that is repeated in each fragment
	next     uint8 // IPv6: what the fragment header announces
	nextByte int   // IPv6: where the byte lies that announces the fragment header
}

// payload is how many bytes are behind the headers.
func (d *datagram) payload() int { return d.pkt.Data().Size() - d.offset }

// timeToLive is the one it came with, or the hop limit.
func (d *datagram) timeToLive() uint8 {
	b, ok := d.bytes(0, header.IPv4MinimumSize)
	switch {
	case !ok:
		return 0
	case d.source.Is4():
		return header.IPv4(b).TTL()
	}
	return b[7]
}

// bytes answers n bytes of the datagram from offset on, in the packet itself.
// The headers mostly lie in the first packet; asking the stack for them
// (PullUp), which makes them contiguous, is several times slower.
func (d *datagram) bytes(offset, n int) ([]byte, bool) {
	end := offset + n
	if end > d.pkt.Data().Size() {
		return nil, false
	}
	if d.head == nil {
		views, _ := d.pkt.AsViewList()
		d.head = views.Front().AsSlice()
	}
	if end > len(d.head) {
		b, ok := d.pkt.Data().PullUp(end)
		if !ok {
			return nil, false
		}
		d.head = b
	}
	return d.head[offset:end:end], true
}

// parseIPv4 does the checks of _nx_ipv4_packet_receive that need no settings.
// It cuts off what follows the datagram. Answers the reason to drop it for, or
// nothing.
func (d *datagram) parseIPv4() string {
	b, ok := d.bytes(0, header.IPv4MinimumSize)
	if !ok {
		return dropTruncated
	}
	h := header.IPv4(b)
	headerLength, total := int(h.HeaderLength()), int(h.TotalLength())
	if total > d.pkt.Data().Size() {
		return dropTruncated
	}
	if headerLength < header.IPv4MinimumSize || total <= headerLength {
		return dropBadHeader
	}
	d.pkt.Data().CapLength(total)
	if b, ok = d.bytes(0, headerLength); !ok {
		return dropTruncated
	}
	h = header.IPv4(b)
	if !d.pkt.RXChecksumValidated && !h.IsChecksumValid() {
		return dropIPChecksum
	}
	d.pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	d.source, d.destination = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	d.protocol, d.offset = h.Protocol(), headerLength
	if h.More() || h.FragmentOffset() != 0 {
		d.fragment = &fragmentInfo{id: uint32(h.ID()), offset: int(h.FragmentOffset()), more: h.More(), header: headerLength}
	}
	return ""
}

// Numbers of IPv6 extension headers (RFC 8200 section 4).
const (
	headerHopByHop    = 0
	headerRouting     = 43
	headerFragment    = 44
	headerDestination = 60
)

// parseIPv6 does the checks of _nx_ipv6_packet_receive that need no settings,
// and looks for the upper protocol behind the extension headers. The stack
// examines those; here only their lengths matter.
func (d *datagram) parseIPv6() string {
	b, ok := d.bytes(0, header.IPv6MinimumSize)
	if !ok {
		return dropTruncated
	}
	total := header.IPv6MinimumSize + int(binary.BigEndian.Uint16(b[4:]))
	if total > d.pkt.Data().Size() {
		return dropTruncated
	}
	d.pkt.Data().CapLength(total)
	d.pkt.NetworkProtocolNumber = header.IPv6ProtocolNumber
	d.source, d.destination = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))

	next, at, offset := b[6], 6, header.IPv6MinimumSize
	for next == headerHopByHop || next == headerRouting || next == headerDestination || next == headerFragment {
		b, ok := d.bytes(offset, 8)
		if !ok {
			return dropTruncated
		}
		if next == headerFragment {
			word := binary.BigEndian.Uint16(b[2:])
			d.protocol, d.offset = next, offset+8
			d.fragment = &fragmentInfo{
				id: binary.BigEndian.Uint32(b[4:]), offset: int(word &^ 7), more: word&1 != 0,
				header: offset, next: b[0], nextByte: at,
			}
			return ""
		}
		next, at, offset = b[0], offset, offset+8+8*int(b[1])
	}
	if offset > total {
		return dropTruncated
	}
	d.protocol, d.offset = next, offset
	return ""
}
