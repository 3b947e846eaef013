package packetpool_test

import (
	"bytes"
	"fmt"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

var queueOfS = packetpool.Owner{Kind: packetpool.ReceiveQueue, Name: "s"}

// arrive adds bytes of a frame, piece by piece.
func arrive(t testing.TB, a *packetpool.Arrival, pkt *stack.PacketBuffer, from, to int) {
	t.Helper()
	for _, piece := range pieces(pkt, from, to) {
		require.NoError(t, a.Add(piece))
	}
}

// received makes one message of bytes of a frame.
func received(t testing.TB, pool *packetpool.Pool, pkt *stack.PacketBuffer, from, to int) packetpool.Packet {
	t.Helper()
	a := pool.Arrive(queueOfS, 0)
	arrive(t, &a, pkt, from, to)
	return a.Message()
}

func TestArrivalGivesTheVeryPackets(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 4)
	r := newReader(pool)
	data := counting(250)
	pkt, frame := r.read(t, data)
	clone := pkt.Clone()
	reclaim(frame, pkt)
	pkt.DecRef()

	p := received(t, pool, clone, 40, 250)
	var at *byte
	for piece := range packetpool.Pieces(p) {
		at = &piece[0]
		break
	}
	views, _ := clone.AsViewList()
	assert.Same(t, &views.Front().AsSlice()[40], at, "no copy")
	clone.DecRef()
	assert.Equal(t, data[40:], retrieve(t, p))
	assert.Equal(t, []packetpool.Fragment{{Room: 40, Data: 60}, {Data: 100}, {Data: 50, Behind: 50}}, packetpool.Fragments(p))
	assert.Equal(t, 1, free(t, pool))
	assert.Equal(t, []packetpool.Holding{{Owner: queueOfS, Packets: 3}}, pool.Holders())
	require.NoError(t, packetpool.Release(p))
	assert.Equal(t, 4, free(t, pool))
}

// One pass over a frame of several segments makes a message of each. Where two
// segments meet in a packet, each has one of its own, and both have their bytes in
// the memory that they came in.
func TestArrivalOfAFrameInUnits(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 9)
	r := newReader(pool)
	data := counting(420)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)

	a := pool.Arrive(queueOfS, 0)
	assert.Zero(t, a.Length())
	assert.Zero(t, a.Message())
	var messages []packetpool.Packet
	for from := 0; from < 420; from += 140 {
		arrive(t, &a, pkt, from, from+140)
		assert.Equal(t, 140, a.Length())
		messages = append(messages, a.Message())
	}
	pkt.DecRef()
	assert.Equal(t, [][]packetpool.Fragment{
		{{Data: 100}, {Data: 40, Behind: 60}},
		{{Room: 40, Data: 60}, {Data: 80, Behind: 20}},
		{{Room: 80, Data: 20}, {Data: 100}, {Data: 20, Behind: 80}},
	}, [][]packetpool.Fragment{packetpool.Fragments(messages[0]), packetpool.Fragments(messages[1]), packetpool.Fragments(messages[2])})
	assert.Equal(t, []packetpool.Holding{{Owner: queueOfS, Packets: 7}}, pool.Holders())
	for i, p := range messages {
		assert.Equal(t, data[140*i:140*(i+1)], retrieve(t, p), i)
		require.NoError(t, packetpool.Release(p))
	}
	assert.Equal(t, 9, free(t, pool))
}

