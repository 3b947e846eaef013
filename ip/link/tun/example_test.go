package tun_test

import (
	"fmt"
	"net/netip"

	"gonetx/ip"
	"gonetx/ip/link/tun"
	"gonetx/packetpool"
)

// An instance on a device of the kernel's. It wants rights, see the package; what
// is missing is in the error. Info tells whether super-segments cross the device.
func Example() {
	driver := tun.New(tun.Config{
		Name:      "tun0",
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}, // the host's side
	})
	var pool packetpool.Pool
	var inst ip.Instance
	if err := packetpool.PoolCreate(&pool, "pool", 1536, 256*(1536+60)); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = packetpool.PoolDelete(&pool) }()
	err := ip.Create(&inst, "host", ip.IPAddress(192, 0, 2, 2), ip.IPAddress(255, 255, 255, 0), &pool, driver, 2048, 1)
	if err != nil {
		fmt.Println(err) // "…: the process has not the capability for it …; run as root, or …"
		return
	}
	defer func() { _ = ip.Delete(&inst) }()
	info := inst.Link()
	fmt.Println(info.Device, info.Offload, info.Why)
}
