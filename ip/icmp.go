package ip

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// This file is what an instance does with ICMP messages that come in:
// _nx_icmpv4_packet_process and _nx_icmpv6_packet_process. Echo messages end
// here; neighbor solicitations are answered by the gVisor stack; errors go up in
// any case, because they tell TCP why a connection fails.

// icmp handles an ICMPv4 message. It answers the reason to drop it for, or
// nothing.
func (g *gate) icmp(s *settings, d *datagram) string {
	b, ok := d.bytes(d.offset, icmpHeaderSize)
	isError := ok && (b[0] == icmpUnreachable || b[0] == icmpTimeExceed || b[0] == icmpParameter)
	if !s.icmp && !isError {
		return dropNoICMP
	}
	g.accept(d)
	if !ok || !d.pkt.RXChecksumValidated && d.pkt.Data().ChecksumAtOffset(d.offset) != 0xFFFF {
		g.badICMP(d)
		return ""
	}
	switch {
	case b[0] == icmpEchoReply:
		g.echoReply(d, binary.BigEndian.Uint16(b[6:]))
	case b[0] == icmpEcho:
		g.echoRequest(d, icmpEchoReply)
	default:
		if isError {
			kind, code := b[0], b[1]
			forStackIPv4(b)
			g.echoError(d, kind, code)
		}
		g.unhandledICMP(d, isError)
	}
	return ""
}

// icmpv6 handles an ICMPv6 message. It answers the reason to drop it for, or
// nothing.
func (g *gate) icmpv6(s *settings, d *datagram) string {
	b, ok := d.bytes(d.offset, icmpHeaderSize)
	isError := ok && b[0] >= icmpv6Unreachable && b[0] <= icmpv6Parameter
	if !s.icmpv6 && !isError {
		return dropNoICMP
	}
	g.accept(d)
	if !ok || !d.pkt.RXChecksumValidated && !d.sumsUp(header.ICMPv6ProtocolNumber) {
		g.badICMP(d)
		return ""
	}
	switch {
	case b[0] == icmpv6EchoReply:
		g.echoReply(d, binary.BigEndian.Uint16(b[6:]))
	case b[0] == icmpv6Echo:
		g.echoRequest(d, icmpv6EchoReply)
	case b[0] == icmpv6NeighborSolicitation, b[0] == icmpv6NeighborAdvertisement:
		g.neighbor(s, d, b[0] == icmpv6NeighborSolicitation)
	default:
		if isError {
			kind, code := b[0], b[1]
			forStackIPv6(b)
			g.echoError(d, kind, code)
		}
		g.unhandledICMP(d, isError)
	}
	return ""
}

// forStackIPv4 changes an ICMPv4 error into one that gVisor should believe.
func forStackIPv4(b []byte) {
	mtu := b[6:8]
	if b[0] == icmpUnreachable && b[1] == fragmentationNeeded && binary.BigEndian.Uint16(mtu) < leastPathMTUIPv4 {
		setWord(b, mtu, leastPathMTUIPv4)
	}
}

// forStackIPv6 is the same for ICMPv6. And it makes "no route" of every code of a
// destination unreachable message but "port unreachable": gVisor knows these two
// only (network/ipv6/icmp.go, handleICMP), while it takes the same from ICMPv4
// under any code. So an attempt to connect ends at once in both families (RFC
// 4443 section 3.1).
func forStackIPv6(b []byte) {
	const noRoute, port = 0, 4
	switch mtu := b[4:8]; {
	case b[0] == icmpv6TooBig && binary.BigEndian.Uint32(mtu) < header.IPv6MinimumMTU:
		setWord(b, mtu[:2], 0)
		setWord(b, mtu[2:], header.IPv6MinimumMTU)
	case b[0] == icmpv6Unreachable && b[1] != noRoute && b[1] != port:
		setWord(b, b[:2], uint16(b[0])<<8|noRoute)
	}
}

// The least path MTU that is believed. gVisor believes any, and sends segments of
// a byte: whoever knows the ports of a connection could stop it. An IPv6 way
// takes 1280 bytes (RFC 8201 section 4); for IPv4 it is what Linux believes
// (net.ipv4.route.min_pmtu), RFC 1191 section 3 having 68.
const leastPathMTUIPv4 = 552

