package ip

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// fragments cuts a datagram of protocol 200 into pieces of so many bytes.
func fragments(source, destination netip.Addr, id uint32, payload []byte, size int) (frames [][]byte) {
	for offset := 0; offset < len(payload); offset += size {
		end := min(offset+size, len(payload))
		frames = append(frames, fragment(source, destination, id, offset, end < len(payload), payload[offset:end]))
	}
	return frames
}

func fragment(source, destination netip.Addr, id uint32, offset int, more bool, piece []byte) []byte {
	if source.Is4() {
		f := ipv4Frame(source, destination, 200, piece)
		h := header.IPv4(f)
		flags := uint8(0)
		if more {
			flags = header.IPv4FlagMoreFragments
		}
		h.SetFlagsFragmentOffset(flags, uint16(offset))
		h.SetID(uint16(id))
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
		return f
	}
	ext := make([]byte, 8, 8+len(piece))
	ext[0] = 200
	word := uint16(offset)
	if more {
		word |= 1
	}
	binary.BigEndian.PutUint16(ext[2:], word)
	binary.BigEndian.PutUint32(ext[4:], id)
	return ipv6Frame(source, destination, headerFragment, append(ext, piece...))
}

var families = map[string]struct{ a, b netip.Addr }{"IPv4": {addressA, addressB}, "IPv6": {address6A, address6B}}

// TestFragmentsDiscarded: as created, and after nx_ip_fragment_disable, a
// fragment is dropped and counted.
func TestFragmentsDiscarded(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			inst, network := manual(t, nxtest.NewPool(t, 256, 16))
			require.NoError(t, RawPacketEnable(inst))
			frames := fragments(f.b, f.a, 1, make([]byte, 32), 16)
			deliver(network, frames...)
			info := infoOf(t, inst)
			assert.EqualValues(t, 2, info.TotalFragmentsReceived)
			assert.EqualValues(t, 2, info.ReceivePacketsDropped)
			assert.Equal(t, map[string]uint64{dropNoFragments: 2}, info.Drops)
			require.NoError(t, FragmentEnable(inst))
			require.NoError(t, FragmentEnable(inst))
			deliver(network, frames[0])
			require.NoError(t, FragmentDisable(inst))
			assert.Equal(t, map[string]uint64{dropNoFragments: 2, dropFragmentsFlushed: 1}, infoOf(t, inst).Drops)
			deliver(network, frames[1])
			requireStatus(t, nx.NoPacket, noErr(RawPacketReceive(inst, nx.NoWait)))
		})
	}
}

// TestFragmentsBothWays: with fragmentation on, pings longer than the MTU get
// through, in fragments, both ways, on both families.
func TestFragmentsBothWays(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			a, b, _ := pair(t)
			require.NoError(t, FragmentEnable(a))
			require.NoError(t, FragmentEnable(b))
			for _, size := range []int{1400, 1473, 3000, 20000} {
				requirePing(t, a, f.b, size)
			}
			info := infoOf(t, a)
			assert.Equal(t, info.TotalFragmentsSent, info.TotalFragmentsReceived)
			assert.Equal(t, info.TotalPacketsSent, info.TotalPacketsReceived)
			assert.EqualValues(t, 2+3+14, info.TotalFragmentsSent)
			assert.Empty(t, info.Drops)
		})
	}
}

// TestFragmentsInAnyOrder: pieces come in any order, twice, and mixed with
// those of other datagrams.
func TestFragmentsInAnyOrder(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			pool := nxtest.NewPool(t, 64, 64)
			inst, network := manual(t, pool)
			require.NoError(t, FragmentEnable(inst))
			require.NoError(t, RawPacketEnable(inst))
			text, other := bytes.Repeat([]byte("abcdefgh"), 10), bytes.Repeat([]byte("01234567"), 4)
			one, two := fragments(f.b, f.a, 1, text, 24), fragments(f.b, f.a, 2, other, 16)
			require.Len(t, one, 4)
			deliver(network, one[3], two[1], one[0], one[2])
			assert.NotEmpty(t, pool.Holders(), "fragments stay in their packets")
			deliver(network, two[0], one[1])
			for _, want := range [][]byte{other, text} {
				packet, err := RawPacketReceive(inst, nx.NoWait)
				require.NoError(t, err)
				requireData(t, packet, string(want))
			}
			assert.Empty(t, infoOf(t, inst).Drops)
		})
	}
}

