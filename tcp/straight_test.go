package tcp_test

import (
	"slices"
	"testing"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// withOptions is a segment in a datagram with options that mean nothing.
func withOptions(frame []byte) []byte {
	if frame[0]>>4 == header.IPv6Version {
		h := header.IPv6(slices.Insert(slices.Clone(frame), header.IPv6MinimumSize, frame[6], 0, 1, 4, 0, 0, 0, 0)) // PadN
		h[6] = 0                                                                                                    // hop by hop
		h.SetPayloadLength(h.PayloadLength() + 8)
		return h
	}
	h := header.IPv4(slices.Insert(slices.Clone(frame), header.IPv4MinimumSize, 1, 1, 1, 1)) // no operation
	h.SetHeaderLength(header.IPv4MinimumSize + 4)
	h.SetTotalLength(uint16(len(h)))
	h.SetChecksum(0)
	h.SetChecksum(^h.CalculateChecksum())
	return h
}

// A plain segment of a connection goes from the gate straight to gVisor's endpoint. One
// with IP options goes through the network layer, and arrives as well.
func TestPlainSegmentsGoStraight(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		var held []byte
		hold := false
		w := driven.New(driven.Config{Verdict: func(f ram.Frame) ram.Verdict {
			if hold && f.From == "A" {
				held = slices.Clone(f.Data)
				return ram.Drop
			}
			return ram.Pass
		}})
		t.Cleanup(w.Close)
		with := hostConfig{ip: ip.Config{Clock: w.Clock}}
		a := newHost(t, "A", w.Network.Driver(), addressA, address6A, with)
		b := newHost(t, "B", w.Network.Driver(), addressB, address6B, with)
		server, client := b.socket(t, 8192, nil), a.socket(t, 8192, nil)
		require.NoError(t, tcp.ServerSocketListen(&b.inst, port, server, 5, nil))
		t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&b.inst, port) })
		requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(server, nx.NoWait))
		require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
		requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(client, b.addr[family], port, nx.NoWait))
		w.Sleep(5)
		network := b.inst.Stack().Stats().IP.PacketsDelivered
		before := network.Value()

		require.NoError(t, tcp.SocketSend(client, a.message(t, []byte("straight")), nx.NoWait))
		w.Sleep(5)
		assert.Equal(t, []byte("straight"), receive(t, server, nx.NoWait))
		assert.Equal(t, before, network.Value())

		hold = true
		require.NoError(t, tcp.SocketSend(client, a.message(t, []byte("with options")), nx.NoWait))
		w.Sleep(1)
		hold = false
		require.NotEmpty(t, held)
		w.Network.Inject(withOptions(held))
		w.Sleep(1)
		assert.Equal(t, []byte("with options"), receive(t, server, nx.NoWait))
		assert.Equal(t, before+1, network.Value())
	})
}
