package ip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Facts about gVisor that the code relies on and that gVisor does not promise.
// When an upgrade changes one, its test tells, and the place that has to change
// with it.

// TestCanaryChecksums: whether a stack validates TCP checksums is decided by the
// link's capability alone; what a packet says of itself is overwritten
// (nic.DeliverNetworkPacket). Hence gate.Capabilities, and validation at the
// gate.
func TestCanaryChecksums(t *testing.T) {
	for _, offload := range []bool{false, true} {
		s := newStack("", nx.RealClock, false, nil)
		endpoint := channel.New(4, 1500, "")
		if offload {
			endpoint.LinkEPCapabilities = stack.CapabilityRXChecksumOffload
		}
		require.Nil(t, s.CreateNIC(nic, endpoint))
		require.Nil(t, s.AddProtocolAddress(nic, tcpip.ProtocolAddress{
			Protocol: header.IPv4ProtocolNumber, AddressWithPrefix: toStack(addressA).WithPrefix(),
		}, stack.AddressProperties{}))
		segment := tcpSegment(ap(addressB, 1), ap(addressA, 2), header.TCPFlagSyn, []byte("data"))
		segment[20] ^= 1
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
			Payload: buffer.MakeWithData(ipv4Frame(addressB, addressA, protocolTCP, segment)),
		})
		pkt.RXChecksumValidated = !offload
		endpoint.InjectInbound(header.IPv4ProtocolNumber, pkt)
		pkt.DecRef()
		assert.Equal(t, offload, endpoint.NumQueued() == 1, "a reset means that the damaged segment was taken")
		endpoint.Drain()
		s.Close()
		s.Wait()
	}
}

// TestCanarySilence: a stack sends nothing of its own accord, whatever time
// passes: no IGMP or MLD reports, no router solicitations, no probes.
func TestCanarySilence(t *testing.T) {
	clock := new(nxtest.Clock)
	network := ram.NewNetwork(ram.Config{Manual: true})
	inst := host(t, network.Driver(), addressA, &Config{Clock: clock, NoDAD: true})
	require.NoError(t, ICMPEnable(inst))
	require.NoError(t, IPv6Enable(inst))
	require.NoError(t, IGMPEnable(inst))
	require.NoError(t, IPv6LinklocalAddressSet(inst, netip.Addr{}))
	require.NoError(t, IPv6GlobalAddressSet(inst, address6A, 64))
	require.NoError(t, IGMPMulticastJoin(inst, IPAddress(224, 1, 1, 1)))
	clock.Go(func() { clock.Sleep(3600 * nx.TicksPerSecond) })
	clock.Wait(t)
	require.NoError(t, IGMPMulticastLeave(inst, IPAddress(224, 1, 1, 1)))
	require.NoError(t, IPv6Disable(inst))
	assert.Zero(t, network.Pending())
}

// TestCanaryAllSystems: every stack is in the all-systems group, which no
// program has joined. The gate keeps what is sent there from it.
func TestCanaryAllSystems(t *testing.T) {
	inst := oneHost(t, nil)
	in, err := inst.stack.IsInGroup(nic, toStack(IPAddress(224, 0, 0, 1)))
	require.Nil(t, err)
	assert.True(t, in)
}

// TestCanaryTiming: in release mode gVisor sends nothing again by itself,
// because package tcp keeps the release's timing; otherwise it has its own. RACK
// is off in both.
func TestCanaryTiming(t *testing.T) {
	for _, release := range []bool{false, true} {
		inst := oneHost(t, &Config{Release: release})
		assert.Equal(t, release, inst.Release())
		var shortest tcpip.TCPMinRTOOption
		var longest tcpip.TCPMaxRTOOption
		var sack tcpip.TCPSACKEnabled
		var recovery tcpip.TCPRecovery
		for _, option := range []tcpip.GettableTransportProtocolOption{&shortest, &longest, &sack, &recovery} {
			require.Nil(t, inst.stack.TransportProtocolOption(tcp.ProtocolNumber, option))
		}
		if release {
			const aDay = 24 * time.Hour
			assert.Greater(t, time.Duration(shortest), aDay)
			assert.Greater(t, time.Duration(longest), aDay)
		} else {
			assert.Equal(t, tcp.MinRTO, time.Duration(shortest))
			assert.Equal(t, longestTimeout, time.Duration(longest))
		}
		assert.Equal(t, !release, bool(sack))
		assert.Zero(t, recovery)
	}
}

