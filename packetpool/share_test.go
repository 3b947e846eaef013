package packetpool_test

import (
	"bytes"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"pgregory.net/rapid"
)

// Messages that have parts of one packet's memory: Arrival makes them of a
// frame that holds several segments.

// units receives a frame of data and makes a message of each n bytes of it.
func units(t testing.TB, pool *packetpool.Pool, data []byte, n int) []packetpool.Packet {
	t.Helper()
	r := newReader(pool)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)
	defer pkt.DecRef()
	return unitsOf(t, pool, pkt, len(data), n)
}

func unitsOf(t testing.TB, pool *packetpool.Pool, pkt *stack.PacketBuffer, size, n int) (messages []packetpool.Packet) {
	t.Helper()
	a := pool.Arrive(queueOfS, 0)
	for from := 0; from < size; from += n {
		arrive(t, &a, pkt, from, min(from+n, size))
		messages = append(messages, a.Message())
	}
	return messages
}

// fill takes all packets of a pool and writes into all of their memory.
func fill(t testing.TB, pool *packetpool.Pool, with byte) (taken []packetpool.Packet) {
	t.Helper()
	for {
		p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
		if err != nil {
			return taken
		}
		require.NoError(t, packetpool.DataAppend(p, bytes.Repeat([]byte{with}, int(pool.PayloadSize())), pool, nx.NoWait))
		taken = append(taken, p)
	}
}

func releaseAll(t testing.TB, messages []packetpool.Packet) {
	t.Helper()
	for _, p := range messages {
		require.NoError(t, packetpool.Release(p))
	}
}

// Segments that came in one packet are handed out where they lie, and each of
// them takes a packet of the pool all the same.
func TestSharedMemoryIsNotCopied(t *testing.T) {
	pool := nxtest.NewPool(t, 128, 8)
	r := newReader(pool)
	area := r.Reserve(120)[0]
	pkt, frame := r.read(t, counting(120))
	reclaim(frame, pkt)
	messages := unitsOf(t, pool, pkt, 120, 40)
	pkt.DecRef()
	assert.Equal(t, 5, free(t, pool))
	for i, p := range messages {
		for piece := range packetpool.Pieces(p) {
			require.Len(t, piece, 40)
			assert.Same(t, &area[40*i], &piece[0])
		}
	}
	releaseAll(t, messages)
}

// In whatever order the messages of a packet are released, each release frees one
// packet, and the bytes of the others stay, although all packets that are free
// meanwhile are filled with something else.
func TestSharedMemoryIsReleasedInAnyOrder(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		pool := nxtest.NewPool(t, 128, 6)
		data := counting(128)
		messages := units(t, pool, data, 50)
		left := map[int][]byte{0: data[:50], 1: data[50:100], 2: data[100:]}
		for n, i := range order {
			assert.Equal(t, 3+n, free(t, pool))
			require.NoError(t, packetpool.Release(messages[i]))
			assert.ErrorIs(t, packetpool.Release(messages[i]), nx.PtrError, "once")
			delete(left, i)
			taken := fill(t, pool, 0xEE)
			assert.Len(t, taken, 4+n)
			for i, want := range left {
				assert.Equal(t, want, retrieve(t, messages[i]), "order %v", order)
			}
			releaseAll(t, taken)
		}
	}
}

// The stack may have a part of the memory longer than the messages: then it is
// the last one that waits for it.
func TestSharedMemoryOfWhichTheStackHasAPart(t *testing.T) {
	pool := nxtest.NewPool(t, 128, 4)
	r := newReader(pool)
	data := counting(128)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)
	messages := unitsOf(t, pool, pkt, 80, 40)
	require.NoError(t, packetpool.Release(messages[0]))
	assert.Equal(t, 3, free(t, pool))
	require.NoError(t, packetpool.Release(messages[1]))
	assert.Equal(t, 3, free(t, pool))
	assert.Equal(t, []packetpool.Holding{{Owner: packetpool.Owner{Kind: packetpool.Driver}, Packets: 1}}, pool.Holders())
	taken := fill(t, pool, 0xEE)
	assert.Equal(t, data, pkt.Data().AsRange().ToSlice())

	// What it has yet to hand out takes the packet again.
	a := pool.Arrive(queueOfS, 0)
	arrive(t, &a, pkt, 80, 128)
	rest := a.Message()
	pkt.DecRef()
	assert.Equal(t, data[80:], retrieve(t, rest))
	assert.Zero(t, free(t, pool))
	releaseAll(t, append(taken, rest))
}

