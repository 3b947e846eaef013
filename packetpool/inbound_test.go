package packetpool_test

import (
	"bytes"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// reader is what a driver does with a frame: it fills packets and hands a
// packet buffer to the stack.
type reader struct {
	packetpool.Inbound
}

func newReader(pool *packetpool.Pool) *reader {
	r := new(reader)
	r.Init(pool)
	return r
}

// read makes a frame of data, as if it had come from a device.
func (r *reader) read(t testing.TB, data []byte) (*stack.PacketBuffer, packetpool.Frame) {
	t.Helper()
	areas := r.Reserve(len(data))
	rest := data
	for _, area := range areas {
		rest = rest[copy(area, rest):]
	}
	require.Empty(t, rest, "the pool has room for the frame")
	payload, frame := r.Commit(len(data), 0)
	require.EqualValues(t, len(data), payload.Size())
	return stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload}), frame
}

func reclaim(frame packetpool.Frame, pkt *stack.PacketBuffer) {
	views, _ := pkt.AsViewList()
	frame.Reclaim(views)
}

// pieces answers the bytes of a packet buffer from an offset on as the stack
// hands them out, view by view.
func pieces(pkt *stack.PacketBuffer, from, to int) (list [][]byte) {
	views, _ := pkt.AsViewList()
	for v := views.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		lo, hi := min(max(from, 0), len(b)), min(max(to, 0), len(b))
		if lo < hi {
			list = append(list, b[lo:hi])
		}
		from, to = from-len(b), to-len(b)
	}
	return list
}

func free(t testing.TB, pool *packetpool.Pool) int {
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	return int(info.FreePackets)
}

func counting(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i*7 + i/256)
	}
	return data
}

func retrieve(t testing.TB, p packetpool.Packet) []byte {
	n, err := packetpool.LengthGet(p)
	require.NoError(t, err)
	data := make([]byte, n)
	if n > 0 {
		_, err = packetpool.DataRetrieve(p, data)
		require.NoError(t, err)
	}
	return data
}

func TestFrameTakesPacketsUntilTheStackLetsGo(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 8)
	r := newReader(pool)
	data := counting(250)
	pkt, frame := r.read(t, data)
	assert.Equal(t, 5, free(t, pool))
	assert.Equal(t, data, pkt.Data().AsRange().ToSlice())

	clone := pkt.Clone() // as TCP keeps one
	reclaim(frame, pkt)
	pkt.DecRef()
	assert.Equal(t, 5, free(t, pool), "a clone still has the bytes")
	assert.Equal(t, []packetpool.Holding{{Owner: packetpool.Owner{Kind: packetpool.Driver}, Packets: 3}}, pool.Holders())
	clone.DecRef()
	assert.Equal(t, 8, free(t, pool))
}

// A frame is read into the packets, and the stack reads the very same memory.
func TestFrameIsNotCopied(t *testing.T) {
	pool := nxtest.NewPool(t, 128, 4)
	r := newReader(pool)
	areas := r.Reserve(200)
	require.Len(t, areas, 2)
	first, second := &areas[0][0], &areas[1][0]
	payload, frame := r.Commit(200, 0)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
	views, _ := pkt.AsViewList()
	assert.Same(t, first, &views.Front().AsSlice()[0])
	assert.Same(t, second, &views.Front().Next().AsSlice()[0])
	assert.True(t, pool.Owns(views.Front()))
	frame.Reclaim(views)
	pkt.DecRef()

	foreign := buffer.NewViewSize(10)
	assert.False(t, pool.Owns(foreign))
	foreign.Release()
	assert.False(t, pool.Owns(nil))
}

