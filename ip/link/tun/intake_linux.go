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

// intake is the memory that the reader reads into.
type intake struct {
	pool    *packetpool.Pool
	vnet    bool
	header  [vnetBytes]byte
	scratch []byte
	iov     []unix.Iovec
}

func (in *intake) init(pool *packetpool.Pool, largest uint32, vnet bool) {
	in.pool, in.vnet = pool, vnet
	in.scratch = make([]byte, frameBytes)
	if vnet {
		in.iov = append(in.iov, iovec(in.header[:]))
	}
	in.iov = append(in.iov, iovec(in.scratch))
}

func (in *intake) read(fd int) (int, unix.Errno) { return readv(fd, in.iov) }

// park gives back what is not needed while nothing comes.
func (in *intake) park() {}

// end gives everything back.
func (in *intake) end() {}

// head is the begin of what was read, for a drop event.
func (in *intake) head(n int) []byte { return in.scratch[:n] }

func (in *intake) reclaim(*stack.PacketBuffer) {}

func (in *intake) packet(n int) (pkt *stack.PacketBuffer, protocol tcpip.NetworkProtocolNumber, reason string) {
	var v vnet
	if in.vnet {
		if n < vnetBytes {
			return nil, 0, DropVNetShort
		}
		n -= vnetBytes
	}
	protocol, reason = link.Classify(in.scratch[:n], n)
	if reason != "" {
		return nil, 0, reason
	}
	if in.vnet {
		if v, reason = parseVNet(in.header[:], in.scratch[:n]); reason != "" {
			return nil, 0, reason
		}
	}
	pkt = stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(in.scratch[:n])})
	pkt.GSOOptions = v.gso
	pkt.RXChecksumValidated = v.verified
	return pkt, protocol, ""
}
