package stat

import (
	"gonetx/ip"
	"gonetx/tcp"
)

// Counters are those of the info services, and of the link.
type Counters struct {
	IP   IP   `json:"ip"`
	ICMP ICMP `json:"icmp"`
	TCP  TCP  `json:"tcp"`
	Link Link `json:"link"`
}

// IP is ip.Info.
type IP struct {
	TotalPacketsSent       uint32            `json:"packets_sent"`
	TotalBytesSent         uint32            `json:"bytes_sent"`
	TotalPacketsReceived   uint32            `json:"packets_received"`
	TotalBytesReceived     uint32            `json:"bytes_received"`
	InvalidPackets         uint32            `json:"invalid_packets"`
	ReceivePacketsDropped  uint32            `json:"receive_packets_dropped"`
	ReceiveChecksumErrors  uint32            `json:"checksum_errors"`
	SendPacketsDropped     uint32            `json:"send_packets_dropped"`
	TotalFragmentsSent     uint32            `json:"fragments_sent"`
	TotalFragmentsReceived uint32            `json:"fragments_received"`
	Drops                  map[string]uint64 `json:"drops,omitempty"`
}

// ICMP is ip.ICMPInfo.
type ICMP struct {
	PingsSent             uint32 `json:"pings_sent"`
	PingTimeouts          uint32 `json:"ping_timeouts"`
	PingThreadsSuspended  uint32 `json:"ping_threads_suspended"`
	PingResponsesReceived uint32 `json:"ping_responses_received"`
	ICMPChecksumErrors    uint32 `json:"checksum_errors"`
	ICMPUnhandledMessages uint32 `json:"unhandled_messages"`
}

// TCP is tcp.Info.
type TCP struct {
	PacketsSent           uint32 `json:"packets_sent"`
	BytesSent             uint32 `json:"bytes_sent"`
	PacketsReceived       uint32 `json:"packets_received"`
	BytesReceived         uint32 `json:"bytes_received"`
	InvalidPackets        uint32 `json:"invalid_packets"`
	ReceivePacketsDropped uint32 `json:"receive_packets_dropped"`
	ChecksumErrors        uint32 `json:"checksum_errors"`
	Connections           uint32 `json:"connections"`
	Disconnections        uint32 `json:"disconnections"`
	ConnectionsDropped    uint32 `json:"connections_dropped"`
	RetransmittedPackets  uint32 `json:"retransmitted_packets"`
}

// Link counts what the device took and gave.
type Link struct {
	InFrames  uint64            `json:"in_frames"`
	OutFrames uint64            `json:"out_frames"`
	InDrops   uint64            `json:"in_drops"`
	OutDrops  uint64            `json:"out_drops"`
	Drops     map[string]uint64 `json:"drops,omitempty"`
}

// take asks the info services. The conversions do not compile when a counter
// is added there and not here.
func (c *Counters) take(inst *ip.Instance) {
	i, _ := ip.InfoGet(inst)
	m, _ := ip.ICMPInfoGet(inst)
	t, _ := tcp.InfoGet(inst)
	l := inst.Link()
	c.IP, c.ICMP, c.TCP = IP(i), ICMP(m), TCP(t)
	c.Link = Link{l.InFrames, l.OutFrames, l.InDrops, l.OutDrops, l.Drops}
}
