package topology

import (
	"errors"
	"fmt"

	"gonetx/ip/link/tun/netns"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel's own ways to make a wire worse. Not every kernel has them, so they
// are tried; a [Forwarder] needs none.

// Netem lets the kernel delay and lose what a device of the host sends: tc qdisc
// netem. The error has the cause netns.NotInKernel where the kernel does not
// have it.
func (h *Host) Netem(device string, faults netlink.NetemQdiscAttrs) error {
	return h.qdisc(device, "netem", func(a netlink.QdiscAttrs) netlink.Qdisc { return netlink.NewNetem(a, faults) })
}

// Tbf lets the kernel send no more than so many bytes a second from a device of
// the host, and burst bytes at once: tc qdisc tbf.
func (h *Host) Tbf(device string, rate uint64, burst, limit uint32) error {
	return h.qdisc(device, "tbf", func(a netlink.QdiscAttrs) netlink.Qdisc {
		return &netlink.Tbf{QdiscAttrs: a, Rate: rate, Buffer: netlink.Xmittime(rate, burst), Limit: limit}
	})
}

func (h *Host) qdisc(device, kind string, make func(netlink.QdiscAttrs) netlink.Qdisc) error {
	err := h.Do(func() error {
		l, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		return netlink.QdiscReplace(make(netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}))
	})
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
		return &netns.Error{Step: kind + " on " + device + " of the " + h.Name, Cause: netns.NotInKernel, Err: err}
	case err != nil:
		return fmt.Errorf("%s on %s of the %s: %w", kind, device, h.Name, err)
	}
	return nil
}

// Disciplines tells which of netem and tbf the kernel has: nil for those that
// work.
func Disciplines() (netem, tbf error) {
	h, err := newHost("probe")
	if err != nil {
		return err, err
	}
	netem = h.Netem("lo", netlink.NetemQdiscAttrs{Loss: 1})
	tbf = h.Tbf("lo", 1<<20, 1600, 1<<16)
	_ = h.Close() // the namespace goes with its last descriptor
	return netem, tbf
}
