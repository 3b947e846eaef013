package ip

import (
	"errors"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// An echo tells who answered, with which time to live, and how long it took.
func TestEcho(t *testing.T) {
	a, _, _ := pair(t)
	for _, c := range []struct {
		address netip.Addr
		hops    uint8
	}{{addressB, defaultTimeToLive}, {address6B, defaultHopLimit}} {
		for range 3 {
			reply, err := ICMPEcho(a, EchoRequest{Address: c.address, Data: pingData(100), TimeToLive: 1}, nx.Ticks(5*time.Second))
			require.NoError(t, err, "one hop is enough")
			length, err := packetpool.LengthGet(reply.Packet)
			require.NoError(t, err)
			assert.EqualValues(t, 100, length)
			assert.Equal(t, c.address, reply.Source)
			assert.Equal(t, c.hops, reply.TimeToLive)
			assert.Positive(t, reply.Took)
			require.NoError(t, packetpool.Release(reply.Packet))
		}
	}
	last, err := ICMPEcho(a, EchoRequest{Address: absent}, nx.NoWait)
	requireStatus(t, nx.NoResponse, err)
	assert.EqualValues(t, 6, last.Sequence, "counted over both families")
}

// An ICMP error that quotes the request ends an echo, with its words, and never
// a ping, which waits as NetX Duo's does.
func TestEchoErrors(t *testing.T) {
	for name, c := range map[string]struct {
		own, to, router netip.Addr
		kind, code      uint8
		words           string
		exceeded        bool
	}{
		"unreachable":      {addressA, offLink, addressB, icmpUnreachable, 1, "destination host unreachable, says 1.2.3.5", false},
		"odd code":         {addressA, offLink, addressB, icmpUnreachable, 77, "destination unreachable, code 77, says 1.2.3.5", false},
		"exceeded":         {addressA, offLink, addressB, icmpTimeExceed, 0, "time to live exceeded, says 1.2.3.5", true},
		"parameter":        {addressA, offLink, addressB, icmpParameter, 0, "ICMP type 12, code 0, says 1.2.3.5", false},
		"IPv6 no route":    {address6A, offLink6, address6B, icmpv6Unreachable, 0, "no route to the destination, says 2001:db8:1::1:5", false},
		"IPv6 exceeded":    {address6A, offLink6, address6B, 3, 0, "time to live exceeded, says 2001:db8:1::1:5", true},
		"IPv6 too big":     {address6A, offLink6, address6B, 2, 0, "packet too big, says 2001:db8:1::1:5", false},
		"IPv6 unreachable": {address6A, offLink6, address6B, icmpv6Unreachable, 3, "address unreachable, says 2001:db8:1::1:5", false},
	} {
		t.Run(name, func(t *testing.T) {
			network := ram.NewNetwork(ram.Config{Manual: true})
			inst := host(t, network.Driver(), addressA, &Config{NoDAD: true})
			require.NoError(t, ICMPEnable(inst))
			require.NoError(t, IPv6Enable(inst))
			_, err := IPv6AddressSet(inst, 0, address6A, 64)
			require.NoError(t, err)
			require.NoError(t, GatewayAddressSet(inst, addressB))
			require.NoError(t, IPv6DefaultRouterAdd(inst, address6B, 0xFFFF, 0))

			answer := func(request func() error) error {
				done := make(chan error, 1)
				go func() { done <- request() }()
				frame, ok := network.Step()
				for !ok || !isEcho(frame.Data) { // the request is not there yet
					runtime.Gosched()
					frame, ok = network.Step()
				}
				deliver(network, icmpErrorFrame(c.router, c.own, c.kind, c.code, frame.Data))
				return <-done
			}
			err = answer(func() error {
				return noErr(ICMPEcho(inst, EchoRequest{Address: c.to, Data: pingData(8)}, nx.Ticks(time.Minute)))
			})
			requireStatus(t, nx.NoResponse, err)
			var said *EchoError
			require.ErrorAs(t, err, &said)
			assert.Equal(t, c.words, said.Error())
			assert.Equal(t, c.exceeded, said.TimeExceeded())

			err = answer(func() error { return noErr(ICMPPing(inst, c.to, pingData(8), 20)) })
			requireStatus(t, nx.NoResponse, err)
			assert.False(t, errors.As(err, &said), "it does not know")
		})
	}
}

// isEcho tells an echo request from what the stack may say by itself.
func isEcho(datagram []byte) bool {
	if datagram[0]>>4 == header.IPv4Version {
		return header.IPv4(datagram).Protocol() == protocolICMP && datagram[header.IPv4MinimumSize] == icmpEcho
	}
	return datagram[6] == protocolICMPv6 && datagram[header.IPv6MinimumSize] == icmpv6Echo
}

// icmpErrorFrame is an error of a router's about a datagram.
func icmpErrorFrame(router, to netip.Addr, kind, code uint8, about []byte) []byte {
	message := append([]byte{kind, code, 0, 0, 0, 0, 0, 0}, about...)
	if router.Is4() {
		sum := ^checksum.Checksum(message, 0)
		message[2], message[3] = byte(sum>>8), byte(sum)
		return ipv4Frame(router, to, protocolICMP, message)
	}
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, toStack(router), toStack(to), uint16(len(message)))
	sum = ^checksum.Checksum(message, sum)
	message[2], message[3] = byte(sum>>8), byte(sum)
	return ipv6Frame(router, to, protocolICMPv6, message)
}

// What an error quotes may be anything.
func TestEchoErrorsWithOddQuotes(t *testing.T) {
	inst, network := manual(t, nxtest.NewPool(t, 256, 8))
	require.NoError(t, ICMPEnable(inst))
	for _, quote := range [][]byte{nil, {0x45}, make([]byte, 19), make([]byte, 20), append([]byte{0x4F}, make([]byte, 30)...), append([]byte{0x45, 9: protocolICMP}, make([]byte, 10)...)} {
		deliver(network, icmpErrorFrame(addressB, addressA, icmpUnreachable, 1, quote))
		deliver(network, icmpErrorFrame(address6B, address6A, icmpv6Unreachable, 1, quote))
	}
}