// setWord sets a word of an ICMP message, and its checksum with it (RFC 1624).
func setWord(message, word []byte, value uint16) {
	sum := uint32(^binary.BigEndian.Uint16(message[2:])) + uint32(^binary.BigEndian.Uint16(word)) + uint32(value)
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	binary.BigEndian.PutUint16(word, value)
	binary.BigEndian.PutUint16(message[2:], ^uint16(sum))
}

func (g *gate) badICMP(d *datagram) {
	g.inst.counters.icmpChecksum.Add(1)
	g.inst.note(nx.Received, dropICMPChecksum, d.pkt.Size(), headOf(d.pkt))
}

func (g *gate) unhandledICMP(d *datagram, isError bool) {
	g.inst.counters.icmpUnhandled.Add(1)
	if isError {
		g.up(d)
		return
	}
	g.inst.note(nx.Received, dropUnhandledICMP, d.pkt.Size(), headOf(d.pkt))
}

// echoRequest answers a request with its own bytes (_nx_icmpv4_process_echo_request,
// _nx_icmpv6_process_echo_request). The answer comes from the address that the
// request went to, or from one of the instance's if that was a group's.
func (g *gate) echoRequest(d *datagram, reply uint8) {
	source := d.destination
	if word, ok := wordOf(source); source.IsMulticast() || ok && g.inst.settings.Load().isBroadcast(word) {
		route, status, _ := g.inst.routeFind(d.source)
		if status != nx.Success {
			g.inst.note(nx.Sent, dropNoRoute, d.pkt.Size(), headOf(d.pkt))
			return
		}
		source = route.Source
	}
	b, _ := d.bytes(d.offset, d.payload())
	message := bytes.Clone(b[:d.payload()])
	message[0], message[1], message[2], message[3] = reply, 0, 0, 0
	g.inst.sendICMP(source, d.source, message)
}

// echoReply gives a reply to the ping that waits for it. Only the sequence
// number is compared, as in the original.
func (g *gate) echoReply(d *datagram, sequence uint16) {
	g.inst.counters.pingReplies.Add(1)
	ps := &g.inst.pings
	if !ps.expects(sequence) {
		g.inst.note(nx.Received, dropNoWaiter, d.pkt.Size(), headOf(d.pkt))
		return
	}
	response, err := g.application(d, d.offset+icmpHeaderSize)
	if err != nil {
		g.inst.note(nx.Received, dropPoolEmpty, d.pkt.Size(), headOf(d.pkt))
		return
	}
	if !ps.serve(sequence, g.inst.clock.Now(), EchoReply{Packet: response, Source: d.source, TimeToLive: d.timeToLive()}) {
		_ = packetpool.Release(response) // the ping ran out of time a moment ago
	}
}

// neighbor handles a neighbor solicitation or advertisement. Of a tentative
// address it means that somebody else has it, or tries it too (RFC 4862 section
// 5.4.3 and 5.4.4); a solicitation of a valid one the stack answers. There is no
// neighbor cache that an advertisement would be for.
func (g *gate) neighbor(s *settings, d *datagram, solicitation bool) {
	b, ok := d.bytes(d.offset, header.ICMPv6NeighborSolicitMinimumSize)
	if !ok {
		g.inst.note(nx.Received, dropUnhandledICMP, d.pkt.Size(), headOf(d.pkt))
		return
	}
	if d.timeToLive() != defaultHopLimit {
		g.inst.note(nx.Received, dropForeignND, d.pkt.Size(), headOf(d.pkt)) // RFC 4861 section 7.1
		return
	}
	target := netip.AddrFrom16([16]byte(b[8:]))
	i := s.ipv6AddressOf(target)
	switch {
	case i >= 0 && s.ipv6At[i].state == AddressTentative:
		if !solicitation || d.source.IsUnspecified() {
			g.inst.conflict(target)
		}
	case i >= 0 && solicitation:
		g.up(d)
	}
}
