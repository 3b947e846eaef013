package packetpool_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/require"
)

// The records of blocking calls hold what came out and not what was called. A
// program is made of what they do tell: how many threads there were, when each
// of them began (every third tick) and ended, with which status and with how
// much room; what the pool counted; and the words of the name and the
// description. So the times and kinds of the controller's calls come from the
// record. What a call then does is compared: counters, order, lengths, and
// every status and time that the program has not caused by itself.

const (
	blockingPayload = 128
	blockingBytes   = 400 // that the harness appends, unless the record tells
	blockingCopied  = 200 // of a message that it copies
	blockingWait    = 100 // of a call whose wait the record does not tell
)

func (w blockingTrace) name() string  { s, _ := w["name"].(string); return s }
func (w blockingTrace) about() string { s, _ := w["about"].(string); return s }

// pool is one of the counters after the trace.
func (w blockingTrace) pool(i int) int {
	counters, _ := w["pool"].([]any)
	if i >= len(counters) {
		return 0
	}
	n, _ := counters[i].(float64)
	return int(n)
}

// says answers the numbers in what the record says in words.
func (w blockingTrace) says(pattern string) []int {
	m := regexp.MustCompile(pattern).FindStringSubmatch(w.name() + ": " + w.about())
	var list []int
	for _, s := range m[min(1, len(m)):] {
		for _, digits := range regexp.MustCompile(`[0-9]+`).FindAllString(s, -1) {
			n, _ := strconv.Atoi(digits)
			list = append(list, n)
		}
	}
	return list
}

// ended is one thread of the record.
type ended struct {
	status nx.Status
	at     int // tick, from the begin of the program on
	ticks  int
	got    bool
	room   int
}

func (w blockingTrace) threads() (list []ended) {
	jobs, _ := w["jobs"].([]any)
	for i, j := range jobs {
		field := func(name string) int {
			m, _ := j.(map[string]any)
			n, _ := m[name].(float64)
			return int(n)
		}
		list = append(list, ended{
			status: nx.Status(field("status")), at: 3*i + field("ticks"), ticks: field("ticks"),
			got: field("got_packet") != 0, room: field("prepend_offset"),
		})
	}
	return list
}

// continues tells whether a trace goes on with the pool of the one before: its
// counters are higher by what its own calls count at least.
func (b *blocking) continues(w blockingTrace) bool {
	before, _ := packetpool.Counters(&b.pool)
	calls := max(1, len(w.threads()))
	return before.TotalPackets > 0 && w.pool(0) == int(before.TotalPackets) && w.pool(2) >= int(before.EmptyPoolRequests)+calls
}

// program makes the program of a trace.
func (b *blocking) program(w blockingTrace) (func(), error) {
	if statuses, ok := w["status"].([]any); ok {
		return b.contextProgram(w, statuses)
	}
	if w.pool(0) == 0 {
		return nil, errors.New("the record has no counters of its pool")
	}
	base, _ := packetpool.Counters(&b.pool)
	s := &script{b: b, want: w, fresh: base.TotalPackets == 0, waits: w.pool(3) - int(base.EmptyPoolSuspensions)}
	s.plan()
	return s.run, nil
}

// contextProgram makes the calls that the description lists. What the original
// refused to the caller's class has had no effect there: here it meets a pool of
// its own.
func (b *blocking) contextProgram(w blockingTrace, statuses []any) (func(), error) {
	_, list, _ := strings.Cut(w.about(), ": ")
	calls := strings.Split(list, ", ")
	if len(calls) != len(statuses) {
		return nil, fmt.Errorf("%d statuses and no list of as many calls: %q", len(statuses), w.about())
	}
	return func() {
		b.create(4, 4)
		var got []any
		for i, call := range calls {
			at := b
			if statuses[i] == float64(nx.CallerError) {
				at = &blocking{t: b.t, clock: b.clock}
				at.create(4, 4)
			}
			err := at.named(call)
			got = append(got, code(err))
			if at != b {
				at.end()
			}
		}
		b.got["status"] = got
	}, nil
}

// named makes one call that a description names.
func (b *blocking) named(call string) error {
	wait := nx.NoWait
	if m := regexp.MustCompile(`wait ([0-9]+)`).FindStringSubmatch(call); m != nil {
		n, _ := strconv.Atoi(m[1])
		wait = nx.Wait(n)
	}
	message := func() packetpool.Packet {
		if len(b.held) == 0 {
			b.held = append(b.held, b.must(packetpool.Allocate(&b.pool, packetpool.ReceivePacket, nx.NoWait)))
		}
		return b.held[0]
	}
	var err error
	switch {
	case strings.HasPrefix(call, "allocate"):
		var p packetpool.Packet
		p, err = packetpool.Allocate(&b.pool, packetpool.ReceivePacket, wait)
		b.keep(p)
	case strings.HasPrefix(call, "append"):
		err = packetpool.DataAppend(message(), make([]byte, blockingCopied), &b.pool, wait)
	case strings.HasPrefix(call, "copy"):
		p := message()
		require.NoError(b.t, packetpool.DataAppend(p, []byte{1}, &b.pool, nx.NoWait))
		p, err = packetpool.Copy(p, &b.pool, wait)
		b.keep(p)
	case strings.HasPrefix(call, "release"):
		p := message()
		b.held = b.held[1:]
		err = packetpool.Release(p)
	case strings.HasSuffix(call, "delete"):
		err = packetpool.PoolDelete(&b.pool)
	case strings.HasSuffix(call, "create"):
		var another packetpool.Pool
		if err = packetpool.PoolCreate(&another, "another", blockingPayload, 1000); err == nil {
			err = packetpool.PoolDelete(&another)
		}
	default:
		require.Fail(b.t, "the replay does not know the call "+call)
	}
	return err
}

