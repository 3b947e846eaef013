package ram_test

import (
	"fmt"
	"sync/atomic"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// A wire that loses the first frame: what a program does about it can be seen
// without a device.
func ExampleConfig() {
	var frames atomic.Int32
	network := ram.NewNetwork(ram.Config{Hook: func(ram.Frame) ram.Verdict {
		if frames.Add(1) == 1 {
			return ram.Drop
		}
		return ram.Pass
	}})
	var pools [2]packetpool.Pool
	var hosts [2]ip.Instance
	for i := range hosts {
		if err := packetpool.PoolCreate(&pools[i], "pool", 1536, 16*(1536+60)); err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = packetpool.PoolDelete(&pools[i]) }()
		if err := ip.Create(&hosts[i], fmt.Sprint("host ", i), ip.IPAddress(1, 2, 3, byte(4+i)), ip.IPAddress(255, 255, 255, 0),
			&pools[i], network.Driver(), 2048, 1); err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = ip.Delete(&hosts[i]) }()
		_ = ip.ICMPEnable(&hosts[i])
	}

	for range 2 {
		response, err := ip.ICMPPing(&hosts[0], ip.IPAddress(1, 2, 3, 5), nil, nx.Ticks(200*time.Millisecond))
		fmt.Println(err)
		if err == nil {
			_ = packetpool.Release(response)
		}
	}
	// Output:
	// ip.ICMPPing: NX_NO_RESPONSE (0x29)
	// <nil>
}
