package ip

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// packetWith is a packet with text and room in front of it.
func packetWith(t *testing.T, pool *packetpool.Pool, room packetpool.PacketType, text string) packetpool.Packet {
	t.Helper()
	packet, err := packetpool.Allocate(pool, room, nx.NoWait)
	require.NoError(t, err)
	require.NoError(t, packetpool.DataAppend(packet, []byte(text), pool, nx.NoWait))
	return packet
}

func TestRawChecks(t *testing.T) {
	inst := oneHost(t, &Config{NoDAD: true})
	pool := nxtest.NewPool(t, 256, 8)
	tight := packetWith(t, pool, 16, "tight")
	room := packetWith(t, pool, packetpool.IPv4Packet, "room")
	wide := packetWith(t, pool, packetpool.IPv6Packet, "wide")
	var stale packetpool.Packet
	zero := IPAddress(0, 0, 0, 0)
	const tos, badTOS = 0x00FF0000, 1
	run(t,
		step{"receive", noErr(RawPacketReceive(inst, nx.NoWait)), nx.NotEnabled},
		step{"send: packet before enable", RawIPv4PacketSend(inst, stale, zero, badTOS), nx.PtrError},
		step{"send", RawIPv4PacketSend(inst, tight, zero, badTOS), nx.NotEnabled},
		step{"source send", RawIPv4PacketSourceSend(inst, tight, zero, 9, badTOS), nx.NotEnabled},
		step{"either family", RawPacketSend(inst, tight, netip.Addr{}, 256, 1, 0), nx.NotEnabled},
		step{"either family from a source", RawPacketSourceSend(inst, tight, netip.Addr{}, 9, 1, 1, 0), nx.NotEnabled},
		step{"enable", RawPacketEnable(inst), nx.Success},
		step{"again", RawPacketEnable(inst), nx.Success},
		step{"receive nothing", noErr(RawPacketReceive(inst, nx.NoWait)), nx.NoPacket},

		step{"send: packet", RawIPv4PacketSend(inst, stale, zero, badTOS), nx.PtrError},
		step{"send: zero", RawIPv4PacketSend(inst, tight, zero, badTOS), nx.IPAddressError},
		step{"send: IPv6", RawIPv4PacketSend(inst, tight, address6A, badTOS), nx.IPAddressError},
		step{"send: type of service", RawIPv4PacketSend(inst, tight, offLink, badTOS), nx.OptionError},
		step{"send: room", RawIPv4PacketSend(inst, tight, offLink, tos), nx.Underflow},
		step{"send: route", RawIPv4PacketSend(inst, room, offLink, tos), nx.IPAddressError},

		step{"source send: packet", RawIPv4PacketSourceSend(inst, stale, zero, 9, badTOS), nx.PtrError},
		step{"source send: zero", RawIPv4PacketSourceSend(inst, tight, zero, 9, badTOS), nx.IPAddressError},
		step{"source send: type of service", RawIPv4PacketSourceSend(inst, tight, offLink, 9, badTOS), nx.OptionError},
		step{"source send: room", RawIPv4PacketSourceSend(inst, tight, offLink, 9, tos), nx.Underflow},
		step{"source send: interface", RawIPv4PacketSourceSend(inst, room, offLink, 2, tos), nx.InvalidInterface},

		step{"either: packet", RawPacketSend(inst, stale, netip.Addr{}, 256, 1, 0), nx.PtrError},
		step{"either: no address", RawPacketSend(inst, tight, netip.Addr{}, 256, 1, 0), nx.IPAddressError},
		step{"either: protocol", RawPacketSend(inst, tight, zero, 256, 1, 0), nx.InvalidParameters},
		step{"either: room", RawPacketSend(inst, tight, zero, 255, 1, 0), nx.Underflow},
		step{"either: zero", RawPacketSend(inst, room, zero, 255, 1, 0), nx.IPAddressError},
		step{"either: room for IPv6", RawPacketSend(inst, room, netip.IPv6Unspecified(), 255, 1, 0), nx.Underflow},
		step{"either: no IPv6 address", RawPacketSend(inst, wide, address6B, 255, 1, 0), nx.NoInterfaceAddress},

		step{"source: packet", RawPacketSourceSend(inst, stale, netip.Addr{}, 9, 1, 1, 0), nx.PtrError},
		step{"source: no address", RawPacketSourceSend(inst, tight, netip.Addr{}, 9, 1, 1, 0), nx.IPAddressError},
		step{"source: zero", RawPacketSourceSend(inst, tight, zero, 9, 1, 1, 0), nx.IPAddressError},
		step{"source: interface", RawPacketSourceSend(inst, tight, offLink, 2, 1, 1, 0), nx.InvalidInterface},
		step{"source: IPv6 index", RawPacketSourceSend(inst, tight, offLink6, 4, 1, 1, 0), nx.IPAddressError},
		step{"source: room", RawPacketSourceSend(inst, tight, offLink, 0, 1, 1, 0), nx.Underflow},
	)
	require.Empty(t, infoOf(t, inst).Drops)
	run(t,
		step{"without a route it is the instance's all the same", RawIPv4PacketSourceSend(inst, room, offLink, 0, tos), nx.Success},
		step{"gone", packetpool.Release(room), nx.PtrError},
		step{"failure leaves it to the caller", packetpool.Release(tight), nx.Success},
		step{"failure leaves it to the caller", packetpool.Release(wide), nx.Success},
	)
	assert.Equal(t, map[string]uint64{dropNoRoute: 1}, infoOf(t, inst).Drops)
}

