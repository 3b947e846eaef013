package tun

import (
	"testing"

	"gonetx/ip/link"
	"gonetx/ip/link/linktest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// One packet with its vnet header through one writev, to a socket instead of a
// device.
func BenchmarkWrite(b *testing.B) {
	cable := newCable(b, true)
	e, err := cable.Open(link.Attachment{})
	require.NoError(b, err)
	pkt := linktest.Packet(linktest.TCP(own4, peer4, 1, 1, header.TCPFlagAck, make([]byte, 1400)))
	defer pkt.DecRef()
	var list stack.PacketBufferList
	list.PushBack(pkt)
	buf := make([]byte, 2000)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = e.WritePackets(list)
		if _, err := unix.Read(cable.fd, buf); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, e.Release())
}
