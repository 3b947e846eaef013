package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// congestion is the congestion control of all sockets of the kernel: the peer's, and
// those of the kernel's clients. A machine's default decides a good deal of what a
// receiver costs: BBR paces what it sends, and keeps four segments in flight where many
// connections share the way. Every kernel has this one, lets every user choose it
// (tcp_allowed_congestion_control), and it is gVisor's.
const congestion = "reno"

// kernelDial is a connection of the kernel.
func kernelDial(to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{Timeout: patience, Control: choose}
	return d.Dial("tcp", to.String())
}

// kernelListen is a listener of the kernel; its connections are as it is.
func kernelListen(port int) (net.Listener, error) {
	c := net.ListenConfig{Control: choose}
	return c.Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
}

func choose(_, _ string, c syscall.RawConn) error {
	inner := error(nil)
	if err := c.Control(func(fd uintptr) { inner = setCongestion(fd) }); err != nil {
		return err
	}
	return inner
}
