package parity

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/tun"
	"gonetx/ip/link/tun/netns"
	"gonetx/netns-tests/topology"
	"gonetx/packetpool/nx"
)

// The places with devices and namespaces. Each run has namespaces of its own:
// nothing of one, no connection in TIME_WAIT and no path MTU, is seen by the
// next.

// pick answers the value of the run's family.
func pick[T any](r *run, four, six T) T {
	if r.family == 4 {
		return four
	}
	return six
}

// Networks that lead nowhere.
var (
	swallowed4, swallowed6     = netip.MustParsePrefix("10.98.0.0/24"), netip.MustParsePrefix("fd98::/64")
	unreachable4, unreachable6 = netip.MustParsePrefix("10.99.0.0/24"), netip.MustParsePrefix("fd99::/64")
)

// missing tells the errors that say what the machine does not have from others.
func missing(err error) error {
	var refused *netns.Error
	if errors.As(err, &refused) || errors.Is(err, nx.NotSuccessful) {
		return notHere(err)
	}
	return err
}

// onTUN makes the stack of a scene on a TUN device of a host.
func (r *run) onTUN(host *topology.Host, w way, tapped bool) (*stackHost, *fault.Driver, error) {
	device := host.Device()
	device.MTU = uint32(r.scenario.Settings.MTU)
	device.Spin = -1 // several runs share the processors
	var driver link.Driver = tun.New(device)
	var bad *fault.Driver
	if tapped {
		faults, err := r.faultConfig(r.scenario.Settings.Faults)
		if err != nil {
			return nil, nil, err
		}
		bad = fault.Wrap(driver, faults)
		driver = newTap(bad, r.log)
	}
	c := r.stackConfig(pick(r, topology.Stack4, topology.Stack6), w)
	c.gateway = pick(r, topology.Gateway4, topology.Gateway6).Addr()
	c.driver = driver
	stack, err := newStack(c)
	return stack, bad, err
}

func openTUN(r *run) (*scene, error)     { return r.local(true) }
func openOffload(r *run) (*scene, error) { return r.local(false) }

// local is a stack and the kernel in one namespace.
func (r *run) local(tapped bool) (*scene, error) {
	t, err := topology.NewLocal()
	if err != nil {
		return nil, notHere(err)
	}
	own, peer := pick(r, topology.Stack4, topology.Stack6).Addr(), pick(r, topology.Gateway4, topology.Gateway6).Addr()
	w := way{own: own, peer: peer,
		absent:      pick(r, swallowed4, swallowed6).Addr().Next(),
		unreachable: pick(r, unreachable4, unreachable6).Addr().Next()}
	r.log.nameOf(own, "STACK", peer, "PEER")
	err = errors.Join(t.Forward(true), t.Quicken())
	var stack *stackHost
	var bad *fault.Driver
	if err == nil {
		stack, bad, err = r.onTUN(t.Host, w, tapped)
	}
	if err == nil {
		err = errors.Join(
			t.Swallow(pick(r, swallowed4, swallowed6)), t.Unreachable(pick(r, unreachable4, unreachable6)))
		if err != nil {
			stack.down()
		}
	}
	if err != nil {
		_ = t.Close()
		return nil, missing(err)
	}
	return r.realScene(stack, bad, newKernelHost(t.Host, way{own: peer, peer: own}), t.Close), nil
}

// realScene is a scene whose stack is one of this module, where time is real.
func (r *run) realScene(stack *stackHost, bad *fault.Driver, peer host, last func() error) *scene {
	return &scene{
		stack: stack, peer: peer, ours: stack, time: realTime{}, faults: bad,
		down: func() []string {
			stack.rest()
			failures := stack.down()
			if p, ok := peer.(*stackHost); ok {
				p.rest()
				failures = append(failures, p.down()...)
			}
			if err := last(); err != nil {
				failures = append(failures, err.Error())
			}
			return failures
		},
	}
}

// The peer's side of the place "pair".
var (
	pair4, pair6               = netip.MustParsePrefix("10.76.0.2/24"), netip.MustParsePrefix("fd76::2/64")
	pairGateway4, pairGateway6 = netip.MustParsePrefix("10.76.0.1/24"), netip.MustParsePrefix("fd76::1/64")
)

