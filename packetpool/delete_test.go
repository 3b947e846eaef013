package packetpool_test

import (
	"sync"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What happens to a message when the pool of one of its packets is deleted.

// doomed is a pool that the test deletes.
func doomed(t testing.TB, payload, packets uint32) *packetpool.Pool {
	t.Helper()
	pool := new(packetpool.Pool)
	require.NoError(t, packetpool.PoolCreate(pool, "doomed", payload, packets*(60+(payload+3)/4*4)))
	return pool
}

// mixed is a message whose first packet is of one pool and whose others are of
// another.
func mixed(t testing.TB, first, further *packetpool.Pool, data []byte) packetpool.Packet {
	t.Helper()
	p, err := packetpool.Allocate(first, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)
	require.NoError(t, packetpool.DataAppend(p, data, further, nx.NoWait))
	return p
}

// A message has packets of two pools, and the pool of the further ones is deleted
// while it is read, copied, written to and released: the message stays as it is,
// and the packets of the pool that lives come back.
func TestDeleteOfThePoolOfFurtherPackets(t *testing.T) {
	data := counting(300)
	for range rounds {
		pool, other := nxtest.NewPool(t, 64, 12), doomed(t, 64, 8)
		read, grown, gone := mixed(t, pool, other, data), mixed(t, pool, other, data[:100]), mixed(t, pool, other, data[:200])
		var wg sync.WaitGroup
		wg.Go(func() {
			got := make([]byte, len(data))
			for range 4 {
				n, err := packetpool.DataRetrieve(read, got)
				assert.NoError(t, err)
				assert.Equal(t, data, got[:n])
				n, err = packetpool.DataExtractOffset(read, 70, got)
				assert.NoError(t, err)
				assert.Equal(t, data[70:], got[:n])
			}
		})
		wg.Go(func() {
			var got []byte
			for piece := range packetpool.Pieces(read) {
				got = append(got, piece...)
			}
			assert.Equal(t, data, got)
		})
		wg.Go(func() {
			assert.NoError(t, packetpool.DataAppend(grown, data[100:120], pool, nx.NoWait))
			assert.Equal(t, data[:120], retrieve(t, grown))
		})
		wg.Go(func() { assert.NoError(t, packetpool.Release(gone)) })
		wg.Go(func() { assert.NoError(t, packetpool.PoolDelete(other)) })
		wg.Wait()
		another := doomed(t, 64, 16) // may have the memory
		taken := fill(t, another, 0xEE)
		assert.Equal(t, data, retrieve(t, read))
		assert.Equal(t, data[:120], retrieve(t, grown))
		for _, p := range []packetpool.Packet{read, grown} {
			require.NoError(t, packetpool.Release(p))
			require.ErrorIs(t, packetpool.Release(p), nx.PtrError, "once")
		}
		releaseAll(t, taken)
		require.NoError(t, packetpool.PoolDelete(another))
	}
}

// The same where the first packet is of the pool that is deleted: a release of the
// message is refused, as by nxe_packet_release.c, and it stays readable. So the
// packets of the other pool stay out, as they do there.
func TestDeleteOfThePoolOfTheFirstPacket(t *testing.T) {
	data := counting(300)
	pool, other := doomed(t, 64, 8), doomed(t, 64, 8)
	p := mixed(t, pool, other, data)
	require.NoError(t, packetpool.PoolDelete(pool))
	for range 2 {
		require.ErrorIs(t, packetpool.Release(p), nx.PtrError)
		assert.Equal(t, data, retrieveOfDead(t, p))
		assert.Equal(t, 4, free(t, other))
	}
	require.NoError(t, packetpool.PoolDelete(other))
	assert.Equal(t, data, retrieveOfDead(t, p))
	require.ErrorIs(t, packetpool.Release(p), nx.PtrError)
	assert.Equal(t, data, retrieveOfDead(t, p))
}

// retrieveOfDead is retrieve of a message that LengthGet refuses.
func retrieveOfDead(t testing.TB, p packetpool.Packet) []byte {
	t.Helper()
	data := make([]byte, 1000)
	n, err := packetpool.DataRetrieve(p, data)
	require.NoError(t, err)
	return data[:n]
}
