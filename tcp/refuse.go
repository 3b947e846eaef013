package tcp

import (
	"math"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// What the gate does not let into gVisor, whose window is larger than the one that the
// peer was told. Where it takes data, the gate must know of it: see endsWith.

// plausible is the acceptability test of RFC 9293 section 3.10.7.4, wide enough
// for everything that gVisor answers to: its purpose is that a forged segment
// does not free packets.
func (r *receiver) plausible(from, length uint32) bool {
	return !before(r.acked+r.size, from) && !before(from+length, r.acked-maxScaledWindow)
}

// takes tells whether a segment with data begins inside the window that the
// peer was told.
func (c *connection) takes(from, length uint32) bool {
	r := &c.receiver
	return before(from, r.read-r.held+r.size) || !before(r.next, from+length)
}

// keepsAhead tells whether a segment is kept that comes ahead of something that is
// missing: the gate must be able to remember it, and what is missing to find room.
func (c *connection) keepsAhead() bool {
	return len(c.receiver.ahead) < maxAhead && c.roomForMissing()
}

// roomForMissing tells whether the default pool keeps packets for the segment
// that is missing when it keeps one that came ahead of it. Segments may be of any
// size, so the window alone does not see to that: many small ones would take all
// packets, and the one that they wait for would find none, for ever.
// ip.Config.NoWindowRule has it so, as the original.
func (c *connection) roomForMissing() bool {
	if c.budget == math.MaxUint32 {
		return true
	}
	pool := c.p.inst.Pool()
	payload := pool.PayloadSize()
	if payload == 0 {
		return false // the pool has been deleted
	}
	const headers = header.IPv6MinimumSize + header.TCPHeaderMaximumSize
	return pool.Spare((c.receiver.mss + headers + payload - 1) / payload)
}

// disown makes a segment one that gVisor knows already, and answers with an
// acknowledgement, as often as it thinks fit (snd.go, maybeSendOutOfWindowAck).
func (c *connection) disown(h header.TCP, length uint32) {
	h.SetSequenceNumber(c.receiver.acked - length - 1)
	h.SetFlags(uint8(h.Flags() &^ header.TCPFlagFin))
}
