package fault

import (
	"net/netip"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Rule is a fault for certain frames.
type Rule struct {
	Match   Match
	Verdict Verdict
}

// Match picks frames. The zero Match picks all.
type Match struct {
	Direction        nx.Direction // zero: both
	Side             Side
	Kind             Kind
	FromPort, ToPort uint16 // zero: any

	// First and Last count the frames that the fields above pick, from 1, over
	// all connections, retransmissions included. First alone picks one; zero
	// picks all; a Last of Open has no end.
	First, Last uint64
}

// Open is a Last without end.
const Open = 1<<64 - 1

// Side is an end of a connection. The server is the one that the SYN went to.
type Side uint8

const (
	EitherSide Side = iota
	FromServer
	FromClient
)

// Kind is a kind of frame.
type Kind uint8

const (
	Any    Kind = iota
	TCP         // any segment
	SYN         // without ACK
	SYNACK      //
	ACK         // nothing but ACK: no data, no SYN, FIN, RST
	Data        // with data
	FIN
	RST
	UDP
	ICMP // of either family
)

// rule is a Rule that has counted.
type rule struct {
	Rule
	picked uint64
}

// server is the port that connections are made to.
type server netip.AddrPort

// ruled is what the rules say of a frame. The caller holds the lock.
func (d *Driver) ruled(f Frame) (v Verdict) {
	if kind(f, SYN) {
		d.servers[server(f.Datagram.To)] = true
	}
	for _, r := range d.rules {
		if !d.matches(r.Match, f) {
			continue
		}
		r.picked++
		if r.Match.counts(r.picked) {
			v = v.and(r.Verdict)
		}
	}
	return v
}

// matches leaves the count aside.
func (d *Driver) matches(m Match, f Frame) bool {
	switch {
	case m.Direction != 0 && m.Direction != f.Direction:
		return false
	case m.FromPort != 0 && m.FromPort != f.Datagram.From.Port():
		return false
	case m.ToPort != 0 && m.ToPort != f.Datagram.To.Port():
		return false
	case m.Side == FromServer && !d.servers[server(f.Datagram.From)]:
		return false
	case m.Side == FromClient && !d.servers[server(f.Datagram.To)]:
		return false
	}
	return kind(f, m.Kind)
}

func (m Match) counts(n uint64) bool {
	switch {
	case m.First == 0:
		return true
	case m.Last == 0:
		return n == m.First
	}
	return n >= m.First && n <= m.Last
}

// kind tells whether a frame is of the kind.
func kind(f Frame, k Kind) bool {
	d := &f.Datagram
	switch k {
	case Any:
		return true
	case UDP:
		return d.Transport == header.UDPProtocolNumber
	case ICMP:
		return d.Version == 4 && d.Transport == header.ICMPv4ProtocolNumber ||
			d.Version == 6 && d.Transport == header.ICMPv6ProtocolNumber
	}
	if d.Transport != header.TCPProtocolNumber {
		return false
	}
	switch k {
	case TCP:
		return true
	case SYN:
		return d.Flags.Contains(header.TCPFlagSyn) && !d.Flags.Contains(header.TCPFlagAck)
	case SYNACK:
		return d.Flags.Contains(header.TCPFlagSyn | header.TCPFlagAck)
	case ACK:
		return d.Length == 0 && d.Flags&(header.TCPFlagSyn|header.TCPFlagFin|header.TCPFlagRst|header.TCPFlagAck) == header.TCPFlagAck
	case Data:
		return d.Length > 0
	case FIN:
		return d.Flags.Contains(header.TCPFlagFin)
	case RST:
		return d.Flags.Contains(header.TCPFlagRst)
	}
	return false
}
