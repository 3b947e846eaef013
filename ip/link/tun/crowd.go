package tun

import "encoding/binary"

// crowd tells whether many connections share the device, from the frames that
// come in. Looking for the next frame in a loop shortens the wait of a
// connection whose peer is about to answer. Where many wait, the next frame is
// for another one, nobody waits for the reader, and the processor is better left
// to whoever answers: with 64 mails at once the loop took a sixth of the time
// of a mail.
type crowd struct {
	last  uint64 // the connection of the last frame
	level int    // how often the last frames were for another connection than the one before; the latest count most
}

// A change of connection brings the level an eighth nearer to full, none brings
// it an eighth nearer to zero.
const (
	crowdFull = 256
	crowdRate = 8
)

func (c *crowd) many() bool { return c.level > crowdFull/2 }

// see looks at the begin of a frame.
func (c *crowd) see(frame []byte) {
	if f := connectionOf(frame); f != c.last {
		c.last = f
		c.level += (crowdFull - c.level) / crowdRate
	} else {
		c.level -= c.level / crowdRate
	}
}

// connectionOf is the ports of a frame and the end of its source address. What
// has no ports there is told apart by its bytes all the same.
func connectionOf(frame []byte) uint64 {
	address, ports := 12, 0
	switch {
	case len(frame) == 0:
		return 0
	case frame[0]>>4 == 4:
		ports = int(frame[0]&15) * 4
	default:
		address, ports = 20, 40
	}
	if len(frame) < max(address, ports)+4 {
		return 0
	}
	return uint64(binary.LittleEndian.Uint32(frame[address:]))<<32 | uint64(binary.LittleEndian.Uint32(frame[ports:]))
}
