package count_test

import (
	"fmt"
	"time"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/count"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// up makes an instance that answers pings. down takes it away.
func up(pool *packetpool.Pool, inst *ip.Instance, last byte, driver link.Driver) (down func()) {
	if err := packetpool.PoolCreate(pool, "pool", 1536, 16*(1536+60)); err != nil {
		panic(err)
	}
	if err := ip.Create(inst, "host", ip.IPAddress(1, 2, 3, last), ip.IPAddress(255, 255, 255, 0), pool, driver, 2048, 1); err != nil {
		panic(err)
	}
	_ = ip.ICMPEnable(inst)
	return func() {
		_ = ip.Delete(inst)
		_ = packetpool.PoolDelete(pool)
	}
}

// What an instance sends and receives, by counting on its link.
func Example() {
	var pools [2]packetpool.Pool
	var hosts [2]ip.Instance
	network := ram.NewNetwork(ram.Config{})
	counted := count.Wrap(network.Driver())
	defer up(&pools[0], &hosts[0], 4, counted)()
	defer up(&pools[1], &hosts[1], 5, network.Driver())()

	response, err := ip.ICMPPing(&hosts[0], ip.IPAddress(1, 2, 3, 5), []byte("hello"), nx.Ticks(time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = packetpool.Release(response)
	c := counted.Counters()
	fmt.Println("out:", c.Out.Frames, "of ICMP:", c.Out.ICMP, "bytes:", c.Out.Bytes)
	fmt.Println("in:", c.In.Frames, "of ICMP:", c.In.ICMP, "bytes:", c.In.Bytes)
	// Output:
	// out: 1 of ICMP: 1 bytes: 33
	// in: 1 of ICMP: 1 bytes: 33
}