// TestRawRoundTrip: what one instance sends the other receives, behind the IP
// header.
func TestRawRoundTrip(t *testing.T) {
	a, b, _ := pair(t)
	pool := nxtest.NewPool(t, 256, 64)
	require.NoError(t, RawPacketEnable(a))
	require.NoError(t, RawPacketEnable(b))
	long := string(bytes.Repeat([]byte("0123456789"), 100))
	for _, text := range []string{"short", long} {
		run(t,
			step{"IPv4", RawIPv4PacketSend(a, packetWith(t, pool, packetpool.IPv4Packet, text), addressB, 0), nx.Success},
			step{"IPv4 from interface 0", RawIPv4PacketSourceSend(a, packetWith(t, pool, packetpool.IPv4Packet, text), addressB, 0, 0), nx.Success},
			step{"either, IPv4", RawPacketSend(a, packetWith(t, pool, packetpool.IPv4Packet, text), addressB, 200, 9, 0), nx.Success},
			step{"either, IPv6", RawPacketSend(a, packetWith(t, pool, packetpool.IPv6Packet, text), address6B, 200, 9, 0), nx.Success},
			step{"from address 0", RawPacketSourceSend(a, packetWith(t, pool, packetpool.IPv6Packet, text), address6B, 0, 200, 9, 0), nx.Success},
		)
		for range 5 {
			packet, err := RawPacketReceive(b, nx.Ticks(5*time.Second))
			require.NoError(t, err)
			requireData(t, packet, text)
		}
	}
}

// TestRawOnTheWire: protocol, TTL and type of service.
func TestRawOnTheWire(t *testing.T) {
	pool := nxtest.NewPool(t, 256, 16)
	inst, network := manual(t, pool)
	require.NoError(t, RawPacketEnable(inst))
	require.NoError(t, RawIPv4PacketSend(inst, packetWith(t, pool, packetpool.IPv4Packet, "x"), addressB, 0x00AA0000))
	require.NoError(t, RawPacketSend(inst, packetWith(t, pool, packetpool.IPv4Packet, "x"), addressB, 200, 0x109, 0x1BB))
	require.NoError(t, RawPacketSend(inst, packetWith(t, pool, packetpool.IPv6Packet, "x"), address6B, 200, 9, 0xBB))
	frames := network.Waiting()
	require.Len(t, frames, 3)
	first, second, third := header.IPv4(frames[0].Data), header.IPv4(frames[1].Data), header.IPv6(frames[2].Data)
	tos, _ := first.TOS()
	assert.Equal(t, [3]uint8{RawProtocol, 128, 0xAA}, [3]uint8{first.Protocol(), first.TTL(), tos})
	tos, _ = second.TOS()
	assert.Equal(t, [3]uint8{200, 9, 0xBB}, [3]uint8{second.Protocol(), second.TTL(), tos}, "the lower 8 bits")
	tos, _ = third.TOS()
	assert.Equal(t, [3]uint8{200, 255, 0}, [3]uint8{third.NextHeader(), third.HopLimit(), tos})
	drain(network)
}

// TestRawQueue: first come, first served, for packets and for callers; the
// newest packet is dropped; turning raw packets off ends it all.
func TestRawQueue(t *testing.T) {
	clock := new(nxtest.Clock)
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, &Config{Clock: clock, RawQueueDepth: 2})
	require.NoError(t, RawPacketEnable(inst))
	frame := func(text string) []byte { return ipv4Frame(addressB, addressA, 200, []byte(text)) }
	deliver(network, frame("1"), frame("2"), frame("3"))
	assert.Equal(t, map[string]uint64{dropRawQueueFull: 1}, infoOf(t, inst).Drops)
	for _, want := range []string{"1", "2"} {
		packet, err := RawPacketReceive(inst, nx.NoWait)
		require.NoError(t, err)
		requireData(t, packet, want)
	}
	require.NoError(t, RawReceiveQueueMaxSet(inst, 3))
	deliver(network, frame("1"), frame("2"), frame("3"), frame("4"))
	assert.Equal(t, map[string]uint64{dropRawQueueFull: 2}, infoOf(t, inst).Drops)
	require.NoError(t, RawPacketEnable(inst))
	require.NoError(t, RawPacketDisable(inst))
	require.NoError(t, RawPacketDisable(inst))
	requireStatus(t, nx.NotEnabled, noErr(RawPacketReceive(inst, nx.NoWait)))
	require.NoError(t, RawPacketEnable(inst))
	requireStatus(t, nx.NoPacket, noErr(RawPacketReceive(inst, nx.NoWait)))

	var order []string
	turn := 0
	receive := func(name string, wait nx.Wait) {
		turn++
		mine := turn
		clock.Go(func() {
			clock.Turn(mine)
			packet, err := RawPacketReceive(inst, wait)
			if err != nil {
				assert.ErrorIs(t, err, nx.NoPacket)
				order = append(order, name+" nothing")
				return
			}
			b := make([]byte, 1)
			_, err = packetpool.DataRetrieve(packet, b)
			assert.NoError(t, err)
			assert.NoError(t, packetpool.Release(packet))
			order = append(order, name+" "+string(b))
		})
	}
	receive("first", nx.WaitForever)
	receive("short", 5)
	receive("second", nx.WaitForever)
	receive("third", nx.WaitForever)
	clock.Go(func() {
		clock.Sleep(10)
		deliver(network, frame("a"))
		clock.Sleep(10)
		deliver(network, frame("b"))
		clock.Sleep(10)
		assert.NoError(t, RawPacketDisable(inst))
	})
	clock.Wait(t)
	assert.Equal(t, []string{"short nothing", "first a", "second b", "third nothing"}, order)
}
