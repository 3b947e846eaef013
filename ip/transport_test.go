package ip

import "sync"

// passing is a transport that lets everything pass and keeps what it saw.
type passing struct {
	mu      sync.Mutex // guards the fields below
	in, out []Segment  // without the pointers into packets
	down    int

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
	return pass
}

func (p *passing) InterfaceDown() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down++
}

func (p *passing) Close() {}

func (p *passing) seen() (in, out []Segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Segment(nil), p.in...), append([]Segment(nil), p.out...)
}
