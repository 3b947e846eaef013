package packetpool_test

import (
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/packetpool/nxtest/golden"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A blocking trace is what threads of the original got that wait in services.
// It tells the results and not the calls: golden_program_test.go makes the
// program that a trace can only come from. A later trace may go on with the pool
// of an earlier one.
type blockingTrace map[string]any

func replayBlocking(t *testing.T, judge *golden.Judge, traces []blockingTrace) {
	var b *blocking
	for _, want := range traces {
		name, _ := want["name"].(string)
		got := map[string]any{"name": name}
		c := golden.Case{Where: "program", Kind: "blocking", Want: map[string]any(want), Got: got, Context: &outcome{step: step{"op": "blocking"}}}
		if b == nil || !b.continues(want) {
			b.end()
			b = &blocking{t: t, clock: new(nxtest.Clock)}
		}
		b.got, b.jobs = got, nil
		if about, ok := want["about"]; ok {
			got["about"] = about
		}
		run, err := b.program(want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			judge.Trace(name, []golden.Case{c})
			continue
		}
		b.clock.Go(run)
		b.clock.Wait(t)
		b.report(want)
		judge.Trace(name, []golden.Case{c})
	}
	b.end()
}

// blocking is a pool, the packets that the controlling thread has, and the jobs
// of the other threads.
type blocking struct {
	t     *testing.T
	clock *nxtest.Clock
	pool  packetpool.Pool
	held  []packetpool.Packet
	jobs  []*job
	order []any // jobs by number, in the order in which they ran on
	got   map[string]any
}

type job struct {
	status error
	ticks  nx.Wait
	packet packetpool.Packet
	done   bool
	silent bool // its thread was terminated: it reports nothing
}

// A blocking call answers the packet that it got, if that is what it is for.
type blockingCall func() (packetpool.Packet, error)

// create makes the pool, all packets of which the controller takes but some.
func (b *blocking) create(packets, left int) {
	b.pool.Config = &packetpool.Config{Clock: b.clock}
	require.NoError(b.t, packetpool.PoolCreate(&b.pool, "blocking", 128, uint32(packets*(60+128))))
	for range packets - left {
		b.held = append(b.held, b.must(packetpool.Allocate(&b.pool, packetpool.ReceivePacket, nx.NoWait)))
	}
}

func (b *blocking) must(p packetpool.Packet, err error) packetpool.Packet {
	require.NoError(b.t, err)
	return p
}

// end gives everything back.
func (b *blocking) end() {
	if b == nil {
		return
	}
	for _, p := range b.held {
		_ = packetpool.Release(p)
	}
	if info, err := packetpool.PoolInfoGet(&b.pool); err == nil {
		assert.Equal(b.t, info.TotalPackets, info.FreePackets)
		require.NoError(b.t, packetpool.PoolDelete(&b.pool))
	}
}

// start runs a call in a thread of that priority, and lets 3 ticks pass, as the
// recording harness does.
func (b *blocking) start(priority int, call blockingCall) *job {
	j, number := new(job), len(b.jobs)
	b.jobs = append(b.jobs, j)
	b.clock.Go(func() {
		began := b.clock.Ticks()
		j.packet, j.status = call()
		j.ticks = b.clock.Ticks() - began
		b.clock.Turn(priority)
		j.done = true
		b.order = append(b.order, float64(number))
	})
	b.clock.Sleep(3)
	return j
}

func (b *blocking) allocate(packetType packetpool.PacketType, wait nx.Wait) blockingCall {
	return func() (packetpool.Packet, error) { return packetpool.Allocate(&b.pool, packetType, wait) }
}

// release releases the packet that the controller took last.
func (b *blocking) release() float64 {
	p := b.held[len(b.held)-1]
	b.held = b.held[:len(b.held)-1]
	return code(packetpool.Release(p))
}

func code(err error) float64 { return float64(nx.Code(err)) }

func (b *blocking) now() map[string]any {
	return map[string]any{"pool": b.counters(), "suspended": float64(packetpool.Suspended(&b.pool))}
}

func (b *blocking) counters() any {
	info, _ := packetpool.Counters(&b.pool)
	return counters(info)
}

// report fills in what is reported of every program that has it. The jobs have
// ended: what they got becomes the controller's.
func (b *blocking) report(want blockingTrace) {
	if _, ok := want["pool"]; ok {
		b.got["pool"] = b.counters()
	}
	if _, ok := want["suspended"]; ok {
		b.got["suspended"] = float64(packetpool.Suspended(&b.pool))
	}
	if _, ok := want["completion_order"]; ok {
		b.got["completion_order"] = b.order
	}
	var jobs []any
	for _, j := range b.jobs {
		if j.packet.Live() {
			b.held = append(b.held, j.packet)
		}
		if j.silent {
			continue
		}
		room := 0
		if fragments := packetpool.Fragments(j.packet); len(fragments) > 0 {
			room = fragments[0].Room
		}
		jobs = append(jobs, map[string]any{
			"done": truth(j.done), "status": code(j.status), "ticks": float64(j.ticks),
			"got_packet": truth(j.packet.Live()), "prepend_offset": float64(room),
		})
	}
	if jobs != nil {
		b.got["jobs"] = jobs
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (b *blocking) append(p packetpool.Packet, bytes int, wait nx.Wait) blockingCall {
	return func() (packetpool.Packet, error) {
		return packetpool.Packet{}, packetpool.DataAppend(p, make([]byte, bytes), &b.pool, wait)
	}
}

func (b *blocking) copy(p packetpool.Packet, wait nx.Wait) blockingCall {
	return func() (packetpool.Packet, error) { return packetpool.Copy(p, &b.pool, wait) }
}

func (b *blocking) length(p packetpool.Packet) float64 {
	n, err := packetpool.LengthGet(p)
	require.NoError(b.t, err)
	return float64(n)
}

var blockingRules = []golden.Rule{{
	Name:   "NoCallerClass",
	Why:    "the original refuses calls of the initialization and of timers that could wait (NX_CALLER_ERROR); a goroutine is a thread",
	Fields: []string{"status/*"},
	When: func(d golden.Difference) bool {
		want, ok := d.Case.Want.(map[string]any)
		_, calls := want["status"].([]any) // of a context that is no thread
		return ok && calls && d.Want == float64(nx.CallerError) && d.Got == 0.0
	},
}}