// What lies behind a segment in its packet is the next one's: nothing may be
// appended over it while the stack has it, and there is room when it has not.
func TestArrivalAppendsBehindOthers(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 8)
	r := newReader(pool)
	data := counting(300)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)
	first, second := received(t, pool, pkt, 0, 140), received(t, pool, pkt, 140, 280)
	require.NoError(t, packetpool.DataAppend(first, bytes.Repeat([]byte{0xEE}, 10), pool, nx.NoWait))
	assert.Equal(t, []packetpool.Fragment{{Data: 100}, {Data: 40, Behind: 60}, {Data: 10, Behind: 90}}, packetpool.Fragments(first))
	assert.Equal(t, []packetpool.Fragment{{Room: 40, Data: 60}, {Data: 80, Behind: 20}}, packetpool.Fragments(second))
	assert.Equal(t, data, pkt.Data().AsRange().ToSlice())
	assert.Equal(t, data[140:280], retrieve(t, second))

	// A packet that the program gives back is there again for what is received of it.
	require.NoError(t, packetpool.Release(first))
	require.NoError(t, packetpool.Release(second))
	again := received(t, pool, pkt, 140, 200)
	assert.Equal(t, []packetpool.Fragment{{Room: 40, Data: 60}}, packetpool.Fragments(again))
	second = received(t, pool, pkt, 200, 280)
	pkt.DecRef()
	require.NoError(t, packetpool.DataAppend(again, []byte{1}, pool, nx.NoWait))
	assert.Len(t, packetpool.Fragments(again), 2, "100 bytes of 100 are used")
	require.NoError(t, packetpool.DataAppend(second, []byte{1}, pool, nx.NoWait))
	assert.Equal(t, []packetpool.Fragment{{Data: 81, Behind: 19}}, packetpool.Fragments(second), "the stack has let go: there is room again")
	require.NoError(t, packetpool.Release(again))
	require.NoError(t, packetpool.Release(second))
}

// Pieces of one packet that follow each other are one part of it; what follows a
// gap is another, with a packet of its own.
func TestArrivalOfPiecesOfOnePacket(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 3)
	r := newReader(pool)
	data := counting(100)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)
	whole := pieces(pkt, 0, 100)[0]
	a := pool.Arrive(packetpool.Owner{}, 0)
	for _, piece := range [][]byte{whole[10:30], whole[30:60], whole[70:80], whole[80:90]} {
		require.NoError(t, a.Add(piece))
	}
	p := a.Message()
	assert.Equal(t, append(bytes.Clone(data[10:60]), data[70:90]...), retrieve(t, p))
	assert.Equal(t, []packetpool.Fragment{{Room: 10, Data: 50, Behind: 40}, {Room: 70, Data: 20, Behind: 10}}, packetpool.Fragments(p))
	pkt.DecRef()
	require.NoError(t, packetpool.Release(p))
}

// When a piece needs a copy and there is no packet for it, what was added before is
// a message that can be released: then nothing has changed, and the next try finds
// the packets where they were.
func TestArrivalThatIsGivenUp(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 3)
	r := newReader(pool)
	data := counting(200)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)
	kept, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)

	own := pieces(pkt, 0, 200)
	a := pool.Arrive(packetpool.Owner{}, 0)
	require.NoError(t, a.Add(own[0]))
	require.ErrorIs(t, a.Add([]byte("foreign")), nx.NoPacket)
	require.NoError(t, packetpool.Release(a.Message()))
	assert.Zero(t, free(t, pool), "the stack has them")
	assert.Equal(t, data, pkt.Data().AsRange().ToSlice())

	p := received(t, pool, pkt, 0, 200)
	assert.Equal(t, data, retrieve(t, p))
	pkt.DecRef()
	require.NoError(t, packetpool.Release(p))
	require.NoError(t, packetpool.Release(kept))
}

