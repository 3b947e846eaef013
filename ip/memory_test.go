package ip

import (
	"bytes"
	"testing"

	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// foreign is a driver whose frames come in memory of its own, as those behind a
// wrapper that holds frames do.
type foreign struct{ link.Driver }

func (f foreign) Open(a link.Attachment) (link.Endpoint, error) {
	a.Pool = nil
	return f.Driver.Open(a)
}

// TestFramesTakePackets is the inbound half of the pool's promise: a frame lives
// in packets of the pool until the program has released what it received, and
// one for which there are none is dropped and counted: by the link if that reads
// into packets, by the gate otherwise.
func TestFramesTakePackets(t *testing.T) {
	for name, wrap := range map[string]func(link.Driver) link.Driver{
		"read into packets":   func(d link.Driver) link.Driver { return d },
		"copied into packets": func(d link.Driver) link.Driver { return foreign{d} },
	} {
		t.Run(name, func(t *testing.T) {
			const packets = 4
			pool := nxtest.NewPool(t, 128, packets)
			network := ram.NewNetwork(ram.Config{Manual: true})
			inst := new(Instance)
			require.NoError(t, Create(inst, "inst", addressA, mask24, pool, wrap(network.Driver()), 2048, 1))
			defer func() { require.NoError(t, Delete(inst)) }()
			require.NoError(t, RawPacketEnable(inst))
			free := func() uint32 {
				info, err := packetpool.PoolInfoGet(pool)
				require.NoError(t, err)
				return info.FreePackets
			}
			lost := func() uint64 { return infoOf(t, inst).Drops[dropPoolEmpty] + inst.Link().Drops[dropPoolEmpty] }
			frame := func(text string) []byte { return ipv4Frame(addressB, addressA, 200, []byte(text)) }
			long := string(bytes.Repeat([]byte("x"), 200)) // 220 bytes: two packets

			deliver(network, frame("one"), frame(long), frame("four"))
			assert.Zero(t, free())
			assert.Equal(t, []packetpool.Holding{{
				Owner: packetpool.Owner{Kind: packetpool.Application, Name: "inst"}, Packets: packets,
			}}, pool.Holders())
			deliver(network, frame("five"))
			assert.EqualValues(t, 1, lost())
			assert.EqualValues(t, 3, infoOf(t, inst).TotalPacketsReceived, "the IP layer has not seen it")

			first, err := RawPacketReceive(inst, nx.NoWait)
			require.NoError(t, err)
			assert.Zero(t, free(), "received is not released")
			requireData(t, first, "one")
			assert.EqualValues(t, 1, free())
			deliver(network, frame(long))
			assert.EqualValues(t, 2, lost(), "one packet does not hold it")
			deliver(network, frame("six"))
			for _, want := range []string{long, "four", "six"} {
				packet, err := RawPacketReceive(inst, nx.NoWait)
				require.NoError(t, err)
				requireData(t, packet, want)
			}
			_, err = RawPacketReceive(inst, nx.NoWait)
			requireStatus(t, nx.NoPacket, err)
			assert.EqualValues(t, packets, free())
		})
	}
}

// TestReceivedBytesAreThePools: what the program received lies in packets of the
// pool, whose memory serves again and again, and in front of it is room for the IP
// header that it came with, so that it can be sent on, with packets to spare or
// without.
func TestReceivedBytesAreThePools(t *testing.T) {
	pool := nxtest.NewPool(t, 256, 4)
	inst, network := manual(t, pool)
	require.NoError(t, RawPacketEnable(inst))
	deliver(network, ipv4Frame(addressB, addressA, 253, []byte("first")))
	packet, err := RawPacketReceive(inst, nx.NoWait)
	require.NoError(t, err)
	requireData(t, packet, "first")
	for _, held := range []int{0, 3} {
		for range held {
			taken, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
			require.NoError(t, err)
			defer func() { require.NoError(t, packetpool.Release(taken)) }()
		}
		deliver(network, ipv4Frame(addressB, addressA, 253, []byte("there and back")))
		packet, err = RawPacketReceive(inst, nx.NoWait)
		require.NoError(t, err)
		room, err := packetpool.HeadRoom(packet)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, room, uint32(20), "%d packets held", held)
		require.NoError(t, RawPacketSend(inst, packet, addressB, 253, 9, 0))
		sent := network.Waiting()
		require.Len(t, sent, 1)
		assert.Equal(t, "there and back", string(header.IPv4(sent[0].Data).Payload()))
		drain(network)
	}
	for range 10 { // the same packets, again and again
		deliver(network, ipv4Frame(addressB, addressA, 253, []byte("again")))
		packet, err := RawPacketReceive(inst, nx.NoWait)
		require.NoError(t, err)
		requireData(t, packet, "again")
	}
}

// TestLoopNeedsPackets: what an instance sends to itself takes packets too, and
// without them the send is counted as dropped.
func TestLoopNeedsPackets(t *testing.T) {
	pool := nxtest.NewPool(t, 128, 3)
	inst, _ := manual(t, pool)
	requirePing(t, inst, addressA, 20)
	held, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
	require.NoError(t, err)
	_, err = ICMPPing(inst, addressA, pingData(84), nx.NoWait) // one packet: its copy takes one, the copy of the reply one
	requireStatus(t, nx.NoResponse, err)
	assert.Equal(t, map[string]uint64{dropNoWaiter: 1}, infoOf(t, inst).Drops)
	_, err = ICMPPing(inst, addressA, pingData(101), nx.NoWait) // two packets, and the copy of the reply finds none
	requireStatus(t, nx.NoResponse, err)
	assert.Equal(t, map[string]uint64{dropNoWaiter: 1, dropPoolEmpty: 1}, infoOf(t, inst).Drops)
	assert.EqualValues(t, 1, infoOf(t, inst).SendPacketsDropped)
	require.NoError(t, packetpool.Release(held))
}
