package packetpool_test

import (
	"fmt"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
