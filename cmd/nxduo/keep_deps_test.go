package main

// Temporary: keeps go.mod whole until every package imports its own.
import (
	_ "charm.land/bubbletea/v2"
	_ "charm.land/lipgloss/v2"
	_ "github.com/vishvananda/netns"
	_ "github.com/wneessen/go-mail"
	_ "golang.org/x/net/nettest"
	_ "golang.org/x/text/width"
	_ "gvisor.dev/gvisor/pkg/refs"
	_ "gvisor.dev/gvisor/pkg/tcpip/faketime"
	_ "gvisor.dev/gvisor/pkg/tcpip/link/nested"
	_ "gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	_ "gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	_ "gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	_ "gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	_ "gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	_ "pgregory.net/rapid"
)