// A program can send what it has received: in front of each message there is
// room for headers, whichever way its first bytes came, as long as there are
// packets.
func TestArrivalLeavesRoomForHeaders(t *testing.T) {
	const headers, unit = 40, 60
	for _, c := range []struct {
		name      string
		packets   uint32
		reclaimed bool
	}{{"lent and copied", 16, true}, {"before the reader has let go", 16, false}} {
		t.Run(c.name, func(t *testing.T) {
			pool := nxtest.NewPool(t, 100, c.packets)
			r := newReader(pool)
			data := counting(headers + 6*unit) // the second one begins with a packet
			pkt, frame := r.read(t, data)
			if c.reclaimed {
				reclaim(frame, pkt)
			}
			a := pool.Arrive(queueOfS, headers)
			var messages []packetpool.Packet
			for from := headers; from < len(data); from += unit {
				arrive(t, &a, pkt, from, from+unit)
				messages = append(messages, a.Message())
			}
			if !c.reclaimed {
				reclaim(frame, pkt)
			}
			pkt.DecRef()
			for i, p := range messages {
				out, ok := packetpool.Inspect(p)
				require.True(t, ok)
				assert.GreaterOrEqual(t, out.Room, headers, "message %d", i)
				assert.Equal(t, data[headers+unit*i:headers+unit*(i+1)], retrieve(t, p), "message %d", i)
				require.NoError(t, packetpool.Release(p))
			}
			assert.EqualValues(t, c.packets, free(t, pool))
		})
	}

	// Without packets to spare the message comes all the same.
	pool := nxtest.NewPool(t, 100, 2)
	r := newReader(pool)
	pkt, frame := r.read(t, counting(200))
	reclaim(frame, pkt)
	a := pool.Arrive(queueOfS, headers)
	arrive(t, &a, pkt, 100, 200)
	p := a.Message()
	assert.Equal(t, []packetpool.Fragment{{Data: 100}}, packetpool.Fragments(p))
	require.NoError(t, packetpool.Release(p))
	pkt.DecRef()
}

// Copies that follow each other fill a packet before they take another one.
func TestArrivalFillsPackets(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 3)
	data := counting(290)
	a := pool.Arrive(packetpool.Owner{}, 0)
	for _, piece := range [][]byte{data[:30], nil, data[30:150], data[150:160], data[160:290]} {
		require.NoError(t, a.Add(piece))
	}
	assert.Zero(t, free(t, pool))
	assert.ErrorIs(t, a.Add(data[:11]), nx.NoPacket)
	assert.Equal(t, 290, a.Length(), "nothing of it was taken")
	p := a.Message()
	assert.Equal(t, []packetpool.Fragment{{Data: 100}, {Data: 100}, {Data: 90, Behind: 10}}, packetpool.Fragments(p))
	assert.Equal(t, data, retrieve(t, p))
	require.NoError(t, packetpool.Release(p))
}

// A piece for which there was no packet is added when there is one; the message
// goes on.
func TestArrivalWaitsForAPacket(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 2)
	kept, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)
	data := counting(150)
	a := pool.Arrive(packetpool.Owner{}, 0)
	require.NoError(t, a.Add(data[:100]))
	require.ErrorIs(t, a.Add(data[100:]), nx.NoPacket)
	require.NoError(t, packetpool.Release(kept))
	require.NoError(t, a.Add(data[100:]))
	p := a.Message()
	assert.Equal(t, data, retrieve(t, p))
	require.NoError(t, packetpool.Release(p))
}

// What a caller has waited for goes to its message, and not to those who wait behind
// it; what the message does not need goes to them.
func TestArrivalOfWhatWasBrought(t *testing.T) {
	var clock nxtest.Clock
	var recorder nxtest.Recorder
	pool := nxtest.NewPool(t, 100, 3, nxtest.On(&clock), nxtest.Record(&recorder))
	held := fill(t, pool, 0xEE)
	var order []string
	clock.Go(func() {
		a := pool.Arrive(queueOfS, 0)
		assert.ErrorIs(t, a.Add([]byte("message")), nx.NoPacket)
		for _, text := range []string{"message", ""} {
			p, err := packetpool.AllocateOn(nx.NewSuspension(&clock), pool, packetpool.ReceivePacket, nx.WaitForever)
			assert.NoError(t, err)
			a.Bring(p)
			assert.ErrorIs(t, packetpool.Release(p), nx.PtrError, "it is given away")
			assert.NoError(t, a.Add([]byte(text)))
			order = append(order, text)
		}
		assert.NoError(t, packetpool.Release(a.Message()))
	})
	for _, name := range []string{"second", "fourth"} {
		clock.Go(func() {
			clock.Sleep(map[string]nx.Wait{"second": 1, "fourth": 3}[name])
			p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.WaitForever)
			assert.NoError(t, err)
			clock.Turn(0) // who has given the packet back may not have noted what it did
			order = append(order, name)
			clock.Sleep(10)
			assert.NoError(t, packetpool.Release(p))
		})
	}
	clock.Go(func() {
		for _, p := range held {
			clock.Sleep(2)
			assert.NoError(t, packetpool.Release(p))
		}
	})
	clock.Wait(t)
	assert.Equal(t, []string{"message", "second", "", "fourth"}, order)
	out := 0
	for _, e := range nxtest.Of[nx.PacketEvent](&recorder) {
		if out += e.Packets; e.Released {
			out -= 2 * e.Packets
		}
	}
	assert.Zero(t, out)
}