// TestCanaryDelete: the order of Delete ends a stack that is at work. With
// Stack.Wait before the reader is joined it would hang now and then.
func TestCanaryDelete(t *testing.T) {
	for range 20 {
		network := ram.NewNetwork(ram.Config{})
		pools := []*packetpool.Pool{nxtest.NewPool(t, 1536, 64), nxtest.NewPool(t, 1536, 64)}
		var a, b Instance
		require.NoError(t, Create(&a, "a", addressA, mask24, pools[0], network.Driver(), 2048, 1))
		require.NoError(t, Create(&b, "b", addressB, mask24, pools[1], network.Driver(), 2048, 1))
		var traffic sync.WaitGroup
		for _, inst := range []*Instance{&a, &b} {
			require.NoError(t, ICMPEnable(inst))
			inst.SetTransport(new(passing))
		}
		started := make(chan struct{}, 2)
		traffic.Go(func() { // segments that nobody expects: each is answered with a reset
			segment := ipv4Frame(addressA, addressB, protocolTCP, tcpSegment(ap(addressA, 1), ap(addressB, 2), header.TCPFlagSyn, nil))
			for n := 0; b.Created(); n++ {
				network.Inject(segment)
				if n == 10 {
					started <- struct{}{}
				}
			}
		})
		traffic.Go(func() {
			for n := 0; ; n++ {
				response, err := ICMPPing(&a, addressB, pingData(100), 1)
				if err == nil {
					_ = packetpool.Release(response)
				} else if errors.Is(err, nx.PtrError) {
					return
				}
				if n == 2 {
					started <- struct{}{}
				}
			}
		})
		<-started
		<-started
		require.NoError(t, Delete(&a))
		require.NoError(t, Delete(&b))
		traffic.Wait()
	}
}

// TestCanaryBulk: a transfer of a megabyte crosses two gates, and the pool
// that is smaller than what is under way is full again afterwards.
func TestCanaryBulk(t *testing.T) {
	const size = 1 << 20
	a, b, _ := pair(t)
	// The stack takes its link for one of 65535 bytes; the transport says what a
	// segment is.
	for _, inst := range []*Instance{a, b} {
		inst.SetTransport(&passing{edit: func(s *Segment, out bool) bool {
			if out && s.TCP.Flags().Contains(header.TCPFlagSyn) {
				binary.BigEndian.PutUint16(s.TCP[22:], 1460) // the first option is the MSS
			}
			return true
		}})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	client, server, clientQueue, serverQueue := connect(ctx, t, a, b, addressB)
	defer client.Abort()
	defer server.Abort()
	var sent sync.WaitGroup
	sent.Go(func() {
		block := bytes.Repeat([]byte("0123456789abcdef"), 4096)
		for left := size; left > 0; {
			if !awaitReady(ctx, t, clientQueue, waiter.WritableEvents, func() tcpip.Error {
				rest := block[(size-left)%16:] // a write may take a part
				n, err := client.Write(bytes.NewReader(rest[:min(left, len(rest))]), tcpip.WriteOptions{})
				left -= int(n)
				return err
			}) {
				return
			}
		}
	})
	var got bytes.Buffer
	for got.Len() < size {
		if !awaitReady(ctx, t, serverQueue, waiter.ReadableEvents, func() tcpip.Error {
			_, err := server.Read(&got, tcpip.ReadOptions{})
			return err
		}) {
			break
		}
	}
	sent.Wait()
	for i, c := range got.Bytes() {
		if want := "0123456789abcdef"[i%16]; c != want {
			require.Equal(t, want, c, "byte %d", i)
		}
	}
	a.SetTransport(nil)
	b.SetTransport(nil)
}

// discarding is a transport that does what each must: it says what MSS the
// interface has, because the stack's MTU does not.
type discarding struct{}

func (*discarding) SegmentIn(*Segment) bool { return true }
func (*discarding) SegmentOut(s *Segment) bool {
	if s.TCP.Flags().Contains(header.TCPFlagSyn) && len(s.TCP) > 24 && s.TCP[20] == header.TCPOptionMSS {
		binary.BigEndian.PutUint16(s.TCP[22:], 1400)
	}
	return true
}
func (*discarding) Uses(netip.Addr) bool { return false }
func (*discarding) InterfaceDown()       {}
func (*discarding) Close()               {}
