package tcp_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A transfer is whole, whatever the window, the pools and the sizes of the
// messages are.
func TestTransfer(t *testing.T) {
	for _, row := range []struct {
		name             string
		window           uint32
		payload, packets uint32
		message          int
		bytes            int
	}{
		{"plain", 8192, 1536, 64, 1000, 1 << 20},
		{"large messages", 65535, 1536, 64, 4000, 1 << 20},
		{"one MSS", 1460, 1536, 64, 1460, 1 << 18},
		{"window 100", 100, 1536, 64, 300, 20_000},
		{"chained packets", 4000, 128, 64, 500, 1 << 17},
		{"the guide's pool", 1460, 128, 10, 200, 1 << 14},
		{"eight packets of 800 bytes", 65535, 800, 8, 700, 10_000_000},
	} {
		families(t, func(t *testing.T, family string) {
			t.Run(row.name, func(t *testing.T) {
				config := hostConfig{payload: row.payload, packets: row.packets}
				a, b := pairOn(t, ram.NewNetwork(ram.Config{}), config, config)
				client, server := establishedWith(t, a, b, family, row.window, row.window, nil)
				if testing.Short() {
					row.bytes = min(row.bytes, 1<<18)
				}
				data := make([]byte, row.bytes)
				_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
				done := make(chan error, 1)
				// A program that sends out of the pool that acknowledgements come into may
				// stop itself, here as with NetX Duo.
				pool := nxtest.NewPool(t, 800, 9)
				go func() { done <- sendAll(pool, client, data, row.message, nx.WaitForever) }()
				sum := sha256.New()
				for left := row.bytes; left > 0; {
					packet, err := tcp.SocketReceive(server, 2000)
					require.NoError(t, err, "%d bytes are missing", left)
					got := contents(t, packet)
					require.LessOrEqual(t, len(got), row.bytes)
					sum.Write(got)
					left -= len(got)
				}
				require.NoError(t, <-done)
				want := sha256.Sum256(data)
				assert.Equal(t, want[:], sum.Sum(nil))
			})
		})
	}
}

func sendAll(pool *packetpool.Pool, s *tcp.Socket, data []byte, size int, wait nx.Wait) error {
	for r := bytes.NewReader(data); ; {
		piece := make([]byte, size)
		n, err := r.Read(piece)
		if err == io.EOF {
			return nil
		}
		packet, err := packetpool.Allocate(pool, packetpool.TCPPacket, 1000)
		if err != nil {
			return err
		}
		if err := packetpool.DataAppend(packet, piece[:n], pool, 1000); err != nil {
			return err
		}
		if err := tcp.SocketSend(s, packet, wait); err != nil {
			_ = packetpool.Release(packet)
			return fmt.Errorf("%d bytes left: %w", r.Len()+n, err)
		}
	}
}

// With one packet for what comes in, a transfer is whole or ends with an error
// when a wait is over; nothing hangs.
func TestPoolOfOnePacket(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		one := hostConfig{payload: 1536, packets: 1}
		a, b := pairWith(t, one, one)
		pool := nxtest.NewPool(t, 1536, 1)
		server := b.socket(t, 8192, nil)
		require.NoError(t, tcp.ServerSocketListen(&b.inst, port, server, 5, nil))
		t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&b.inst, port) })
		accepted := make(chan error, 1)
		go func() { accepted <- tcp.ServerSocketAccept(server, 300) }()
		client := a.socket(t, 8192, nil)
		require.NoError(t, tcp.ClientSocketBind(client, tcp.AnyPort, nx.NoWait))
		err := tcp.ClientSocketConnect(client, b.addr[family], port, 300)
		if acceptErr := <-accepted; err != nil || acceptErr != nil {
			t.Logf("connect: %v, accept: %v", err, acceptErr)
			return
		}
		data := make([]byte, 20_000)
		_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
		sent := make(chan error, 1)
		// A wait for ever would be one: of this message a part must be sent first,
		// and the packet for it is the one that holds the message.
		go func() { sent <- sendAll(pool, client, data, 1000, 100) }()
		var got []byte
		for len(got) < len(data) {
			packet, err := tcp.SocketReceive(server, 100)
			if err != nil {
				t.Logf("receive: %v", err)
				_ = tcp.SocketDisconnect(server, nx.NoWait)
				_ = tcp.SocketDisconnect(client, nx.NoWait) // ends its send
				break
			}
			got = append(got, contents(t, packet)...)
		}
		if err := <-sent; err != nil {
			t.Logf("send: %v", err)
		}
		assert.Equal(t, data[:len(got)], got)
	})
}

// Both sides send full segments while both miss some: a segment that would be
// too long by its selective acknowledgements goes without them. gVisor does not
// know that it is (the MSS is all data), and would lose it again and again.
func TestSelectiveAcknowledgementsOnFullSegments(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		var n atomic.Uint64
		lossy := ram.NewNetwork(ram.Config{Hook: func(f ram.Frame) ram.Verdict {
			if len(f.Data) > 1000 && n.Add(1)%10 == 0 {
				return ram.Drop
			}
			return ram.Pass
		}})
		config := hostConfig{payload: 1536, packets: 256}
		a, b := pairOn(t, lossy, config, config)
		client, server := establishedWith(t, a, b, family, 65535, 65535, &tcp.Config{TransmitQueue: 200})
		const size, message = 300_000, 4000
		done := make(chan error, 4)
		for i, s := range []*tcp.Socket{client, server} {
			pool := nxtest.NewPool(t, 1536, 256)
			go func() { done <- sendAll(pool, s, make([]byte, size), message, nx.WaitForever) }()
			go func() { done <- receiveBytes([]*tcp.Socket{server, client}[i], size) }()
		}
		for range 4 {
			require.NoError(t, <-done)
		}
		for _, h := range []*host{a, b} {
			info, err := ip.InfoGet(&h.inst)
			require.NoError(t, err)
			assert.Empty(t, info.Drops)
		}
	})
}

func receiveBytes(s *tcp.Socket, n int) error {
	for n > 0 {
		packet, err := tcp.SocketReceive(s, 2000)
		if err != nil {
			return fmt.Errorf("%d bytes are missing: %w", n, err)
		}
		length, _ := packetpool.LengthGet(packet)
		n -= int(length)
		if err := packetpool.Release(packet); err != nil {
			return err
		}
	}
	return nil
}
