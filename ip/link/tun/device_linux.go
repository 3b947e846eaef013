package tun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"gonetx/ip/link/tun/netns"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const clone = "/dev/net/tun"

// queueFrames is how many frames wait in a device that was made by Open. The kernel's
// own 500 (TUN_READQ_SIZE) are fewer than a thousand connections with a frame each:
// it dropped a sixth of all, and their peers slowed down for it. What waits is
// bounded by the windows, and those by the pool.
const queueFrames = 4096

// device is an open TUN device.
type device struct {
	file *os.File
	name string
	mtu  uint32
	vnet bool   // frames carry a vnet header: super-segments may go out
	tso  uint32 // bytes of the largest super-segment that comes in; zero: none
	why  string // why there is less offload than there could be

	stays bool // it is not gone when it is closed
}

// openDevice makes or takes the device, in the namespace of the thread, and
// sets up the host's side. largest is the biggest frame that the receiver can
// take; noOffload is why there must be no offload, empty when it may be.
func openDevice(c Config, largest uint32, noOffload string) (*device, error) {
	existing, err := lookUp(c.Name)
	if err != nil {
		return nil, err
	}
	d, err := attach(c.Name, existing, noOffload)
	if err != nil {
		return nil, err
	}
	if err := d.setUp(c, existing, largest); err != nil {
		d.file.Close()
		return nil, err
	}
	return d, nil
}

// lookUp answers the TUN device of the name, nil when there is none.
func lookUp(name string) (netlink.Link, error) {
	if len(name) >= unix.IFNAMSIZ || strings.ContainsAny(name, "/ ") || name == "." || name == ".." {
		return nil, &netns.Error{Step: "name the device", Cause: BadName, Err: unix.EINVAL,
			Hint: fmt.Sprintf("at most %d bytes, no slash, no space", unix.IFNAMSIZ-1)}
	}
	if name == "" || strings.Contains(name, "%") {
		return nil, nil
	}
	l, err := netlink.LinkByName(name)
	var none netlink.LinkNotFoundError
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for device %s: %w", name, err)
	}
	t, ok := l.(*netlink.Tuntap)
	if !ok || t.Mode != netlink.TUNTAP_MODE_TUN {
		kind := l.Type()
		if ok {
			kind = t.Mode.String()
		}
		return nil, &netns.Error{Step: "take device " + name, Cause: NameTaken, Err: unix.EEXIST,
			Hint: "it is a device of kind " + kind}
	}
	if t.Queues+t.DisabledQueues > 0 {
		// The kernel would give us one more queue, and each program a part of
		// what comes.
		return nil, &netns.Error{Step: "take device " + name, Cause: Busy, Err: unix.EBUSY}
	}
	return l, nil
}

// attach opens the device through water and, if it can, with vnet headers.
//
// Water knows nothing of IFF_VNET_HDR. But a second queue of a device takes
// over the flags of the first one: the kernel leaves them alone when a queue
// is attached already (tun_set_iff). So the first queue is a descriptor of
// ours, which makes the device with vnet headers; water opens the second; ours
// is closed. No persistent device can be left behind by a process that dies in
// the middle. What the system refuses, it refuses to our descriptor, which we
// can close (water leaks its own on an error).
func attach(name string, existing netlink.Link, noOffload string) (*device, error) {
	first, err := unix.Open(clone, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, cannotOpen(err)
	}
	keep := first // closed when water has its queue
	defer func() {
		if keep >= 0 {
			unix.Close(keep)
		}
	}()

	persistent := existing != nil
	d := &device{why: noOffload, stays: persistent}
	queues, wantVNet := true, noOffload == ""
	made, err := setInterface(first, name, flags(queues, wantVNet))
	if errors.Is(err, unix.EINVAL) && persistent {
		// A device that was made for one queue takes no second one.
		queues = false
		if wantVNet {
			d.why = fmt.Sprintf("%s was made for one queue: offload needs `ip tuntap add … multi_queue`", name)
		}
		made, err = setInterface(first, name, flags(queues, false))
	} else if errors.Is(err, unix.EINVAL) && wantVNet {
		d.why = "the kernel has no vnet headers on TUN devices"
		made, err = setInterface(first, name, flags(queues, false))
	}
	if err != nil {
		return nil, cannotAttach(name, existing, err)
	}
	if !queues {
		unix.Close(first)
		keep = -1
	}

	// Water opens without O_CLOEXEC; the lock keeps a fork of another
	// goroutine out until the flag is set.
	syscall.ForkLock.RLock()
	w, err := water.New(water.Config{
		DeviceType: water.TUN,
		PlatformSpecificParams: water.PlatformSpecificParams{
			Name: made, MultiQueue: queues, Persist: persistent,
		},
	})
	if err == nil {
		d.file = w.ReadWriteCloser.(*os.File)
		err = control(d.file, func(fd int) error { unix.CloseOnExec(fd); return nil })
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, cannotAttach(name, existing, err)
	}
	d.name = w.Name()
	return d, nil
}

