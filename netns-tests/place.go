package parity

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"gonetx/ip/link/fault"
	"gonetx/ip/link/ram"
)

// Place is where scenarios run: what lies between a stack and its peer, and
// what the peer is.
type Place struct {
	Name  string
	Shows string

	// Driven: time is driven, so every event is at the same tick in each run.
	Driven bool

	// needsRouter: scenarios with a path MTU want one here; others need none.
	router bool

	// open sets a scene up for one run.
	open func(r *run) (*scene, error)
}

// Names of the places.
var placeNames = []string{"ram", "tun", "offload", "pair", "routed", "kernel"}

// isReal tells that time is real at a place.
func isReal(place string) bool { return place != "ram" }

// Places are all places, in the order in which they are visited.
func Places() []Place {
	return []Place{
		{Name: "ram", Driven: true, router: true, open: openRAM,
			Shows: "two stacks on a network in memory, in driven time"},
		{Name: "tun", open: openTUN,
			Shows: "a stack on a TUN device, and the Linux kernel as its peer, in one namespace"},
		{Name: "offload", open: openOffload,
			Shows: "the same with super-segments, where the kernel allows them: events of the wire are not seen"},
		{Name: "pair", open: openPair,
			Shows: "two stacks on TUN devices, back to back: the kernel passes between them"},
		{Name: "routed", router: true, open: openRouted,
			Shows: "a stack, a router and a server in three namespaces"},
		{Name: "kernel", open: openKernel,
			Shows: "the control: the Linux kernel plays the stack's part, too; only the steps are seen"},
	}
}

// place answers a place by its name.
func place(name string) Place {
	list := Places()
	return list[slices.IndexFunc(list, func(p Place) bool { return p.Name == name })]
}

// scene is a place that has been set up.
type scene struct {
	stack, peer host
	ours        *stackHost // the stack, when it is one of this module
	time        stage
	faults      *fault.Driver // on the stack's link; nil: there is none
	cable       *ram.Driver   // nil: there is none to pull

	// down takes the scene away, and answers what was lost.
	down func() []string
}

// stage is the time of a scene.
type stage interface {
	// start begins f, and goes on when it has ended or waits in a service.
	start(f func()) call
	// wait waits until all have ended; false: they do not.
	wait(calls []call) bool
	sleep(d time.Duration)
	// settle waits until nothing moves, where that can be known.
	settle()
}

// call is an f that was started.
type call interface{ Done() bool }

// run is one run of a scenario.
type run struct {
	scenario *Scenario
	place    Place
	family   int
	seed     uint64
	wrong    Wrong

	kept  *keeper // what outlives the run
	log   *log
	scene *scene
	units units
	trace *Trace
	later []*pending

	// watch sees the frames of the place "ram", for tests that forge some.
	watch func(ram.Frame)
}

// keeper keeps what is dear to make from one run to the next, of one family, one
// run at a time.
type keeper struct{ kept map[string]io.Closer }

// get answers what is kept under the name, or makes it.
func (k *keeper) get(name string, make func() (io.Closer, error)) (io.Closer, error) {
	if c, ok := k.kept[name]; ok {
		return c, nil
	}
	c, err := make()
	if err == nil {
		k.kept[name] = c
	}
	return c, err
}

// close gives all up.
func (k *keeper) close() error {
	var errs []error
	for _, c := range k.kept {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Wrong is something that is made wrong on purpose, in one family only: so the
// comparison is shown to see it. The zero Wrong is nothing.
type Wrong struct {
	Family int    // 4 or 6; 0: none
	Room   bool   // packets keep room for the headers of the other family
	MTU    int    // bytes that the MTU is less than it should be
	Faults string // of the stack's link, besides those of the scenario
	Loss   int    // packets that the program never gives back
}

// applies tells that the run is the one to be spoilt.
func (w Wrong) applies(family int) bool { return w.Family == family }

// faultConfig are the faults of a run.
func (r *run) faultConfig(text string) (fault.Config, error) {
	if r.wrong.applies(r.family) && r.wrong.Faults != "" {
		if text != "" {
			text += ","
		}
		text += r.wrong.Faults
	}
	c, err := fault.Parse(text)
	if err != nil {
		return c, err
	}
	if c.Seed == 0 {
		c.Seed = r.seed
	}
	return c, nil
}

// stackConfig is what all places say of the stack alike.
func (r *run) stackConfig(prefix netip.Prefix, w way) stackConfig {
	s := r.scenario.Settings
	c := stackConfig{
		name: "stack", prefix: prefix, way: w, settings: s,
		pool: s.Pool, sends: s.SendPool, window: s.Window.bytes(r.unitsAtFirst()), recorder: recorder{r.log},
	}
	if r.wrong.applies(r.family) {
		c.wrongRoom, c.smallerLinks = r.wrong.Room, r.wrong.MTU
	}
	return c
}

// peerConfig is the same of a peer that is a stack.
func (r *run) peerConfig(prefix netip.Prefix, w way) stackConfig {
	s := r.scenario.Settings
	pool := s.PeerPool
	s.Queue, s.Retries, s.Keepalive = 0, 0, 0
	return stackConfig{name: "peer", prefix: prefix, way: w, settings: s, pool: pool, sends: pool, window: s.PeerWindow.bytes(r.unitsAtFirst())}
}

// headers are the IP and TCP headers of a family.
func headers(family int) int {
	if family == 6 {
		return 60
	}
	return 40
}

// realTime is the stage of a scene whose time is the machine's.
type realTime struct{}

type realCall chan struct{}

func (c realCall) Done() bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (realTime) start(f func()) call {
	c := make(realCall)
	go func() {
		defer close(c)
		f()
	}()
	return c
}

// realLimit is longer than any service waits where time is real.
const realLimit = 40 * time.Second

func (realTime) wait(calls []call) bool {
	limit := time.NewTimer(realLimit)
	defer limit.Stop()
	for _, c := range calls {
		select {
		case <-c.(realCall):
		case <-limit.C:
			return false
		}
	}
	return true
}

// sleep is what a scenario asks for.
func (realTime) sleep(d time.Duration) { time.Sleep(d) }

func (realTime) settle() {}

// unavailable is the error of a place that the machine does not have.
type unavailable struct{ err error }

func (u *unavailable) Error() string { return u.err.Error() }
func (u *unavailable) Unwrap() error { return u.err }

func notHere(err error) error { return &unavailable{fmt.Errorf("not available here: %w", err)} }