// openPair is two stacks back to back: each on a device, and the kernel between
// them as a router.
func openPair(r *run) (*scene, error) {
	t, err := topology.NewLocal()
	if err != nil {
		return nil, notHere(err)
	}
	fail := func(err error) (*scene, error) {
		_ = t.Close()
		return nil, missing(err)
	}
	if err := t.Forward(true); err != nil {
		return fail(err)
	}
	own, peer := pick(r, topology.Stack4, topology.Stack6).Addr(), pick(r, pair4, pair6)
	absent, unreachable := pick(r, swallowed4, swallowed6), pick(r, unreachable4, unreachable6)
	r.log.nameOf(own, "STACK", peer.Addr(), "PEER")
	w := way{own: own, peer: peer.Addr(), absent: absent.Addr().Next(), unreachable: unreachable.Addr().Next()}
	stack, bad, err := r.onTUN(t.Host, w, true)
	if err != nil {
		return fail(err)
	}
	p := r.peerConfig(peer, way{own: peer.Addr(), peer: own})
	p.gateway = pick(r, pairGateway4, pairGateway6).Addr()
	p.driver = tun.New(tun.Config{
		Addresses: []netip.Prefix{pairGateway4, pairGateway6}, Namespace: t.Path(), MTU: uint32(r.scenario.Settings.MTU), Spin: -1,
	})
	other, err := newStack(p)
	if err != nil {
		stack.down()
		return fail(err)
	}
	if err := errors.Join(t.Swallow(absent), t.Unreachable(unreachable)); err != nil {
		stack.down()
		other.down()
		return fail(err)
	}
	return r.realScene(stack, bad, other, t.Close), nil
}

// openRouted is a stack, a router and a server in three namespaces. Faults are
// made by a forwarder between the host with the stack's device and the router.
func openRouted(r *run) (*scene, error) {
	c := topology.RoutedConfig{MTU: r.scenario.Settings.PathMTU, Recorder: recorder{r.log}}
	if r.scenario.touchesWire() || r.wrong.applies(r.family) {
		faults, err := r.faultConfig(r.scenario.Settings.Faults)
		if err != nil {
			return nil, err
		}
		c.Faults = &faults
	}
	t, err := topology.NewRouted(c)
	if err != nil {
		return nil, notHere(err)
	}
	own, peer := pick(r, topology.Stack4, topology.Stack6).Addr(), pick(r, topology.Server4, topology.Server6).Addr()
	r.log.nameOf(own, "STACK", peer, "PEER")
	w := way{own: own, peer: peer, absent: pick(r, topology.Absent4, topology.Absent6)}
	err = t.Server.Quicken()
	var stack *stackHost
	var bad *fault.Driver
	if err == nil {
		stack, bad, err = r.onTUN(t.Near, w, true)
	}
	if err != nil {
		_ = t.Close()
		return nil, missing(err)
	}
	if t.Forwarder != nil {
		bad.Set(fault.Config{}) // the stack's own link is a good one
		bad = t.Forwarder.Faults
	}
	return r.realScene(stack, bad, newKernelHost(t.Server, way{own: peer, peer: own}), t.Close), nil
}

// openKernel is the control: the kernel plays the stack's part too, in the other
// of two namespaces.
func openKernel(r *run) (*scene, error) {
	absent, unreachable := pick(r, swallowed4, swallowed6), pick(r, unreachable4, unreachable6)
	own, peer := pick(r, topology.Near4, topology.Near6).Addr(), pick(r, topology.Far4, topology.Far6).Addr()
	// Both kernels need a second until a new cable works (linkwatch), so it is
	// kept; connections come from a new port each.
	kept, err := r.kept.get("kernel", func() (io.Closer, error) {
		t, err := topology.NewDirect()
		if err != nil {
			return nil, err
		}
		err = errors.Join(
			t.Near.Quicken(), t.Far.Quicken(), t.Far.Forward(true),
			t.Far.Swallow(absent), t.Far.Unreachable(unreachable),
			t.Near.Route(absent, peer), t.Near.Route(unreachable, peer))
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		return t, nil
	})
	if err != nil {
		return nil, notHere(err)
	}
	t := kept.(*topology.Direct)
	w := way{own: own, peer: peer, absent: absent.Addr().Next(), unreachable: unreachable.Addr().Next()}
	return &scene{
		stack: newKernelHost(t.Near, w), peer: newKernelHost(t.Far, way{own: peer, peer: own}), time: realTime{},
		down: func() []string { return nil },
	}, nil
}

// rest waits until the packets that the stack has sent are acknowledged or given
// up: the pools are looked at when nothing moves any more.
func (h *stackHost) rest() {
	for limit := time.Now().Add(2 * time.Second); time.Now().Before(limit) && !h.full(); {
		time.Sleep(time.Millisecond)
	}
}
