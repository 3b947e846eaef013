package driven

import (
	"fmt"
	"net/netip"
	"strings"

	"gonetx/ip/link/ram"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Segments lists the TCP segments of a network in the order in which they were
// sent, and loses some of them. Its methods Sent and Verdict go into the Config
// of a [World]. Its fields may be changed while the world stands still.
type Segments struct {
	// Tick is the time; it begins each line of the list.
	Tick func() uint32

	// Sides are the instances whose segments are listed, with the letter of
	// each: two of them.
	Sides map[string]string

	// Lose is the sides, by letter, whose segments are all lost.
	Lose map[string]bool

	// Somebody tells whether anybody has an address. A segment to one that nobody
	// has goes to Unheard: where neighbors are resolved, it never gets on the
	// wire. Nil: all are listed.
	Somebody func(netip.Addr) bool
	Unheard  []string

	// List holds one line for each segment, up to Limit of them: tick, side,
	// flags, sequence and acknowledgement number relative to the latest SYN of
	// either side, window, length of the data, then mssN and DROP where they
	// apply.
	List  []string
	Limit int

	loseData int // data segments of loseOf until the one that is lost; 0: none is
	loseOf   string
	lost     map[uint64]bool   // frames that the link loses
	first    map[string]uint32 // sequence number of each side's latest SYN
}

// LoseData loses one data segment of a side: the one with the given index,
// counted from here.
func (s *Segments) LoseData(side string, index int) { s.loseOf, s.loseData = side, index+1 }

// Sent lists a segment, and decides whether it is lost.
func (s *Segments) Sent(f ram.Frame) {
	segment, to, length, ok := parse(f.Data)
	side := s.Sides[f.From]
	if !ok || side == "" {
		return
	}
	if s.first == nil {
		s.first, s.lost = map[string]uint32{}, map[uint64]bool{}
	}
	lost := s.Lose[side]
	if length > 0 && s.loseOf == side && s.loseData > 0 {
		s.loseData--
		lost = lost || s.loseData == 0
	}
	s.lost[f.Number] = lost

	flags := segment.Flags()
	if flags.Contains(header.TCPFlagSyn) {
		s.first[side] = segment.SequenceNumber()
	}
	sequence, ack := segment.SequenceNumber()-s.first[side], uint32(0)
	if flags.Contains(header.TCPFlagAck) {
		ack = segment.AckNumber() - s.first[s.other(side)]
	}
	line := fmt.Sprintf("%d %s %s %d %d %d %d", s.Tick(), side, letters(flags), sequence, ack, segment.WindowSize(), length)
	if mss := mssOf(segment); mss != 0 {
		line += fmt.Sprintf(" mss%d", mss)
	}
	if lost {
		line += " DROP"
	}
	list := &s.List
	if s.Somebody != nil && !s.Somebody(to) {
		list = &s.Unheard
	}
	if len(*list) < s.Limit {
		*list = append(*list, line)
	}
}

func (s *Segments) other(side string) string {
	for _, letter := range s.Sides {
		if letter != side {
			return letter
		}
	}
	return ""
}

// Verdict loses what Sent has chosen.
func (s *Segments) Verdict(f ram.Frame) ram.Verdict {
	if s.lost[f.Number] {
		return ram.Drop
	}
	return ram.Pass
}

// letters shows flags as the recording does.
func letters(flags header.TCPFlags) string {
	var b strings.Builder
	for _, f := range []struct {
		flag   header.TCPFlags
		letter byte
	}{
		{header.TCPFlagSyn, 'S'}, {header.TCPFlagFin, 'F'}, {header.TCPFlagRst, 'R'}, {header.TCPFlagPsh, 'P'}, {header.TCPFlagAck, 'A'},
	} {
		if flags.Contains(f.flag) {
			b.WriteByte(f.letter)
		}
	}
	return b.String()
}

// parse finds the segment in a datagram, where it goes, and the length of its
// data.
func parse(datagram []byte) (segment header.TCP, to netip.Addr, length int, ok bool) {
	var payload []byte
	switch header.IPVersion(datagram) {
	case header.IPv4Version:
		h := header.IPv4(datagram)
		if !h.IsValid(len(datagram)) || h.TransportProtocol() != header.TCPProtocolNumber {
			return nil, to, 0, false
		}
		to, payload = netip.AddrFrom4(h.DestinationAddress().As4()), h.Payload()
	case header.IPv6Version:
		h := header.IPv6(datagram)
		// No instance here sends extension headers.
		if !h.IsValid(len(datagram)) || h.NextHeader() != uint8(header.TCPProtocolNumber) {
			return nil, to, 0, false
		}
		to, payload = netip.AddrFrom16(h.DestinationAddress().As16()), h.Payload()
	default:
		return nil, to, 0, false
	}
	if len(payload) < header.TCPMinimumSize {
		return nil, to, 0, false
	}
	segment = header.TCP(payload)
	return segment, to, len(payload) - int(segment.DataOffset()), true
}

func mssOf(segment header.TCP) int {
	if !segment.Flags().Contains(header.TCPFlagSyn) {
		return 0
	}
	options := segment.Options()
	for len(options) > 1 {
		switch options[0] {
		case header.TCPOptionEOL:
			return 0
		case header.TCPOptionNOP:
			options = options[1:]
		case header.TCPOptionMSS:
			if len(options) < header.TCPOptionMSSLength {
				return 0
			}
			return int(options[2])<<8 | int(options[3])
		default:
			n := int(options[1])
			if n < 2 || n > len(options) {
				return 0
			}
			options = options[n:]
		}
	}
	return 0
}
