// Package packetpool is NetX Duo's packet pool: a fixed number of packets of a
// fixed size, made once, in which all data of a stack travels.
//
// A pool is created with the size of a packet's payload and the size of the
// memory that a NetX Duo program would give it; a packet is taken, filled, and
// given away or back:
//
//	var pool packetpool.Pool
//	err := packetpool.PoolCreate(&pool, "mail", 800, 8000)  // 9 packets
//	packet, err := packetpool.Allocate(&pool, packetpool.IPv4TCPPacket, nx.NoWait)
//	err = packetpool.DataAppend(packet, data, &pool, nx.WaitForever)
//	err = tcp.SocketSend(&socket, packet, nx.WaitForever)   // now it is the stack's
//
// # A packet
//
// Headers lie in the payload, in front of the data, so a packet is allocated
// with room for them: the packet type is that number of bytes, 56 for TCP over
// IPv4 and 76 over IPv6 (16 for the link, 20 or 40, and 20). What does not fit
// goes into further packets, which have no header room. 250 bytes in packets of
// 100, type 56:
//
//	|<-- 56 room -->|<- 44 data ->|   |<---- 100 ---->|   |<---- 100 ---->|   |6|  94 free |
//
// # When the pool is empty
//
// The wait option says for how many ticks the caller is suspended. Who waits
// longest gets the next packet that is released, straight from the hand that
// releases it: nobody can take it in between. When the pool is deleted all
// waiters are resumed with NX_POOL_DELETED.
//
// # Whose packet it is
//
// A program owns a packet from Allocate until it releases it or gives it to a
// successful send. From then on its handle is stale: every service answers
// NX_PTR_ERROR to it, and a release is counted as invalid. That holds also when
// the packet has found another owner meanwhile; a stale pointer of the original
// would release somebody else's packet.
//
// # The pool is real
//
// Bytes on their way in or out lie in the packets of a pool and count there
// until they are done with. A packet that was sent stays with the stack until
// its data is acknowledged; gVisor has a copy of the bytes, and the memory serves
// the packets that are allocated meanwhile. A frame that comes in takes packets
// before the stack sees it and has them until the program has released what it
// received; with no packet free it is dropped. A message is one segment, and takes
// packets that no other message has, even when it came in one frame with others and
// has its bytes in the same memory. [Pool.Holders] tells who has them.
//
// # Differences from NetX Duo
//
// Those that a program can see are in [Differences], each with its reason.
package packetpool