func flags(queues, vnet bool) uint16 {
	f := uint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if queues {
		f |= unix.IFF_MULTI_QUEUE
	}
	if vnet {
		f |= unix.IFF_VNET_HDR
	}
	return f
}

func setInterface(fd int, name string, flags uint16) (string, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return "", err
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return "", err
	}
	return ifr.Name(), nil
}

func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	inner := error(nil)
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func cannotOpen(err error) error {
	const step = "open " + clone
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return &netns.Error{Step: step, Cause: netns.DeviceMissing, Err: err,
			Hint: "modprobe tun; in a container: --device /dev/net/tun"}
	case errors.Is(err, unix.EACCES):
		return &netns.Error{Step: step, Cause: netns.DeviceClosed, Err: err, Hint: "as root: chmod 666 " + clone + ", as most systems have it"}
	case errors.Is(err, unix.EPERM):
		return &netns.Error{Step: step, Cause: netns.DeviceClosed, Err: err, Hint: "in a container: --device /dev/net/tun"}
	}
	return netns.Refused(step, unix.CAP_NET_ADMIN, err)
}

// cannotAttach tells what refuses a device that exists, or a new one.
func cannotAttach(name string, existing netlink.Link, err error) error {
	step := "make a TUN device"
	if existing != nil {
		step = "attach to " + name
	}
	switch {
	case existing != nil && errors.Is(err, unix.EPERM): // tun_not_capable
		return &netns.Error{Step: step, Cause: NotYours, Hint: "it is for " + ownerOf(existing), Err: err}
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.E2BIG):
		return &netns.Error{Step: step, Cause: Busy, Err: err}
	case errors.Is(err, unix.EINVAL):
		return &netns.Error{Step: step, Cause: NameTaken, Err: err}
	}
	return netns.Refused(step, unix.CAP_NET_ADMIN, err)
}

// ownerOf names whom a device was made for.
func ownerOf(l netlink.Link) string {
	t, _ := l.(*netlink.Tuntap)
	switch {
	case t == nil:
		return "somebody else"
	case t.Owner == 0 && t.Group != 0: // the kernel names no owner where there is none
		if g, err := user.LookupGroupId(strconv.FormatUint(uint64(t.Group), 10)); err == nil {
			return "group " + g.Name
		}
		return fmt.Sprint("gid ", t.Group)
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(t.Owner), 10)); err == nil {
		return "user " + u.Username
	}
	return fmt.Sprint("uid ", t.Owner)
}

// setUp negotiates the offload and configures the host's side.
func (d *device) setUp(c Config, existing netlink.Link, largest uint32) error {
	l := existing
	if l == nil {
		var err error
		if l, err = netlink.LinkByName(d.name); err != nil {
			return fmt.Errorf("look for device %s: %w", d.name, err)
		}
	}
	d.mtu = uint32(l.Attrs().MTU)
	if c.MTU != 0 && c.MTU != d.mtu {
		if err := netlink.LinkSetMTU(l, int(c.MTU)); err != nil {
			return netns.Refused(fmt.Sprintf("set the MTU of %s to %d", d.name, c.MTU), unix.CAP_NET_ADMIN, err)
		}
		d.mtu = c.MTU
	}
	if err := d.negotiate(l, largest); err != nil {
		return err
	}
	if existing == nil {
		// Where the kernel refuses, it is as long as it was.
		_ = netlink.LinkSetTxQLen(l, queueFrames)
	}
	for _, p := range c.Addresses {
		if err := addAddress(l, p); err != nil {
			return netns.Refused(fmt.Sprintf("give %s the address %s", d.name, p), unix.CAP_NET_ADMIN, err)
		}
	}
	if !c.LeaveDown && l.Attrs().RawFlags&unix.IFF_UP == 0 {
		if err := netlink.LinkSetUp(l); err != nil {
			return netns.Refused("set "+d.name+" up", unix.CAP_NET_ADMIN, err)
		}
	}
	if c.LeaveDown {
		return nil
	}
	if existing != nil {
		if err := awaitCarrier(d.name); err != nil {
			return err
		}
	}
	awaitLocal(c.Addresses)
	return nil
}
