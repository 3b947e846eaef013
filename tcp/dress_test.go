package tcp_test

import (
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

// Every segment of a socket has its time to live, type of service and leave to
// be fragmented: SYN, SYN-ACK, data, acknowledgements, window updates, FIN and
// RST. Over IPv6 the hop limit is the instance's.
func TestHeaderOfSegments(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		seen := map[header.TCPFlags]int{}
		var frames []ram.Frame
		w := driven.New(driven.Config{Sent: func(f ram.Frame) {
			f.Data = append([]byte(nil), f.Data...)
			frames = append(frames, f)
		}})
		t.Cleanup(w.Close)
		with := hostConfig{ip: ip.Config{Clock: w.Clock}}
		a := newHost(t, "A", w.Network.Driver(), addressA, address6A, with)
		b := newHost(t, "B", w.Network.Driver(), addressB, address6B, with)
		socket := func(h *host, tos, fragment uint32, ttl uint) *tcp.Socket {
			s := new(tcp.Socket)
			require.NoError(t, tcp.SocketCreate(&h.inst, s, t.Name(), tos, fragment, ttl, 1000, nil, nil))
			t.Cleanup(func() { takeDown(t, h, s) })
			return s
		}
		client, server := socket(a, tcp.IPMinDelay, tcp.FragmentOkay, 7), socket(b, tcp.IPMaxReliable, tcp.DontFragment, 9)
		require.NoError(t, tcp.ServerSocketListen(&b.inst, port, server, 5, nil))
		t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&b.inst, port) })
		requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(server, nx.NoWait))
		require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
		requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(client, b.addr[family], port, nx.NoWait))
		w.Sleep(5)
		require.NoError(t, tcp.SocketSend(client, a.message(t, []byte("to the server")), nx.NoWait))
		for range 2 { // the second one is announced by a window update
			require.NoError(t, tcp.SocketSend(server, b.message(t, make([]byte, 600)), nx.NoWait))
			w.Sleep(5)
			receive(t, client, nx.NoWait)
			w.Sleep(50)
		}
		w.Go(driven.Thread{}, func() { _ = tcp.SocketDisconnect(client, 20) }, nil)
		w.Sleep(10)
		_ = tcp.SocketDisconnect(server, nx.NoWait)
		w.Sleep(30)

		for _, f := range frames {
			if f.Data[0]>>4 == header.IPv6Version {
				assert.EqualValues(t, 255, header.IPv6(f.Data).HopLimit())
				seen[header.TCP(f.Data[40:]).Flags()]++
				continue
			}
			h := header.IPv4(f.Data)
			tos, _ := h.TOS()
			got := [3]uint8{tos, h.TTL(), h.Flags() & header.IPv4FlagDontFragment}
			flags := header.TCP(f.Data[h.HeaderLength():]).Flags()
			seen[flags]++
			if f.From == "A" {
				assert.Equal(t, [3]uint8{tcp.IPMinDelay >> 16, 7, 0}, got, "%v of the client", flags)
			} else {
				assert.Equal(t, [3]uint8{tcp.IPMaxReliable >> 16, 9, header.IPv4FlagDontFragment}, got, "%v of the server", flags)
			}
			assert.True(t, h.IsChecksumValid())
		}
		for _, flags := range []header.TCPFlags{
			header.TCPFlagSyn, header.TCPFlagSyn | header.TCPFlagAck, header.TCPFlagAck,
			header.TCPFlagAck | header.TCPFlagPsh, header.TCPFlagAck | header.TCPFlagFin, header.TCPFlagRst,
		} {
			assert.Positive(t, seen[flags], "%v", flags)
		}
	})
}