// TestBadFragments: those that fit no datagram take it with them.
func TestBadFragments(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			inst, network := manual(t, nxtest.NewPool(t, 256, 64))
			require.NoError(t, FragmentEnable(inst))
			require.NoError(t, RawPacketEnable(inst))
			piece := func(id uint32, offset int, more bool, size int) []byte {
				return fragment(f.b, f.a, id, offset, more, make([]byte, size))
			}
			for what, frames := range map[string][][]byte{
				"overlap":                {piece(1, 0, true, 16), piece(1, 8, true, 16)},
				"the same again":         {piece(2, 0, true, 16), piece(2, 0, true, 16)},
				"not a multiple of 8":    {piece(3, 0, true, 15)},
				"behind the end":         {piece(4, 8, false, 8), piece(4, 16, true, 8)},
				"two ends":               {piece(5, 8, false, 8), piece(5, 24, false, 8)},
				"longer than a datagram": {piece(6, 0xFFF8, false, 100)},
				"the end before a piece": {piece(7, 32, true, 8), piece(7, 8, false, 8)},
			} {
				before := infoOf(t, inst).Drops[dropBadFragment]
				deliver(network, frames...)
				assert.EqualValues(t, len(frames), infoOf(t, inst).Drops[dropBadFragment]-before, what)
			}
			assert.Empty(t, inst.assembly.partial)
			requireStatus(t, nx.NoPacket, noErr(RawPacketReceive(inst, nx.NoWait)))
		})
	}
}

// TestFragmentsTimeOut: 15 seconds for IPv4, 60 for IPv6.
func TestFragmentsTimeOut(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			clock := new(nxtest.Clock)
			network := ram.NewNetwork(ram.Config{Manual: true})
			inst := host(t, network.Driver(), addressA, &Config{Clock: clock, NoDAD: true})
			require.NoError(t, IPv6Enable(inst))
			_, err := IPv6AddressSet(inst, 0, address6A, 64)
			require.NoError(t, err)
			require.NoError(t, FragmentEnable(inst))
			seconds := nx.Wait(15)
			if f.a.Is6() {
				seconds = 60
			}
			clock.Go(func() {
				deliver(network, fragments(f.b, f.a, 1, make([]byte, 32), 16)[0])
				clock.Sleep(seconds*nx.TicksPerSecond - 1)
				assert.Empty(t, infoOf(t, inst).Drops)
				assert.NotEmpty(t, inst.pool.Holders())
				clock.Sleep(2)
				assert.Equal(t, map[string]uint64{dropFragmentTimeout: 1}, infoOf(t, inst).Drops)
				assert.Empty(t, inst.pool.Holders())
			})
			clock.Wait(t)
		})
	}
}

// TestFragmentsLimit: so many datagrams may be incomplete, and Delete gives the
// packets back.
func TestFragmentsLimit(t *testing.T) {
	pool := nxtest.NewPool(t, 256, 2*assemblyLimit)
	inst, network := manual(t, pool)
	require.NoError(t, FragmentEnable(inst))
	for id := range uint32(assemblyLimit + 1) {
		deliver(network, fragment(addressB, addressA, id, 0, true, make([]byte, 8)))
	}
	assert.Equal(t, map[string]uint64{dropBadFragment: 1}, infoOf(t, inst).Drops)
	require.NoError(t, Delete(inst))
	nxtest.Full(t, pool)
}

// TestFragmentedSegment: TCP behind a fragment header is TCP.
func TestFragmentedSegment(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 16))
	require.NoError(t, FragmentEnable(inst))
	transport := new(passing)
	inst.SetTransport(transport)
	segment := tcpSegment(ap(address6B, 1), ap(address6A, 2), header.TCPFlagSyn, make([]byte, 28))
	ext := func(offset uint16, more byte) []byte {
		return []byte{protocolTCP, 0, byte(offset >> 8), byte(offset) | more, 0, 0, 0, 7}
	}
	deliver(network,
		ipv6Frame(address6B, address6A, headerFragment, append(ext(0, 1), segment[:24]...)),
		ipv6Frame(address6B, address6A, headerFragment, append(ext(24, 0), segment[24:]...)))
	in, out := transport.seen()
	require.Len(t, in, 1)
	assert.False(t, in[0].Damaged)
	assert.Equal(t, 28, in[0].Payload)
	require.Len(t, out, 1, "the stack took it, and resets a connection that does not exist")
	assert.Equal(t, header.TCPFlagRst|header.TCPFlagAck, out[0].TCP.Flags())
	inst.SetTransport(nil)
}

// TestTinyMTU: where not even eight bytes fit a fragment, the datagram is
// dropped.
func TestTinyMTU(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 16))
	require.NoError(t, FragmentEnable(inst))
	require.NoError(t, InterfaceMTUSet(inst, 0, 27))
	requireStatus(t, nx.NoResponse, noErr(ICMPPing(inst, addressB, make([]byte, 20), nx.NoWait)))
	require.NoError(t, InterfaceMTUSet(inst, 0, 28))
	requireStatus(t, nx.NoResponse, noErr(ICMPPing(inst, addressB, make([]byte, 20), nx.NoWait)))
	assert.Equal(t, map[string]uint64{dropTooLong: 1}, infoOf(t, inst).Drops)
	assert.Equal(t, 4, network.Pending(), "28 bytes in pieces of eight")
	drain(network)
}
