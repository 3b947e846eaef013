package tcp

import (
	"gonetx/ip"
	"gonetx/packetpool/nx"
)

// WithoutWatch leaves connections of an instance to gVisor alone, for tests that
// show what the watch is for.
func WithoutWatch(inst *ip.Instance) {
	p, _ := enabled(inst)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch.off = true
}

// WithoutDelay has an instance acknowledge whatever comes at once, for tests of
// what a sender does whose peer does so.
func WithoutDelay(inst *ip.Instance) {
	p, _ := enabled(inst)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delays.off = true
}

// PacketComes is what a receiver waits for that needs a packet for a copy.
func PacketComes(inst *ip.Instance, wait nx.Wait) bool {
	p, _ := enabled(inst)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.packetComes(wait)
}
