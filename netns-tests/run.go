package parity

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gonetx/ip/link/fault"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// pending is an action in the background.
type pending struct {
	action  *Action
	call    call
	outcome Outcome
}

// runTrace runs a scenario once, in one family, at one place. An error means
// that there is no trace: the place could not be set up.
func runTrace(s *Scenario, p Place, family int, o Options, kept *keeper) (*Trace, error) {
	r := &run{scenario: s, place: p, family: family, seed: o.Seed, wrong: o.Wrong, kept: kept}
	r.log = &log{now: nx.RealClock.Now}
	r.trace = &Trace{Family: family, MTU: s.Settings.MTU, driven: p.Driven}
	scene, err := p.open(r)
	if err != nil {
		return nil, err
	}
	r.scene = scene
	r.play()
	return r.trace, nil
}

// play goes through the steps and takes the scene away.
func (r *run) play() {
	r.units = r.unitsAtFirst()
	stuck := false
	for i := range r.scenario.Steps {
		r.log.begin(i)
		if stuck = !r.step(&r.scenario.Steps[i]); stuck {
			break
		}
	}
	r.log.begin(len(r.scenario.Steps))
	if !stuck {
		stuck = !r.join()
	}
	r.end(stuck)
}

// unitsAtFirst are the units before there is a connection.
func (r *run) unitsAtFirst() units {
	s := r.scenario.Settings
	u := units{MSS: s.MTU - headers(r.family), Payload: s.SendPool.Payload, Chunk: s.SendPool.Payload - headers(r.family)}
	u.Window = s.Window.bytes(u)
	return u
}

// step does one step; false: somebody does not return.
func (r *run) step(s *Step) bool {
	var now []*pending
	for i := range s.Actions {
		a := &s.Actions[i]
		p := &pending{action: a}
		switch a.Who {
		case "wire":
			p.outcome = r.wire(a)
			r.note(p)
			continue
		case "time":
			if a.Verb == "join" {
				if !r.join() {
					return false
				}
			} else {
				r.scene.time.sleep(a.For)
			}
			continue
		}
		h := r.scene.stack
		if a.Who == "peer" {
			h = r.scene.peer
		}
		u := r.units
		p.call = r.scene.time.start(func() { p.outcome = h.do(a, u) })
		now = append(now, p)
	}
	if s.Background {
		r.later = append(r.later, now...)
		r.notePools()
		return true
	}
	ok := r.await(now)
	r.scene.time.settle()
	r.measure()
	r.notePools()
	return ok
}

// await waits for actions and notes what became of them, in their order.
func (r *run) await(list []*pending) bool {
	var calls []call
	for _, p := range list {
		calls = append(calls, p.call)
	}
	ok := r.scene.time.wait(calls)
	for _, p := range list {
		if !p.call.Done() {
			p.outcome = Outcome{Word: "stuck"}
		}
		r.note(p)
	}
	return ok
}

// join waits for what goes on in the background.
func (r *run) join() bool {
	list := r.later
	r.later = nil
	return r.await(list)
}

// note makes the event of an action that has ended, and looks whether it is
// what the scenario says.
func (r *run) note(p *pending) {
	o := p.outcome
	o.Detail, o.Status = r.log.nameless(o.Detail), r.log.nameless(o.Status)
	e := Event{Lane: Steps, What: fmt.Sprintf("%s -> %s", p.action.Text, o)}
	if p.action.End {
		e.Numbers = []Number{{"bytes", o.Bytes}}
	}
	r.log.add(e)
	h := r.scene.stack
	if p.action.Who == "peer" {
		h = r.scene.peer
	}
	if !o.meets(p.action.Want, h.speaksNX()) {
		want := strings.Join(p.action.Want, " ")
		r.failf("%s:%d: %s -> %s, expected %s", fileOf(r.scenario), p.action.Line, p.action.Text, o, or(want, "ok"))
	}
}

func (r *run) failf(format string, values ...any) {
	r.trace.Failures = append(r.trace.Failures, fmt.Sprintf(format, values...))
}

func fileOf(s *Scenario) string {
	file, _, _ := strings.Cut(s.Origin, ":")
	return file
}

// measure takes the segment size of the connection that was made last.
func (r *run) measure() {
	if r.scene.ours == nil {
		return
	}
	if mss := r.scene.ours.mss(); mss > 0 && mss < r.scenario.Settings.MTU {
		r.units.MSS = mss
	}
}

func (r *run) notePools() {
	if r.scene.ours != nil {
		r.scene.ours.notePools(r.log)
	}
}

// wire does what is done to the wire.
func (r *run) wire(a *Action) Outcome {
	switch {
	case a.Verb == "faults" && r.scene.faults != nil:
		c, err := r.faultConfig(a.Faults)
		if err != nil {
			return failed(err)
		}
		r.scene.faults.Set(c)
	case a.Verb == "unplug" && r.scene.cable != nil:
		r.scene.cable.Unplug()
		r.scene.time.settle()
	case a.Verb == "plug" && r.scene.cable != nil:
		r.scene.cable.Plug()
		r.scene.time.settle()
	default:
		return Outcome{Word: "failed", Detail: "this place has no such wire"}
	}
	return done("")
}

// end takes the scene away. What is lost is a failure.
func (r *run) end(stuck bool) {
	s := r.scene
	var lost []packetpool.Packet
	if r.wrong.applies(r.family) && s.ours != nil {
		for range r.wrong.Loss {
			p, _ := packetpool.Allocate(&s.ours.pool, packetpool.ReceivePacket, nx.NoWait)
			lost = append(lost, p)
		}
	}
	if s.faults != nil {
		s.faults.Set(fault.Config{})
	}
	if s.ours != nil {
		s.ours.noteCounts(r.log)
		s.time.settle()
	}
	r.trace.Events = r.log.end()
	r.trace.units, r.trace.MSS, r.trace.pool = r.units, r.units.MSS, r.scenario.Settings.Pool.Payload
	for _, h := range []host{s.stack, s.peer} {
		var failures []string
		c := s.time.start(func() { failures = h.shut() })
		if !s.time.wait([]call{c}) {
			failures = []string{"the end of the connections does not return"}
		}
		r.trace.Failures = append(r.trace.Failures, failures...)
	}
	if stuck { // those who wait have been ended
		s.time.sleep(time.Second)
	}
	r.trace.Failures = append(r.trace.Failures, s.down()...)
	for _, p := range lost {
		_ = packetpool.Release(p) // refused, the pool is gone; its memory goes back all the same
	}
}

// nameOf gives addresses names, in texts.
func (l *log) nameOf(pairs ...any) {
	var list []string
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, fmt.Sprint(pairs[i].(netip.Addr)), pairs[i+1].(string))
	}
	l.names = strings.NewReplacer(list...)
}

// Unavailable tells that an error says what a machine does not have.
func Unavailable(err error) bool {
	var u *unavailable
	return errors.As(err, &u)
}

// families of a comparison.
var families = []int{4, 6}