// As long as somebody holds a clone, its packets are not used again, however
// short packets are.
func TestPacketsOfAHeldFrameAreNotUsedAgain(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 4)
	r := newReader(pool)
	data := counting(250)
	pkt, frame := r.read(t, data)
	clone := pkt.Clone()
	reclaim(frame, pkt)
	pkt.DecRef()

	last, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)
	require.NoError(t, packetpool.DataAppend(last, bytes.Repeat([]byte{0xEE}, 100), pool, nx.NoWait))
	_, err = packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.ErrorIs(t, err, nx.NoPacket)
	assert.Empty(t, r.Reserve(100), "nor for the next frame")
	_, _, ok := pool.Admit(buffer.Buffer{}, 0)
	assert.True(t, ok, "nothing needs no packet")
	assert.Equal(t, data, clone.Data().AsRange().ToSlice())

	clone.DecRef()
	again, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)
	require.NoError(t, packetpool.Release(again))
	require.NoError(t, packetpool.Release(last))
}

func TestAdmitCopiesAFrameIntoPackets(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 3)
	data := counting(250)
	foreign := buffer.MakeWithData(data)
	payload, frame, ok := pool.Admit(foreign, 0)
	require.True(t, ok)
	assert.Zero(t, free(t, pool))
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
	assert.Equal(t, data, pkt.Data().AsRange().ToSlice())

	_, _, ok = pool.Admit(foreign, 0)
	assert.False(t, ok, "no packet is free: the frame is dropped")
	_, _, ok = new(packetpool.Pool).Admit(foreign, 0)
	assert.False(t, ok)
	pool.CountEmpty() // a driver that has seen the same
	new(packetpool.Pool).CountEmpty()
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	assert.EqualValues(t, 2, info.EmptyPoolRequests)

	reclaim(frame, pkt)
	pkt.DecRef()
	payload, frame, ok = pool.Admit(foreign, 0)
	require.True(t, ok, "the packets of the last frame are found")
	views := payload.AsViewList()
	frame.Reclaim(views)
	payload.Release()
	foreign.Release()
}

// Several frames are with the stack at once, and come back in any order.
func TestFramesAreIndependent(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 6)
	foreign := buffer.MakeWithData(counting(150))
	defer foreign.Release()
	one, frameOne, ok := pool.Admit(foreign, 0)
	require.True(t, ok)
	two, frameTwo, ok := pool.Admit(foreign, 0)
	require.True(t, ok)
	frameTwo.Reclaim(two.AsViewList())
	two.Release()
	assert.Equal(t, 4, free(t, pool))
	frameOne.Reclaim(one.AsViewList())
	one.Release()
	packetpool.Frame{}.Reclaim(buffer.ViewList{}) // none
}

// gVisor copies a chunk that is shared, and merges views when headers straddle
// them. Such packets have new memory afterwards, and are not lost.
func TestMemoryThatTheStackReplaced(t *testing.T) {
	pool := nxtest.NewPool(t, 64, 8)
	r := newReader(pool)
	for range 3 {
		data := counting(300)
		pkt, frame := r.read(t, data)
		_, ok := pkt.NetworkHeader().Consume(40)
		require.True(t, ok)
		_, ok = pkt.TransportHeader().Consume(60) // reaches into the second packet
		require.True(t, ok)
		clone := pkt.Clone()
		reclaim(frame, pkt)
		pkt.DecRef()
		assert.Equal(t, 3, free(t, pool), "as long as the frame is there, it takes its packets")

		p := received(t, pool, clone, 128, 300)
		clone.DecRef()
		assert.Equal(t, data[128:], retrieve(t, p))
		require.NoError(t, packetpool.Release(p))
		assert.Equal(t, 8, free(t, pool))
	}

	// All of it is replaced: somebody had a clone before the headers were read.
	pkt, frame := r.read(t, counting(64))
	early := pkt.Clone()
	_, ok := pkt.NetworkHeader().Consume(40)
	require.True(t, ok)
	reclaim(frame, pkt)
	assert.Equal(t, 8, free(t, pool))
	pkt.DecRef()
	assert.Equal(t, counting(64), early.Data().AsRange().ToSlice(), "the clone has the old memory")
	early.DecRef()
}