// Behind its data a message has no room as long as others have bytes there; in
// front of it lie bytes of theirs, and a service that would write there moves the
// message first, to memory that is there because others share.
func TestSharedMemoryIsNotWrittenTo(t *testing.T) {
	pool := nxtest.NewPool(t, 64, 3) // as long as a chunk of gVisor's: the data reaches to its end
	data := counting(64)
	messages := units(t, pool, data, 22)
	want := [][]byte{data[:22], data[22:44], data[44:]}
	check := func() {
		t.Helper()
		for i, p := range messages {
			assert.Equal(t, want[i], retrieve(t, p), i)
		}
	}
	assert.Zero(t, free(t, pool))
	for i, p := range messages {
		require.ErrorIs(t, packetpool.DataAppend(p, []byte{1}, pool, nx.NoWait), nx.NoPacket, i)
	}
	check()

	require.NoError(t, packetpool.DataAdjust(messages[1], 30))
	assert.Equal(t, []packetpool.Fragment{{Room: 30, Data: 22, Behind: 12}}, packetpool.Fragments(messages[1]))
	check()
	require.NoError(t, packetpool.DataAppend(messages[1], []byte("0123456789AB"), pool, nx.NoWait), "its memory is its own now")
	want[1] = append(bytes.Clone(want[1]), "0123456789AB"...)
	check()

	// A copy has the room in front, with what lies in it.
	require.NoError(t, packetpool.Release(messages[0]))
	copied, err := packetpool.Copy(messages[2], pool, nx.NoWait)
	require.NoError(t, err)
	messages[0], want[0] = copied, want[2]
	check()
	assert.Equal(t, packetpool.Fragments(messages[2]), packetpool.Fragments(copied))

	// The last one that is left may write.
	require.NoError(t, packetpool.DataAdjust(messages[2], 2))
	assert.Equal(t, []packetpool.Fragment{{Room: 44, Data: 20}}, packetpool.Fragments(messages[2]))
	require.NoError(t, packetpool.Release(messages[1]))
	require.NoError(t, packetpool.DataAppend(messages[2], []byte{7}, pool, nx.NoWait))
	messages, want = messages[2:], [][]byte{append(bytes.Clone(want[2]), 7)}
	check()
	releaseAll(t, append(messages, copied))
}

// Who asks whether the stack has let go of a packet does not change its bytes,
// although they reach to the end of the memory.
func TestReceivedBytesStayWhenThePacketIsLookedAt(t *testing.T) {
	pool := nxtest.NewPool(t, 64, 3)
	data := bytes.Repeat([]byte{0xAB}, 64)
	p := units(t, pool, data, 64)[0]
	require.NoError(t, packetpool.DataAppend(p, []byte{1}, pool, nx.NoWait))
	assert.Equal(t, append(data, 1), retrieve(t, p))
	require.NoError(t, packetpool.Release(p))
}

// A message that was received can be sent as it is.
func TestSharedMemoryOnATransmitQueue(t *testing.T) {
	pool := nxtest.NewPool(t, 128, 4)
	data := counting(120)
	messages := units(t, pool, data, 40)
	sending, err := packetpool.Enqueue(messages[1], packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "s"})
	require.NoError(t, err)
	require.NoError(t, packetpool.Release(messages[0]))
	assert.Equal(t, []packetpool.Holding{
		{Owner: packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "s"}, Packets: 1}, {Owner: queueOfS, Packets: 1},
	}, pool.Holders())
	taken := fill(t, pool, 0xEE)
	assert.Equal(t, data[40:80], retrieve(t, sending))
	require.NoError(t, packetpool.Dequeue(sending))
	assert.Equal(t, data[80:], retrieve(t, messages[2]))
	releaseAll(t, append(taken, messages[2]))
}

// Who waits for a packet gets that of a message, and memory with it.
func TestWaiterGetsAPacketThatSharedMemory(t *testing.T) {
	var clock nxtest.Clock
	pool := nxtest.NewPool(t, 64, 2, nxtest.On(&clock))
	data := counting(64)
	messages := units(t, pool, data, 32)
	clock.Go(func() {
		p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, 100)
		if !assert.NoError(t, err) {
			return
		}
		assert.NoError(t, packetpool.DataAppend(p, bytes.Repeat([]byte{0xEE}, 64), pool, nx.NoWait))
		assert.Equal(t, data[32:], retrieve(t, messages[1]))
		assert.NoError(t, packetpool.Release(p))
	})
	clock.Go(func() {
		clock.Sleep(5)
		assert.NoError(t, packetpool.Release(messages[0]))
	})
	clock.Wait(t)
	require.NoError(t, packetpool.Release(messages[1]))
}

