package tcp_test

import (
	"runtime"
	"sync"
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

// dry is a world in driven time in which B has received two segments of unit bytes in
// one packet, and a shorter one in another. The program holds all others, and that one
// for the first segment: there is no packet for the second.
type dry struct {
	*driven.World
	t              *testing.T
	a, b           *host
	client, server *tcp.Socket
	data           []byte // of the first two segments
	first          packetpool.Packet
	held           []packetpool.Packet
}

const unit = 700

func newDry(t *testing.T, family string) *dry {
	t.Helper()
	w := nearlyDry(t, family, unit)
	w.do(func() {
		w.a.send(t, w.client, w.data)
		w.a.send(t, w.client, []byte("the third"))
	})
	w.do(func() {
		var err error
		w.first, err = tcp.SocketReceive(w.server, nx.NoWait)
		require.NoError(t, err)
		_, err = tcp.SocketReceive(w.server, nx.NoWait)
		requireStatus(t, nx.NoPacket, err)
	})
	return w
}

// nearlyDry is the world before anything has come: two packets are left for it.
func nearlyDry(t *testing.T, family string, unit uint16) *dry {
	t.Helper()
	const packets = 16
	w := &dry{World: driven.New(driven.Config{}), t: t}
	t.Cleanup(w.Close)
	reader := &slowReader{Driver: w.Network.Driver(), unit: unit, taken: make(chan struct{}, 1), goingOn: make(chan struct{})}
	close(reader.goingOn) // it is not slow here
	config := hostConfig{ip: ip.Config{Clock: w.Clock}}
	w.a = newHost(t, "A", w.Network.Driver(), addressA, address6A, config)
	config.payload, config.packets = 1536, packets
	w.b = newHost(t, "B", reader, addressB, address6B, config)
	w.client, w.server = w.a.socket(t, 8192, nil), w.b.socket(t, 8192, nil)
	w.do(func() {
		require.NoError(t, tcp.ServerSocketListen(&w.b.inst, port, w.server, 5, nil))
		requireStatus(t, nx.InProgress, tcp.ServerSocketAccept(w.server, nx.NoWait))
		require.NoError(t, tcp.ClientSocketBind(w.client, tcp.AnyPort, nx.NoWait))
		require.NoError(t, tcp.ClientSocketConnect(w.client, w.b.addr[family], port, 100))
	})
	t.Cleanup(func() { _ = tcp.ServerSocketUnlisten(&w.b.inst, port) })
	for range packets - 2 {
		w.held = append(w.held, w.b.message(t, nil))
	}
	t.Cleanup(func() {
		for _, packet := range append(w.held, w.first) {
			_ = packetpool.Release(packet) // the test may have done so
		}
	})
	w.data = make([]byte, 1400)
	for i := range w.data {
		w.data[i] = byte(i / 7)
	}
	return w
}

// do makes calls, to their end.
func (w *dry) do(f func()) {
	w.t.Helper()
	require.True(w.t, w.Wait(w.Go(driven.Thread{}, f, nil), 1000), "it does not return")
}

// release gives back one of the packets that the program holds.
func (w *dry) release() {
	w.t.Helper()
	last := len(w.held) - 1
	w.do(func() { require.NoError(w.t, packetpool.Release(w.held[last])) })
	w.held = w.held[:last]
}

// receive begins to wait for the next message of B.
func (w *dry) receive(wait nx.Wait, got *[]byte, why *error) *driven.Call {
	return w.Go(driven.Thread{}, func() {
		packet, err := tcp.SocketReceive(w.server, wait)
		if *why = err; err == nil {
			*got = contents(w.t, packet)
		}
	}, nil)
}

// allocate begins to wait for a packet of B's pool.
func (w *dry) allocate(packet *packetpool.Packet) *driven.Call {
	return w.Go(driven.Thread{}, func() {
		var err error
		*packet, err = packetpool.Allocate(w.b.pool, packetpool.ReceivePacket, nx.WaitForever)
		assert.NoError(w.t, err)
	}, nil)
}

// A receiver that needs a packet of a pool that is dry goes on when one is released,
// at that moment, and waits as long as its wait says.
func TestReceiverWaitsForAPacket(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		w := newDry(t, family)
		var got []byte
		var why error
		for _, wait := range []nx.Wait{1, 5, 100, 250} {
			call := w.receive(wait, &got, &why)
			assert.False(t, call.Done())
			require.True(t, w.Wait(call, 1000))
			requireStatus(t, nx.NoPacket, why)
			assert.EqualValues(t, wait, call.Finished-call.Started)
		}
		call := w.receive(nx.WaitForever, &got, &why)
		w.Sleep(230)
		assert.False(t, call.Done())
		w.release()
		require.True(t, call.Done())
		require.NoError(t, why)
		assert.Equal(t, w.data[unit:], got)
		assert.EqualValues(t, 230, call.Finished-call.Started)
	})
}

// Who waits for a packet gets it in turn, whether he is a receiver or allocates.
func TestReceiverHasItsTurnForAPacket(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		w := newDry(t, family)
		var got []byte
		var why error
		var before, behind packetpool.Packet
		first := w.allocate(&before)
		receiving := w.receive(nx.WaitForever, &got, &why)
		last := w.allocate(&behind)
		w.release()
		assert.Equal(t, []bool{true, false, false}, []bool{first.Done(), receiving.Done(), last.Done()})
		w.release()
		require.True(t, receiving.Done())
		require.NoError(t, why)
		assert.Equal(t, w.data[unit:], got)
		assert.True(t, last.Done(), "what the receiver has released")
		for _, packet := range []packetpool.Packet{before, behind} {
			require.NoError(t, packetpool.Release(packet))
		}
	})
}