// keep keeps a packet for the controller, if it is one.
func (b *blocking) keep(p packetpool.Packet) {
	if p.Live() {
		b.held = append(b.held, p)
	}
}

// script is the program of a trace: threads that start one after the other, and
// what the controller does at which tick.
type script struct {
	b     *blocking
	want  blockingTrace
	fresh bool // it begins with a pool of its own
	waits int  // packets that its calls waited for

	began   int
	threads []ended
	acts    []act
	abort   []context.CancelFunc
}

type act struct {
	at int
	do func()
}

func (s *script) has(field string) bool { _, ok := s.want[field]; return ok }

// does tells whether the threads make calls of that kind; they allocate when
// the name does not say otherwise.
func (s *script) does(kind string) bool { return strings.Contains(s.want.name(), kind) }

// long tells whether the calls may need several packets each.
func (s *script) long() bool { return s.does("append") || s.does("copy") }

// plan finds out what the controller does.
func (s *script) plan() {
	s.threads = s.want.threads()
	if s.long() {
		s.planLong()
		return
	}
	released, deletes := false, false
	for i, t := range s.threads {
		switch t.status {
		case nx.Success:
			if !released || !s.chained() {
				s.at(t.at, s.release)
			}
			released = true
		case nx.WaitAborted:
			s.at(t.at, func() {
				waiting := packetpool.Suspended(&s.b.pool)
				s.abort[i]()
				s.b.waitersBelow(waiting)
				s.b.got["abort_status"] = 0.0 // of tx_thread_wait_abort; a cancel cannot fail
			})
		case nx.PoolDeleted:
			if !deletes {
				s.at(t.at, s.delete)
			}
			deletes = true
		}
	}
}

// planLong is plan for a thread that needs several packets: it waited for each
// that was not there, and the last one ended it, or the wait for it.
func (s *script) planLong() {
	if len(s.threads) == 0 {
		return
	}
	t := s.threads[0]
	times := s.want.says(`about ((?:[0-9]+ ticks|[^0-9:]*)+) in`)
	released, last := s.waits, t.at
	if t.status != nx.Success {
		released, last = s.waits-1, t.at-int(s.wait(t))
	}
	for i := range max(released, 0) {
		at := last - (released - 1 - i)
		if i < len(times) && i < released-1 {
			at = 3 + times[i]
		}
		s.at(at, s.release)
	}
}

// wait is the wait option of a thread's call.
func (s *script) wait(t ended) nx.Wait {
	if n := s.want.says(`wait(?: option|_)? ?([0-9]+)`); len(n) > 0 {
		return nx.Wait(n[0])
	}
	switch {
	case s.long() && (s.waits > 1 || t.status == nx.Success):
		return blockingWait
	case t.status == nx.NoPacket:
		return nx.Wait(t.ticks)
	}
	return nx.WaitForever
}

func (s *script) chained() bool { return s.does("chain") }

func (s *script) at(tick int, do func()) { s.acts = append(s.acts, act{tick, do}) }

func (s *script) release() {
	s.note("release_status", s.b.release())
	if s.has("releaser_status") {
		p, err := packetpool.Allocate(&s.b.pool, packetpool.ReceivePacket, nx.NoWait)
		s.b.keep(p)
		s.b.got["releaser_status"] = code(err)
	}
}

func (s *script) delete() {
	s.note("delete_status", code(packetpool.PoolDelete(&s.b.pool)))
	if s.has("release_after_delete_status") {
		s.b.got["release_after_delete_status"] = code(packetpool.Release(s.b.held[0]))
	}
	if s.has("pool_id") {
		s.b.got["pool_id"] = 0.0
		if _, err := packetpool.PoolInfoGet(&s.b.pool); err == nil {
			s.b.got["pool_id"] = float64(0x5041434B)
		}
	}
}

// note fills in a field that the record has.
func (s *script) note(field string, value any) {
	if s.has(field) {
		s.b.got[field] = value
	}
}

