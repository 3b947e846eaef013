package tcp_test

import (
	"testing"

	"gonetx/ip"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/require"
)

// An instance is deleted while frames for it are on the wire, and under delivery:
// all packets come back. gVisor's queuePacket looks whether the stack is closed, and
// queues the segment then; when it was closed meanwhile, nobody empties that queue.
func TestDeleteWhileFramesCome(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		for round := range 100 {
			config := hostConfig{payload: 256, packets: 400}
			a, b := pairWith(t, config, config)
			client, server := establishedWith(t, a, b, family, 8192, 8192, &tcp.Config{TransmitQueue: 200})
			for range 20 + round {
				require.NoError(t, tcp.SocketSend(client, a.message(t, []byte("data")), nx.NoWait))
			}
			takeDown(t, b, server)
			require.NoError(t, tcp.ServerSocketUnlisten(&b.inst, port))
			require.NoError(t, ip.Delete(&b.inst))
		}
	})
}
