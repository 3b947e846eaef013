package packetpool_test

import (
	"fmt"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

func Example() {
	var pool packetpool.Pool
	if err := packetpool.PoolCreate(&pool, "example", 100, 5*(60+100)); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = packetpool.PoolDelete(&pool) }()

	packet, err := packetpool.Allocate(&pool, packetpool.IPv4TCPPacket, nx.NoWait)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := packetpool.DataAppend(packet, make([]byte, 250), &pool, nx.NoWait); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(packetpool.Fragments(packet))
	fmt.Println(packetpool.Release(packet), packetpool.Release(packet))

	info, _ := packetpool.PoolInfoGet(&pool)
	fmt.Printf("%+v\n", info)
	// Output:
	// [{56 44 0} {0 100 0} {0 100 0} {0 6 94}]
	// <nil> packetpool.Release: NX_PTR_ERROR (0x07): the packet was released or given away before
	// {TotalPackets:5 FreePackets:5 EmptyPoolRequests:0 EmptyPoolSuspensions:0 InvalidPacketReleases:1}
}
