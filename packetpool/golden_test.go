package packetpool_test

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/packetpool/nxtest/golden"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGolden replays every step of every recorded trace of the original, call
// by call, and compares statuses, lengths, chains, counters and data.
func TestGolden(t *testing.T) {
	traces := golden.Load[trace](t, "packet_golden.jsonl")
	judge := golden.NewJudge("packet", slices.Concat(rules, blockingRules))
	for _, trace := range traces {
		judge.Trace(trace.Name, replay(t, trace))
	}
	// A folder of one's own may have the calls only.
	if name := "packet_blocking.jsonl"; golden.Folder() == "testdata" || golden.Has(name) {
		replayBlocking(t, judge, golden.Load[blockingTrace](t, name))
	} else {
		fmt.Printf("golden packet: %s has no %s: not replayed\n", golden.Folder(), name)
	}
	judge.Mutations(t, 1000, 0.99)
	judge.CloseAt(t, 1000)
}

type trace struct {
	Name  string
	Steps []step
	Crash any // the process died in the last step
}

type step map[string]any

func (s step) op() string { return s["op"].(string) }

// number answers an argument as the original got it. The harness that recorded
// it read numbers into 32 bits with a sign: a packet type of 4294967292, a
// multiple of 4, is recorded as NX_OPTION_ERROR, which is what 2147483647 gives.
func (s step) number(name string) int {
	n, _ := s[name].(float64)
	return int(min(n, math.MaxInt32))
}

// player is the state of one replay, as that of the harness that recorded the
// original: numbered pools, and slots that keep their pointer after a release.
type player struct {
	pools map[int]*packetpool.Pool
	slots map[int]packetpool.Packet

	// What differs from here on, by a rule.
	substitutes map[int]int // slot to the room that its message lacks: CopyHeaderRoom
	refused     map[int]int // pool to releases that only this project refused: StaleHandle
}

// outcome is what the rules look at.
type outcome struct {
	step
	trace      string
	room       int            // of the substitute in the step's slot, or the new one
	newRoom    int            // of the substitute in the new slot
	stale      bool           // the step released a stale handle whose packet had a new owner
	refused    map[string]int // as player.refused, by the name of the pool
	expressive bool           // false: the step passes NULL where this project has a result
	crashed    bool           // the original died in this step
}

func replay(t *testing.T, tr trace) (cases []golden.Case) {
	p := &player{
		pools: map[int]*packetpool.Pool{}, slots: map[int]packetpool.Packet{},
		substitutes: map[int]int{}, refused: map[int]int{},
	}
	var clock nxtest.Clock
	clock.Go(func() {
		for i, s := range tr.Steps {
			o := &outcome{step: s, trace: tr.Name, expressive: true, refused: map[string]int{}}
			got := p.play(t, &clock, s, o)
			for pool, n := range p.refused {
				o.refused[strconv.Itoa(pool)] = n
			}
			c := golden.Case{Where: fmt.Sprintf("step %d %s", i, s.op()), Kind: s.op(), Want: s["result"], Got: got, Context: o}
			if s["result"] == nil {
				o.crashed = tr.Crash != nil && i == len(tr.Steps)-1
				c.Want = map[string]any{"status": "crash"}
				c.Got = map[string]any{"status": got["status"]}
			}
			cases = append(cases, c)
		}
		p.end()
	})
	clock.Wait(t)
	return cases
}

// end gives back what the trace has kept.
func (p *player) end() {
	for _, packet := range p.slots {
		_ = packetpool.Release(packet)
	}
	for _, pool := range p.pools {
		_ = packetpool.PoolDelete(pool)
	}
	for _, packet := range p.slots {
		_ = packetpool.Release(packet) // the trace has broken its bounds; nothing looks at them now
	}
}

func (p *player) pool(clock nx.Clock, n int) *packetpool.Pool {
	if p.pools[n] == nil {
		p.pools[n] = &packetpool.Pool{Config: &packetpool.Config{Clock: clock}}
	}
	return p.pools[n]
}

// subject is what an operation passes NULL for when its name does not say it.
var subject = map[string]string{
	"length": "packet", "retrieve": "packet", "extract": "packet", "copy": "packet", "release": "packet", "trelease": "packet",
	"info": "pool", "watermark": "pool", "alloc": "pool", "pool_create": "pool", "pool_delete": "pool",
}

