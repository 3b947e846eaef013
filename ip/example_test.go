package ip_test

import (
	"fmt"
	"net/netip"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// Two instances in one process, on a network in memory, one pinging the other.
func Example() {
	network := ram.NewNetwork(ram.Config{})
	mask := ip.IPAddress(255, 255, 255, 0)
	var pools [2]packetpool.Pool
	var hosts [2]ip.Instance
	for i := range hosts {
		if err := packetpool.PoolCreate(&pools[i], "pool", 1536, 16*(1536+60)); err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = packetpool.PoolDelete(&pools[i]) }()
		address := ip.IPAddress(1, 2, 3, byte(4+i))
		if err := ip.Create(&hosts[i], fmt.Sprint("host ", i), address, mask, &pools[i], network.Driver(), 2048, 1); err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = ip.Delete(&hosts[i]) }()
		if err := ip.ICMPEnable(&hosts[i]); err != nil {
			fmt.Println(err)
			return
		}
	}

	response, err := ip.ICMPPing(&hosts[0], ip.IPAddress(1, 2, 3, 5), []byte("hello"), nx.Ticks(time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	text := make([]byte, 5)
	_, _ = packetpool.DataRetrieve(response, text)
	_ = packetpool.Release(response)
	fmt.Printf("%s\n", text)

	_, err = ip.ICMPPing(&hosts[0], ip.IPAddress(9, 9, 9, 9), nil, nx.WaitForever)
	fmt.Println(err)
	// Output:
	// hello
	// ip.ICMPPing: NX_IP_ADDRESS_ERROR (0x21): 9.9.9.9: no route, and no gateway
}

// An IPv6 address is tentative while duplicate address detection runs, and
// valid at once where ICMPv6 is not enabled yet.
func ExampleIPv6AddressSet() {
	var pool packetpool.Pool
	var inst ip.Instance
	_ = packetpool.PoolCreate(&pool, "pool", 1536, 16*(1536+60))
	defer func() { _ = packetpool.PoolDelete(&pool) }()
	driver := ram.NewNetwork(ram.Config{}).Driver()
	if err := ip.Create(&inst, "host", netip.Addr{}, netip.Addr{}, &pool, driver, 2048, 1); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = ip.Delete(&inst) }()
	_ = ip.IPv6Enable(&inst)

	// v6[0] = 0x20010db8 of a ported program.
	first := ip.AddressFromWords(0x20010db8, 0, 0, 0x100)
	index, err := ip.IPv6AddressSet(&inst, 0, first, 64)
	fmt.Println(index, err)
	state, _ := ip.IPv6AddressStateGet(&inst, index)
	fmt.Println(state)

	_ = ip.ICMPEnable(&inst)
	index, err = ip.IPv6AddressSet(&inst, 0, first.Next(), 64)
	fmt.Println(index, err)
	state, _ = ip.IPv6AddressStateGet(&inst, index)
	fmt.Println(state)

	_, err = ip.IPv6AddressSet(&inst, 0, first, 64)
	fmt.Println(err)
	// Output:
	// 0 <nil>
	// VALID
	// 1 <nil>
	// TENTATIVE
	// ip.IPv6AddressSet: NX_DUPLICATED_ENTRY (0x52)
}

// StatusCheck answers those bits that are true, also when it fails.
func ExampleStatusCheck() {
	var pool packetpool.Pool
	var inst ip.Instance
	_ = packetpool.PoolCreate(&pool, "pool", 1536, 16*(1536+60))
	defer func() { _ = packetpool.PoolDelete(&pool) }()
	driver := ram.NewNetwork(ram.Config{}).Driver()
	if err := ip.Create(&inst, "host", ip.IPAddress(1, 2, 3, 4), ip.IPAddress(255, 255, 255, 0), &pool, driver, 2048, 1); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = ip.Delete(&inst) }()

	actual, err := ip.StatusCheck(&inst, ip.LinkEnabled|ip.AddressResolved, nx.WaitForever)
	fmt.Println(actual == ip.LinkEnabled|ip.AddressResolved, err)
	actual, err = ip.StatusCheck(&inst, ip.LinkEnabled|ip.TCPEnabled, nx.Ticks(10*time.Millisecond))
	fmt.Println(actual == ip.LinkEnabled, err)

	// Reading the block before it is created is an error, not a crash.
	_, err = ip.StatusCheck(new(ip.Instance), ip.InitializeDone, nx.NoWait)
	fmt.Println(err)
	// Output:
	// true <nil>
	// true ip.StatusCheck: NX_NOT_SUCCESSFUL (0x43)
	// ip.StatusCheck: NX_PTR_ERROR (0x07)
}

// RouteFind tells how a datagram would leave.
func ExampleInstance_RouteFind() {
	var pool packetpool.Pool
	var inst ip.Instance
	_ = packetpool.PoolCreate(&pool, "pool", 1536, 16*(1536+60))
	defer func() { _ = packetpool.PoolDelete(&pool) }()
	driver := ram.NewNetwork(ram.Config{}).Driver()
	if err := ip.Create(&inst, "host", ip.IPAddress(1, 2, 3, 4), ip.IPAddress(255, 255, 255, 0), &pool, driver, 2048, 1); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = ip.Delete(&inst) }()
	_ = ip.GatewayAddressSet(&inst, ip.IPAddress(1, 2, 3, 1))

	for _, destination := range []netip.Addr{ip.IPAddress(1, 2, 3, 9), ip.IPAddress(8, 8, 8, 8), ip.IPAddress(127, 0, 0, 1)} {
		route, err := inst.RouteFind(destination)
		fmt.Println(route.Source, route.NextHop, route.InterfaceIndex, err)
	}
	// Output:
	// 1.2.3.4 1.2.3.9 0 <nil>
	// 1.2.3.4 1.2.3.1 0 <nil>
	// 127.0.0.1 127.0.0.1 1 <nil>
}