// A piece for the copy of which there are too few packets is taken as far as they go,
// where the caller is told how far.
func TestArrivalTakesAPart(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 3)
	held := fill(t, pool, 0xEE)
	data := counting(250)
	a := pool.Arrive(packetpool.Owner{}, 40)
	taken := 0
	for i, want := range []int{0, 60, 160, 250} { // with room for headers in front
		messages, n, err := a.AddUnits(data[taken:], []int{250 - taken}, nil)
		taken += n
		assert.Equal(t, want, taken)
		assert.Equal(t, want, max(a.Length(), 250*len(messages)))
		if want == 250 {
			require.NoError(t, err)
			assert.Equal(t, data, retrieve(t, messages[0]))
			require.NoError(t, packetpool.Release(messages[0]))
			break
		}
		require.ErrorIs(t, err, nx.NoPacket)
		require.NoError(t, packetpool.Release(held[i]))
	}
}

// What was brought and not used is given back, whatever became of the pool.
func TestArrivalReturnsWhatWasBrought(t *testing.T) {
	pool, other := nxtest.NewPool(t, 100, 2), nxtest.NewPool(t, 100, 1)
	a := pool.Arrive(queueOfS, 0)
	a.Return()
	a.Bring(packetpool.Packet{})
	a.Bring(take(t, other, 0))
	assert.Equal(t, 1, free(t, other), "it is of no use here")
	a.Bring(take(t, pool, 0))
	a.Bring(take(t, pool, 0))
	assert.Equal(t, 1, free(t, pool), "one is enough")
	a.Return()
	a.Return()
	assert.Equal(t, 2, free(t, pool))

	gone := doomed(t, 100, 2)
	a = gone.Arrive(queueOfS, 0)
	p := take(t, gone, 0)
	a.Bring(p)
	require.NoError(t, packetpool.PoolDelete(gone))
	assert.ErrorIs(t, a.Add([]byte{1}), nx.PtrError)
	a.Return()
	assert.ErrorIs(t, packetpool.Release(p), nx.PtrError)
}

// The program may be faster than the reader: the bytes are copied, into the
// packet itself when there is no other one.
func TestArrivalBeforeReclaim(t *testing.T) {
	for _, c := range []struct {
		name           string
		packets, taken int
	}{{"with packets to spare", 6, 4}, {"without", 2, 2}} {
		t.Run(c.name, func(t *testing.T) {
			pool := nxtest.NewPool(t, 100, uint32(c.packets))
			r := newReader(pool)
			data := counting(150)
			pkt, frame := r.read(t, data)
			a := pool.Arrive(packetpool.Owner{}, 0)
			arrive(t, &a, pkt, 20, 150)
			p := a.Message()
			assert.Equal(t, c.packets-c.taken, free(t, pool))
			reclaim(frame, pkt)
			pkt.DecRef()
			assert.Equal(t, c.packets-2, free(t, pool))
			assert.Equal(t, data[20:], retrieve(t, p))
			require.NoError(t, packetpool.Release(p))
			assert.Equal(t, c.packets, free(t, pool))

			// And once more with the memory that they have now.
			pkt, frame = r.read(t, data)
			assert.Equal(t, data, pkt.Data().AsRange().ToSlice())
			reclaim(frame, pkt)
			pkt.DecRef()
		})
	}
}

