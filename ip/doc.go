// Package ip is the IP instance of NetX Duo (NX_IP): one interface on a link,
// its addresses and routes, ICMP, raw packets, and the stack that TCP rides on.
//
// An instance is a block that the program owns. [Create] brings it up on a link
// driver and a packet pool, [Delete] ends it:
//
//	var pool packetpool.Pool
//	packetpool.PoolCreate(&pool, "pool", 1536, 64*(1536+60))
//
//	var inst ip.Instance
//	err := ip.Create(&inst, "host", ip.IPAddress(192, 168, 1, 2), ip.IPAddress(255, 255, 255, 0),
//		&pool, driver, 2048, 1)
//
// # What happens to a datagram
//
// The stack underneath is gVisor's. Between it and the link stands a gate that
// every datagram passes, in both directions, and there the instance is NetX
// Duo's: a frame takes packets of the default pool before anybody sees it, and
// is dropped when there are none; a protocol that has not been enabled is
// silent; a destination without a route gets nothing; fragments need
// fragmentation; datagrams are counted as nx_ip_info_get counts them.
//
//	program          tcp        ip: ping, raw, addresses
//	                  |          |
//	            gVisor stack     |
//	                  |          |
//	                 gate -------+   pool packets, filters, counters
//	                  |
//	                 link            tun, ram, wrappers
//
// # Time, waiting, callbacks
//
// All time is that of [Config].Clock, in ticks of a hundredth of a second.
// Callbacks run one at a time on a goroutine of the instance, NetX Duo's IP
// thread; a service called in one acts as with nx.NoWait. An instance has that
// goroutine, its link's reader, and gVisor's.
package ip