// What a program has of a deleted pool stays readable, shared or not.
func TestDeleteWithSharedMemoryOut(t *testing.T) {
	pool := new(packetpool.Pool)
	require.NoError(t, packetpool.PoolCreate(pool, "deleted", 128, 8*(60+128)))
	r := newReader(pool)
	data := counting(128)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)
	messages := unitsOf(t, pool, pkt, 128, 32)
	sending, err := packetpool.Enqueue(messages[1], packetpool.Owner{})
	require.NoError(t, err)
	require.NoError(t, packetpool.Release(messages[0]))
	require.NoError(t, packetpool.PoolDelete(pool))
	pkt.DecRef()
	other := units(t, nxtest.NewPool(t, 128, 8), bytes.Repeat([]byte{0xEE}, 128), 128) // may have the memory
	for i, p := range []packetpool.Packet{sending, messages[2], messages[3]} {
		got := make([]byte, 32)
		_, err := packetpool.DataRetrieve(p, got)
		require.NoError(t, err)
		assert.Equal(t, data[32*(i+1):32*(i+2)], got)
	}
	require.NoError(t, packetpool.Dequeue(sending))
	for range 2 {
		for i, p := range messages[2:] {
			assert.ErrorIs(t, packetpool.Release(p), nx.PtrError)
			assert.Equal(t, data[32*(i+2):32*(i+3)], retrieveOfDead(t, p))
		}
	}
	releaseAll(t, other)
}

// A program may write into what it has of a deleted pool as well, and spoils nothing
// of what others have there.
func TestWriteIntoSharedMemoryOfADeletedPool(t *testing.T) {
	pool, other := doomed(t, 128, 8), doomed(t, 128, 8)
	r := newReader(pool)
	data := counting(128)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)
	messages := unitsOf(t, pool, pkt, 96, 32)
	require.NoError(t, packetpool.PoolDelete(pool))
	require.NoError(t, packetpool.DataAppend(messages[0], []byte("more"), other, nx.NoWait))
	require.NoError(t, packetpool.DataAdjust(messages[1], 60))
	require.NoError(t, packetpool.DataAppend(messages[1], []byte("more"), other, nx.NoWait))
	require.NoError(t, packetpool.DataAdjust(messages[2], 90))
	for i, more := range []string{"more", "more", ""} {
		assert.Equal(t, string(data[32*i:32*(i+1)])+more, string(retrieveOfDead(t, messages[i])))
	}
	assert.Equal(t, data, pkt.Data().AsRange().ToSlice(), "what the stack has")
	pkt.DecRef()
	require.NoError(t, packetpool.PoolDelete(other))
	for i, p := range messages {
		assert.ErrorIs(t, packetpool.Release(p), nx.PtrError)
		assert.Equal(t, data[32*i:32*(i+1)], retrieveOfDead(t, p)[:32])
	}
}

// held is a message of the state machine below, and what it must hold.
type held struct {
	packet packetpool.Packet
	bytes  []byte
	queued bool
}