func (s *script) run() {
	b := s.b
	s.began = int(b.clock.Ticks())
	if s.fresh {
		s.create()
	}
	if len(s.threads) == 0 {
		s.alone()
		return
	}
	for i, t := range s.threads {
		b.start(s.priority(i), s.call(i, t))
	}
	// "after_120": that many ticks after the thread has begun to wait.
	for field := range s.want {
		if after, ok := strings.CutPrefix(field, "after_"); ok {
			tick, _ := strconv.Atoi(after)
			s.acts = append([]act{{3 + tick, func() { b.got[field] = b.now() }}}, s.acts...)
		}
	}
	slices.SortStableFunc(s.acts, func(a, b act) int { return a.at - b.at })
	for i, a := range s.acts {
		s.until(a.at)
		if i == 0 {
			s.look()
		}
		a.do()
	}
	s.look()
	if s.has("length_after") {
		s.until(s.threads[0].at + 1)
		b.got["length_after"] = b.length(b.held[0])
	}
}

// look is what the controller sees before it does something.
func (s *script) look() {
	if _, seen := s.b.got["while"]; !seen && s.has("while") {
		s.b.got["while"] = s.b.now()
	}
}

func (s *script) until(tick int) {
	if left := s.began + tick - int(s.b.clock.Ticks()); left > 0 {
		s.b.clock.Sleep(nx.Wait(left))
	}
}

// create makes the pool, of which the controller takes what the threads are to
// miss.
func (s *script) create() {
	b, total := s.b, s.want.pool(0)
	free := 0
	if s.long() && len(s.threads) > 0 && s.threads[0].status != nx.Success {
		free = s.want.pool(1) - max(s.waits-1, 0) // what it had taken is free again
	} else if s.long() {
		free = max(0, s.missing()-s.waits)
	}
	copied := s.does("copy")
	message := 1
	if copied {
		message = (blockingCopied + blockingPayload - 1) / blockingPayload
	}
	if s.chained() && !s.long() {
		message = 0
		for _, t := range s.threads {
			if t.status == nx.Success {
				message++
			}
		}
	}
	if message > 1 {
		b.create(total, min(total-1, free+message-1))
		bytes := blockingPayload*(message-1) + 1
		if copied {
			bytes = blockingCopied
		}
		// The chain is what is released first, and the message that is copied what
		// is released last.
		at := len(b.held) - 1
		if copied {
			at = 0
		}
		require.NoError(b.t, packetpool.DataAppend(b.held[at], make([]byte, bytes), &b.pool, nx.NoWait))
		return
	}
	b.create(total, free)
}

// missing is how many packets the message of a thread needs beyond the first.
func (s *script) missing() int { return (s.bytes() - 1) / blockingPayload }

// bytes is how many bytes are appended.
func (s *script) bytes() int {
	if n, _ := s.want["length_after"].(float64); n > 0 {
		return int(n)
	}
	if n := s.want.says(`needs_([0-9]+)_more`); len(n) > 0 {
		return blockingPayload*n[0] + 1
	}
	return blockingBytes
}

// alone is a program without threads that report: the controller's own call, or
// waiters that are terminated.
func (s *script) alone() {
	b := s.b
	if s.has("status") {
		wait := nx.NoWait
		if ticks, ok := s.want["ticks"].(float64); ok {
			wait = nx.Wait(ticks)
			if n := s.want.says(`wait_([0-9]+)`); len(n) > 0 {
				wait = nx.Wait(n[0])
			}
		}
		call := b.allocate(packetpool.ReceivePacket, wait)
		switch {
		case s.does("append"):
			call = b.append(b.held[0], s.bytes(), wait)
		case s.does("copy"):
			call = b.copy(b.held[0], wait)
		}
		p, err := call()
		b.keep(p)
		s.note("ticks", float64(int(b.clock.Ticks())-s.began))
		b.got["status"] = code(err)
		return
	}
	for i := range s.waits {
		ctx, terminate := context.WithCancel(context.Background())
		j := b.start(10+i, func() (packetpool.Packet, error) {
			return packetpool.AllocateContext(ctx, &b.pool, packetpool.ReceivePacket, nx.WaitForever)
		})
		j.silent = true
		waiting := packetpool.Suspended(&b.pool)
		terminate()
		b.waitersBelow(waiting)
	}
	s.look()
	if s.has("release_status") {
		s.release()
	}
}

// waitersBelow returns when a cancelled wait has ended: a context tells it in a
// goroutine of its own.
func (b *blocking) waitersBelow(n int) {
	for packetpool.Suspended(&b.pool) >= n {
		runtime.Gosched()
	}
}

// call is the call of a thread.
func (s *script) call(i int, t ended) blockingCall {
	b := s.b
	ctx, abort := context.WithCancel(context.Background())
	s.abort = append(s.abort, abort)
	switch {
	case s.does("append"):
		return b.append(b.held[0], s.bytes(), s.wait(t))
	case s.does("copy"):
		return b.copy(b.held[0], s.wait(t))
	}
	room := packetpool.PacketType(t.room)
	if !t.got {
		room = []packetpool.PacketType{0, 56, 76}[i%3]
	}
	return func() (packetpool.Packet, error) {
		return packetpool.AllocateContext(ctx, &b.pool, room, s.wait(t))
	}
}

// priority of a thread: as described, or as most traces have them.
func (s *script) priority(i int) int {
	list := s.want.says(`priorities ([0-9,]+)`)
	if len(list) == 0 {
		list = []int{20, 10, 15}
	}
	return list[i%len(list)]
}
