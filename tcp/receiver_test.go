package tcp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A super-segment counts as the segments that it stands for, the last of which
// may be short.
func TestSpan(t *testing.T) {
	super := span{from: 1000, to: 1250, gso: 100}
	for at, end := range map[uint32]uint32{1000: 1100, 1099: 1100, 1100: 1200, 1200: 1250, 1249: 1250} {
		assert.Equal(t, end, super.end(at), at)
	}
	for at, n := range map[uint32]uint32{1000: 3, 1050: 3, 1100: 2, 1200: 1} {
		assert.Equal(t, n, super.segments(at), at)
	}
	one := span{from: 1000, to: 1250}
	assert.EqualValues(t, 1250, one.end(1100))
	assert.EqualValues(t, 1, one.segments(1100))

	around := span{from: 0xFFFFFFF0, to: 0x20, gso: 0x18}
	assert.EqualValues(t, 8, around.end(0xFFFFFFF0), "over the end of the sequence space")
	assert.EqualValues(t, 0x20, around.end(8))
	assert.EqualValues(t, 2, around.segments(0xFFFFFFF0))
}

// What came is kept in the order of the stream, however it came, and forgotten
// when it was taken.
func TestReceiverKnowsWhereSegmentsEnd(t *testing.T) {
	r := receiver{size: 65535}
	r.start(999)
	assert.EqualValues(t, 50, r.accept(1250, 50, 0), "before what it follows")
	assert.Zero(t, r.segments())
	assert.EqualValues(t, 250, r.accept(1000, 250, 100))
	assert.Zero(t, r.accept(1000, 250, 100), "again")
	assert.EqualValues(t, 4, r.segments())
	assert.EqualValues(t, 300, r.unread())

	r.read += 100
	assert.EqualValues(t, 3, r.segments())
	assert.EqualValues(t, 150, r.accept(1200, 250, 100), "a part is known")
	assert.EqualValues(t, 1450, r.next)
	r.read = 1300
	assert.EqualValues(t, 2, r.segments(), "to 1400 and to 1450")
	r.read = r.next
	assert.Zero(t, r.segments())
	assert.Empty(t, r.order)
}

func TestReceiveQueueIsUsedAgain(t *testing.T) {
	var r receiver
	_, ok := r.dequeue()
	assert.False(t, ok)
	for range 3 {
		r.enqueue([]queued{{length: 1}, {length: 2}})
		r.held = 3
		for _, length := range []uint32{1, 2} {
			q, ok := r.dequeue()
			assert.True(t, ok)
			assert.Equal(t, length, q.length)
		}
		assert.Zero(t, r.held)
		assert.Empty(t, r.queue)
	}
	assert.LessOrEqual(t, cap(r.queue), 4, "the queue does not grow with what went through it")
}

// In a crowd that sends super-segments the window opens in large steps, and never
// leaves the peer with less than the segment that it waits to send.
func TestWindowOfACrowdOpensInSteps(t *testing.T) {
	for _, share := range []uint32{2 * 1460, 3 * 1460, 24 << 10, 100 << 10, 1 << 20} {
		r := receiver{size: 4 << 20, share: share, mss: 1460}
		r.start(0)
		assert.Equal(t, share/2, r.step(), "no super-segment has come")
		r.super = true
		told := r.edge
		for told < 8<<20 {
			r.next += 1460 // a segment comes, and is taken at once
			r.read, r.acked = r.next, r.next
			window := r.window(r.acked)
			require.GreaterOrEqual(t, window, uint32(1460), "share %d: the peer waits for ever", share)
			if edge := r.acked + window; edge != told {
				require.GreaterOrEqual(t, edge-told, r.step(), "share %d", share)
				require.Equal(t, share, window, "all of it")
				told, r.edge = edge, edge
			}
		}
	}
	r := receiver{size: 64 << 10, share: 64 << 10, mss: 1460, super: true}
	r.start(0)
	r.super = true
	r.read, r.next = r.read+1, r.next+1
	assert.EqualValues(t, 64<<10, r.window(r.next), "nobody shares the pool: as in NetX Duo, to the byte")
}

// Super-segments fill their packets, so that the pool holds more of them than of
// segments; a few do not say so yet, and segments that come later take it back.
func TestCapacityFollowsWhatComes(t *testing.T) {
	const budget, mss = 1460 * 1000, 1460 // a thousand packets of 4096 bytes
	var s shares
	s.fill(65000, 16)
	assert.EqualValues(t, budget, s.capacity(budget, mss, 1), "one is not enough")
	for range 100 {
		s.fill(65000, 16)
	}
	assert.EqualValues(t, 666*65000/16, s.capacity(budget, mss, 1))
	for range 20 * sharePackets {
		s.fill(mss, 1)
	}
	assert.InDelta(t, budget, s.capacity(budget, mss, 1), budget/100)
	for range 20 * sharePackets {
		s.fill(100, 1)
	}
	assert.EqualValues(t, budget, s.capacity(budget, mss, 1), "not less: TCP repairs what short segments break")
}
