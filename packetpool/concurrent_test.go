package packetpool_test

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
)

// These tests are about the race detector as much as about what they assert.

const rounds = 300 // of each goroutine

// Many goroutines take, fill, check, pass and release packets of a pool that
// is too small for them. Each finds its own bytes, and all come back.
func TestManyGoroutinesOnOnePool(t *testing.T) {
	pool := nxtest.NewPool(t, 64, 24)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() { useAndRelease(t, pool, byte(g+1)) })
	}
	wg.Wait()
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	assert.Zero(t, info.InvalidPacketReleases)
	assert.Zero(t, packetpool.Suspended(pool))
}

func useAndRelease(t *testing.T, pool *packetpool.Pool, mark byte) {
	own := bytes.Repeat([]byte{mark}, 150)
	got := make([]byte, len(own))
	for i := range rounds {
		p, err := packetpool.Allocate(pool, packetpool.IPv4Packet, nx.WaitForever)
		if !assert.NoError(t, err) {
			return
		}
		// A waiting append while others wait with a packet in hand could lock all of
		// them up, as it could in the original: so this one does not wait.
		if packetpool.DataAppend(p, own, pool, nx.NoWait) == nil {
			_, err = packetpool.DataRetrieve(p, got)
			assert.NoError(t, err)
			if !assert.Equal(t, own, got) {
				return
			}
		}
		if i%2 == 0 {
			p, err = packetpool.Enqueue(p, packetpool.Owner{Kind: packetpool.TransmitQueue, Name: fmt.Sprint(mark)})
			assert.NoError(t, err)
			assert.NoError(t, packetpool.Dequeue(p))
		} else {
			assert.NoError(t, packetpool.Release(p))
		}
	}
}

// One handle is released by many; one of them succeeds.
func TestOneReleaseWins(t *testing.T) {
	pool := nxtest.NewPool(t, 64, 4)
	const releasers = 4
	for range rounds {
		p := message(t, pool, 0, 100)
		var won atomic.Int32
		var wg sync.WaitGroup
		for range releasers {
			wg.Go(func() {
				if packetpool.Release(p) == nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load())
	}
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	assert.EqualValues(t, rounds*(releasers-1), info.InvalidPacketReleases)
}

// A stale handle is used while the packet has another owner, who writes and
// reads: the handle reads nothing, changes nothing, and frees nothing.
func TestStaleHandleNeverHitsTheNewOwner(t *testing.T) {
	pool := nxtest.NewPool(t, 64, 1)
	old := stale(t, pool)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for _, use := range []func() error{
		func() error { return packetpool.Release(old) },
		func() error { return packetpool.TransmitRelease(old) },
		func() error { return packetpool.DataAppend(old, []byte("foreign"), pool, nx.NoWait) },
		func() error { _, err := packetpool.DataRetrieve(old, make([]byte, 64)); return err },
		func() error { _, err := packetpool.DataExtractOffset(old, 0, make([]byte, 64)); return err },
		func() error { _, err := packetpool.Copy(old, pool, nx.NoWait); return err },
		func() error { _, err := packetpool.LengthGet(old); return err },
		func() error { _, err := packetpool.Enqueue(old, packetpool.Owner{}); return err },
		func() error { return packetpool.Trim(old, 1) },
		func() error { return packetpool.DataAdjust(old, 40) },
	} {
		wg.Go(func() {
			for !stop.Load() {
				assert.ErrorIs(t, use(), nx.PtrError)
			}
		})
	}
	for i := range rounds {
		p, err := packetpool.Allocate(pool, 0, nx.WaitForever)
		require.NoError(t, err)
		own := bytes.Repeat([]byte{byte(i)}, 64)
		require.NoError(t, packetpool.DataAppend(p, own, pool, nx.NoWait))
		require.Equal(t, own, retrieve(t, p))
		require.NoError(t, packetpool.Release(p))
	}
	stop.Store(true)
	wg.Wait()
}

// One good handle is used by many at once, and released in between: every
// service sees the message before or after another one.
func TestOneHandleManyGoroutines(t *testing.T) {
	pool := nxtest.NewPool(t, 32, 32)
	for range rounds / 10 {
		p := take(t, pool, 0)
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				mark := bytes.Repeat([]byte{byte(g + 1)}, 40)
				for range 4 {
					if packetpool.DataAppend(p, mark, pool, nx.NoWait) != nil {
						return // released, or no packet is left
					}
				}
			})
			wg.Go(func() {
				got := make([]byte, 40*16)
				for range 8 {
					n, err := packetpool.DataRetrieve(p, got)
					if err != nil {
						return
					}
					for i := 0; i < int(n); i += 40 {
						if !assert.Equal(t, bytes.Repeat(got[i:i+1], 40), got[i:i+40], "no append is seen in part") {
							return
						}
					}
				}
			})
		}
		wg.Go(func() { assert.NoError(t, packetpool.Release(p)) })
		wg.Wait()
		require.Equal(t, 32, free(t, pool))
	}
}

