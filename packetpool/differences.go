package packetpool

import "gonetx/packetpool/nx"

// Differences lists what is not as in NetX Duo.
var Differences = []nx.Difference{
	{
		Name: "StaleHandle",
		NetX: "a stale pointer reads, changes or releases whatever the packet is by then: _nx_packet_release looks at the packet's marker only",
		Here: "NX_PTR_ERROR, always, for a handle of a packet that was released or sent",
		Why:  "it would be somebody else's packet",
		Test: "TestStaleHandleNeverHitsTheNewOwner",
	},
	{
		Name: "ShortBuffer",
		NetX: "nx_packet_data_retrieve is not told the length of the buffer, and writes behind it",
		Here: "NX_SIZE_ERROR from DataRetrieve when the buffer is shorter than the message",
		Why:  "a slice knows its length",
		Test: "TestDataRetrieve",
	},
	{
		Name: "WrappedSize",
		NetX: "nx_packet_pool_create and nx_packet_data_append calculate in 32 bits, and crash when a size wraps",
		Here: "NX_SIZE_ERROR from PoolCreate and DataAppend",
		Why:  "no number crashes a pool",
		Test: "TestDataAppendBeyond32Bits",
	},
	{
		Name: "CopyHeaderRoom",
		NetX: "a copy into a pool whose packets are smaller than the room in front of the data begins behind the end of its first packet",
		Here: "NX_INVALID_PARAMETERS from Copy",
		Why:  "the message would lie outside of its packet",
		Test: "TestCopy",
	},
	{
		Name: "NoCrash",
		NetX: "pointers far outside of a packet, and lengths that do not fit its chain, crash",
		Here: "such a call ends with a status",
		Why:  "memory is not reached through pointers: a packet's bounds hold whatever its fields say",
		Test: "TestGolden",
	},
	{
		Name: "NoOverlap",
		NetX: "NX_PTR_ERROR from nx_packet_pool_create for memory that another pool has",
		Here: "a pool brings its own memory, so that none overlaps",
		Why:  "PoolCreate is told how much memory there is, not where",
		Test: "TestPoolsHaveTheirOwnMemory",
	},
	{
		Name: "NoCallerClass",
		NetX: "NX_CALLER_ERROR in interrupts, timers and the initialization, where a call would have to wait",
		Here: "it is never answered",
		Why:  "a goroutine is a thread",
		Test: "TestEveryCallerIsAThread",
	},
}
