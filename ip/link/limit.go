package link

import "gonetx/packetpool"

// LargestFrame is how many bytes of one frame the pool can take. A driver must
// not bring larger ones, if it can help it. Without a pool there is no limit.
func LargestFrame(pool *packetpool.Pool) uint32 {
	return 1<<32 - 1
}