// When a receiver waits no longer for a packet, the next one does that waits for data.
func TestReceiverLeavesItsTurnToTheNext(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		w := nearlyDry(t, family, 500)
		first := w.Go(driven.Thread{}, func() {
			var err error
			w.first, err = tcp.SocketReceive(w.server, nx.WaitForever)
			assert.NoError(t, err)
		}, nil)
		var got []byte
		var impatient, why error
		second := w.receive(5, &got, &impatient)
		third := w.receive(nx.WaitForever, &got, &why)
		w.held = append(w.held, w.b.message(t, nil))
		w.do(func() { w.a.send(t, w.client, w.data) })
		require.True(t, first.Done())
		require.True(t, w.Wait(second, 100))
		requireStatus(t, nx.NoPacket, impatient)
		assert.False(t, third.Done())
		w.release()
		require.True(t, third.Done())
		require.NoError(t, why)
		assert.Equal(t, w.data[500:1000], got)
	})
}

// A receiver that waits for a packet is told at once when its connection ends, or the
// pool.
func TestReceiverThatWaitsForAPacketIsTold(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		for _, row := range []struct {
			name string
			end  func(*dry)
			want nx.Status
		}{
			{"disconnect", func(w *dry) { requireStatus(t, nx.InProgress, tcp.SocketDisconnect(w.server, nx.NoWait)) }, nx.NotConnected},
			{"pool delete", func(w *dry) { require.NoError(t, packetpool.PoolDelete(w.b.pool)) }, nx.NoPacket},
		} {
			t.Run(row.name, func(t *testing.T) {
				w := newDry(t, family)
				var got []byte
				var why error
				receiving := w.receive(nx.WaitForever, &got, &why)
				w.Sleep(3)
				w.do(func() { row.end(w) })
				require.True(t, receiving.Done())
				requireStatus(t, row.want, why)
				assert.EqualValues(t, 3, receiving.Finished-receiving.Started)
			})
		}
	})
}

// When somebody else has taken the segment for which a receiver waits for a packet, it
// goes on with the next one, which needs none; and when nothing is left, it waits for
// what comes, and no packet goes to it.
func TestReceiverNeedsNoPacketAnyMore(t *testing.T) {
	families(t, func(t *testing.T, family string) {
		w := newDry(t, family)
		var got [2][]byte
		var why [2]error
		first, second := w.receive(nx.WaitForever, &got[0], &why[0]), w.receive(nx.WaitForever, &got[1], &why[1])
		conn, err := tcp.NewConn(w.server, w.b.pool)
		require.NoError(t, err)
		w.do(func() {
			b := make([]byte, 1000)
			n, err := conn.Read(b[:unit])
			require.NoError(t, err)
			assert.Equal(t, w.data[unit:], b[:n])
		})
		require.True(t, first.Done())
		require.NoError(t, why[0])
		assert.Equal(t, "the third", string(got[0]))
		assert.False(t, second.Done())
		info, err := packetpool.PoolInfoGet(w.b.pool)
		require.NoError(t, err)
		assert.EqualValues(t, 1, info.FreePackets, "what the first has released")

		w.do(func() { w.a.send(t, w.client, []byte("the fourth")) })
		require.True(t, second.Done())
		require.NoError(t, why[1])
		assert.Equal(t, "the fourth", string(got[1]))
	})
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
		const packets = 16
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

// Receivers and others want the packets of a pool that has none, and the connection ends
// in the middle: everybody is told, and every packet comes back.
func TestDryPoolRace(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	families(t, func(t *testing.T, family string) {
		for round := range rounds {
			const frames, packets, perFrame = 4, 16, 4
			network := ram.NewNetwork(ram.Config{})
			reader := &slowReader{Driver: network.Driver(), unit: 350, taken: make(chan struct{}, 1), goingOn: make(chan struct{})}
			close(reader.goingOn)
			a := newHost(t, "A", network.Driver(), addressA, address6A, hostConfig{})
			b := newHost(t, "B", reader, addressB, address6B, hostConfig{payload: 1536, packets: packets})
			client, server := established(t, a, b, family)
			for range frames {
				a.send(t, client, make([]byte, perFrame*350))
			}
			require.Eventually(t, func() bool {
				stats, err := tcp.SocketStatsGet(server)
				require.NoError(t, err)
				return stats.Unread == frames*perFrame*350
			}, 10*time.Second, time.Millisecond)
			others := make(chan packetpool.Packet, packets)
			for {
				packet, err := packetpool.Allocate(b.pool, packetpool.ReceivePacket, nx.NoWait)
				if err != nil {
					break
				}
				others <- packet
			}
			var wg, receivers sync.WaitGroup
			ended := make(chan struct{})
			for i := range 3 {
				receivers.Go(func() {
					for n := 0; ; n++ {
						packet, err := tcp.SocketReceive(server, []nx.Wait{1, nx.WaitForever, nx.NoWait}[(i+n)%3])
						switch nx.Code(err) {
						case uint(nx.Success):
							others <- packet
						case uint(nx.NoPacket):
						default:
							requireStatus(t, nx.NotConnected, err)
							return
						}
					}
				})
			}
			for range 2 {
				wg.Go(func() {
					for {
						select {
						case packet := <-others:
							assert.NoError(t, packetpool.Release(packet))
						case <-ended:
							return
						}
						if packet, err := packetpool.Allocate(b.pool, packetpool.ReceivePacket, 1); err == nil {
							others <- packet
						}
					}
				})
			}
			for range 100 * round {
				runtime.Gosched()
			}
			requireStatus(t, nx.InProgress, tcp.SocketDisconnect(server, nx.NoWait))
			receivers.Wait()
			close(ended)
			wg.Wait()
			for len(others) > 0 {
				require.NoError(t, packetpool.Release(<-others))
			}
		}
	})
}
