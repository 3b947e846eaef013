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

// An empty pool suspends its callers; a packet that is released goes straight to
// the one who waits longest.
func ExampleAllocate_waiting() {
	var pool packetpool.Pool
	if err := packetpool.PoolCreate(&pool, "one packet", 100, 160); err != nil {
		fmt.Println(err)
		return
	}
	only, _ := packetpool.Allocate(&pool, packetpool.ReceivePacket, nx.NoWait)
	_, err := packetpool.Allocate(&pool, packetpool.ReceivePacket, nx.NoWait)
	fmt.Println(err)

	served := make(chan error)
	go func() {
		packet, err := packetpool.Allocate(&pool, packetpool.IPv6TCPPacket, nx.WaitForever)
		if err == nil {
			err = packetpool.Release(packet)
		}
		served <- err
	}()
	_ = packetpool.Release(only)
	fmt.Println(<-served, packetpool.PoolDelete(&pool))
	// Output:
	// packetpool.Allocate: NX_NO_PACKET (0x01)
	// <nil> <nil>
}

// A handle that was released is good for nothing, also when its packet has a
// new owner.
func ExampleRelease_stale() {
	var pool packetpool.Pool
	if err := packetpool.PoolCreate(&pool, "one packet", 100, 160); err != nil {
		fmt.Println(err)
		return
	}
	old, _ := packetpool.Allocate(&pool, packetpool.ReceivePacket, nx.NoWait)
	_ = packetpool.Release(old)
	owner, _ := packetpool.Allocate(&pool, packetpool.ReceivePacket, nx.NoWait)
	_ = packetpool.DataAppend(owner, []byte("mine"), &pool, nx.NoWait)

	_, err := packetpool.DataRetrieve(old, make([]byte, 100))
	fmt.Println(nx.Code(err) == uint(nx.PtrError), packetpool.Release(old) != nil)

	text := make([]byte, 100)
	n, _ := packetpool.DataRetrieve(owner, text)
	fmt.Printf("%s\n", text[:n])
	fmt.Println(packetpool.Release(owner), packetpool.PoolDelete(&pool))
	// Output:
	// true true
	// mine
	// <nil> <nil>
}

func ExamplePool_Holders() {
	var pool packetpool.Pool
	if err := packetpool.PoolCreate(&pool, "mail", 800, 8000); err != nil {
		fmt.Println(err)
		return
	}
	held, _ := packetpool.Allocate(&pool, packetpool.TCPPacket, nx.NoWait)
	sent, _ := packetpool.Allocate(&pool, packetpool.TCPPacket, nx.NoWait)
	_ = packetpool.DataAppend(sent, make([]byte, 740), &pool, nx.NoWait)
	queued, _ := packetpool.Enqueue(sent, packetpool.Owner{Kind: packetpool.TransmitQueue, Name: "mail"})
	for _, h := range pool.Holders() {
		fmt.Println(h.Packets, h.Owner)
	}
	fmt.Println(packetpool.Release(held), packetpool.Dequeue(queued), packetpool.PoolDelete(&pool))
	// Output:
	// 1 application
	// 2 transmit queue of mail
	// <nil> <nil> <nil>
}

func ExampleCopy() {
	var pool packetpool.Pool
	if err := packetpool.PoolCreate(&pool, "copies", 100, 1000); err != nil {
		fmt.Println(err)
		return
	}
	packet, _ := packetpool.Allocate(&pool, packetpool.IPv4TCPPacket, nx.NoWait)
	_ = packetpool.DataAppend(packet, []byte("RCPT TO:<b@example.com>"), &pool, nx.NoWait)
	again, _ := packetpool.Copy(packet, &pool, nx.NoWait)

	text := make([]byte, 13)
	n, _ := packetpool.DataExtractOffset(again, 9, text)
	fmt.Printf("%d bytes: %s, room %d\n", n, text[:n], packetpool.Fragments(again)[0].Room)
	fmt.Println(packetpool.Release(packet), packetpool.Release(again), packetpool.PoolDelete(&pool))
	// Output:
	// 13 bytes: b@example.com, room 56
	// <nil> <nil> <nil>
}