func TestInboundReserve(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 4)
	r := newReader(pool)
	assert.Len(t, r.Reserve(250), 3)
	assert.Equal(t, 1, free(t, pool))
	assert.Len(t, r.Reserve(120), 2, "of those that it has")
	assert.Len(t, r.Reserve(1000), 4, "all there are")
	assert.Zero(t, free(t, pool))

	payload, frame := r.Commit(0, 0)
	assert.Zero(t, payload.Size())
	frame.Reclaim(payload.AsViewList())
	payload, frame = r.Commit(401, 0)
	assert.Zero(t, payload.Size(), "more than there is room for")
	frame.Reclaim(payload.AsViewList())

	payload, frame = r.Commit(101, 0)
	frame.Reclaim(payload.AsViewList())
	payload.Release()
	assert.Len(t, r.Reserve(200), 2, "what the frame did not need")
	r.Return()
	r.Return()
	assert.Equal(t, 4, free(t, pool))

	var none packetpool.Inbound
	assert.Empty(t, none.Reserve(10))
	none.Return()
	none.Init(nil)
	assert.Empty(t, none.Reserve(10))
	_, frame = none.Commit(1, 0)
	frame.Reclaim(buffer.ViewList{})
}

// Who waits for a packet gets one that the stack lets go of, although nobody
// tells: a timer looks every tick.
func TestWaiterGetsAPacketFromTheStack(t *testing.T) {
	var clock nxtest.Clock
	pool := nxtest.NewPool(t, 100, 1, nxtest.On(&clock))
	r := newReader(pool)
	pkt, frame := r.read(t, counting(100))
	clone := pkt.Clone()
	reclaim(frame, pkt)
	pkt.DecRef()
	clock.Go(func() {
		p, err := packetpool.Allocate(pool, packetpool.IPv4TCPPacket, 100)
		if assert.NoError(t, err) {
			assert.NoError(t, packetpool.Release(p))
		}
		assert.EqualValues(t, 30, clock.Ticks())
	})
	clock.Go(func() {
		clock.Sleep(30)
		clone.DecRef()
	})
	clock.Wait(t)
}

// The frame comes back while somebody waits already.
func TestWaiterGetsAPacketFromTheReader(t *testing.T) {
	var clock nxtest.Clock
	pool := nxtest.NewPool(t, 100, 2, nxtest.On(&clock))
	r := newReader(pool)
	pkt, frame := r.read(t, counting(200))
	for range 2 {
		clock.Go(func() {
			p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, 100)
			if assert.NoError(t, err) {
				clock.Sleep(1)
				assert.NoError(t, packetpool.Release(p))
			}
		})
	}
	clock.Go(func() {
		clock.Sleep(10)
		reclaim(frame, pkt)
		pkt.DecRef()
	})
	clock.Wait(t)
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	assert.EqualValues(t, 2, info.EmptyPoolSuspensions)
}

func TestAssignNotesForWhomAFrameIs(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 4)
	r := newReader(pool)
	pkt, frame := r.read(t, counting(150))
	owner := packetpool.Owner{Kind: packetpool.ReceiveQueue, Name: "mail"}
	views, _ := pkt.AsViewList()
	pool.Assign(views, owner)
	new(packetpool.Pool).Assign(views, owner)
	frame.Reclaim(views)
	assert.Equal(t, []packetpool.Holding{{Owner: owner, Packets: 2}}, pool.Holders())
	pkt.DecRef()
	assert.Empty(t, pool.Holders())
}

