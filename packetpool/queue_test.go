package packetpool_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var transmitQueue = packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "mail"}

// A message that the stack has a copy of counts as any queued one, and has no
// bytes.
func TestCopiedPacket(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 4)
	p := message(t, pool, packetpool.IPv4TCPPacket, 100)
	q, err := packetpool.EnqueueCopied(p, transmitQueue)
	require.NoError(t, err)
	assert.Equal(t, []packetpool.Holding{{Owner: transmitQueue, Packets: 2}}, pool.Holders())
	_, err = packetpool.HandBack(q)
	status(t, nx.PtrError, "HandBack", err)
	status(t, nx.PtrError, "Release", packetpool.Release(q))
	n, err := packetpool.LengthGet(q)
	require.NoError(t, err)
	assert.Zero(t, n)
	for range packetpool.Pieces(q) {
		t.Error("there are bytes")
	}
	require.NoError(t, packetpool.Dequeue(q))
	assert.Equal(t, 4, free(t, pool))
}

// The memory of such a message serves the packets that are allocated next, and no
// two packets ever have the same: each keeps the pattern that it was filled with,
// whatever becomes of the others.
func TestMemoryOfCopiedPackets(t *testing.T) {
	const payload, packets = 128, 12
	pool := nxtest.NewPool(t, payload, packets)
	random := rand.New(rand.NewPCG(1, 2))
	type held struct {
		packet packetpool.Packet
		data   []byte
	}
	var mine []held
	var queued []packetpool.Packet
	waits := 0
	for round := range 20_000 {
		switch {
		case random.IntN(2) == 0:
			p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
			if err != nil {
				waits++
				break
			}
			data := bytes.Repeat([]byte{byte(round), byte(round >> 8)}, 1+random.IntN(payload/2))
			require.NoError(t, packetpool.DataAppend(p, data, pool, nx.NoWait))
			mine = append(mine, held{p, data})
		case len(mine) > 0 && random.IntN(2) == 0:
			i := random.IntN(len(mine))
			enqueue := packetpool.EnqueueCopied
			if random.IntN(4) == 0 {
				enqueue = packetpool.Enqueue
			}
			q, err := enqueue(mine[i].packet, transmitQueue)
			require.NoError(t, err)
			queued, mine = append(queued, q), append(mine[:i], mine[i+1:]...)
		case len(queued) > 0:
			i := random.IntN(len(queued))
			require.NoError(t, packetpool.Dequeue(queued[i]))
			queued = append(queued[:i], queued[i+1:]...)
		case len(mine) > 0:
			require.NoError(t, packetpool.Release(mine[0].packet))
			mine = mine[1:]
		}
		for _, h := range mine {
			require.Equal(t, h.data, retrieve(t, h.packet), "round %d", round)
		}
		require.Equal(t, packets, free(t, pool)+len(mine)+len(queued))
	}
	assert.Positive(t, waits, "the pool was never empty")
	for _, h := range mine {
		require.NoError(t, packetpool.Release(h.packet))
	}
	for _, q := range queued {
		require.NoError(t, packetpool.Dequeue(q))
	}
}

// A waiter that gets the packet of a copied message gets memory with it.
func TestWaiterGetsMemory(t *testing.T) {
	pool := nxtest.NewPool(t, 100, 1)
	p := message(t, pool, packetpool.ReceivePacket, 50)
	q, err := packetpool.EnqueueCopied(p, transmitQueue)
	require.NoError(t, err)
	got := make(chan packetpool.Packet)
	go func() {
		p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.WaitForever)
		assert.NoError(t, err)
		got <- p
	}()
	for packetpool.Suspended(pool) == 0 {
		runtime.Gosched()
	}
	require.NoError(t, packetpool.Dequeue(q))
	p = <-got
	require.NoError(t, packetpool.DataAppend(p, counting(100), pool, nx.NoWait))
	assert.Equal(t, counting(100), retrieve(t, p))
	require.NoError(t, packetpool.Release(p))
}

// A pool that is deleted while messages are on a transmit queue lets go of all
// memory, and their handles are refused.
func TestDeleteWithCopiedPackets(t *testing.T) {
	var pool packetpool.Pool
	require.NoError(t, packetpool.PoolCreate(&pool, "short", 100, 4*160))
	q, err := packetpool.EnqueueCopied(message(t, &pool, packetpool.ReceivePacket, 150), transmitQueue)
	require.NoError(t, err)
	kept := message(t, &pool, packetpool.ReceivePacket, 80)
	require.NoError(t, packetpool.PoolDelete(&pool))
	status(t, nx.PtrError, "Release", packetpool.Release(kept))
	_, err = packetpool.HandBack(q)
	status(t, nx.PtrError, "HandBack", err)
	require.NoError(t, packetpool.Dequeue(q), "its queue may be flushed later")
	status(t, nx.PtrError, "Dequeue", packetpool.Dequeue(q))
}