// arguments are those that play looks at.
var arguments = strings.Fields("op result note pool slot new_slot payload mem_offset size type wait first_byte offset buffer header mark delta length")

// play makes one call and answers what it did, as the harness notes it.
func (p *player) play(t *testing.T, clock nx.Clock, s step, o *outcome) map[string]any {
	got := map[string]any{}
	for name := range s {
		if !slices.Contains(arguments, name) {
			t.Errorf("the replay does not know the argument %q of %q", name, s.op())
		}
	}
	op, raw := strings.CutSuffix(s.op(), "_raw")
	op, null, isNull := strings.Cut(op, "_null")
	null = strings.TrimPrefix(null, "_")
	if isNull && null == "" {
		null = subject[op]
	}
	if all, ok := strings.CutSuffix(op, "_all"); ok {
		op, null = all, "all"
	}
	slot := s.number("slot")
	packet, pool := p.slots[slot], p.pool(clock, s.number("pool"))
	o.room = p.substitutes[slot]
	switch null {
	case "pool":
		pool = nil
	case "packet":
		packet = packetpool.Packet{}
	}
	// A result has no pointer that could be NULL.
	o.expressive = !slices.Contains([]string{"ptr", "out", "count", "new"}, null)

	var err error
	switch op {
	case "pool_create":
		offset, size := s.number("mem_offset"), s.number("size")
		start := (offset + 3) / 4 * 4
		err = packetpool.PoolCreate(pool, "pool", uint32(s.number("payload")), uint32(max(0, size-(start-offset))))
		if err == nil {
			got["created"] = map[string]any{
				"payload": float64(pool.PayloadSize()), "size": float64(packetpool.MemorySize(pool)), "start_offset": float64(start),
			}
		}
	case "pool_delete":
		err = packetpool.PoolDelete(pool)
	case "info":
		var info packetpool.PoolInfo
		info, err = packetpool.PoolInfoGet(pool)
		if null == "" {
			got["info"] = counters(info)
		}
	case "watermark":
		err = packetpool.PoolLowWatermarkSet(pool, uint32(s.number("mark")))
	case "alloc":
		if !o.expressive {
			return p.finish(got, nil, false)
		}
		allocate := packetpool.Allocate
		if raw {
			allocate = packetpool.AllocateRaw
		}
		packet, err = allocate(pool, packetpool.PacketType(s.number("type")), nx.Wait(s.number("wait")))
		if null == "" {
			p.slots[slot] = packet
			delete(p.substitutes, slot)
			o.room = 0
			got["packet"] = describe(packet)
		}
	case "append":
		data := make([]byte, s.number("size"))
		for i := range data {
			data[i] = byte(s.number("first_byte") + i%256)
		}
		if null == "data" {
			data = nil
		} else if len(data) == 0 && null != "" {
			data = []byte{0} // the argument that is NULL is another one
		}
		add := packetpool.DataAppend
		if raw {
			add = packetpool.AppendRaw
		}
		err = add(packet, data, pool, nx.Wait(s.number("wait")))
		if null != "packet" {
			got["packet"] = describe(packet)
		}
	case "length":
		if !o.expressive {
			return p.finish(got, nil, false)
		}
		var n uint32
		n, err = packetpool.LengthGet(packet)
		if null == "" {
			got["length"] = written(n, err)
		}
	case "retrieve":
		if !o.expressive {
			return p.finish(got, nil, false)
		}
		buffer := make([]byte, 1<<17)
		if null == "buf" {
			buffer = nil
		}
		var n uint32
		n, err = packetpool.DataRetrieve(packet, buffer)
		if null != "" {
			break
		}
		got["hex"] = ""
		got["copied"] = written(n, err)
		if nx.Code(err) == uint(nx.InvalidPacket) {
			got["copied"] = float64(n) // written although the call fails
		}
		if err == nil {
			got["hex"] = shown(buffer[:n])
			hash := fnv.New32a()
			_, _ = hash.Write(buffer[:n])
			got["fnv1a"] = float64(hash.Sum32())
		}
	case "extract":
		if !o.expressive {
			return p.finish(got, nil, false)
		}
		buffer := slices.Repeat([]byte{0xEE}, s.number("buffer"))
		if null == "buf" {
			buffer = nil
		}
		var n uint32
		n, err = packetpool.DataExtractOffset(packet, uint32(s.number("offset")), buffer)
		if null != "" {
			break
		}
		got["copied"] = written(n, err)
		if err == nil {
			got["hex"] = shown(buffer[:n])
		}
	case "copy":
		if !o.expressive {
			return p.finish(got, nil, false)
		}
		var copied packetpool.Packet
		copied, err = packetpool.Copy(packet, pool, nx.Wait(s.number("wait")))
		if null != "" {
			break
		}
		newSlot := s.number("new_slot")
		delete(p.substitutes, newSlot)
		if room := p.roomTooLarge(packet, pool, err); room > 0 {
			// The message that the original has now has its pointers outside of its
			// first packet. One with the same packets takes its place.
			copied = substitute(t, packet, pool, room)
			p.substitutes[newSlot] = room
		} else if err == nil && o.room > 0 {
			p.substitutes[newSlot] = o.room
		}
		o.newRoom = p.substitutes[newSlot]
		p.slots[newSlot] = copied
		got["packet"], got["new_packet"] = describe(packet), describe(copied)
	case "release", "trelease":
		release := packetpool.Release
		if op == "trelease" {
			release = packetpool.TransmitRelease
		}
		had := packet.Live()
		err = release(packet)
		if null != "" {
			break
		}
		got["ptr_cleared"] = packet == (packetpool.Packet{}) || had && !packet.Live()
		if !had {
			o.stale = p.releaseForOwner(packet)
		}
	case "adjust":
		if packet == (packetpool.Packet{}) {
			return map[string]any{"skipped": true}
		}
		err = packetpool.DataAdjust(packet, uint32(s.number("header")))
		got["packet"] = describe(packet)
	case "move_prepend":
		packet.Poke(s.number("delta"), 0, -s.number("delta"))
		got["packet"] = describe(packet)
	case "move_append":
		packet.Poke(0, s.number("delta"), s.number("delta"))
		got["packet"] = describe(packet)
	case "set_length":
		length, _ := packet.Message()
		packet.Poke(0, 0, s.number("length")-length)
		got["packet"] = describe(packet)
	default:
		t.Errorf("the replay does not know the operation %q", s.op())
	}
	return p.finish(got, err, true)
}

