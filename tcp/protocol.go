package tcp

import (
	"math/rand/v2"
	"sync"

	"gonetx/ip"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// protocol is the TCP of one IP instance. [Enable] makes it and installs it as
// the instance's transport, so that it sees every segment at the gate.
//
// Lock order: the lock of a gVisor endpoint, then mu. gVisor calls the gate and
// its waiters with an endpoint's lock held, so nothing that takes one is called
// under mu. Pools and suspensions may be used under it.
type protocol struct {
	inst     *ip.Instance
	clock    nx.Clock
	recorder nx.Recorder

	handshakes sync.WaitGroup // goroutines of accept; see synPacket.feed

	// mu is what the protection mutex of an instance is in NetX Duo. It guards
	// all fields below and all sockets of the instance, except what Socket says
	// is written by create only.
	mu          nx.Mutex
	sockets     map[*Socket]struct{} // created
	lingering   map[*Socket]struct{} // deleted, with a connection that is being closed
	ports       map[uint16]*port
	listens     map[uint16]*listenRequest
	connections map[flow]*connection
	counters    Info
	moved       bool                             // the interface's address has been replaced under a connection
	serial      uint64                           // sockets created so far
	raw         map[*stack.PacketBuffer]*control // on their way to the gate: not gVisor's
	fast        fastTimer
	expecting   bool // the timer of outlived is set
	delays      delays
	shares      shares
	spare       stock
}

// Enable lets an instance speak TCP: nx_tcp_enable. Before it, segments that
// come in are dropped without an answer.
//
// Errors, in order: NX_PTR_ERROR (inst nil or not created), NX_ALREADY_ENABLED.
//
// Source: nxe_tcp_enable.c, nx_tcp_enable.c.
func Enable(inst *ip.Instance) error {
	const service = "tcp.Enable"
	if !inst.Created() {
		return nx.Fail(service, nx.PtrError, nil)
	}
	p := &protocol{
		inst: inst, clock: inst.Clock(), recorder: inst.Recorder(),
		sockets:     make(map[*Socket]struct{}),
		lingering:   make(map[*Socket]struct{}),
		ports:       make(map[uint16]*port),
		listens:     make(map[uint16]*listenRequest),
		connections: make(map[flow]*connection),
		raw:         make(map[*stack.PacketBuffer]*control),
		fast:        fastTimer{began: inst.Clock().Now()},
	}
	if inst.Transport() != nil {
		return nx.Fail(service, nx.AlreadyEnabled, nil)
	}
	p.prepareStack()
	inst.SetTransport(p)
	return nil
}

// enabled answers the TCP of a created instance, and what the services that
// take an instance answer without.
func enabled(inst *ip.Instance) (*protocol, nx.Status) {
	if !inst.Created() {
		return nil, nx.PtrError
	}
	p, ok := inst.Transport().(*protocol)
	if !ok {
		return nil, nx.NotEnabled
	}
	return p, nx.Success
}

// InterfaceDown implements ip.Transport: all connections end, as after a reset
// (nx_ip_interface_detach.c).
func (p *protocol) InterfaceDown() {
	p.mu.Lock()
	var ended []*connection
	for s := range p.sockets {
		if c := s.conn; s.refresh() > ListenState && c != nil && !c.over {
			c.mute = true
			s.reset(ErrLinkDown)
			ended = append(ended, c)
		}
	}
	p.mu.Unlock()
	for _, c := range ended {
		c.end()
	}
}

// Close implements ip.Transport. There are no sockets then; what is left are
// connection requests that nobody took, and handshakes that were given up.
func (p *protocol) Close() {
	p.mu.Lock()
	for port, l := range p.listens {
		l.flush()
		delete(p.listens, port)
	}
	var left []*Socket
	for s := range p.lingering {
		left = append(left, s)
	}
	p.mu.Unlock()
	for _, s := range left {
		s.endLinger(true)
	}
	p.handshakes.Wait()
}

// random is NX_RAND.
func random(n int) int { return rand.IntN(n) }
