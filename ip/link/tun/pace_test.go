package tun

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPace(t *testing.T) {
	const n = 1600
	var p pace
	run := func(spinning, parked time.Duration) (parks int) {
		for i := range n {
			if p.begin() {
				parks++
				p.end(parked + time.Duration(i%7)*time.Microsecond)
			} else {
				p.end(spinning + time.Duration(i%5)*time.Microsecond)
			}
			if i%10 == 0 { // nothing is going on
				p.begin()
				p.end(time.Second)
			}
		}
		return parks
	}
	assert.Less(t, run(20*time.Microsecond, 40*time.Microsecond), n/5, "the loop is quicker")
	assert.Greater(t, run(90*time.Microsecond, 40*time.Microsecond), n*2/3, "the peer waits for the processor")
	assert.Less(t, run(20*time.Microsecond, 40*time.Microsecond), n/3, "and has one again")
}
