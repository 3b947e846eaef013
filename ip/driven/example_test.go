package driven_test

import (
	"fmt"
	"time"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// A ping that nobody answers takes no time, and exactly as many ticks as it waits.
func Example() {
	w := driven.New(driven.Config{})
	defer w.Close()

	var pool packetpool.Pool
	var inst ip.Instance
	pool.Config = &packetpool.Config{Clock: w.Clock}
	inst.Config = &ip.Config{Clock: w.Clock}
	if err := packetpool.PoolCreate(&pool, "pool", 1536, 16*(1536+60)); err != nil {
		fmt.Println(err)
		return
	}
	if err := ip.Create(&inst, "host", ip.IPAddress(1, 2, 3, 4), ip.IPAddress(255, 255, 255, 0), &pool, w.Network.Driver(), 2048, 1); err != nil {
		fmt.Println(err)
		return
	}
	_ = ip.ICMPEnable(&inst)

	var err error
	call := w.Go(driven.Thread{}, func() {
		_, err = ip.ICMPPing(&inst, ip.IPAddress(1, 2, 3, 5), nil, nx.Ticks(time.Minute))
	}, nil)
	w.Wait(call, 10_000)
	fmt.Println(call.Finished-call.Started, err)
	_ = ip.Delete(&inst)
	_ = packetpool.PoolDelete(&pool)
	// Output:
	// 6000 ip.ICMPPing: NX_NO_RESPONSE (0x29)
}
