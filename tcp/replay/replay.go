// Package replay makes the recorded calls of the original again and answers
// what they give here, for the recordings of TCP services and of IP services.
//
// A trace is a program: a controller makes calls in order, some of them on
// worker threads, on two IP instances A and B that a RAM network joins. [Run]
// makes the same calls in driven time and answers an [Outcome] in the shape of
// the recording, for a comparison field by field.
//
// The threads have the priorities of the recording: IP threads first, then
// workers, then the controller. So a call of the controller has returned only
// when every frame that it caused has been handled and every worker that these
// resumed has gone on; and a caller holds the mutex of its instance until it
// returns or is suspended (see [driven.Thread]).
package replay

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/tcp"
)

var (
	worker     = driven.Thread{Priority: 5}
	controller = driven.Thread{Priority: 6}
)

// run is the replay of one trace.
type run struct {
	trace *Trace
	world *driven.World
	wire  driven.Segments

	instances map[string]*instance // A, B, X0..; "zeroed" is never created
	small     packetpool.Pool      // the trace's own pool, made by xpool
	sockets   map[string]*socket
	workers   map[int]*driven.Call
	known     map[netip.Addr]bool // addresses that instances have had

	outcome Outcome
	ended   []func() error // what undoes the program, in reverse order
	left    []error        // what could not be undone

	mu        sync.Mutex // guards the fields below, which calls and callbacks fill in
	callbacks []string
	strange   []error // what the replay does not know: an argument, a value
}

type instance struct {
	name   string
	block  ip.Instance
	pool   packetpool.Pool
	driver *ram.Driver
}

type socket struct {
	name  string
	block tcp.Socket
	on    *instance // the instance of the last create

	listened []uint // ports
}

// Run replays one trace. The error is one of the replay itself: a call, an
// argument or a value that it does not know, a call of the controller that does
// not return, or something left over at the end.
func Run(t *Trace) (Outcome, error) {
	r := &run{
		trace: t, instances: map[string]*instance{}, sockets: map[string]*socket{}, workers: map[int]*driven.Call{}, known: map[netip.Addr]bool{},
		outcome: Outcome{Steps: make([]map[string]any, len(t.Steps)), Blocked: make([]bool, len(t.Steps))},
	}
	r.world = driven.New(driven.Config{MTU: uint32(t.config("mtu", 1500)), Sent: r.wire.Sent, Verdict: r.wire.Verdict})
	defer r.world.Close()
	r.wire.Tick, r.wire.Sides, r.wire.Limit = r.world.Tick, map[string]string{"A": "C", "B": "S"}, listed
	r.wire.Somebody = r.somebody
	if err := r.setUp(); err != nil {
		r.doubt("set up: %w", err)
		return r.outcome, errors.Join(errors.Join(r.strange...), r.tearDown())
	}
	for i, s := range t.Steps {
		if !r.step(i, s) {
			r.doubt("step %d %s: does not return", i, s.Op())
			break
		}
	}
	r.waitForWorkers()
	r.outcome.Wire, r.outcome.Unheard = r.wire.List, r.wire.Unheard
	return r.outcome, errors.Join(errors.Join(r.strange...), r.tearDown())
}

// doubt notes something that the replay does not know.
func (r *run) doubt(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.strange = append(r.strange, fmt.Errorf(format, args...))
}

// somebody tells whether an address is that of an instance, or of many. The
// neighbours of one that has got another address know the old one, too.
func (r *run) somebody(a netip.Addr) bool {
	broadcast := a.IsMulticast()
	for _, n := range r.instances {
		if own, mask, err := ip.AddressGet(&n.block); err == nil {
			r.known[own] = true
			broadcast = broadcast || a.Is4() && isBroadcast(a, mask)
		}
		for i := range uint(4) {
			if own, _, _, err := ip.IPv6AddressGet(&n.block, i); err == nil {
				r.known[own] = true
			}
		}
	}
	return broadcast || r.known[a]
}

// isBroadcast tells whether an address has all bits set that a mask has not.
func isBroadcast(a, mask netip.Addr) bool {
	b, m := a.As4(), mask.As4()
	for i := range b {
		if b[i]|m[i] != 0xFF {
			return false
		}
	}
	return true
}

