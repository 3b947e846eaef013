package tun

import (
	"gonetx/ip/link"
	"gonetx/packetpool"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// scratchBytes is the largest frame that a device can give.
const scratchBytes = 65536

// intake is the memory that the reader reads into: packets of the pool, taken
// ahead, and behind them memory of its own for what finds no room in them. A
// frame that reaches into that is dropped; with no pool, all frames lie there
// and are copied.
type intake struct {
	pool    *packetpool.Pool
	vnet    bool
	largest int // bytes of the largest frame that is expected

	packets packetpool.Inbound
	areas   [][]byte         // of packets, for the next frame
	short   bool             // they are too few for the largest frame
	held    packetpool.Frame // the frame under delivery

	header  [vnetBytes]byte
	scratch []byte
	iov     []unix.Iovec // all of it; empty when it is to be made anew
}

func (in *intake) init(pool *packetpool.Pool, largest uint32, vnet bool) {
	in.pool, in.largest, in.vnet = pool, int(min(largest, scratchBytes)), vnet
	in.packets.Init(pool)
	in.scratch = make([]byte, scratchBytes)
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
	if in.pool != nil {
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
	var data buffer.Buffer
	switch {
	case in.pool == nil:
		data = buffer.MakeWithData(in.scratch[:n])
	case n > in.largest:
		return nil, 0, link.DropTooLong
	case n > in.room():
		in.again()
		return nil, 0, link.DropPoolEmpty
	default:
		data, in.held = in.packets.Commit(n, link.HeaderBytes(in.areas, n))
		in.again()
	}
	pkt = stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
	pkt.GSOOptions = v.gso
	pkt.RXChecksumValidated = v.verified
	return pkt, protocol, ""
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
