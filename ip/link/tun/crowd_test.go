package tun

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
)

// segment is the begin of a frame from a port.
func segment(ipv6 bool, port uint16) []byte {
	frame := make([]byte, 64)
	frame[0] = 0x45
	at := 20
	if ipv6 {
		frame[0], at = 0x60, 40
	}
	binary.BigEndian.PutUint16(frame[at:], 25)
	binary.BigEndian.PutUint16(frame[at+2:], port)
	return frame
}

func TestCrowd(t *testing.T) {
	for _, ipv6 := range []bool{false, true} {
		var c crowd
		for i := range 1000 { // one after the other, eleven frames each
			c.see(segment(ipv6, uint16(i/11)))
			assert.False(t, c.many(), "frame %d", i)
		}
		for i := range 100 { // many at once
			c.see(segment(ipv6, uint16(i%64)))
			assert.True(t, c.many() || i < 8, "frame %d", i)
		}
		for i := range 100 { // one alone again
			c.see(segment(ipv6, 1))
			assert.True(t, !c.many() || i < 8, "frame %d", i)
		}
	}
}

func TestCrowdOfOddFrames(t *testing.T) {
	var c crowd
	for first := range 256 {
		frame := make([]byte, 100)
		frame[0] = byte(first)
		for n := range frame {
			c.see(frame[:n])
		}
	}
	// Options of IPv4 move the ports.
	long := segment(false, 1)
	long[0] = 0x4F
	long = append(long, 0, 25, 0, 7)
	other := append([]byte(nil), long...)
	other[63] = 8
	assert.NotEqual(t, connectionOf(long), connectionOf(other))
}
