// Package ram is a network of instances inside one process, as NetX Duo's RAM
// driver (nx_ram_network_driver.c): no device, no privilege, no kernel.
//
// A [Network] is a hub. A datagram that one port sends reaches all others, and
// each stack keeps what is addressed to it; gVisor drops the rest unanswered.
// So multicast works, and a third instance can watch.
//
//	network := ram.NewNetwork(ram.Config{})
//	ip.Create(&client, "client", …, network.Driver(), …)
//	ip.Create(&server, "server", …, network.Driver(), …)
//
// Frames are copied when they are sent, as a wire does: no memory is shared
// between two stacks.
//
// With [Config].Manual nothing moves by itself. A test calls [Network.Step] for
// each frame and so decides the order of everything that happens.
package ram

import (
	"fmt"
	"slices"
	"sync"

	"gonetx/packetpool/nx"
)

// Config describes a network. The zero Config is one of 1500 bytes that
// delivers by itself.
type Config struct {
	Name  string // in the names of its devices, "ram:NAME/1"; empty: "net"
	MTU   uint32 // zero: 1500; longer frames are dropped
	Queue int    // frames that wait at a port (in manual mode: on the wire) before more are dropped; zero: 1024

	// Manual stops the network: frames move when Step is called.
	Manual bool

	// Hook decides on each frame, as the hook of NetX Duo's test driver. It is
	// called when the frame leaves its port, in the goroutine of the sender,
	// and in manual mode when Step takes the frame. It must be quick and call
	// no service; the frame is its own only during the call. Nil passes all.
	Hook func(Frame) Verdict
}

// Frame is a datagram on the wire.
type Frame struct {
	From   string // name of the instance that sent it; empty when a test injected it
	Data   []byte // never changed by the network
	Number uint64 // manual mode: counts the frames of the network, from 1, in the order in which they were sent
}

// Verdict is what a hook says of a frame.
type Verdict uint8

const (
	Pass Verdict = iota
	Drop
)

// DropHook is the reason in the event of a frame that the hook dropped.
const DropHook = "dropped by the hook of the network"

// Network is a wire that instances share. Make it with [NewNetwork].
type Network struct {
	config Config

	mu    sync.Mutex // guards the fields below; taken before the lock of an endpoint
	ports int        // made so far
	open  []*endpoint
	wire  queue  // manual mode: frames under way
	sent  uint64 // manual mode: frames put on the wire so far
}

// NewNetwork makes a network without ports.
func NewNetwork(config Config) *Network {
	if config.Name == "" {
		config.Name = "net"
	}
	if config.MTU == 0 {
		config.MTU = 1500
	}
	if config.Queue == 0 {
		config.Queue = 1024
	}
	return &Network{config: config}
}

// Driver makes a port of the network. One instance at a time uses it.
func (n *Network) Driver() *Driver {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports++
	return &Driver{network: n, device: fmt.Sprintf("ram:%s/%d", n.config.Name, n.ports)}
}

// Inject puts a frame on the wire that no port sent: every port receives it,
// however long it is. The data is copied.
func (n *Network) Inject(data []byte) { n.put(frame{Frame: Frame{Data: slices.Clone(data)}}) }

// Pending is how many frames are under way.
func (n *Network) Pending() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	pending := n.wire.len()
	for _, e := range n.open {
		pending += e.pending()
	}
	return pending
}

// Step delivers the oldest frame to all ports that it goes to, in the order in
// which they were opened, in the goroutine of the caller: when it returns, the
// stacks have taken the frame. It answers that frame, and false when the wire
// was empty or the network is not in manual mode.
func (n *Network) Step() (Frame, bool) { return n.StepWhere(func(Frame) bool { return true }) }

// StepWhere is Step for the oldest frame that pick accepts; the others keep
// their order. So a test decides which instance hears what first.
func (n *Network) StepWhere(pick func(Frame) bool) (Frame, bool) {
	n.mu.Lock()
	f, ok := n.wire.take(pick)
	receivers := n.others(f.from)
	n.mu.Unlock()
	switch {
	case !ok:
		return Frame{}, false
	case f.arrived:
		for _, a := range f.at {
			a.hand(f)
		}
	case n.passes(f):
		for _, e := range receivers {
			e.deliver(f)
		}
	}
	return f.Frame, true
}

// Arrive lets the frames on the wire of a manual network arrive at the ports
// that they go to: from then on they lie in packets of the receivers' pools,
// and wait there for Step. So it is on a device whose driver receives while the
// IP thread is busy; a frame that finds no packet is lost. Step lets a frame
// arrive that has not yet. The goroutine that calls one calls the other.
func (n *Network) Arrive() {
	for {
		n.mu.Lock()
		f := n.wire.find(func(f *frame) bool { return !f.arrived })
		if f == nil {
			n.mu.Unlock()
			return
		}
		f.arrived = true
		arriving, receivers := *f, n.others(f.from)
		n.mu.Unlock()
		if !n.passes(arriving) {
			continue
		}
		for _, e := range receivers {
			e.arrive(&arriving)
		}
		n.mu.Lock()
		if f := n.wire.find(func(f *frame) bool { return f.Number == arriving.Number }); f != nil {
			f.at = arriving.at
		}
		n.mu.Unlock()
	}
}

// Waiting is the frames on the wire of a manual network, the oldest first.
func (n *Network) Waiting() []Frame {
	n.mu.Lock()
	defer n.mu.Unlock()
	frames := make([]Frame, 0, n.wire.len())
	for _, f := range n.wire.frames[n.wire.first:] {
		frames = append(frames, f.Frame)
	}
	return frames
}

// put takes over the frame: it moves at once, or waits on the wire for Step.
func (n *Network) put(f frame) {
	if n.config.Manual {
		n.mu.Lock()
		n.sent++
		f.Number = n.sent
		n.wire.push(f)
		n.mu.Unlock()
		return
	}
	if !n.passes(f) {
		return
	}
	n.mu.Lock()
	receivers := n.others(f.from)
	n.mu.Unlock()
	for _, e := range receivers {
		e.enqueue(f)
	}
}

// wireFull tells that a manual network holds as many frames as its
// configuration allows.
func (n *Network) wireFull() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.wire.len() >= n.config.Queue
}

// passes asks the hook.
func (n *Network) passes(f frame) bool {
	if n.config.Hook == nil || n.config.Hook(f.Frame) == Pass {
		return true
	}
	if f.from != nil {
		f.from.Drop(nx.Sent, DropHook, len(f.Data), f.Data)
	}
	return false
}

// others are the open ports but one. The caller holds the lock.
func (n *Network) others(from *endpoint) []*endpoint {
	others := make([]*endpoint, 0, len(n.open))
	for _, e := range n.open {
		if e != from {
			others = append(others, e)
		}
	}
	return others
}
