package tun

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// The header before each frame of a device with IFF_VNET_HDR: struct
// virtio_net_hdr of linux/virtio_net.h, in the byte order of the machine
// (little endian on every one that Go's TUN driver runs on; see vnetOrder).
//
//	0 flags       1 gso_type    2 hdr_len     4 gso_size
//	6 csum_start  8 csum_offset
const vnetBytes = 10

const (
	vnetNeedsChecksum = 1 // flags: the sum from csum_start on is still to be made
	vnetDataValid     = 2 // flags: the sums have been verified

	vnetGSONone  = 0
	vnetGSOTCPv4 = 1
	vnetGSOTCPv6 = 4
	vnetGSOECN   = 0x80 // a bit: the segment has CWR set
)

var vnetOrder = binary.NativeEndian

// putVNet writes the header for a packet that the stack sends.
//
// Only TCP asks for offload, and only with the stack's own GSO options:
// SYN and RST are built without (gVisor connect.go, sendTCP with GSO{}) and
// carry a finished checksum.
func putVNet(h *[vnetBytes]byte, pkt *stack.PacketBuffer) {
	*h = [vnetBytes]byte{}
	gso := &pkt.GSOOptions
	if gso.Type == stack.GSONone || !gso.NeedsCsum {
		return
	}
	h[0] = vnetNeedsChecksum
	vnetOrder.PutUint16(h[2:], uint16(pkt.HeaderSize()))
	vnetOrder.PutUint16(h[6:], gso.L3HdrLen)
	vnetOrder.PutUint16(h[8:], gso.CsumOffset)
	if pkt.Data().Size() <= int(gso.MSS) {
		return
	}
	h[1] = vnetGSOTCPv4
	if gso.Type == stack.GSOTCPv6 {
		h[1] = vnetGSOTCPv6
	}
	vnetOrder.PutUint16(h[4:], gso.MSS)
}

// vnet is what a frame's header says that the stack wants to know.
type vnet struct {
	verified bool // the checksums need no look
	gso      stack.GSO
}

// parseVNet reads the header of a frame of the protocol. A reason tells what is
// wrong with it.
func parseVNet(h *[vnetBytes]byte, protocol tcpip.NetworkProtocolNumber) (v vnet, reason string) {
	// A frame whose sum is unfinished comes from this very machine, and one
	// with DATA_VALID was verified: the stack need not look in either case.
	v.verified = h[0]&(vnetNeedsChecksum|vnetDataValid) != 0
	want := header.IPv4ProtocolNumber
	switch h[1] &^ vnetGSOECN {
	case vnetGSONone:
		return v, ""
	case vnetGSOTCPv4:
		v.gso.Type = stack.GSOTCPv4
	case vnetGSOTCPv6:
		v.gso.Type, want = stack.GSOTCPv6, header.IPv6ProtocolNumber
	default:
		return v, DropVNetType
	}
	if v.gso.MSS = vnetOrder.Uint16(h[4:]); v.gso.MSS == 0 {
		return v, DropVNetSize
	}
	if protocol != want {
		return v, DropVNetType
	}
	return v, ""
}

// Reasons for frames that the driver drops.
const (
	DropVNetShort   = "no room for a vnet header"
	DropVNetType    = "unknown kind of super-segment in the vnet header"
	DropVNetSize    = "super-segment of segments of no size in the vnet header"
	DropSuper       = "super-segment on a link without offload"
	DropPieces      = "in more pieces than one write takes"
	DropDeviceDown  = "the device is down"
	DropDeviceError = "the device refused it: "
)
