package tcp

import (
	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// The timing of release 6.4.2, on instances with ip.Config.Release. gVisor
// keeps the connections and sends everything for the first time. What is sent
// again, and when data is acknowledged, is decided here, by the release's timer
// of 100 ms and its rules; what gVisor would send again or acknowledge by its
// own rules is kept back at the gate.

// release is what the release knows of a connection beside what sender and
// receiver do. It is guarded by the protocol's lock.
type release struct {
	// Congestion control: RFC 5681 as nx_tcp_socket_state_ack_check.c has it.
	window     uint32 // tx_window_congestion
	threshold  uint32 // tx_slow_start_threshold
	duplicates uint32 // duplicated_ack_received
	recover    uint32 // tx_sequence_recover
	highest    uint32 // previous_highest_ack
	recovering bool   // fast_recovery

	timeout uint32 // ticks until something is sent again; 0: nothing is awaited
	retries uint32
	delay   uint32 // ticks until an acknowledgement that may wait goes out
	probing bool   // a sender found the window closed: zero_window_probe_has_data
	probes  uint32 // without an answer
	synOut  bool   // our SYN or SYN-ACK has been sent
	told    bool   // an acknowledgement has been sent
}

// Rates of the release's timer, in ticks.
const (
	fastTicks = 10 // NX_TCP_FAST_TIMER_RATE
	ackTicks  = 20 // NX_TCP_ACK_TIMER_RATE
)

// begin is the handshake's end: nx_tcp_socket_state_syn_sent.c and
// nx_tcp_socket_state_syn_received.c.
func (l *release) begin(t *sender) {
	l.threshold = t.window
	switch {
	case l.retries > 0:
		l.window = t.mss
	case t.mss > 2190:
		l.window = 2 * t.mss
	case t.mss > 1095:
		l.window = 3 * t.mss
	default:
		l.window = 4 * t.mss
	}
	l.recover, l.highest = t.initial, t.initial
	l.timeout = 0
}

// inFlight is how much may be outstanding for all that congestion control
// says. During the first two duplicate acknowledgements a little more may be
// (RFC 5681 section 3.2).
func (l *release) inFlight(mss uint32) uint32 {
	if l.duplicates == 1 || l.duplicates == 2 {
		return l.window + 2*mss
	}
	return l.window
}

// receivedUpTo is rx_sequence: what has come in order, a FIN included.
func (r *receiver) receivedUpTo() uint32 {
	if r.finished {
		return r.next + 1
	}
	return r.next
}

// open is rx_window_current.
func (r *receiver) open() uint32 { return r.window(r.receivedUpTo()) }

// outside is the acceptability test of nx_tcp_socket_packet_process.c. A probe
// of a closed window fails it, and is so answered.
func (r *receiver) outside(from, length uint32, flags header.TCPFlags) bool {
	next, window := r.receivedUpTo(), r.open()
	if length == 0 {
		const control = header.TCPFlagSyn | header.TCPFlagFin | header.TCPFlagRst | header.TCPFlagAck
		if window == 0 {
			return from != next && !flags.Contains(header.TCPFlagRst) && !flags.Contains(header.TCPFlagUrg) &&
				flags&control != header.TCPFlagAck
		}
		return before(from, next) || !before(from, next+window)
	}
	begins := !before(from, next) && before(from, next+window)
	last := from + length - 1
	ends := !before(last, next) && before(last, next+window)
	return window == 0 || !begins && !ends
}

// releaseIn looks at a segment as the release does before anything is made of
// it. It answers what is sent at once, and whether the segment is dropped.
func (c *connection) releaseIn(from, length uint32, h header.TCP) (answer []control, drop bool) {
	r, t, s := &c.receiver, &c.sender, c.socket
	flags := h.Flags()
	if s == nil || s.state < SynReceived {
		return nil, false
	}
	ack := []control{c.acknowledgement()}
	switch {
	case r.outside(from, length, flags):
		c.p.counters.ReceivePacketsDropped++
		if flags.Contains(header.TCPFlagRst) {
			return nil, true
		}
		return ack, true
	case flags.Contains(header.TCPFlagRst), s.state == SynReceived:
		return nil, false
	case flags.Contains(header.TCPFlagAck) && before(t.max, h.AckNumber()):
		return ack, true // of something that was never sent
	}
	switch {
	case length > 0 && before(r.next, from):
		answer = ack // something is missing before it
		fallthrough
	case length > 0:
		if r.segments() == 0 && len(r.ahead) == 0 {
			c.release.delay = ackTicks
		}
	case s.state == Established && r.segments() == 0 && from != r.next && from != r.next-1:
		answer = ack
	case r.open() == 0 && from == r.receivedUpTo() && h.AckNumber() == t.max && t.segments == 0 && !flags.Contains(header.TCPFlagFin):
		answer = ack // nx_tcp_socket_state_ack_check.c, "Response to zero window probe"
	}
	return answer, false
}

// releaseOut tells whether a segment that gVisor sends leaves, and what is sent
// instead.
func (c *connection) releaseOut(seg *ip.Segment) (pass bool, instead []control) {
	h, flags := seg.TCP, seg.TCP.Flags()
	l, r, t, s := c.release, &c.receiver, &c.sender, c.socket
	if s == nil {
		return true, nil
	}
	from := h.SequenceNumber()
	switch {
	case flags.Contains(header.TCPFlagSyn):
		// gVisor's has options that NetX Duo's default build does not have.
		if l.synOut {
			return false, nil
		}
		l.synOut, l.told = true, flags.Contains(header.TCPFlagAck)
		c.await(0)
		return false, []control{c.syn()}
	case seg.Payload > 0:
		if before(from, t.max) {
			return false, nil
		}
		h.SetFlags(uint8(flags | header.TCPFlagPsh))
		if from == t.una {
			c.await(0)
		}
		l.probing = false
	case flags.Contains(header.TCPFlagFin):
		if t.hasFIN {
			return false, nil
		}
		c.await(0)
	case !l.told:
		// The acknowledgement of the SYN-ACK.
	case !r.finished && r.endsWith(h.AckNumber()):
		// That of the peer's FIN.
	default:
		return false, nil
	}
	return true, nil
}

// acked is nx_tcp_socket_state_ack_check.c behind the release of what an
// acknowledgement covers: una was the oldest byte before it, waiting tells that
// something was on the transmit queue. It answers what is sent again at once.
func (c *connection) acked(ack, una, bytes uint32, waiting bool) []control {
	l, t, s := c.release, &c.sender, c.socket
	if bytes == 0 {
		if waiting && ack == una && ack != t.max {
			return c.duplicate(ack)
		}
		if t.finDone {
			l.timeout = 0
		}
		return nil
	}
	if l.recovering && before(l.recover, ack) {
		l.recovering = false
		l.window = l.threshold
	}
	if before(l.recover, ack-2) {
		l.recover = ack - 2
	}
	l.duplicates, l.highest = 0, una
	switch mss := t.mss; {
	case l.recovering:
		l.window -= bytes
		if bytes > mss {
			l.window += mss
		}
	case l.window >= l.threshold:
		l.window += max(mss*mss/l.window, 1)
	default:
		l.window += min(bytes, mss)
	}
	switch {
	case t.queue.len() > 0:
		c.await(0)
	case t.finDone:
		l.timeout = 0
	case s.state == FinWait1, s.state == Closing, s.state == LastAck:
		c.await(0)
	case t.window != 0:
		l.timeout = 0
	}
	if l.recovering {
		return c.retransmit(false)
	}
	return nil
}

// duplicate is a duplicate acknowledgement: the third one has a segment sent
// again at once (RFC 6582).
func (c *connection) duplicate(ack uint32) []control {
	l, t := c.release, &c.sender
	l.duplicates++
	switch {
	case l.duplicates == 3:
		if before(l.recover, ack-1) || l.window > t.mss && before(ack, l.highest+4*t.mss) {
			return c.retransmit(true)
		}
	case l.duplicates > 3 && l.recovering:
		l.window += t.mss
	}
	return nil
}

// retransmit is nx_tcp_socket_retransmit.c: what is not acknowledged is sent
// again as far as the window goes, or a closed window is probed.
func (c *connection) retransmit(third bool) []control {
	l, t := c.release, &c.sender
	if t.window == 0 {
		if t.segments > 0 {
			l.probing, l.probes = true, 0
		} else if !l.probing {
			return nil
		}
		l.probes++
		c.await(l.retries + 1)
		return []control{c.probeSegment()}
	}
	l.probing = false
	if third || !l.recovering {
		l.threshold = max(t.outstanding()/2, 2*t.mss)
		l.window = t.mss
		if third {
			l.window += l.threshold + 2*t.mss
			l.recovering, l.recover = true, t.max-1
		}
	}
	c.await(l.retries + 1)
	var again []control
	available := l.window
	for segment := range t.unacknowledged() {
		if uint32(len(segment.data)) > available {
			break
		}
		available -= uint32(len(segment.data))
		segment.flags, segment.ack = header.TCPFlagAck|header.TCPFlagPsh, c.receiver.receivedUpTo()
		again = append(again, segment)
		if l.recovering {
			break
		}
	}
	return again
}

// packetLeft tells that the default pool has a packet for a segment without
// data, which the release takes for the time of sending: without one the segment
// is not sent, and nobody is told (nx_tcp_packet_send_control.c).
func (p *protocol) packetLeft() bool {
	packet, err := packetpool.Allocate(p.inst.Pool(), packetpool.IPPacket, nx.NoWait)
	if err != nil {
		return false
	}
	return packetpool.Release(packet) == nil
}
