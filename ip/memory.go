package ip

import "gonetx/packetpool"

// poolCreated tells whether a pool may hold frames.
//
// Pools are made elsewhere; until that is in place every pool is taken for
// created, and frames keep the memory they came in.
func poolCreated(*packetpool.Pool) bool { return true }

func poolSize(*packetpool.Pool) (packets, payload uint32) { return 64, 1536 }
