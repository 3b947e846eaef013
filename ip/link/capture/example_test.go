package capture_test

import (
	"bytes"
	"fmt"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/capture"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"github.com/gopacket/gopacket/pcapgo"
)

// A ping, as Wireshark would see it.
func Example() {
	var out bytes.Buffer // or a file
	file := capture.NewFile(&out)
	network := ram.NewNetwork(ram.Config{})
	driver := file.Wrap(network.Driver())

	var pool packetpool.Pool
	var inst ip.Instance
	if err := packetpool.PoolCreate(&pool, "pool", 1536, 16*(1536+60)); err != nil {
		fmt.Println(err)
		return
	}
	inst.Config = &ip.Config{Recorder: driver.Recorder(nil)}
	if err := ip.Create(&inst, "host", ip.IPAddress(1, 2, 3, 4), ip.IPAddress(255, 255, 255, 0), &pool, driver, 2048, 1); err != nil {
		fmt.Println(err)
		return
	}
	_ = ip.ICMPEnable(&inst)
	_, err := ip.ICMPPing(&inst, ip.IPAddress(1, 2, 3, 5), []byte("anybody?"), nx.Ticks(50*time.Millisecond))
	fmt.Println(err)
	_ = ip.Delete(&inst)
	_ = packetpool.PoolDelete(&pool)
	fmt.Println(file.Close())

	r, err := pcapgo.NewNgReader(&out, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		data, info, err := r.ReadPacketData()
		if err != nil {
			return
		}
		fmt.Printf("%d bytes: %q\n", info.Length, data[28:])
	}
	// Output:
	// ip.ICMPPing: NX_NO_RESPONSE (0x29)
	// <nil>
	// 36 bytes: "anybody?"
}