// Packets go to waiters in the order in which they came, whoever else asks.
func TestWaitersAreServedInOrder(t *testing.T) {
	var clock nxtest.Clock
	pool := nxtest.NewPool(t, 64, 1, nxtest.On(&clock))
	held := take(t, pool, 0)
	var served []int
	const waiters = 20
	var tried [waiters]chan struct{} // to take the packet from the next one
	for i := range waiters {
		tried[i] = make(chan struct{})
		clock.Go(func() {
			clock.Sleep(nx.Wait(i + 1))
			p, err := packetpool.Allocate(pool, 0, nx.WaitForever)
			assert.NoError(t, err)
			served = append(served, i)
			if i > 0 {
				<-tried[i-1]
			}
			assert.NoError(t, packetpool.Release(p))
			if i < waiters-1 {
				_, err = packetpool.Allocate(pool, 0, nx.NoWait)
				assert.ErrorIs(t, err, nx.NoPacket, "nobody takes it in between")
			}
			close(tried[i])
		})
	}
	clock.Go(func() {
		clock.Sleep(waiters + 10)
		assert.NoError(t, packetpool.Release(held))
	})
	clock.Wait(t)
	for i, n := range served {
		assert.Equal(t, i, n)
	}
	assert.Len(t, served, waiters)
}

// Waits that end, releases and deletes race: nobody is forgotten and no packet
// is lost.
func TestWaitsReleasesAndDeleteRace(t *testing.T) {
	for range rounds / 10 {
		pool := &packetpool.Pool{}
		require.NoError(t, packetpool.PoolCreate(pool, "racing", 64, 3*124))
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for {
					p, err := packetpool.Allocate(pool, 0, 1)
					switch nx.Code(err) {
					case uint(nx.Success):
						if err := packetpool.Release(p); err != nil {
							assert.ErrorIs(t, err, nx.PtrError, "deleted meanwhile")
							return
						}
					case uint(nx.NoPacket):
					case uint(nx.PoolDeleted), uint(nx.PtrError):
						return
					default:
						t.Errorf("unexpected: %v", err)
						return
					}
				}
			})
		}
		wg.Go(func() {
			for range 20 {
				_, _ = packetpool.PoolInfoGet(pool)
				pool.Holders()
			}
			assert.NoError(t, packetpool.PoolDelete(pool))
		})
		wg.Wait()
		assert.Zero(t, packetpool.Suspended(pool))
	}
}

// A control block is created, used and deleted by many at once.
func TestCreateAndDeleteRace(t *testing.T) {
	pool := new(packetpool.Pool)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range rounds {
				_ = packetpool.PoolCreate(pool, "racing", 64, 1000)
				if p, err := packetpool.Allocate(pool, 0, nx.NoWait); err == nil {
					_ = packetpool.DataAppend(p, []byte("x"), pool, nx.NoWait)
					_ = packetpool.Release(p)
				}
				_ = packetpool.PoolDelete(pool)
			}
		})
	}
	wg.Wait()
	_ = packetpool.PoolDelete(pool)
}

