package packetpool_test

import (
	"bytes"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDifferencesAreShown(t *testing.T) { nxtest.Differences(t, packetpool.Differences) }

// TestPoolsHaveTheirOwnMemory: two pools that are made alike, full of packets
// full of bytes, leave each other alone.
func TestPoolsHaveTheirOwnMemory(t *testing.T) {
	const packets, payload = 4, 128
	var held [2][]packetpool.Packet
	for i := range held {
		pool := nxtest.NewPool(t, payload, packets)
		for range packets {
			p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
			require.NoError(t, err)
			require.NoError(t, packetpool.DataAppend(p, bytes.Repeat([]byte{byte(i + 1)}, payload), pool, nx.NoWait))
			held[i] = append(held[i], p)
		}
	}
	for i := range held {
		for _, p := range held[i] {
			data := make([]byte, payload)
			_, err := packetpool.DataRetrieve(p, data)
			require.NoError(t, err)
			assert.Equal(t, bytes.Repeat([]byte{byte(i + 1)}, payload), data)
			require.NoError(t, packetpool.Release(p))
		}
	}
}

// TestEveryCallerIsAThread: a timer's function may call everything that could
// have to wait.
func TestEveryCallerIsAThread(t *testing.T) {
	var clock nxtest.Clock
	var pool packetpool.Pool
	results := make(map[string]error)
	clock.Go(func() {
		clock.AfterFunc(nx.Tick, func() {
			results["create"] = packetpool.PoolCreate(&pool, "pool", 128, 1000)
			p, err := packetpool.Allocate(&pool, packetpool.ReceivePacket, 10)
			results["allocate"] = err
			results["append"] = packetpool.DataAppend(p, []byte("data"), &pool, 10)
			results["release"] = packetpool.Release(p)
			results["delete"] = packetpool.PoolDelete(&pool)
		})
		clock.Sleep(2)
	})
	clock.Wait(t)
	require.Len(t, results, 5)
	for service, err := range results {
		assert.NoError(t, err, service)
	}
}
