package link_test

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/capture"
	"gonetx/ip/link/count"
	"gonetx/ip/link/fault"
	"gonetx/ip/link/linktest"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Wrappers compose, in any order, and each sees what passes it.
func TestWrappersCompose(t *testing.T) {
	n := ram.NewNetwork(ram.Config{})
	file := capture.NewFile(io.Discard)
	inner := count.Wrap(n.Driver())
	faults := fault.Wrap(inner, fault.Config{In: fault.Chances{Duplicate: 0.1}})
	outer := count.Wrap(file.Wrap(faults))
	pool := nxtest.NewPool(t, 1536, 1024)
	client := linktest.NewHost(t, outer, link.Attachment{Instance: "client", Pool: pool}, netip.PrefixFrom(here6.Addr(), 64))
	server := linktest.NewHost(t, n.Driver(), link.Attachment{Instance: "server", Pool: pool}, netip.PrefixFrom(there6.Addr(), 64))
	l := server.Listen(t, there6)
	linktest.Transfer(t, client.Dial(t, there6), l.Accept, 100_000)
	client.Endpoint.Stop()

	info := client.Endpoint.Info()
	assert.Equal(t, []string{"count", "capture", "fault", "count"}, info.Wrappers)
	assert.Equal(t, "ram", info.Kind)
	in, _ := faults.Counters()
	assert.Equal(t, inner.Counters().In.Frames, in.Frames)
	assert.Equal(t, in.Frames+in.Duplicated, outer.Counters().In.Frames)
	// The stack may send on: each frame passes both, one after the other.
	assert.Eventually(t, func() bool {
		return inner.Counters().Out.Frames == outer.Counters().Out.Frames
	}, 10*time.Second, time.Millisecond)
	assert.False(t, link.Pooled(client.Endpoint), "a fault works on frames that are still on the wire")
	assert.True(t, link.Pooled(server.Endpoint))
}

// Whatever is on the wire, through all wrappers, the stack answers the next SYN.
func FuzzChain(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x45})
	f.Add(linktest.TCP(here4, there4, 1, 0, header.TCPFlagSyn, []byte("data")))
	f.Add(linktest.UDP(here6, there6, []byte("data")))
	f.Add(linktest.IP(here6.Addr(), there6.Addr(), 0, []byte{44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 9}))
	n := ram.NewNetwork(ram.Config{Manual: true})
	faults, err := fault.Parse("split(1, any),duplicate(in udp),corrupt(in icmp)")
	require.NoError(f, err)
	driver := count.Wrap(capture.NewFile(io.Discard).Wrap(fault.Wrap(n.Driver(), faults)))
	linktest.NewHost(f, driver, link.Attachment{}, netip.PrefixFrom(there4.Addr(), 24), netip.PrefixFrom(there6.Addr(), 64))
	probe := uint32(1000)
	f.Fuzz(func(t *testing.T, frame []byte) {
		n.Inject(frame)
		probe++
		n.Inject(linktest.TCP(netip.AddrPortFrom(here4.Addr(), 9), there4, probe, 0, header.TCPFlagSyn, nil))
		for {
			answer, ok := n.Step()
			require.True(t, ok, "the stack has not answered")
			d, ok := link.Dissect(answer.Data, len(answer.Data))
			if answer.From == "" && ok && d.Flags != header.TCPFlagRst|header.TCPFlagAck {
				continue // what was injected
			}
			if ok && d.Flags == header.TCPFlagRst|header.TCPFlagAck && header.TCP(answer.Data[d.At:]).AckNumber() == probe+1 {
				return
			}
		}
	})
}
