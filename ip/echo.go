package ip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// This file is an echo request that is told more than the one of NetX Duo: how
// long the reply took, who sent it, and what went wrong on the way. It is no
// service of NetX Duo's; the command "nxduo ping" is made of it.

// EchoRequest describes an echo request.
type EchoRequest struct {
	Address    netip.Addr
	Data       []byte
	TimeToLive uint8 // or hop limit; zero: 128, for IPv6 255
}

// EchoReply is the answer to an echo request.
type EchoReply struct {
	Packet     packetpool.Packet // the data that came back; the caller releases it
	Source     netip.Addr        // who answered
	TimeToLive uint8             // of the answer as it came in
	Sequence   uint16            // of the request, also when there was no answer
	Took       time.Duration
}

// EchoError is an ICMP error in place of a reply: the request did not get
// there.
type EchoError struct {
	Source     netip.Addr // who says so
	Type, Code uint8      // as in the message
}

// Error says it in the words of the familiar tool.
func (e *EchoError) Error() string { return e.words() + ", says " + e.Source.String() }

// TimeExceeded tells that the request was passed on too often.
func (e *EchoError) TimeExceeded() bool {
	return e.Source.Is4() && e.Type == icmpTimeExceed || e.Source.Is6() && e.Type == uint8(header.ICMPv6TimeExceeded)
}

func (e *EchoError) words() string {
	unreachable := map[uint8]string{
		0: "destination net unreachable", 1: "destination host unreachable", 2: "destination protocol unreachable",
		3: "destination port unreachable", 4: "fragmentation needed and not allowed", 10: "destination host prohibited",
		13: "packet filtered",
	}
	if e.Source.Is6() {
		unreachable = map[uint8]string{
			0: "no route to the destination", 1: "administratively prohibited", 2: "beyond the scope of the source",
			3: "address unreachable", 4: "port unreachable",
		}
	}
	isUnreachable := e.Source.Is4() && e.Type == icmpUnreachable || e.Source.Is6() && e.Type == icmpv6Unreachable
	switch {
	case e.TimeExceeded():
		return "time to live exceeded"
	case isUnreachable && unreachable[e.Code] != "":
		return unreachable[e.Code]
	case isUnreachable:
		return fmt.Sprintf("destination unreachable, code %d", e.Code)
	case e.Source.Is6() && e.Type == uint8(header.ICMPv6PacketTooBig):
		return "packet too big"
	}
	return fmt.Sprintf("ICMP type %d, code %d", e.Type, e.Code)
}

// ICMPEcho sends an echo request and waits for the reply, as [ICMPPing] does,
// and for errors on the way, which ICMPPing does not look at. The sequence
// number is answered in any case.
//
// Errors: those of ICMPPing; NX_NO_RESPONSE wraps an [EchoError] when one came.
func ICMPEcho(inst *Instance, request EchoRequest, wait nx.Wait) (EchoReply, error) {
	const service = "ip.ICMPEcho"
	address, status := checkPing(inst, request.Address)
	if status == nx.Success {
		status = inst.checkICMP(address)
	}
	if status != nx.Success {
		return EchoReply{}, nx.Fail(service, status, nil)
	}
	route, status, cause := inst.routeFind(address)
	if status != nx.Success {
		return EchoReply{}, nx.Fail(service, status, cause)
	}
	request.Address = address
	return inst.echo(service, route.Source, request, wait, true)
}

// echoError tells the request that an ICMP error quotes, if it is one of
// ICMPEcho's. b is the message behind the 8 bytes of its own header.
func (g *gate) echoError(d *datagram, kind, code uint8) {
	const v4, v6 = header.IPv4MinimumSize, header.IPv6MinimumSize
	quoted, ok := d.bytes(d.offset+icmpHeaderSize, v4)
	size, protocol, request := 0, uint8(protocolICMP), uint8(icmpEcho)
	switch {
	case !ok:
		return
	case d.source.Is4():
		size = int(header.IPv4(quoted).HeaderLength())
		ok = header.IPv4(quoted).Protocol() == protocol
	default:
		size, protocol, request = v6, protocolICMPv6, icmpv6Echo
		ok = quoted[6] == protocol // next header
	}
	if !ok {
		return
	}
	echo, ok := d.bytes(d.offset+icmpHeaderSize+size, icmpHeaderSize)
	if !ok || echo[0] != request {
		return
	}
	g.inst.pings.fail(binary.BigEndian.Uint16(echo[6:]), &EchoError{Source: d.source, Type: kind, Code: code})
}
