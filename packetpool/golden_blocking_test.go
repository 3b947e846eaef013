package packetpool_test

import (
	"context"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/packetpool/nxtest/golden"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A blocking trace is what threads of the original got that wait in services.
// It names its program and tells the results, not the calls: the programs are
// below. A later trace may go on with the pool of an earlier one.
type blockingTrace map[string]any

func replayBlocking(t *testing.T, judge *golden.Judge, traces []blockingTrace) {
	var b *blocking
	for _, want := range traces {
		name, _ := want["name"].(string)
		got := map[string]any{"name": name}
		c := golden.Case{Where: "program", Kind: "blocking", Want: map[string]any(want), Got: got, Context: &outcome{step: step{"op": "blocking"}}}
		i := slices.IndexFunc(blockingPrograms, func(p blockingProgram) bool { return p.name.MatchString(name) })
		if i < 0 {
			t.Errorf("the replay does not know the program %q", name)
			judge.Trace(name, []golden.Case{c})
			continue
		}
		program := blockingPrograms[i]
		if !program.continues || b == nil {
			b.end()
			b = &blocking{t: t, clock: new(nxtest.Clock)}
		}
		b.got, b.about = got, ""
		if about, ok := want["about"]; ok {
			b.about, got["about"] = about.(string), about
		}
		b.jobs = nil
		b.clock.Go(func() { program.run(b, program.name.FindStringSubmatch(name)) })
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
	about string
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

// priorities reads those of the threads out of the description.
func (b *blocking) priorities() []int {
	list := []int{20, 10, 15} // "as above"
	if m := regexp.MustCompile(`priorities ([0-9,]+)`).FindStringSubmatch(b.about); m != nil {
		list = nil
		for _, n := range regexp.MustCompile(`[0-9]+`).FindAllString(m[1], -1) {
			priority, _ := strconv.Atoi(n)
			list = append(list, priority)
		}
	}
	return list
}

// nobodyWaits returns when a cancelled wait has ended: a context tells it in a
// goroutine of its own.
func (b *blocking) nobodyWaits() {
	for packetpool.Suspended(&b.pool) > 0 {
		runtime.Gosched()
	}
}

// three starts three waiters, for packets of different types.
func (b *blocking) three() {
	for i, priority := range b.priorities() {
		b.start(priority, b.allocate([]packetpool.PacketType{0, 56, 76}[i%3], nx.WaitForever))
	}
}

type blockingProgram struct {
	name      *regexp.Regexp
	continues bool // the pool of the trace before
	run       func(b *blocking, name []string)
}

var blockingPrograms = []blockingProgram{
	{regexp.MustCompile(`^init_context$`), false, func(b *blocking, _ []string) {
		b.create(4, 4)
		p, noWait := packetpool.Allocate(&b.pool, packetpool.ReceivePacket, nx.NoWait)
		q, waiting := packetpool.Allocate(&b.pool, packetpool.ReceivePacket, 10)
		appended := packetpool.DataAppend(p, make([]byte, 200), &b.pool, nx.NoWait)
		b.held = append(b.held, p, q)
		b.got["status"] = []any{code(noWait), code(waiting), code(appended), code(packetpool.PoolDelete(&b.pool))}
	}},
	{regexp.MustCompile(`^timer_context$`), false, func(b *blocking, _ []string) {
		b.create(4, 4)
		p, noWait := packetpool.Allocate(&b.pool, packetpool.ReceivePacket, nx.NoWait)
		q, waiting := packetpool.Allocate(&b.pool, packetpool.ReceivePacket, 10)
		b.held = append(b.held, p, q)
		deleted := packetpool.PoolDelete(&b.pool)
		created := packetpool.PoolCreate(&b.pool, "again", 128, 1000)
		b.got["status"] = []any{code(noWait), code(waiting), code(deleted), code(created)}
	}},
	{regexp.MustCompile(`^empty_no_wait$`), false, func(b *blocking, _ []string) {
		b.create(1, 0)
		_, err := packetpool.Allocate(&b.pool, packetpool.ReceivePacket, nx.NoWait)
		b.got["status"] = code(err)
	}},
	{regexp.MustCompile(`^empty_wait_([0-9]+)_timeout$`), true, func(b *blocking, name []string) {
		wait, _ := strconv.Atoi(name[1])
		began := b.clock.Ticks()
		_, err := packetpool.Allocate(&b.pool, packetpool.ReceivePacket, nx.Wait(wait))
		b.got["status"], b.got["ticks"] = code(err), float64(b.clock.Ticks()-began)
	}},
	{regexp.MustCompile(`^suspended_then_release$`), true, func(b *blocking, _ []string) {
		b.start(10, b.allocate(packetpool.IPv4TCPPacket, nx.WaitForever))
		b.got["while"] = b.now()
		b.got["release_status"] = b.release()
	}},
	{regexp.MustCompile(`^three_waiters_release_one_by_one$`), false, func(b *blocking, _ []string) {
		b.create(3, 0)
		b.three()
		b.got["while"] = b.now()
		every := nx.Wait(5)
		if m := regexp.MustCompile(`every ([0-9]+) ticks`).FindStringSubmatch(b.about); m != nil {
			n, _ := strconv.Atoi(m[1])
			every = nx.Wait(n)
		}
		for range b.jobs {
			b.release()
			b.clock.Sleep(every)
		}
	}},
	{regexp.MustCompile(`^three_waiters_release_chain$`), false, func(b *blocking, _ []string) {
		b.create(3, 2)
		chain := b.held[0]
		b.held = nil
		require.NoError(b.t, packetpool.DataAppend(chain, make([]byte, 300), &b.pool, nx.NoWait))
		b.three()
		b.got["while"] = b.now()
		require.NoError(b.t, packetpool.Release(chain))
	}},
	{regexp.MustCompile(`^released_packet_goes_to_waiter_first$`), false, func(b *blocking, _ []string) {
		b.create(2, 0)
		b.start(20, b.allocate(packetpool.ReceivePacket, nx.WaitForever))
		b.release()
		_, err := packetpool.Allocate(&b.pool, packetpool.ReceivePacket, nx.NoWait)
		b.got["releaser_status"] = code(err)
	}},
	{regexp.MustCompile(`^first_waiter_times_out$`), false, func(b *blocking, _ []string) {
		b.create(1, 0)
		b.start(20, b.allocate(packetpool.ReceivePacket, 20))
		b.start(10, b.allocate(packetpool.IPv4TCPPacket, nx.WaitForever))
		b.clock.Sleep(30)
		b.got["while"] = b.now()
		b.release()
	}},
	{regexp.MustCompile(`^delete_with_waiters$`), false, func(b *blocking, _ []string) {
		b.create(1, 0)
		b.three()
		b.got["delete_status"] = code(packetpool.PoolDelete(&b.pool))
		b.got["release_after_delete_status"] = code(packetpool.Release(b.held[0]))
		b.got["pool_id"] = 0.0
		if _, err := packetpool.PoolInfoGet(&b.pool); err == nil {
			b.got["pool_id"] = float64(0x5041434B)
		}
	}},
	{regexp.MustCompile(`^wait_abort$`), false, func(b *blocking, _ []string) {
		b.create(1, 0)
		ctx, abort := context.WithCancel(context.Background())
		b.start(10, func() (packetpool.Packet, error) {
			return packetpool.AllocateContext(ctx, &b.pool, packetpool.ReceivePacket, nx.WaitForever)
		})
		abort()
		b.nobodyWaits()
		b.got["abort_status"] = 0.0 // of tx_thread_wait_abort; a cancel cannot fail
	}},
	{regexp.MustCompile(`^waiter_terminated_then_release$`), false, func(b *blocking, _ []string) {
		b.create(1, 0)
		ctx, terminate := context.WithCancel(context.Background())
		j := b.start(10, func() (packetpool.Packet, error) {
			return packetpool.AllocateContext(ctx, &b.pool, packetpool.ReceivePacket, nx.WaitForever)
		})
		j.silent = true
		terminate()
		b.nobodyWaits()
		b.got["release_status"] = b.release()
	}},
	{regexp.MustCompile(`^append_needs_3_more_but_1_free_timeout$`), false, func(b *blocking, _ []string) {
		b.create(4, 1)
		b.start(10, b.append(b.held[0], 400, 100))
		b.got["while"] = b.now()
		b.clock.Sleep(100)
		b.got["length_after"] = b.length(b.held[0])
	}},
	{regexp.MustCompile(`^append_wait_restarts_per_packet$`), true, func(b *blocking, _ []string) {
		b.start(10, b.append(b.held[0], 400, 100))
		b.clock.Sleep(60)
		b.release()
		b.clock.Sleep(60)
		b.got["after_120"] = b.now()
		b.release()
		b.clock.Sleep(1)
		b.got["length_after"] = b.length(b.held[0])
	}},
	{regexp.MustCompile(`^copy_wait_timeout$`), false, func(b *blocking, _ []string) {
		b.create(3, 1)
		require.NoError(b.t, packetpool.DataAppend(b.held[0], make([]byte, 200), &b.pool, nx.NoWait))
		b.start(10, b.copy(b.held[0], 100))
	}},
	{regexp.MustCompile(`^copy_gets_first_packet_then_times_out_on_second$`), true, func(b *blocking, _ []string) {
		b.start(10, b.copy(b.held[0], 100))
		b.release()
	}},
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
		name, named := want["name"].(string)
		return ok && named && regexp.MustCompile(`_context$`).MatchString(name) && d.Want == float64(nx.CallerError) && d.Got == 0.0
	},
}}
