package tun

import (
	"gonetx/ip/link"
	"gonetx/packetpool"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// frameBytes is the largest frame that a device can give.
const frameBytes = 65536

// intake is the memory that the reader reads into: packets of the pool, taken
// ahead, and behind them memory of its own for what finds no room in them. A
// frame that reaches into that is dropped.
//
// A pool that would miss them takes no packets ahead, and nor does a reader
// without a pool: all frames are read into the reader's memory and copied.
type intake struct {
	base    *link.Base
	vnet    bool
	largest int  // bytes of the largest frame that is expected
	ahead   bool // packets are taken ahead

	packets packetpool.Inbound
	areas   [][]byte         // of packets, for the next frame
	short   bool             // they are too few for the largest frame
	held    packetpool.Frame // the frame under delivery

	header  [vnetBytes]byte
	scratch []byte
	iov     []unix.Iovec // all of it; empty when it is to be made anew
}

func (in *intake) init(base *link.Base, largest uint32, vnet bool) {
	in.base, in.largest, in.vnet = base, int(min(largest, frameBytes)), vnet
	in.scratch = make([]byte, frameBytes+1) // a longer frame shows
	pool := base.Attachment().Pool
	in.packets.Init(pool)
	// LargestFrame is half of what the pool holds: a quarter may be taken ahead.
	in.ahead = pool != nil && uint32(in.largest) <= link.LargestFrame(pool)/2
}

// read reads one frame and answers its bytes, vnet header included.
func (in *intake) read(fd int) (int, unix.Errno) {
	if len(in.iov) == 0 || in.short {
		in.again()
		in.prepare()
	}
	return readv(fd, in.iov)
}

// prepare takes the packets that the largest frame needs, as far as there are
// some.
func (in *intake) prepare() {
	if in.vnet {
		in.iov = append(in.iov, iovec(in.header[:]))
	}
	if in.ahead {
		in.areas = in.packets.Reserve(in.largest)
		for _, area := range in.areas {
			in.iov = append(in.iov, iovec(area))
		}
		in.short = in.room() < in.largest
	}
	in.iov = append(in.iov, iovec(in.scratch))
}

// again makes the next read look for packets anew.
func (in *intake) again() { in.areas, in.iov = nil, in.iov[:0] }

// park gives back what is not needed while nothing comes.
func (in *intake) park() {
	in.packets.Return()
	in.again()
}

// packet makes a packet of n bytes that were read. Or it answers why the frame
// must be dropped, and the packets serve the next one.
func (in *intake) packet(n int) (pkt *stack.PacketBuffer, protocol tcpip.NetworkProtocolNumber, reason string) {
	if in.vnet {
		if n < vnetBytes {
			return nil, 0, DropVNetShort
		}
		n -= vnetBytes
	}
	if n == 0 {
		return nil, 0, link.DropEmpty
	}
	protocol = link.Protocol(in.begin(1)[0])
	var v vnet
	if in.vnet {
		if v, reason = parseVNet(&in.header, protocol); reason != "" {
			return nil, 0, reason
		}
	}
	data, reason := in.store(n)
	if reason != "" {
		return nil, 0, reason
	}
	pkt = stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
	pkt.GSOOptions = v.gso
	pkt.RXChecksumValidated = v.verified
	return pkt, protocol, ""
}

// store makes a buffer of n bytes that were read.
func (in *intake) store(n int) (data buffer.Buffer, reason string) {
	ok := true
	switch {
	case n > in.largest:
		return data, link.DropTooLong
	case !in.ahead:
		if data, in.held, ok = in.base.Store(in.scratch[:n]); !ok {
			return data, link.DropPoolEmpty
		}
	case n > in.room():
		in.again()
		return data, link.DropPoolEmpty
	default:
		data, in.held = in.packets.Commit(n, link.HeaderBytes(in.areas, n))
		in.again()
	}
	return data, ""
}

// room is how many bytes the packets have.
func (in *intake) room() int {
	if len(in.areas) == 0 {
		return 0
	}
	return len(in.areas) * len(in.areas[0])
}

// begin is the first of n bytes of a frame that were read, as far as they lie
// together.
func (in *intake) begin(n int) []byte {
	b := in.scratch
	if len(in.areas) > 0 {
		b = in.areas[0]
	}
	return b[:min(n, len(b))]
}

// head is the begin of what was read, for a drop event.
func (in *intake) head(n int) []byte {
	if in.vnet {
		n = max(n-vnetBytes, 0)
	}
	return in.begin(n)
}

// reclaim is called when the stack has seen the packet.
func (in *intake) reclaim(pkt *stack.PacketBuffer) {
	views, _ := pkt.AsViewList()
	in.held.Reclaim(views)
	in.held = packetpool.Frame{}
}