// Nothing may be written over what the stack still has to hand out.
func TestArrivalLeavesTheStacksBytesAlone(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 4)
	r := newReader(pool)
	data := counting(100)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)
	a := pool.Arrive(packetpool.Owner{}, 0)
	arrive(t, &a, pkt, 0, 40)
	require.NoError(t, a.Add([]byte("foreign")))
	p := a.Message()
	assert.Equal(t, []packetpool.Fragment{{Data: 40, Behind: 60}, {Data: 7, Behind: 93}}, packetpool.Fragments(p))
	assert.Equal(t, data, pkt.Data().AsRange().ToSlice())
	require.NoError(t, packetpool.Release(p))
	assert.Equal(t, 3, free(t, pool), "the stack has 60 bytes of the packet")
	pkt.DecRef()
	assert.Equal(t, 4, free(t, pool))
}

func TestArrivalWithoutAPool(t *testing.T) {
	var zero packetpool.Arrival
	assert.ErrorIs(t, zero.Add([]byte{1}), nx.PtrError)
	none := new(packetpool.Pool).Arrive(packetpool.Owner{}, 0)
	assert.ErrorIs(t, none.Add([]byte{1}), nx.PtrError)

	pool := nxtest.NewPool(t, 100, 4)
	a := pool.Arrive(packetpool.Owner{}, 0)
	require.NoError(t, packetpool.PoolDelete(pool))
	assert.ErrorIs(t, a.Add([]byte{1}), nx.PtrError)
}

// A super-segment of 44 segments, in packets that hold several.
func BenchmarkArrival(b *testing.B) {
	const segment, segments = 1448, 44
	for _, payload := range []uint32{1536, 4096, 65536} {
		b.Run(fmt.Sprintf("payload=%d", payload), func(b *testing.B) {
			pool := benchPool(b, payload, 256)
			r := newReader(pool)
			data := counting(segment * segments)
			messages := make([]packetpool.Packet, 0, segments)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r.Reserve(len(data)) // a device would fill it
				payload, frame := r.Commit(len(data), 0)
				pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
				clone := pkt.Clone()
				reclaim(frame, pkt)
				pkt.DecRef()
				a := pool.Arrive(queueOfS, 0)
				views, _ := clone.AsViewList()
				left := segment
				for v := views.Front(); v != nil; v = v.Next() {
					for rest := v.AsSlice(); len(rest) > 0; {
						n := min(left, len(rest))
						if err := a.Add(rest[:n]); err != nil {
							b.Fatal(err)
						}
						rest = rest[n:]
						if left -= n; left == 0 {
							messages, left = append(messages, a.Message()), segment
						}
					}
				}
				clone.DecRef()
				for _, m := range messages {
					if err := packetpool.Release(m); err != nil {
						b.Fatal(err)
					}
				}
				messages = messages[:0]
			}
		})
	}
}

// Memory that the stack has replaced in a frame is gVisor's again, and may be what
// the next bytes lie in before the reader has taken its frame back. They are not the
// packet's, and reach further than a packet does.
func TestArrivalOfBytesInMemoryThatWasAPackets(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 1)
	r := newReader(pool)
	again := 0
	for range 50 {
		area := r.Reserve(100)[0]
		pkt, frame := r.read(t, counting(100))
		early := pkt.Clone()
		_, ok := pkt.NetworkHeader().Consume(40) // copies what is shared
		require.True(t, ok)
		early.DecRef()
		other := buffer.NewViewSize(128)
		if bytes := other.AsSlice(); &bytes[0] == &area[0] {
			again++
		}
		_, err := other.WriteAt(counting(128), 0)
		require.NoError(t, err)

		a := pool.Arrive(queueOfS, 0)
		if a.Add(other.AsSlice()[110:]) == nil {
			p := a.Message()
			assert.Equal(t, counting(128)[110:], retrieve(t, p))
			require.NoError(t, packetpool.Release(p))
		}
		other.Release()
		reclaim(frame, pkt)
		pkt.DecRef()
		require.Equal(t, 1, free(t, pool))
	}
	t.Logf("%d of 50 were the packet's", again)
}
