package tcp

import (
	"testing"

	"github.com/stretchr/testify/assert"
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
