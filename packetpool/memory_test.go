package packetpool

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// What gVisor does without promising it, and what the memory of packets is
// built on. An upgrade that changes one of these facts fails here.

func TestGVisorViewIsAWindowIntoItsChunk(t *testing.T) {
	v := buffer.NewViewSize(100)
	defer v.Release()
	whole := v.AsSlice()
	assert.Len(t, whole, 100)
	assert.Equal(t, v.Capacity(), cap(whole), "a slice reaches to the end of the chunk")
	assert.Equal(t, make([]byte, 100), whole, "a new chunk is zero")

	v.TrimFront(40)
	rest := v.AsSlice()
	assert.Same(t, &whole[40], &rest[0])
	assert.Same(t, endOf(whole), endOf(rest), "both end where the chunk ends")
	assert.Equal(t, 40, v.Capacity()-cap(rest), "the capacity tells where a slice begins")
}

func TestGVisorChunksHaveAtLeast64Bytes(t *testing.T) {
	for _, size := range []int{1, 63, 64, 65, 1536, 2048, 65536, 65537, 100000} {
		v := buffer.NewViewSize(size)
		assert.GreaterOrEqual(t, v.Capacity(), max(64, size), "%d", size)
		v.Release()
	}
}

func TestGVisorResetAndGrowMoveTheWindowOnly(t *testing.T) {
	v := buffer.NewViewSize(100)
	defer v.Release()
	first := &v.AsSlice()[0]
	other := v.Clone()
	defer other.Release()

	v.TrimFront(60)
	v.Reset()
	v.Grow(v.Capacity())
	assert.Same(t, first, &v.AsSlice()[0], "although the chunk is shared")
	assert.Equal(t, 100, other.Size())
}

func TestGVisorPullUpCopiesAChunkThatIsShared(t *testing.T) {
	v := buffer.NewViewSize(100)
	data := buffer.MakeWithView(v)
	defer data.Release()
	mine := endOf(v.AsSlice())
	pulled, ok := data.PullUp(0, 40)
	require.True(t, ok)
	assert.Same(t, mine, endOf(pulled.AsSlice()), "nobody shares it")

	second := v.Clone()
	defer second.Release()
	pulled, ok = data.PullUp(0, 40)
	require.True(t, ok)
	assert.NotSame(t, mine, endOf(pulled.AsSlice()), "copy on write, although nobody writes")
	assert.Same(t, mine, endOf(second.AsSlice()))
}

func TestGVisorPullUpMergesViews(t *testing.T) {
	a, b := buffer.NewViewSize(20), buffer.NewViewSize(100)
	mine := endOf(a.AsSlice())
	data, more := buffer.MakeWithView(a), buffer.MakeWithView(b)
	data.Merge(&more)
	defer data.Release()
	_, ok := data.PullUp(10, 30)
	require.True(t, ok)
	views := data.AsViewList()
	assert.NotSame(t, mine, endOf(views.Front().AsSlice()))
	assert.Nil(t, views.Front().Next(), "both are gone")
}

func TestGVisorMergeKeepsTheViews(t *testing.T) {
	a, b := buffer.NewViewSize(20), buffer.NewViewSize(20)
	data, more := buffer.MakeWithView(a), buffer.MakeWithView(b)
	data.Merge(&more)
	defer data.Release()
	views := data.AsViewList()
	assert.Same(t, a, views.Front())
	assert.Same(t, b, views.Front().Next())
	assert.EqualValues(t, 40, data.Size())
}

func TestGVisorAppendTellsSharedFromNot(t *testing.T) {
	v := buffer.NewViewSize(63)
	defer v.Release()
	two := buffer.NewViewWithData([]byte{8, 9})
	defer two.Release()

	data := buffer.MakeWithView(v)
	require.NoError(t, data.Append(two))
	assert.EqualValues(t, 8, v.AsSlice()[63], "the room takes one byte")
	assert.Equal(t, []byte{9}, two.AsSlice())

	v.Reset()
	v.Grow(63)
	two.Reset()
	two.Grow(2)
	other := v.Clone()
	data = buffer.MakeWithView(v)
	require.NoError(t, data.Append(two))
	assert.Equal(t, 63, v.Size(), "a shared chunk is not written to")
	assert.Equal(t, 2, two.Size())
	other.Release()

	data = buffer.MakeWithView(v)
	views := data.AsViewList()
	assert.Same(t, v, views.Front(), "the buffers before are forgotten")
	assert.Nil(t, views.Front().Next())
}

func TestGVisorPacketBufferKeepsTheViews(t *testing.T) {
	v := buffer.NewViewSize(100)
	mine := endOf(v.AsSlice())
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)})
	_, ok := pkt.NetworkHeader().Consume(20)
	require.True(t, ok)
	_, ok = pkt.TransportHeader().Consume(20)
	require.True(t, ok)
	clone := pkt.Clone()
	views, skip := pkt.AsViewList()
	assert.Zero(t, skip)
	assert.Same(t, mine, endOf(views.Front().AsSlice()), "headers are consumed without a copy")
	assert.Equal(t, 100, views.Front().Size(), "and stay in the view")
	of := clone.Data().AsRange().ToSlice()
	assert.Len(t, of, 60)
	pkt.DecRef()
	clone.DecRef()
}

// shared must be right for every size of chunk, with and without room behind
// the payload, and leave what others see alone.
func TestShared(t *testing.T) {
	var p probe
	defer p.drop()
	for _, size := range []int{1, 2, 63, 64, 65, 128, 1536, 2048, 65536, 65537} {
		m := newMemory(size)
		data := m.data
		for i := range data {
			data[i] = byte(i + 1)
		}
		pattern := bytes.Clone(data)
		other := m.view.Clone()
		for range 3 {
			assert.True(t, p.shared(&m), "size %d", size)
			assert.Equal(t, pattern, other.AsSlice(), "size %d", size)
		}
		other.Release()
		for range 3 {
			assert.False(t, p.shared(&m), "size %d", size)
			assert.Equal(t, pattern, data, "size %d: nor what the packet has itself", size)
		}
		assert.Same(t, m.end, endOf(m.view.AsSlice()), "the memory is the same")
		m.drop()
	}
}

func BenchmarkShared(b *testing.B) {
	var p probe
	defer p.drop()
	m := newMemory(1536)
	defer m.drop()
	for b.Loop() {
		if p.shared(&m) {
			b.Fatal("nobody has it")
		}
	}
}
