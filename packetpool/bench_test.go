package packetpool_test

import (
	"fmt"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

func benchPool(b *testing.B, payload, packets uint32) *packetpool.Pool {
	pool := new(packetpool.Pool)
	if err := packetpool.PoolCreate(pool, "bench", payload, packets*(60+payload)); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = packetpool.PoolDelete(pool) })
	return pool
}

// One packet taken and given back, with all checks.
func BenchmarkAllocateRelease(b *testing.B) {
	pool := benchPool(b, 1536, 64)
	b.ReportAllocs()
	for b.Loop() {
		packet, err := packetpool.Allocate(pool, packetpool.IPv4TCPPacket, nx.NoWait)
		if err != nil {
			b.Fatal(err)
		}
		if err := packetpool.Release(packet); err != nil {
			b.Fatal(err)
		}
	}
}

// The same by two goroutines at once. The figure is the time of one goroutine
// for one packet.
func BenchmarkAllocateReleaseTwo(b *testing.B) {
	pool := benchPool(b, 1536, 64)
	b.ReportAllocs()
	done := make(chan error, 2)
	for range 2 {
		go func() {
			for range b.N {
				packet, err := packetpool.Allocate(pool, packetpool.IPv4TCPPacket, nx.NoWait)
				if err == nil {
					err = packetpool.Release(packet)
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

var sizes = []int{64, 1460, 16384, 65536}

// Appending to a fresh packet, with the packets that it takes.
func BenchmarkDataAppend(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			pool := benchPool(b, 1536, 64)
			data := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				packet, _ := packetpool.Allocate(pool, packetpool.IPv4TCPPacket, nx.NoWait)
				if err := packetpool.DataAppend(packet, data, pool, nx.NoWait); err != nil {
					b.Fatal(err)
				}
				_ = packetpool.Release(packet)
			}
		})
	}
}

// What copying the same bytes costs when nothing is checked.
func BenchmarkMemory(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			from, to := make([]byte, size), make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				copy(to, from)
			}
		})
	}
}

func BenchmarkDataExtractOffset(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			pool := benchPool(b, 1536, 64)
			packet, _ := packetpool.Allocate(pool, packetpool.IPv4TCPPacket, nx.NoWait)
			if err := packetpool.DataAppend(packet, make([]byte, size), pool, nx.NoWait); err != nil {
				b.Fatal(err)
			}
			buffer := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := packetpool.DataExtractOffset(packet, 0, buffer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDataRetrieve(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			pool := benchPool(b, 1536, 64)
			packet, _ := packetpool.Allocate(pool, packetpool.IPv4TCPPacket, nx.NoWait)
			if err := packetpool.DataAppend(packet, make([]byte, size), pool, nx.NoWait); err != nil {
				b.Fatal(err)
			}
			buffer := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := packetpool.DataRetrieve(packet, buffer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A snapshot by owner of a pool of 4096 packets, half of them out.
func BenchmarkHolders(b *testing.B) {
	pool := benchPool(b, 128, 4096)
	for i := range 2048 {
		packet, _ := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
		if i%2 == 0 {
			_, _ = packetpool.Enqueue(packet, packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "mail"})
		}
	}
	for b.Loop() {
		if len(pool.Holders()) != 2 {
			b.Fatal("two owners")
		}
	}
}
