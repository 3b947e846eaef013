package packetpool_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

func bytesOf(packet packetpool.Packet) []byte {
	var all []byte
	for piece := range packetpool.Pieces(packet) {
		all = append(all, piece...)
	}
	return all
}

func TestSplitCopiesTheFrontAndLeavesTheMessage(t *testing.T) {
	var pool packetpool.Pool
	require.NoError(t, packetpool.PoolCreate(&pool, "pool", 100, 10*(60+100)))
	data := bytes.Repeat([]byte("0123456789"), 25)
	packet, err := packetpool.Allocate(&pool, packetpool.IPv4TCPPacket, nx.NoWait)
	require.NoError(t, err)
	require.NoError(t, packetpool.DataAppend(packet, data, &pool, nx.NoWait))

	front, err := packetpool.Split(packet, 120, packetpool.IPv4TCPPacket, nx.NoWait)
	require.NoError(t, err)
	assert.Equal(t, data[:120], bytesOf(front))
	assert.Equal(t, data, bytesOf(packet))
	out, ok := packetpool.Inspect(front)
	assert.True(t, ok)
	assert.Equal(t, packetpool.Outgoing{Room: 56, Length: 120, Chained: true, Start: 56, Payload: 100, Free: 4}, out)

	require.NoError(t, packetpool.Trim(packet, 120))
	assert.Equal(t, data[120:], bytesOf(packet))
	require.NoError(t, packetpool.Release(front))
	require.NoError(t, packetpool.Release(packet))
	info, err := packetpool.PoolInfoGet(&pool)
	require.NoError(t, err)
	assert.Equal(t, info.TotalPackets, info.FreePackets)
	require.NoError(t, packetpool.PoolDelete(&pool))
}

func TestSplitWithAnEmptyPool(t *testing.T) {
	var pool packetpool.Pool
	require.NoError(t, packetpool.PoolCreate(&pool, "pool", 100, 3*(60+100)))
	packet, err := packetpool.Allocate(&pool, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)
	require.NoError(t, packetpool.DataAppend(packet, make([]byte, 200), &pool, nx.NoWait))

	front, err := packetpool.Split(packet, 150, packetpool.IPv4TCPPacket, nx.NoWait)
	require.NoError(t, err, "one packet is left: it is shorter then")
	length, err := packetpool.LengthGet(front)
	require.NoError(t, err)
	assert.EqualValues(t, 100-56, length)

	_, err = packetpool.Split(packet, 10, packetpool.IPv4TCPPacket, nx.NoWait)
	assert.ErrorIs(t, err, nx.NoPacket)
	_, err = packetpool.Split(packet, 10, 104, nx.NoWait)
	assert.ErrorIs(t, err, nx.InvalidParameters)
	require.NoError(t, packetpool.Release(front))
	require.NoError(t, packetpool.Release(packet))
	_, err = packetpool.Split(packet, 10, 56, nx.NoWait)
	assert.ErrorIs(t, err, nx.PtrError)
	_, ok := packetpool.Inspect(packet)
	assert.False(t, ok, "released")
	require.NoError(t, packetpool.PoolDelete(&pool))
}
