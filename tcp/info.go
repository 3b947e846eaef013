package tcp

import (
	"net/netip"

	"gonetx/ip"
	"gonetx/packetpool/nx"
)

// Info is what [InfoGet] answers: the TCP of an instance since it was enabled.
// Control segments are not counted.
type Info struct {
	PacketsSent           uint32 // data segments
	BytesSent             uint32
	PacketsReceived       uint32 // data segments
	BytesReceived         uint32
	InvalidPackets        uint32
	ReceivePacketsDropped uint32
	ChecksumErrors        uint32
	Connections           uint32 // connect calls, and each SYN to a listener, repeats too
	Disconnections        uint32 // disconnect calls, also failing ones, and FINs in ESTABLISHED
	ConnectionsDropped    uint32 // SYNs that nobody listened for, or that were too many
	RetransmittedPackets  uint32
}

// SocketInfo is what [SocketInfoGet] answers. The counters begin anew with
// each connection and stay when it has ended.
type SocketInfo struct {
	PacketsSent          uint32 // data segments
	BytesSent            uint32
	PacketsReceived      uint32 // data segments
	BytesReceived        uint32
	RetransmittedPackets uint32
	PacketsQueued        uint32 // received and not taken
	ChecksumErrors       uint32 // always 0: a damaged segment belongs to nobody
	State                State
	TransmitQueueDepth   uint32 // segments that are not acknowledged
	TransmitWindow       uint32 // bytes that may be sent now
	ReceiveWindow        uint32 // bytes that may come now
}

// socketCounters are the counters of a socket's connection.
type socketCounters struct {
	packetsSent, bytesSent         uint32
	packetsReceived, bytesReceived uint32
	retransmitted                  uint32
}

// lastInfo is what is left of a connection in SocketInfo.
type lastInfo struct {
	transmitWindow, receiveWindow uint32
}

// InfoGet answers the counters of an instance's TCP: nx_tcp_info_get.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_ENABLED.
//
// Source: nxe_tcp_info_get.c, nx_tcp_info_get.c.
func InfoGet(inst *ip.Instance) (Info, error) {
	p, status := enabled(inst)
	if status != nx.Success {
		return Info{}, nx.Fail("tcp.InfoGet", status, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counters, nil
}

// SocketInfoGet answers the state and the counters of a socket:
// nx_tcp_socket_info_get.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_tcp_socket_info_get.c, nx_tcp_socket_info_get.c.
func SocketInfoGet(socket *Socket) (SocketInfo, error) {
	p := created(socket)
	if p == nil {
		return SocketInfo{}, nx.Fail("tcp.SocketInfoGet", nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return socket.info(), nil
}

// info answers the state and the counters. The caller holds the protocol's
// lock.
func (s *Socket) info() SocketInfo {
	n := &s.counters
	info := SocketInfo{
		PacketsSent: n.packetsSent, BytesSent: n.bytesSent,
		PacketsReceived: n.packetsReceived, BytesReceived: n.bytesReceived,
		RetransmittedPackets: n.retransmitted,
		State:                s.refresh(),
	}
	info.TransmitWindow, info.ReceiveWindow = s.last.transmitWindow, s.last.receiveWindow
	if c := s.conn; c != nil {
		info.PacketsQueued = c.receiver.segments()
		info.TransmitQueueDepth = c.sender.segments
		if !c.over {
			info.TransmitWindow, info.ReceiveWindow = c.windows()
		}
	}
	return info
}

// windows answers what a connection may send and receive now.
func (c *connection) windows() (transmit, receive uint32) {
	receive = c.socket.window
	if unread := c.receiver.unread(); unread < receive {
		receive -= unread
	} else {
		receive = 0
	}
	return c.usable(), receive
}

// keepLast remembers what the connection leaves.
func (s *Socket) keepLast() {
	if c := s.conn; c != nil && !c.over && c.socket == s {
		s.last.transmitWindow, s.last.receiveWindow = c.windows()
	}
}

// countIn counts a segment with data that the connection takes.
func (c *connection) countIn(length, gso uint32) {
	n := uint32(1)
	if gso > 0 {
		n = (length + gso - 1) / gso
	}
	c.p.counters.PacketsReceived += n
	c.p.counters.BytesReceived += length
	if s := c.socket; s != nil {
		s.counters.packetsReceived += n
		s.counters.bytesReceived += length
	}
}

// countAgain counts a segment with data that was sent before.
func (c *connection) countAgain(seg *ip.Segment) {
	n := uint32(1)
	if seg.GSOSize > 0 {
		n = uint32((seg.Payload + seg.GSOSize - 1) / seg.GSOSize)
	}
	c.p.counters.RetransmittedPackets += n
	if s := c.socket; s != nil {
		s.counters.retransmitted += n
	}
}

// SocketBytesAvailable answers how many bytes were received and not taken:
// nx_tcp_socket_bytes_available.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_CONNECTED (also in CLOSE_WAIT, with
// data that is there, as in the original).
//
// Source: nxe_tcp_socket_bytes_available.c, nx_tcp_socket_bytes_available.c.
func SocketBytesAvailable(socket *Socket) (bytesAvailable uint32, err error) {
	const service = "tcp.SocketBytesAvailable"
	p := created(socket)
	if p == nil {
		return 0, nx.Fail(service, nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !socket.refresh().connected() {
		return 0, nx.Fail(service, nx.NotConnected, socket.cause())
	}
	if socket.conn == nil {
		return 0, nil
	}
	return socket.conn.receiver.unread(), nil
}

// SocketPeerInfoGet answers the address and port of the peer:
// nx_tcp_socket_peer_info_get and nxd_tcp_socket_peer_info_get. In SYN_RECEIVED,
// before a SYN has come, the address is the zero one.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_CONNECTED (also in CLOSE_WAIT).
//
// Source: nxe_tcp_socket_peer_info_get.c, nxd_tcp_socket_peer_info_get.c.
func SocketPeerInfoGet(socket *Socket) (address netip.Addr, port uint, err error) {
	const service = "tcp.SocketPeerInfoGet"
	p := created(socket)
	if p == nil {
		return netip.Addr{}, 0, nx.Fail(service, nx.PtrError, nil)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !socket.refresh().connected() {
		return netip.Addr{}, 0, nx.Fail(service, nx.NotConnected, socket.cause())
	}
	return socket.peer.Addr(), uint(socket.peer.Port()), nil
}