// finish adds what every step has. A step that cannot be expressed has no
// status.
func (p *player) finish(got map[string]any, err error, called bool) map[string]any {
	if called {
		got["status"] = float64(nx.Code(err))
		got["status_name"] = nx.Status(nx.Code(err)).String()
	}
	pools := map[string]any{}
	for n, pool := range p.pools {
		if info, ok := packetpool.Counters(pool); ok {
			pools[strconv.Itoa(n)] = counters(info)
		}
	}
	got["pools"] = pools
	return got
}

// roomTooLarge answers the room in front of a message that a copy was refused
// for.
func (p *player) roomTooLarge(packet packetpool.Packet, pool *packetpool.Pool, err error) int {
	fragments := packetpool.Fragments(packet)
	if nx.Code(err) != uint(nx.InvalidParameters) || len(fragments) == 0 || fragments[0].Room <= int(pool.PayloadSize()) {
		return 0
	}
	return fragments[0].Room
}

// substitute answers a message with as many bytes, and so as many packets, as
// a copy with its room takes; the zero Packet when the pool has too few.
func substitute(t *testing.T, packet packetpool.Packet, pool *packetpool.Pool, room int) packetpool.Packet {
	length, _ := packet.Message()
	p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	if err != nil {
		return packetpool.Packet{}
	}
	if packetpool.DataAppend(p, make([]byte, room+length), pool, nx.NoWait) != nil {
		require.NoError(t, packetpool.Release(p))
		return packetpool.Packet{}
	}
	return p
}

// releaseForOwner does what a stale pointer of the original does: it releases
// the packet of whoever has it now. False when nobody has.
func (p *player) releaseForOwner(stale packetpool.Packet) bool {
	for _, owner := range p.slots {
		if owner.Live() && owner.SamePacket(stale) {
			if packetpool.Release(owner) == nil {
				for n, pool := range p.pools {
					if stale.Of(pool) {
						p.refused[n]++
					}
				}
				return true
			}
		}
	}
	return false
}

func counters(i packetpool.PoolInfo) any {
	return []any{
		float64(i.TotalPackets), float64(i.FreePackets), float64(i.EmptyPoolRequests),
		float64(i.EmptyPoolSuspensions), float64(i.InvalidPacketReleases),
	}
}