// A pool may be deleted while frames are anywhere.
func TestDeleteWithFramesOut(t *testing.T) {
	config := &packetpool.Config{}
	pool := &packetpool.Pool{Config: config}
	require.NoError(t, packetpool.PoolCreate(pool, "deleted", 100, 10*160))
	r := newReader(pool)
	data := counting(150)
	inStack, frameInStack := r.read(t, data)
	reclaimed, frameReclaimed := r.read(t, data)
	clone := reclaimed.Clone()
	reclaim(frameReclaimed, reclaimed)
	reclaimed.DecRef()
	held := received(t, pool, clone, 0, 100)
	areas := r.Reserve(200)
	require.Len(t, areas, 2)

	require.NoError(t, packetpool.PoolDelete(pool))
	copy(areas[0], data) // the reader is in the middle of it
	payload, frame := r.Commit(100, 0)
	frame.Reclaim(payload.AsViewList())
	payload.Release()
	r.Return()
	assert.Empty(t, r.Reserve(100))
	reclaim(frameInStack, inStack)
	inStack.DecRef()
	assert.Equal(t, data, clone.Data().AsRange().ToSlice())
	clone.DecRef()
	buffer100 := make([]byte, 100)
	_, err := packetpool.DataRetrieve(held, buffer100)
	require.NoError(t, err, "as the original, which looks at no pool here")
	assert.Equal(t, data[:100], buffer100)
	assert.ErrorIs(t, packetpool.Release(held), nx.PtrError)
	assert.Nil(t, pool.Holders())
	a := pool.Arrive(packetpool.Owner{}, 0)
	assert.ErrorIs(t, a.Add(data), nx.PtrError)
}

// Adjusting a message whose packet the stack has, too, must not move the bytes
// under it: the packet changes places with a free one.
func TestAdjustOfAReceivedPacket(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 3)
	r := newReader(pool)
	data := counting(60)
	pkt, frame := r.read(t, data)
	reclaim(frame, pkt)
	p := received(t, pool, pkt, 0, 60)
	require.NoError(t, packetpool.DataAdjust(p, 40))
	assert.Equal(t, data, pkt.Data().AsRange().ToSlice(), "the stack's bytes lie where they lay")
	assert.Equal(t, data, retrieve(t, p))
	assert.Equal(t, []packetpool.Fragment{{Room: 40, Data: 60}}, packetpool.Fragments(p))
	assert.Equal(t, 1, free(t, pool), "the old memory is with the stack")

	// Once more, with nothing left to change places with.
	full, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)
	require.NoError(t, packetpool.DataAppend(full, counting(100), pool, nx.NoWait))
	require.NoError(t, packetpool.Release(p))
	pkt2, frame2 := r.read(t, data)
	reclaim(frame2, pkt2)
	p = received(t, pool, pkt2, 0, 60)
	assert.ErrorIs(t, packetpool.DataAdjust(p, 40), nx.NoPacket)
	assert.Equal(t, data, retrieve(t, p))
	pkt.DecRef()
	require.NoError(t, packetpool.DataAdjust(p, 40))
	pkt2.DecRef()
	require.NoError(t, packetpool.Release(p))
	require.NoError(t, packetpool.Release(full))
}

// A frame costs no allocation once the first one has passed.
func TestFrameAllocatesNothing(t *testing.T) {
	config := &packetpool.Config{}
	pool := &packetpool.Pool{Config: config}
	require.NoError(t, packetpool.PoolCreate(pool, "allocations", 1536, 64*1596))
	defer func() { require.NoError(t, packetpool.PoolDelete(pool)) }()
	var in packetpool.Inbound
	in.Init(pool)
	frame := func() {
		in.Reserve(4000)
		payload, frame := in.Commit(4000, 0)
		frame.Reclaim(payload.AsViewList())
		payload.Release()
		in.Return()
	}
	frame()
	assert.Zero(t, testing.AllocsPerRun(100, frame))
}

func BenchmarkFrame(b *testing.B) {
	pool := benchPool(b, 1536, 64)
	var in packetpool.Inbound
	in.Init(pool)
	b.ReportAllocs()
	for b.Loop() {
		in.Reserve(1500)
		payload, frame := in.Commit(1500, 0)
		frame.Reclaim(payload.AsViewList())
		payload.Release()
	}
	in.Return()
}
