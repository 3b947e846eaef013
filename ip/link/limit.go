package link

import (
	"math"

	"gonetx/packetpool"
)

// LargestFrame is how many bytes a driver may bring at once: half of what the
// pool holds, so that one super-segment leaves room for the next and for what
// is sent meanwhile. Without a pool there is no limit.
func LargestFrame(pool *packetpool.Pool) uint32 {
	if pool == nil {
		return math.MaxUint32
	}
	info, err := packetpool.PoolInfoGet(pool)
	if err != nil {
		return 0
	}
	half := uint64(info.TotalPackets/2) * uint64(pool.PayloadSize())
	return uint32(min(half, math.MaxUint32))
}
