package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// congestion is the congestion control of all sockets of the kernel, the peer's and
// those of the kernel's clients, in this process; empty: the system's. It decides a
// good deal of what the kernel sends and of what that costs a receiver: BBR paces, and
// keeps four segments in flight where many connections share the way.
var congestion string

// reno is a congestion control that every kernel has and lets every user choose
// (tcp_allowed_congestion_control), and it is gVisor's.
const reno = "reno"

// congestionName is what congestion says, or what the system has.
func congestionName() string {
	if congestion != "" {
		return congestion
	}
	name, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		return "the system's"
	}
	return strings.TrimSpace(string(name))
}

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
	if congestion == "" {
		return nil
	}
	inner := error(nil)
	if err := c.Control(func(fd uintptr) { inner = setCongestion(fd) }); err != nil {
		return err
	}
	if inner != nil {
		return fmt.Errorf("congestion control %s: %w", congestion, inner)
	}
	return nil
}
