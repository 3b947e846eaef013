package packetpool_test

import (
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The events tell of every packet that is taken and given back, whoever has it:
// what was taken and has not come back is what is out.
func TestEventsTellOfEveryPacket(t *testing.T) {
	var recorder nxtest.Recorder
	const packets = 12
	pool := nxtest.NewPool(t, 100, packets, nxtest.Record(&recorder))
	balanced := func(when string) {
		t.Helper()
		out := 0
		now := free(t, pool) // looks at what the stack has let go of
		for _, e := range nxtest.Of[nx.PacketEvent](&recorder) {
			if e.Released {
				out -= e.Packets
			} else {
				out += e.Packets
			}
		}
		assert.Equal(t, packets-now, out, when)
	}
	r := newReader(pool)
	data := counting(420)
	pkt, frame := r.read(t, data)
	balanced("a frame")
	reclaim(frame, pkt)
	messages := unitsOf(t, pool, pkt, 420, 140)
	balanced("messages that share packets")
	require.NoError(t, packetpool.Release(messages[0]))
	balanced("a message of which the stack has the packets")
	pkt.DecRef()
	balanced("the stack has let go")
	releaseAll(t, messages[1:])

	pkt, frame = r.read(t, data[:150])
	early := received(t, pool, pkt, 0, 150)
	balanced("a message before the reader has let go")
	reclaim(frame, pkt)
	pkt.DecRef()
	balanced("and after")
	require.NoError(t, packetpool.DataAdjust(early, 60))
	require.NoError(t, packetpool.Release(early))

	// Headers are no part of what the stack gets.
	rest := data[:120]
	for _, area := range r.Reserve(len(rest)) {
		rest = rest[copy(area, rest):]
	}
	payload, lent := r.Commit(120, 110)
	balanced("a frame whose first packet is headers")
	lent.Reclaim(payload.AsViewList())
	balanced("which is free")
	payload.Release()
	balanced("and so is the other one")
	assert.Equal(t, packets, free(t, pool))
}
