// Package bench measures what the stack costs: `nxduo bench`.
//
// A rate alone says more about the machine than about the stack. So everything
// is measured against two yardsticks in the same run, in turns:
//
//	kernel   the Linux kernel's TCP over a veth pair: what the machine can do
//	naive    gVisor on a TUN device in the simplest way: songgao/water, one
//	         read and one write a packet, a channel in between
//	nxduo    packages ip, tcp and smtp over ip/link/tun, with their pools
//
// What counts are the ratios, and the CPU time of the client's process per
// unit of work, which other load on the machine disturbs least.
//
// The networks are namespaces, see package topology: a near host for the
// kernel's client, a far host with the peer, and on the far host also the TUN
// devices. The peer is the kernel's TCP too, in a process of its own: it
// discards, sends, echoes, accepts and closes, and takes mails. Every client
// is a process of its own as well, and all are the program itself, started
// again, see [Play]. In each round each workload is measured with one client
// after the other.
package bench
