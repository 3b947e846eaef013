package ip

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// passing is a transport that lets everything pass and keeps what it saw.
type passing struct {
	mu      sync.Mutex // guards the fields below
	in, out []Segment  // without the pointers into packets
	down    int

	changed chan struct{} // one token when something was seen; nil: nobody waits

	// edit, when set, changes a segment and says whether it passes.
	edit func(s *Segment, out bool) bool
}

func (p *passing) SegmentIn(s *Segment) bool  { return p.see(s, &p.in, false) }
func (p *passing) SegmentOut(s *Segment) bool { return p.see(s, &p.out, true) }

func (p *passing) see(s *Segment, list *[]Segment, out bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pass := p.edit == nil || p.edit(s, out)
	kept := *s
	kept.TCP, kept.Packet = append([]byte(nil), s.TCP...), nil
	*list = append(*list, kept)
	select {
	case p.changed <- struct{}{}:
	default:
	}
	return pass
}

func (p *passing) Uses(netip.Addr) bool { return false }

func (p *passing) InterfaceDown() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down++
}

func (p *passing) Close() {}

// requireMirror waits until what left either side has come in at the other, and
// compares it. Both sides may be one.
func requireMirror(t *testing.T, a, b *passing) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		inA, outA := a.seen()
		inB, outB := b.seen()
		if len(inA) == len(outB) && len(inB) == len(outA) {
			requireSame(t, outA, inB)
			requireSame(t, outB, inA)
			return
		}
		select {
		case <-a.changed:
		case <-b.changed:
		case <-deadline:
			require.FailNow(t, "segments are missing")
		}
	}
}

// requireSame compares what left one side with what came in at the other.
func requireSame(t *testing.T, out, in []Segment) {
	t.Helper()
	for i := range out {
		require.Equal(t, out[i].TCP, in[i].TCP)
		require.Equal(t, out[i].Local, in[i].Remote)
		require.Equal(t, out[i].Remote, in[i].Local)
		require.Equal(t, out[i].Payload, in[i].Payload)
	}
}

func (p *passing) seen() (in, out []Segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Segment(nil), p.in...), append([]Segment(nil), p.out...)
}
