package tun

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/linktest"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Frames take packets of the pool before the stack sees them, and keep them
// while the program has not read: then the next frame is dropped, counted, and
// sent again by the peer.
func TestPoolIsTheLimit(t *testing.T) {
	namespaces(t)
	for _, offload := range []Offload{OffloadAuto, OffloadOff} {
		t.Run(fmt.Sprint("offload ", offload), func(t *testing.T) {
			const packets = 8
			pool := nxtest.NewPool(t, 256, packets)
			h := linktest.NewHost(t, New(Config{Name: "nxl0", Addresses: hosts, Offload: offload}), link.Attachment{Pool: pool}, stack4)
			if offload == OffloadAuto {
				assert.Equal(t, "inbound: the packet pool has room for frames of 1024 bytes, too few for super-segments", h.Endpoint.Info().Why)
			}
			in := h.Listen(t, at(stack4, 7))
			c, err := net.DialTimeout("tcp", at(stack4, 7).String(), 5*time.Second)
			require.NoError(t, err)
			defer c.Close()
			server, err := in.Accept()
			require.NoError(t, err)
			defer server.Close()

			want := ""
			for i := 0; h.Endpoint.Info().Drops[link.DropPoolEmpty] == 0; i++ {
				require.Less(t, i, 10*packets, "each segment has a packet, and nobody reads")
				before := h.Endpoint.Info().InFrames
				want += fmt.Sprintf("%08d", i)
				_, err := c.Write([]byte(want[len(want)-8:])) // a segment: net.Conn has no Nagle
				require.NoError(t, err)
				require.Eventually(t, func() bool { return h.Endpoint.Info().InFrames > before }, 5*time.Second, 100*time.Microsecond)
			}
			nxtest.Await(t, h.Events, func(e nx.DropEvent) bool { return e.Reason == link.DropPoolEmpty }) // told of behind the count

			got := make([]byte, len(want))
			_, err = io.ReadFull(server, got)
			require.NoError(t, err)
			assert.Equal(t, want, string(got))
		})
	}
}
