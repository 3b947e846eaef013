package tun

import "time"

// pace chooses how the reader waits for the next frame: looking for it in a
// loop, or parked. Where every thread has a processor the loop is quicker,
// because a parked reader must be woken; where the peer shares the processor
// with the reader, the loop keeps it from answering. Nobody tells which of the
// two it is, so each way is judged by the time that it took until a frame came,
// and the other one is tried now and then.
type pace struct {
	took  [2]time.Duration // running means, spinning and parked; zero: not tried
	parks bool             // the way of this wait
	waits uint             // so far
}

const (
	paceTry   = 16               // each so many waits go the other way
	paceRate  = 8                // of the means
	paceLimit = time.Millisecond // a longer wait says nothing about the way: there was nothing to come
)

// begin chooses the way of a wait.
func (p *pace) begin() (parks bool) {
	p.waits++
	better := p.took[1] > 0 && p.took[1] < p.took[0]
	if p.parks = better; p.waits%paceTry == 0 {
		p.parks = !better
	}
	return p.parks
}

// end notes how long the wait took.
func (p *pace) end(took time.Duration) {
	if took > paceLimit {
		return
	}
	mean := &p.took[0]
	if p.parks {
		mean = &p.took[1]
	}
	if *mean == 0 {
		*mean = max(took, 1)
		return
	}
	*mean = max(*mean+(took-*mean)/paceRate, 1)
}
