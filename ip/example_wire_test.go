package ip_test

import (
	"bytes"
	"fmt"
	"time"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/ip/link/capture"
	"gonetx/ip/link/count"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// Drivers wrap each other: the wire of one instance loses its first ping, is
// counted as the stack sees it, and goes to a file for Wireshark as it is.
func Example_wire() {
	network := ram.NewNetwork(ram.Config{})
	faults, err := fault.Parse("drop(out icmp 1)")
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	recording := capture.NewFile(&file)
	wire := recording.Wrap(network.Driver())
	counted := count.Wrap(fault.Wrap(wire, faults))

	var pools [2]packetpool.Pool
	var hosts [2]ip.Instance
	hosts[0].Config = &ip.Config{Recorder: wire.Recorder(nil)} // tells the file what was dropped
	for i, driver := range []link.Driver{counted, network.Driver()} {
		_ = packetpool.PoolCreate(&pools[i], "pool", 1536, 16*(1536+60))
		if err := ip.Create(&hosts[i], fmt.Sprint("host ", i), ip.IPAddress(1, 2, 3, byte(4+i)), ip.IPAddress(255, 255, 255, 0),
			&pools[i], driver, 2048, 1); err != nil {
			fmt.Println(err)
			return
		}
		_ = ip.ICMPEnable(&hosts[i])
	}

	for _, wait := range []time.Duration{50 * time.Millisecond, 5 * time.Second} {
		response, err := ip.ICMPPing(&hosts[0], ip.IPAddress(1, 2, 3, 5), []byte("hello"), nx.Ticks(wait))
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("answered")
		_ = packetpool.Release(response)
	}
	c := counted.Counters()
	fmt.Println("out", c.Out.ICMP, "in", c.In.ICMP)

	for i := range hosts {
		_ = ip.Delete(&hosts[i])
		_ = packetpool.PoolDelete(&pools[i])
	}
	if err := recording.Close(); err != nil {
		fmt.Println(err)
	}
	fmt.Println("the file tells it:", bytes.Contains(file.Bytes(), []byte("dropped")))
	// Output:
	// ip.ICMPPing: NX_NO_RESPONSE (0x29)
	// answered
	// out 2 in 1
	// the file tells it: true
}
