package ip

import "gonetx/packetpool/nx"

// This file is nx_ip_info_get.

// Info is what InfoGet answers. The counters are ULONGs and wrap as the
// original's do.
type Info struct {
	TotalPacketsSent       uint32 // datagrams handed to the link; a super-segment is one
	TotalBytesSent         uint32 // without their IP headers, 20 or 40 bytes each
	TotalPacketsReceived   uint32 // every datagram that came in, also those dropped then
	TotalBytesReceived     uint32 // of those accepted, without their IP headers
	InvalidPackets         uint32 // malformed: version, length, header checksum
	ReceivePacketsDropped  uint32
	ReceiveChecksumErrors  uint32 // of IPv4 headers
	SendPacketsDropped     uint32
	TotalFragmentsSent     uint32
	TotalFragmentsReceived uint32

	// Drops tells what was dropped between stack and link, by reason. NetX Duo
	// has no such thing. Nil: nothing.
	Drops map[string]uint64
}

// InfoGet answers the counters of an instance: nx_ip_info_get.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_ip_info_get.c, nx_ip_info_get.c.
func InfoGet(inst *Instance) (Info, error) {
	if !inst.isCreated() {
		return Info{}, nx.Fail("ip.InfoGet", nx.PtrError, nil)
	}
	c := &inst.counters
	return Info{
		TotalPacketsSent: c.packetsSent.Load(), TotalBytesSent: c.bytesSent.Load(),
		TotalPacketsReceived: c.packetsReceived.Load(), TotalBytesReceived: c.bytesReceived.Load(),
		InvalidPackets: c.invalid.Load(), ReceivePacketsDropped: c.receiveDropped.Load(),
		ReceiveChecksumErrors: c.checksum.Load(), SendPacketsDropped: c.sendDropped.Load(),
		TotalFragmentsSent: c.fragmentsSent.Load(), TotalFragmentsReceived: c.fragmentsReceived.Load(),
		Drops: c.dropped(),
	}, nil
}
