package packetpool

// Difference is one thing that a pool does otherwise than NetX Duo 6.4.2.
type Difference struct {
	Name string
	What string // what a program sees
	Why  string
}

// Differences lists what is not as in NetX Duo.
var Differences = []Difference{
	{"StaleHandle", "a handle of a packet that was released or sent answers NX_PTR_ERROR, always",
		"a stale pointer of the original reads, changes or releases whatever the packet is by then (_nx_packet_release looks at the packet's marker only)"},
	{"ShortBuffer", "NX_SIZE_ERROR from DataRetrieve when the buffer is shorter than the message",
		"the original is not told the length of the buffer and writes behind it (_nx_packet_data_retrieve)"},
	{"WrappedSize", "NX_SIZE_ERROR from PoolCreate and DataAppend for sizes that wrap 32 bits",
		"the original calculates in 32 bits and crashes (_nxe_packet_pool_create, _nx_packet_data_append)"},
	{"CopyHeaderRoom", "NX_INVALID_PARAMETERS from Copy when the room in front of the data is greater than a packet of the new pool",
		"the copy of the original begins behind the end of its first packet (_nx_packet_copy)"},
	{"NoCrash", "what crashes the original ends with a status",
		"memory is not reached through pointers: a packet's bounds hold whatever its fields say"},
	{"NoOverlap", "a pool brings its own memory, so the memory of two pools never overlaps",
		"PoolCreate is told how much memory there is, not where; the original answers NX_PTR_ERROR to an overlap"},
	{"NoCallerClass", "NX_CALLER_ERROR is never answered",
		"a goroutine is a thread; the original refuses interrupts, timers and the initialization where a call would have to wait"},
}
