package packetpool

// nx_packet_pool_create, nx_packet_pool_delete, nx_packet_pool_info_get,
// nx_packet_pool_low_watermark_set

import (
	"sync/atomic"

	"gonetx/packetpool/nx"
)

// Pool is the control block of a packet pool, NX_PACKET_POOL. The zero Pool is
// not created: every service but [PoolCreate] answers it with NX_PTR_ERROR. A
// created Pool must not be copied.
type Pool struct {
	// Config is read by PoolCreate. Nil is NetX Duo's default build.
	Config *Config

	store atomic.Pointer[store] // what the last PoolCreate made; stays after a delete
}

// Config is what NetX Duo fixes when it is compiled, and what the pool shows
// to others. The zero value of every field is NetX Duo's.
type Config struct {
	// Clock counts the ticks of the wait options. Nil: the machine's.
	Clock nx.Clock

	// Recorder gets an event for every packet taken and given back, and for
	// every request that found the pool empty. Nil: nobody looks.
	Recorder nx.Recorder

	// PacketSize is sizeof(NX_PACKET), the header that takes its part of the
	// pool's memory before each payload. Zero: 60, as with 4-byte pointers. The
	// 64-bit Linux port has 104.
	PacketSize uint32

	// PacketAlignment is NX_PACKET_ALIGNMENT. Zero: 4.
	PacketAlignment uint32

	// Sites makes the pool remember where each packet was allocated, for
	// [Pool.Outstanding]. It costs a stack walk for each packet; it is for tests.
	Sites bool
}

// PoolInfo is what [PoolInfoGet] answers.
type PoolInfo struct {
	TotalPackets          uint32
	FreePackets           uint32
	EmptyPoolRequests     uint32 // requests that found no packet, waiting or not
	EmptyPoolSuspensions  uint32 // those of them that waited
	InvalidPacketReleases uint32 // releases of packets that their caller did not have
}

// PoolCreate makes a pool of packets with payloadSize bytes each,
// nx_packet_pool_create. A NetX Duo program brings the memory; here its size
// says how many packets there are: with the default build
//
//	floor(memorySize rounded down to 4 / (60 + payloadSize rounded up to 4))
//
// Headers lie in the payload, so it must hold them too: 56 bytes of an IPv4
// TCP packet, 76 of an IPv6 one. The name is for people.
//
// Errors, in the order in which they are checked:
//
//	NX_PTR_ERROR   pool is nil
//	NX_SIZE_ERROR  payloadSize is 0, or memorySize holds no packet
//	NX_PTR_ERROR   pool is created already
func PoolCreate(pool *Pool, name string, payloadSize, memorySize uint32) error {
	const service = "packetpool.PoolCreate"
	if pool == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	config := pool.Config.withDefaults()
	packets, size := geometry(payloadSize, memorySize, config.PacketSize, config.PacketAlignment)
	if packets == 0 {
		return nx.Fail(service, nx.SizeError, nil)
	}
	old := pool.store.Load()
	if old.created() {
		return nx.Fail(service, nx.PtrError, errCreated)
	}
	s := newStore(name, payloadSize, size, packets, config)
	if !pool.store.CompareAndSwap(old, s) {
		s.delete()
		return nx.Fail(service, nx.PtrError, errCreated) // by another goroutine, just now
	}
	return nil
}

// geometry answers how many packets fit and how much of the memory counts
// (spec of nx_packet_pool_create: both rounded to the alignment). It calculates
// in 64 bits: sizes that wrap the address space of the original, and crash it,
// hold no packet.
func geometry(payload, memory, packetSize, alignment uint32) (packets uint64, size uint32) {
	align := uint64(alignment)
	roundUp := func(n uint64) uint64 { return (n + align - 1) / align * align }
	header := roundUp(uint64(packetSize))
	usable := uint64(memory) / align * align
	if payload == 0 || memory <= alignment {
		return 0, 0
	}
	return usable / roundUp(header+uint64(payload)), uint32(usable)
}

func (c *Config) withDefaults() Config {
	var config Config
	if c != nil {
		config = *c
	}
	if config.Clock == nil {
		config.Clock = nx.RealClock
	}
	if config.PacketSize == 0 {
		config.PacketSize = 60
	}
	if config.PacketAlignment == 0 {
		config.PacketAlignment = 4
	}
	return config
}

// PoolDelete ends a pool, nx_packet_pool_delete. Callers that wait for a
// packet are resumed with NX_POOL_DELETED, in the order in which they came.
// Packets that are out stay readable to those who have them, but every
// service that checks their pool answers NX_PTR_ERROR. A message is of the pool of
// its first packet for them: without that it cannot be released, and its packets of
// other pools stay out; without another one it can, and that one's are gone.
//
// Errors: NX_PTR_ERROR when pool is nil or not created.
func PoolDelete(pool *Pool) error {
	s := pool.created()
	if s == nil || !s.delete() {
		return nx.Fail("packetpool.PoolDelete", nx.PtrError, nil)
	}
	return nil
}

// PoolInfoGet answers the size and the counters of a pool,
// nx_packet_pool_info_get.
//
// Errors: NX_PTR_ERROR when pool is nil or not created.
func PoolInfoGet(pool *Pool) (PoolInfo, error) {
	s := pool.created()
	if s == nil {
		return PoolInfo{}, nx.Fail("packetpool.PoolInfoGet", nx.PtrError, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	return s.info(), nil
}

// PoolLowWatermarkSet stands for nx_packet_pool_low_watermark_set, which the
// default build does not have.
//
// Errors: NX_NOT_SUPPORTED, whatever the arguments.
func PoolLowWatermarkSet(pool *Pool, lowWatermark uint32) error {
	return nx.Fail("packetpool.PoolLowWatermarkSet", nx.NotSupported, nil)
}

// Name is the name that the pool was created with; empty when it is not
// created.
func (pool *Pool) Name() string {
	if s := pool.created(); s != nil {
		return s.name
	}
	return ""
}

// PayloadSize is the number of bytes that one packet holds, headers included;
// 0 when the pool is not created.
func (pool *Pool) PayloadSize() uint32 {
	if s := pool.created(); s != nil {
		return uint32(s.payload)
	}
	return 0
}

// TotalPackets is the number of packets of the pool; 0 when it is not created.
func (pool *Pool) TotalPackets() uint32 {
	if s := pool.created(); s != nil {
		return uint32(s.total)
	}
	return 0
}

// Spare tells whether so many packets are free, for whoever asks often: it
// looks at a bounded number of those that the stack may have let go of, and so
// may miss some.
func (pool *Pool) Spare(packets uint32) bool {
	s := pool.created()
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(int(packets))
}

// created answers the store of a created pool, and nil for any other.
func (pool *Pool) created() *store {
	if pool == nil {
		return nil
	}
	if s := pool.store.Load(); s.created() {
		return s
	}
	return nil
}