// step makes one call. False: the controller's does not return.
func (r *run) step(i int, s Step) bool {
	if s.Op() == "join" {
		if c := r.workers[s.number("worker")]; c != nil {
			r.world.Wait(c, joinLimit)
		}
		return true
	}
	o, ok := operations[s.Op()]
	if !ok {
		r.doubt("step %d %s: unknown call", i, s.Op())
		return true
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !slices.Contains(always, name) && !slices.Contains(o.arguments, name) {
			r.doubt("step %d %s: unknown argument %s", i, s.Op(), name)
		}
	}
	n, async := s.Worker()
	thread := controller
	if async {
		thread = worker
	}
	if o.holds != nil {
		thread.Holds = o.holds(r, s)
	}
	result := map[string]any{}
	if byHarness[s.Op()] {
		began := r.world.Tick()
		o.call(r, s, result)
		r.world.Settle()
		result["ticks"] = float64(r.world.Tick() - began)
		r.record(i, result)
		return true
	}
	c := r.world.Go(thread, func() { o.call(r, s, result) }, func(c *driven.Call) {
		result["ticks"] = float64(c.Finished - c.Started)
		r.record(i, result)
	})
	if !async {
		return r.world.Wait(c, stepLimit)
	}
	r.workers[n] = c
	r.world.Sleep(2)
	r.outcome.Blocked[i] = !c.Done()
	return true
}

// listed is how many segments a recording lists.
const listed = 120

// stepLimit is more ticks than any recorded call took; joinLimit is when a
// join of a worker that waits for ever is given up.
const (
	stepLimit = 100_000
	joinLimit = 100_000
)

// record notes what a call answered, and the moment: what the sockets look
// like now, and what was called back since the last call returned.
func (r *run) record(i int, result map[string]any) {
	states := map[string]any{}
	for name, s := range r.sockets {
		if info, err := tcp.SocketInfoGet(&s.block); err == nil && name != "zeroed" {
			states[name] = stateNames[info.State]
		}
	}
	result["states"] = states
	r.mu.Lock()
	if len(r.callbacks) > 0 {
		result["callbacks"] = anys(r.callbacks)
		r.callbacks = nil
	}
	r.mu.Unlock()
	r.outcome.Steps[i] = result
	r.outcome.CompletionOrder = append(r.outcome.CompletionOrder, i)
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// called notes a callback.
func (r *run) called(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.callbacks = append(r.callbacks, fmt.Sprintf(format, args...))
}

// waitForWorkers lets time go on until the calls have returned that returned
// when the trace was recorded.
func (r *run) waitForWorkers() {
	for _, n := range slices.Sorted(maps.Keys(r.workers)) {
		c := r.workers[n]
		recorded := slices.ContainsFunc(r.trace.Steps, func(s Step) bool {
			w, async := s.Worker()
			return async && w == n && s.Result() != nil
		})
		if recorded {
			r.world.Wait(c, stepLimit)
		}
	}
}

var stateNames = map[tcp.State]string{
	tcp.Closed: "CLOSED", tcp.ListenState: "LISTEN", tcp.SynSent: "SYN_SENT", tcp.SynReceived: "SYN_RECEIVED",
	tcp.Established: "ESTABLISHED", tcp.CloseWait: "CLOSE_WAIT", tcp.FinWait1: "FIN_WAIT_1", tcp.FinWait2: "FIN_WAIT_2",
	tcp.Closing: "CLOSING", tcp.TimedWait: "TIMED_WAIT", tcp.LastAck: "LAST_ACK",
}

// instance answers the block that a step names: nil for NULL.
func (r *run) instance(s Step) *ip.Instance {
	if s.null("ip") {
		return nil
	}
	return &r.named(s.text("ip")).block
}

func (r *run) named(name string) *instance {
	if r.instances[name] == nil {
		r.instances[name] = &instance{name: name, driver: r.world.Network.Driver()}
	}
	return r.instances[name]
}

// socket answers the block that a step names: nil for NULL.
func (r *run) socket(s Step) *tcp.Socket {
	if s.null("socket") {
		return nil
	}
	return &r.slot(s).block
}

func (r *run) slot(s Step) *socket {
	name := s.text("socket")
	if s.null("socket") {
		name = "null"
	}
	if r.sockets[name] == nil {
		r.sockets[name] = &socket{name: name, on: r.named("A")}
	}
	return r.sockets[name]
}
