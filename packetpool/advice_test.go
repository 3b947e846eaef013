package packetpool_test

import (
	"fmt"
	"math"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ExampleAdvise() {
	advice, err := packetpool.Advise(packetpool.Plan{Payload: 800, Memory: 8000, Body: 2000, IPv6: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(advice)
	// Output:
	// packets in the pool           9    8000 bytes / (60 of NX_PACKET + 800 payload)
	// header room of a packet       76   16 physical + 40 IPv6 + 20 TCP
	// data in the first packet      724  of each message
	// bytes of body in a message    740  payload - 40 IPv6 - 20 TCP
	// packets of such a message     2    76 bytes in front of the data, then 16 run over
	// messages of the body          3    2 x 740 and 520 bytes
	// packets of the body           5    2000 bytes
	// packets of the mail's header  1    200 bytes
	// packets of the commands       6    EHLO, MAIL, RCPT, DATA, end mark, QUIT; one at a time
	// packets of the mail           12   with 760 bytes of header room
	// packets out at once           7    at most, with 20 messages on the transmit queue
	//
	// +--------------------------------------------------------------------------------------+
	// | link | IPv6 | TCP  |                              data                               |
	// |  16  |  40  |  20  |                               724                               |
	// +--------------------------------------------------------------------------------------+
	// 0      16     56     76                                                                800
	//
	// works without waiting: at most 7 packets are out at once, the pool has 9
}

// What the advice says about packets is what a pool does.
func TestAdviceIsTrue(t *testing.T) {
	for _, plan := range []packetpool.Plan{
		{Payload: 800, Memory: 8000, Body: 2000},
		{Payload: 800, Memory: 8000, Body: 2000, IPv6: true},
		{Payload: 1536, Memory: 16 * 1596, Body: 60000},
		{Payload: 128, Memory: 60 * 188, Body: 1000},
		{Payload: 76, Memory: 60 * 136, Body: 100, IPv6: true},
		{Payload: 57, Memory: 60 * 120, Body: 17},
		{Payload: 800, Memory: 8000, Body: 744},
		{Payload: 800, Memory: 8000, Body: 745},
		{Payload: 800, Memory: 8000, Body: 760},
		{Payload: 800, Memory: 8000, Body: 761},
		{Payload: 800, Memory: 8000},
	} {
		advice, err := packetpool.Advise(plan)
		require.NoError(t, err)
		pool := nxtest.NewPool(t, plan.Payload, 200)
		packetType := packetpool.IPv4TCPPacket
		if plan.IPv6 {
			packetType = packetpool.IPv6TCPPacket
		}
		assert.EqualValues(t, packetType, advice.Room)
		var body, chunks uint32
		for left := plan.Body; left > 0; chunks++ {
			n := min(left, advice.Chunk)
			left -= n
			p := message(t, pool, packetType, int(n))
			body += uint32(len(packetpool.Fragments(p)))
			if n == advice.Chunk {
				assert.Len(t, packetpool.Fragments(p), int(advice.ChunkPackets), "%+v", plan)
			}
			require.NoError(t, packetpool.Release(p))
		}
		assert.Equal(t, body, advice.BodyPackets, "%+v", plan)
		assert.Equal(t, chunks, advice.Chunks, "%+v", plan)
		assert.Equal(t, advice.BodyPackets+advice.HeaderPackets+advice.CommandPackets, advice.MailPackets)
		assert.LessOrEqual(t, advice.AtOnce, advice.MailPackets)
	}
}

func TestAdviseErrors(t *testing.T) {
	_, err := packetpool.Advise(packetpool.Plan{Payload: 0, Memory: 8000})
	status(t, nx.SizeError, "Advise", err)
	_, err = packetpool.Advise(packetpool.Plan{Payload: 800, Memory: 859})
	status(t, nx.SizeError, "Advise", err)
	_, err = packetpool.Advise(packetpool.Plan{Payload: 75, Memory: 8000, IPv6: true})
	status(t, nx.InvalidParameters, "Advise", err)
	_, err = packetpool.Advise(packetpool.Plan{Payload: 75, Memory: 8000})
	require.NoError(t, err)
	_, err = packetpool.Advise(packetpool.Plan{Payload: 76, Memory: math.MaxUint32, Body: math.MaxUint32, IPv6: true})
	require.NoError(t, err)
}

func TestVerdicts(t *testing.T) {
	for want, plan := range map[string]packetpool.Plan{
		"works without waiting": {Payload: 1536, Memory: 64 * 1596, Body: 10_000},
		"waits for acknow":      {Payload: 1536, Memory: 16 * 1596, Body: 60_000},
		"too small":             {Payload: 800, Memory: 860, Body: 10_000},
	} {
		advice, err := packetpool.Advise(plan)
		require.NoError(t, err)
		assert.Contains(t, advice.Verdict, want)
	}
}