// Whatever is received, released, appended, adjusted, copied and sent meanwhile,
// in any order: a message never changes while it is held, nor does what the stack
// holds; every packet is free or has a holder; and all are free at the end.
func TestMessagesNeverChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SampledFrom([]int{64, 100, 128}).Draw(t, "payload")
		total := rapid.IntRange(4, 24).Draw(t, "packets")
		pool := new(packetpool.Pool)
		require.NoError(t, packetpool.PoolCreate(pool, "shared", uint32(payload), uint32(total*(60+(payload+3)/4*4))))
		var r packetpool.Inbound
		r.Init(pool)
		var messages []*held
		var clones []*stack.PacketBuffer
		var had [][]byte
		value := byte(0)
		pattern := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				value++
				b[i] = value
			}
			return b
		}
		receive := func(t *rapid.T) {
			data := pattern(rapid.IntRange(1, 5*payload).Draw(t, "frame"))
			rest := data
			for _, area := range r.Reserve(len(data)) {
				rest = rest[copy(area, rest):]
			}
			if len(rest) > 0 {
				r.Return()
				return // the frame is dropped
			}
			in, frame := r.Commit(len(data), 0)
			r.Return()
			pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: in})
			early := rapid.IntRange(0, 3).Draw(t, "early") == 0 // the program is faster than the reader
			if !early {
				reclaim(frame, pkt)
			}
			a := pool.Arrive(queueOfS, rapid.SampledFrom([]int{0, 40}).Draw(t, "headers"))
			at := 0
			for at < len(data) && rapid.IntRange(0, 9).Draw(t, "more") > 0 {
				to := min(len(data), at+rapid.IntRange(1, payload*3/2).Draw(t, "unit"))
				got := 0
				for _, piece := range pieces(pkt, at, to) {
					if a.Add(piece) != nil {
						break
					}
					got += len(piece)
				}
				if p := a.Message(); p != (packetpool.Packet{}) {
					messages = append(messages, &held{packet: p, bytes: data[at : at+got]})
				}
				if at += got; at != to {
					break // no packet for it
				}
			}
			if early {
				reclaim(frame, pkt)
			}
			if rapid.Bool().Draw(t, "keep") {
				clones, had = append(clones, pkt.Clone()), append(had, data)
			}
			pkt.DecRef()
		}
		check := func() {
			for _, m := range messages {
				got := make([]byte, len(m.bytes)+1)
				n, err := packetpool.DataRetrieve(m.packet, got)
				require.NoError(t, err)
				require.True(t, bytes.Equal(m.bytes, got[:n]), "%v became %v", m.bytes, got[:n])
			}
			for i, pkt := range clones {
				require.Equal(t, had[i], pkt.Data().AsRange().ToSlice(), "what the stack holds")
			}
			info, err := packetpool.PoolInfoGet(pool)
			require.NoError(t, err)
			out := 0
			for _, h := range pool.Holders() {
				out += h.Packets
			}
			require.EqualValues(t, total, int(info.FreePackets)+out)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
			case op <= 2 || len(messages) == 0:
				receive(t)
			case op == 3 && len(clones) > 0:
				i := rapid.IntRange(0, len(clones)-1).Draw(t, "clone")
				clones[i].DecRef()
				clones, had = append(clones[:i], clones[i+1:]...), append(had[:i], had[i+1:]...)
			case op == 4:
				if p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait); err == nil {
					m := &held{packet: p, bytes: pattern(payload)}
					require.NoError(t, packetpool.DataAppend(p, m.bytes, pool, nx.NoWait))
					messages = append(messages, m)
				}
			default:
				i := rapid.IntRange(0, len(messages)-1).Draw(t, "message")
				m := messages[i]
				switch {
				case op == 5 && !m.queued:
					more := pattern(rapid.IntRange(1, payload).Draw(t, "more"))
					if packetpool.DataAppend(m.packet, more, pool, nx.NoWait) == nil {
						m.bytes = append(bytes.Clone(m.bytes), more...)
					}
				case op == 6 && !m.queued:
					_ = packetpool.DataAdjust(m.packet, uint32(rapid.IntRange(0, payload/2).Draw(t, "room")*2))
				case op == 7:
					if p, err := packetpool.Copy(m.packet, pool, nx.NoWait); err == nil {
						messages = append(messages, &held{packet: p, bytes: m.bytes})
					}
				case op == 8 && !m.queued:
					p, err := packetpool.Enqueue(m.packet, packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "s"})
					require.NoError(t, err)
					m.packet, m.queued = p, true
				default:
					release := packetpool.Release
					if m.queued {
						release = packetpool.Dequeue
					}
					require.NoError(t, release(m.packet))
					require.Error(t, release(m.packet), "once")
					messages = append(messages[:i], messages[i+1:]...)
				}
			}
			check()
		}
		for _, pkt := range clones {
			pkt.DecRef()
		}
		clones = nil
		check()
		for _, m := range messages {
			if m.queued {
				require.NoError(t, packetpool.Dequeue(m.packet))
			} else {
				require.NoError(t, packetpool.Release(m.packet))
			}
		}
		info, err := packetpool.PoolInfoGet(pool)
		require.NoError(t, err)
		require.Equal(t, info.TotalPackets, info.FreePackets, "every packet came back")
		require.NoError(t, packetpool.PoolDelete(pool))
	})
}
