package tcp_test

import (
	"testing"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/require"
)

// Two instances on a network in memory: no device and no system call, so what is
// measured is this package, ip, the pool and gVisor.

func benchPair(b *testing.B) (a, z *host) {
	c := hostConfig{payload: 1536, packets: 512, unrecorded: true}
	return pairOn(b, ram.NewNetwork(ram.Config{}), c, c)
}

func overFamilies(b *testing.B, f func(b *testing.B, family string)) {
	for _, family := range []string{"IPv4", "IPv6"} {
		b.Run(family, func(b *testing.B) { f(b, family) })
	}
}

// drainTo releases n bytes of what a socket receives.
func drainTo(s *tcp.Socket, n int) error {
	for n > 0 {
		packet, err := tcp.SocketReceive(s, nx.WaitForever)
		if err != nil {
			return err
		}
		length, err := packetpool.LengthGet(packet)
		if err != nil {
			return err
		}
		n -= int(length)
		if err := packetpool.Release(packet); err != nil {
			return err
		}
	}
	return nil
}

// sendOne sends one message out of the pool.
func sendOne(pool *packetpool.Pool, s *tcp.Socket, data []byte) error {
	packet, err := packetpool.Allocate(pool, packetpool.TCPPacket, nx.WaitForever)
	if err != nil {
		return err
	}
	if err = packetpool.DataAppend(packet, data, pool, nx.WaitForever); err == nil {
		err = tcp.SocketSend(s, packet, nx.WaitForever)
	}
	if err != nil {
		_ = packetpool.Release(packet) // the first error counts
	}
	return err
}

// BenchmarkTransfer is a message of 1400 bytes, one segment, from pool to pool.
func BenchmarkTransfer(b *testing.B) {
	overFamilies(b, func(b *testing.B, family string) {
		a, z := benchPair(b)
		client, server := establishedWith(b, a, z, family, 65535, 65535, nil)
		pool := nxtest.NewPool(b, 1536, 64) // out of which nothing is received
		data := make([]byte, 1400)
		done := make(chan error, 1)
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		b.ResetTimer()
		go func(n int) { done <- drainTo(server, n) }(b.N * len(data))
		for range b.N {
			require.NoError(b, sendOne(pool, client, data))
		}
		require.NoError(b, <-done)
	})
}

// BenchmarkRoundTrip is 64 bytes there and back: what a dialogue is made of.
func BenchmarkRoundTrip(b *testing.B) {
	overFamilies(b, func(b *testing.B, family string) {
		a, z := benchPair(b)
		client, server := establishedWith(b, a, z, family, 8192, 8192, nil)
		data := make([]byte, 64)
		done := make(chan error, 1)
		b.ReportAllocs()
		b.ResetTimer()
		go func(n int) {
			for range n {
				if err := drainTo(server, len(data)); err != nil {
					done <- err
					return
				}
				if err := sendOne(z.pool, server, data); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}(b.N)
		for range b.N {
			require.NoError(b, sendOne(a.pool, client, data))
			require.NoError(b, drainTo(client, len(data)))
		}
		require.NoError(b, <-done)
	})
}

// BenchmarkConnect is a connection made and ended by both sides: six services, and
// seven segments.
func BenchmarkConnect(b *testing.B) {
	overFamilies(b, func(b *testing.B, family string) {
		a, z := benchPair(b)
		server, client := z.socket(b, 8192, nil), a.socket(b, 8192, nil)
		require.NoError(b, tcp.ServerSocketListen(&z.inst, port, server, 5, nil))
		b.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&z.inst, port) })
		b.ReportAllocs()
		for b.Loop() {
			require.NoError(b, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
			requireStatus(b, nx.InProgress, tcp.ClientSocketConnect(client, z.addr[family], port, nx.NoWait))
			require.NoError(b, tcp.ServerSocketAccept(server, 1000))
			require.NoError(b, tcp.SocketStateWait(client, tcp.Established, 1000))
			done := make(chan error, 1)
			go func() { done <- tcp.SocketDisconnect(client, 1000) }()
			_, err := tcp.SocketReceive(server, 1000)
			require.Error(b, err)
			require.NoError(b, tcp.SocketDisconnect(server, 1000))
			require.NoError(b, <-done)
			require.NoError(b, tcp.ServerSocketUnaccept(server))
			require.NoError(b, tcp.ServerSocketRelisten(&z.inst, port, server))
			require.NoError(b, tcp.ClientSocketUnbind(client))
		}
	})
}
