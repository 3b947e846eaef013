package tcp

import (
	"gonetx/ip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// WithRACK turns gVisor's RACK on, for a test that shows why it is off.
func WithRACK(inst *ip.Instance) {
	recovery := tcpip.TCPRACKLossDetection
	must(inst.Stack().SetTransportProtocolOption(tcp.ProtocolNumber, &recovery))
}

// WithoutDelay has an instance acknowledge whatever comes at once, for tests of
// what a sender does whose peer does so.
func WithoutDelay(inst *ip.Instance) {
	p, _ := enabled(inst)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delays.off = true
}

// MaxAhead is how many segments the gate remembers that came ahead.
const MaxAhead = maxAhead