// Readers, a stack that holds clones for a while, and programs that receive
// and allocate, all on one pool.
func TestFramesAndProgramsOnOnePool(t *testing.T) {
	pool := nxtest.NewPool(t, 64, 24)
	frames := make(chan buffer.Buffer, 4)
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			r := newReader(pool)
			for i := range rounds {
				data := bytes.Repeat([]byte{byte(2*i + g)}, 150)
				areas := r.Reserve(len(data))
				if len(areas) < 3 {
					r.Return()
					continue // the frame is dropped
				}
				rest := data
				for _, area := range areas {
					rest = rest[copy(area, rest):]
				}
				payload, frame := r.Commit(len(data), 0)
				frames <- payload.Clone()
				frame.Reclaim(payload.AsViewList())
				payload.Release()
			}
			r.Return()
		})
	}
	var programs, consumers sync.WaitGroup
	segments := make(chan packetpool.Packet, 16)
	for range 2 {
		// One program takes frames apart, and others release what they share.
		programs.Go(func() {
			for frame := range frames {
				a := pool.Arrive(queueOfS, 0)
				var messages []packetpool.Packet
				views := frame.AsViewList()
				for v := views.Front(); v != nil; v = v.Next() {
					b := v.AsSlice()
					messages, _, _ = a.AddUnits(b, []int{len(b) / 3, len(b) / 2, len(b)}, messages)
				}
				frame.Release()
				for _, p := range messages {
					segments <- p
				}
			}
		})
		consumers.Go(func() {
			for p := range segments {
				data := retrieve(t, p)
				assert.Equal(t, bytes.Repeat(data[:1], len(data)), data)
				switch len(data) % 3 {
				case 0:
					_ = packetpool.DataAppend(p, []byte("more"), pool, nx.NoWait)
				case 1:
					_ = packetpool.DataAdjust(p, 40)
				}
				assert.NoError(t, packetpool.Release(p))
			}
		})
		programs.Go(func() {
			for frame := range frames {
				a := pool.Arrive(queueOfS, 0)
				views := frame.AsViewList()
				var err error
				for v := views.Front(); v != nil && err == nil; v = v.Next() {
					err = a.Add(v.AsSlice())
				}
				n, p := a.Length(), a.Message()
				frame.Release()
				if err != nil {
					assert.ErrorIs(t, err, nx.NoPacket)
				} else {
					assert.Equal(t, 150, n)
				}
				if n == 0 {
					continue
				}
				data := retrieve(t, p)
				assert.Equal(t, bytes.Repeat(data[:1], n), data)
				_ = packetpool.DataAppend(p, []byte("more"), pool, nx.NoWait)
				assert.NoError(t, packetpool.Release(p))
			}
		})
		programs.Go(func() {
			for range rounds {
				if p, err := packetpool.Allocate(pool, 0, nx.NoWait); err == nil {
					_ = packetpool.DataAppend(p, bytes.Repeat([]byte{0xEE}, 100), pool, nx.NoWait)
					assert.NoError(t, packetpool.Release(p))
				}
			}
		})
	}
	wg.Wait()
	close(frames)
	programs.Wait()
	close(segments)
	consumers.Wait()
}

// A pool is deleted while a program receives from it, and reads what it has
// received: all its packets of a message, which stay as they are.
func TestArrivalReadAndDeleteRace(t *testing.T) {
	data := counting(150)
	for range rounds {
		pool := &packetpool.Pool{}
		require.NoError(t, packetpool.PoolCreate(pool, "racing", 64, 24*124))
		var wg sync.WaitGroup
		wg.Go(func() {
			a := pool.Arrive(queueOfS, 0)
			for n := 0; n < 8 && a.Add(data) == nil; n++ {
				p := a.Message()
				defer func() { _ = packetpool.Release(p) }()
				got := make([]byte, len(data))
				_, err := packetpool.DataRetrieve(p, got)
				assert.NoError(t, err)
				assert.Equal(t, data, got)
			}
		})
		wg.Go(func() {
			for range 3 {
				_, _ = packetpool.PoolInfoGet(pool)
			}
			assert.NoError(t, packetpool.PoolDelete(pool))
		})
		wg.Wait()
	}
}
