package topology_test

import (
	"fmt"
	"log"

	"gonetx/ip"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/tun"
	"gonetx/netns-tests/topology"
	"gonetx/packetpool"
)

// A stack, a router with a narrow way, and a server behind it. The cable to the
// router loses one frame of a hundred.
func ExampleNewRouted() {
	t, err := topology.NewRouted(topology.RoutedConfig{MTU: 1280, Faults: &fault.Config{Out: fault.Chances{Drop: 0.01}}})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	listener, err := t.Server.Listen(":25")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()

	var pool packetpool.Pool
	var inst ip.Instance
	if err := packetpool.PoolCreate(&pool, "pool", 1536, 256*(1536+60)); err != nil {
		log.Fatal(err)
	}
	defer func() { _ = packetpool.PoolDelete(&pool) }()
	err = ip.Create(&inst, "stack", topology.Stack4.Addr(), ip.IPAddress(255, 255, 255, 0), &pool, tun.New(t.Near.Device()), 2048, 1)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = ip.Delete(&inst) }()
	_ = ip.GatewayAddressSet(&inst, topology.Gateway4.Addr())
	fmt.Println("the server is", topology.Server4.Addr())
}
