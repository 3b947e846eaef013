// Package tun connects an IP instance to the host's kernel: a TUN device,
// opened through songgao/water.
//
//	driver := tun.New(tun.Config{
//		Name:      "tun0",
//		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}, // the host's
//	})
//	ip.Create(&inst, "client", ip.IPAddress(192, 0, 2, 2), …, driver, …)
//
// # Speed
//
// A write to a TUN device costs 2 microseconds, and a wire segment is 1500
// bytes: one read and one write a packet end at some gigabits a second. So on
// Linux the device carries vnet headers (IFF_VNET_HDR): the stack hands over
// up to 64 KiB of a connection with one header, the kernel cuts it up if it
// has to, and the other way round. Checksums are finished by whoever cuts.
// Where the kernel, the device or the pool does not allow that, the driver
// falls back to a packet at a time by itself, and link.Info tells why.
//
// After the last frame the reader looks for the next one for some time before
// it parks, because waking a parked thread costs more than most round trips.
//
// # Rights
//
// Making a device wants CAP_NET_ADMIN. A user without it may use a device that
// root made for him, and for offload it must have several queues:
//
//	ip tuntap add dev tun0 mode tun user alice multi_queue
//	ip address add 192.0.2.1/24 dev tun0; ip link set tun0 up
//
// or run in a network of his own, see package netns. What refuses is named in
// the error, as a netns.Cause.
package tun

import (
	"net/netip"
	"sync"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/tun/netns"
)

// Config describes a device and the host's side of it. The zero Config is a
// new device with a name of the kernel's choice, without addresses.
type Config struct {
	// Name of the device; empty, or with %d: the kernel chooses. A TUN device
	// of that name that exists already is used, and stays afterwards; what the
	// fields below do not ask for is left as it is.
	Name string

	MTU       uint32         // zero: that of the device, 1500 for a new one
	Addresses []netip.Prefix // of the host's side
	LeaveDown bool           // do not set the device up

	// Namespace is the path of a network namespace to open the device in:
	// "/run/netns/NAME", "/proc/PID/ns/net". Empty: the one we are in.
	Namespace string

	Offload Offload
	Spin    time.Duration // how long to look for the next frame before parking; zero: 100 µs; negative: not at all
}

// Offload tells whether super-segments may cross the device.
type Offload uint8

const (
	OffloadAuto Offload = iota // wherever it works
	OffloadOff                 // one wire segment a frame
)

const defaultSpin = 100 * time.Microsecond

// Driver makes endpoints on one device. It implements link.Driver.
type Driver struct {
	config Config

	mu   sync.Mutex // guards the field below
	busy bool       // an endpoint is open
}

// New makes a driver. The device is opened by Open.
func New(config Config) *Driver { return &Driver{config: config} }

// Open implements link.Driver. It makes or takes the device and sets up the
// host's side.
func (d *Driver) Open(a link.Attachment) (link.Endpoint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy {
		return nil, link.ErrInUse
	}
	e, err := d.open(a)
	if err != nil {
		return nil, err
	}
	d.busy = true
	return e, nil
}

func (d *Driver) free() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy = false
}

// Causes that are a matter of the device; those of the system are in package
// netns. Open answers a netns.Error, and errors.Is finds the cause in it.
const (
	Busy          netns.Cause = "another program has the device open"
	NotYours      netns.Cause = "the device was made for another user"
	NameTaken     netns.Cause = "the name belongs to a device of another kind"
	BadName       netns.Cause = "that is no name for a device"
	Disappeared   netns.Cause = "the device went away"
	NotOnPlatform netns.Cause = "the TUN driver is for Linux"
)
