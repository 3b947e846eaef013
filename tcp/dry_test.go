package tcp_test

import (
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A receiver that needs a packet of a pool that is dry waits for one as long as its
// wait says, looks at the connection each second, and leaves none out.
func TestReceiverWaitsForPackets(t *testing.T) {
	w := driven.New(driven.Config{})
	t.Cleanup(w.Close)
	h := newHost(t, "A", w.Network.Driver(), addressA, address6A, hostConfig{ip: ip.Config{Clock: w.Clock}})
	var held []packetpool.Packet
	for {
		packet, err := packetpool.Allocate(h.pool, packetpool.ReceivePacket, nx.NoWait)
		if err != nil {
			break
		}
		held = append(held, packet)
	}
	require.NotEmpty(t, held)
	for _, row := range []struct {
		wait  nx.Wait
		ticks uint32
		again bool
	}{{5, 5, false}, {100, 100, false}, {250, 100, true}, {nx.WaitForever, 100, true}} {
		var again bool
		call := w.Go(driven.Thread{}, func() { again = tcp.PacketComes(&h.inst, row.wait) }, nil)
		require.True(t, w.Wait(call, 1000))
		assert.Equal(t, row.again, again, "wait %d", row.wait)
		assert.Equal(t, row.ticks, call.Finished-call.Started, "wait %d", row.wait)
	}
	var comes bool
	call := w.Go(driven.Thread{}, func() { comes = tcp.PacketComes(&h.inst, nx.WaitForever) }, nil)
	w.Sleep(10)
	require.NoError(t, packetpool.Release(held[0]))
	require.True(t, w.Wait(call, 1000))
	assert.True(t, comes)
	assert.Less(t, call.Finished-call.Started, uint32(20))
	for _, packet := range held[1:] {
		require.NoError(t, packetpool.Release(packet))
	}
}

// slowReader is a driver whose reader makes a super-segment of each frame with much
// data, and keeps the frame, after the stack has taken it, until it is told.
type slowReader struct {
	link.Driver
	unit    uint16        // bytes of the segments in a super-segment
	taken   chan struct{} // gets one when the stack has the first
	goingOn chan struct{} // closed to tell the reader
}

func (d *slowReader) Open(a link.Attachment) (link.Endpoint, error) {
	below, err := d.Driver.Open(a)
	if err != nil {
		return nil, err
	}
	e := &slowReaderEndpoint{driver: d}
	e.Init("slow reader", below, e)
	return e, nil
}

type slowReaderEndpoint struct {
	link.Wrapper
	driver *slowReader
}

func (e *slowReaderEndpoint) DeliverNetworkPacket(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	if pkt.Size() < 1000 {
		e.Wrapper.DeliverNetworkPacket(protocol, pkt)
		return
	}
	pkt.GSOOptions.MSS = e.driver.unit
	e.Wrapper.DeliverNetworkPacket(protocol, pkt)
	select {
	case e.driver.taken <- struct{}{}:
	default:
	}
	<-e.driver.goingOn
}

// Of a packet of which the program has the first segment, and the reader still has
// the frame, the second one is copied. There is no packet for that, so its receiver
// waits for one, and goes on when the program releases the first.
func TestReceiveGoesOnWithAPacket(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		const unit, packets = 700, 16
		network := ram.NewNetwork(ram.Config{})
		reader := &slowReader{Driver: network.Driver(), unit: unit, taken: make(chan struct{}, 1), goingOn: make(chan struct{})}
		a := newHost(t, "A", network.Driver(), addressA, address6A, hostConfig{})
		b := newHost(t, "B", reader, addressB, address6B, hostConfig{payload: 1536, packets: packets})
		client, server := established(t, a, b, family)
		defer close(reader.goingOn)
		var held []packetpool.Packet
		for range packets - 1 {
			held = append(held, b.message(t, nil))
		}
		data := make([]byte, 2*unit)
		for i := range data {
			data[i] = byte(i / 7)
		}
		a.send(t, client, data)
		<-reader.taken
		first, err := tcp.SocketReceive(server, nx.WaitForever)
		require.NoError(t, err)
		_, err = tcp.SocketReceive(server, nx.NoWait)
		requireStatus(t, nx.NoPacket, err)

		suspensions := func() uint32 {
			info, err := packetpool.PoolInfoGet(b.pool)
			require.NoError(t, err)
			return info.EmptyPoolSuspensions
		}
		require.Zero(t, suspensions())
		second := make(chan packetpool.Packet, 1)
		go func() {
			packet, err := tcp.SocketReceive(server, nx.WaitForever)
			assert.NoError(t, err)
			second <- packet
		}()
		require.Eventually(t, func() bool { return suspensions() > 0 }, 10*time.Second, time.Millisecond)
		assert.Equal(t, data[:unit], contents(t, first)) // releases it
		assert.Equal(t, data[unit:], contents(t, <-second))
		for _, packet := range held {
			require.NoError(t, packetpool.Release(packet))
		}
	})
}