// shown answers data as it is recorded: up to 300 bytes of it.
func shown(data []byte) string {
	if len(data) > 300 {
		return ""
	}
	return hex.EncodeToString(data)
}

// written answers an output, which the harness had set to 77777.
func written(n uint32, err error) any {
	if err != nil {
		return 77777.0
	}
	return float64(n)
}

func describe(packet packetpool.Packet) any {
	if !packet.Live() {
		return nil
	}
	chain := []any{}
	for _, f := range packetpool.Fragments(packet) {
		chain = append(chain, []any{float64(f.Room), float64(f.Data), float64(f.Behind)})
	}
	length, last := packet.Message()
	return map[string]any{"length": float64(length), "chain": chain, "last": last}
}

// rules are the differences between the original and this project; each is one
// of packetpool.Differences, or of the notation.
var rules = []golden.Rule{
	{
		Name: "ResultsAreReturned",
		Why:  "an output is a result of the function, so there is no pointer to pass NULL for (design: from a NetX name to a Go name, 3)",
		Fields: []string{
			"status", "status_name",
		},
		When: func(d golden.Difference) bool {
			_, missing := d.Got.(golden.Missing)
			return !of(d).expressive && missing && (d.Want == float64(nx.PtrError) || d.Want == nx.PtrError.String())
		},
	},
	{
		Name:   "StaleHandle",
		Why:    "the original releases the packet of its new owner (_nx_packet_release looks at the marker only); a stale handle is refused",
		Fields: []string{"status", "status_name", "ptr_cleared"},
		When: func(d golden.Difference) bool {
			return of(d).stale && slices.Contains([]any{0.0, "NX_SUCCESS", true}, d.Want) &&
				slices.Contains([]any{float64(nx.PtrError), "NX_PTR_ERROR", false}, d.Got)
		},
	},
	{
		Name:   "StaleHandle",
		Why:    "and counts as invalid, so the count is ahead from then on",
		Fields: []string{"pools/*/4", "info/4"},
		When: func(d golden.Difference) bool {
			want, got, ok := d.Number()
			n := of(d).refused[strconv.Itoa(of(d).number("pool"))]
			if pool, _, found := strings.Cut(strings.TrimPrefix(d.Path, "pools."), "["); found && pool != "info" {
				n = of(d).refused[pool]
			}
			return ok && n > 0 && got == want+float64(n)
		},
	},
	{
		Name:   "CopyHeaderRoom",
		Why:    "the original makes a copy whose data begins behind the end of its first packet (_nx_packet_copy); it is refused",
		Fields: []string{"status", "status_name"},
		When: func(d golden.Difference) bool {
			return of(d).op() == "copy" && of(d).newRoom > 0 &&
				(d.Want == 0.0 && d.Got == float64(nx.InvalidParameters) || d.Want == "NX_SUCCESS" && d.Got == "NX_INVALID_PARAMETERS")
		},
	},
	{
		Name:   "CopyHeaderRoom",
		Why:    "the message that takes its place in the replay has the same packets and no such pointers",
		Fields: []string{"length", "packet/length", "packet/chain/0/0", "packet/chain/0/1", "new_packet/length", "new_packet/chain/0/0", "new_packet/chain/0/1"},
		When: func(d golden.Difference) bool {
			want, got, ok := d.Number()
			room := of(d).room
			if strings.HasPrefix(d.Path, "new_packet") {
				room = of(d).newRoom
			}
			if strings.HasSuffix(d.Path, "[0][0]") {
				return ok && room > 0 && want == got+float64(room)
			}
			return ok && room > 0 && want == got-float64(room)
		},
	},
	{
		Name:   "NoCrash",
		Why:    "what crashes the original, such as sizes that wrap and pointers far outside of a packet, ends with a status",
		Fields: []string{"status"},
		When: func(d golden.Difference) bool {
			status, ok := d.Got.(float64)
			return of(d).crashed && d.Want == "crash" && ok && status < 0x100
		},
	},
}

func of(d golden.Difference) *outcome { return d.Case.Context.(*outcome) }

// Every rule is a difference that a program can look up.
func TestRulesAreDocumented(t *testing.T) {
	documented := map[string]bool{"ResultsAreReturned": true} // of the notation, not of the behaviour
	for _, d := range packetpool.Differences {
		documented[d.Name] = true
	}
	for _, r := range slices.Concat(rules, blockingRules) {
		assert.Contains(t, slices.Collect(maps.Keys(documented)), r.Name)
	}
}
