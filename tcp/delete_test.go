package tcp_test

import (
	"bytes"
	"testing"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
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

// recorder calls a function for each event.
type recorder func(nx.Event)

func (r recorder) Record(e nx.Event) { r(e) }

// The pool of a message is deleted while gVisor sends it: it arrives, and what it had is
// given back (nxtest.Main looks for it).
func TestPoolDeletedWhileSending(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		data := bytes.Repeat([]byte("data"), 100)
		pool := new(packetpool.Pool)
		deletes := recorder(func(e nx.Event) {
			if s, ok := e.(nx.SegmentEvent); ok && s.Direction == nx.Sent && s.Length == len(data) {
				_ = packetpool.PoolDelete(pool) // the segment may be sent again
			}
		})
		a, b := pairOn(t, ram.NewNetwork(ram.Config{}), hostConfig{ip: ip.Config{Recorder: deletes}}, hostConfig{})
		client, server := established(t, a, b, family)
		require.NoError(t, packetpool.PoolCreate(pool, "doomed", 1536, 1536*4))
		packet, err := packetpool.Allocate(pool, packetpool.TCPPacket, nx.NoWait)
		require.NoError(t, err)
		require.NoError(t, packetpool.DataAppend(packet, data, pool, nx.NoWait))
		require.NoError(t, tcp.SocketSend(client, packet, nx.NoWait))
		assert.Equal(t, data, receive(t, server, 500))
		_, err = packetpool.PoolInfoGet(pool)
		requireStatus(t, nx.PtrError, err)
	})
}
