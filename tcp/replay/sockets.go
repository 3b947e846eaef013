package replay

import (
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// ephemeral is where automatic ports begin (NX_SEARCH_PORT_START). They are
// random, and are recorded only as such.
const ephemeral = 49152

func (r *run) socketCreate(s Step, out map[string]any) {
	var urgent, disconnect func(*tcp.Socket)
	slot := r.slot(s)
	if s.number("callbacks")&1 != 0 {
		urgent = func(*tcp.Socket) { r.called("urgent %s", slot.name) }
	}
	if s.number("callbacks")&2 != 0 {
		disconnect = func(*tcp.Socket) { r.called("disconnect %s", slot.name) }
	}
	err := tcp.SocketCreate(r.instance(s), r.socket(s), slot.name, tcp.IPNormal, tcp.FragmentOkay, 128,
		uint32(s.number("window")), urgent, disconnect)
	if err == nil {
		slot.on = r.named(s.text("ip"))
	}
	answered(out, err)
}

func (r *run) bind(s Step, out map[string]any) {
	answered(out, tcp.ClientSocketBind(r.socket(s), uint(s.number("port")), s.wait()))
}

func (r *run) portGet(s Step, out map[string]any) {
	if s.number("null_out") != 0 {
		nullOutput(r, s, out)
		out["port_nonzero"] = 0.
		return
	}
	port, err := tcp.ClientSocketPortGet(r.socket(s))
	answered(out, err)
	out["port_nonzero"] = truth(port != 0)
	if port != 0 && port < ephemeral {
		out["port"] = float64(port)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// connect makes all forms of the call: by the family of the trace, by the
// service for IPv4, with a version given, and without an address.
func (r *run) connect(s Step, out map[string]any) {
	version := r.trace.AF
	switch s.Op() {
	case "connect4":
		version = 4
	case "connect_fam":
		version = s.number("version")
	}
	answered(out, tcp.ClientSocketConnect(r.socket(s), r.host(s.text("host"), version), uint(s.number("port")), s.wait()))
}

func (r *run) listen(s Step, out map[string]any) {
	var callback func(*tcp.Socket, uint)
	if s.number("callback") != 0 {
		name := r.slot(s).name
		callback = func(_ *tcp.Socket, port uint) { r.called("listen %s port %d", name, port) }
	}
	port := uint(s.number("port"))
	r.slot(s).listened = append(r.slot(s).listened, port)
	answered(out, tcp.ServerSocketListen(r.instance(s), port, r.socket(s), uint(s.number("backlog")), callback))
}

func (r *run) accept(s Step, out map[string]any) {
	answered(out, tcp.ServerSocketAccept(r.socket(s), s.wait()))
}

func (r *run) relisten(s Step, out map[string]any) {
	answered(out, tcp.ServerSocketRelisten(r.instance(s), uint(s.number("port")), r.socket(s)))
}

func (r *run) unlisten(s Step, out map[string]any) {
	answered(out, tcp.ServerSocketUnlisten(r.instance(s), uint(s.number("port"))))
}

func (r *run) disconnect(s Step, out map[string]any) {
	answered(out, tcp.SocketDisconnect(r.socket(s), s.wait()))
}

// send allocates one packet, fills it with the letters of the alphabet in turn,
// and sends it. A packet that the service did not take is released.
func (r *run) send(s Step, out map[string]any) {
	packetType := packetpool.IPv4TCPPacket
	if r.trace.AF == 6 {
		packetType = packetpool.IPv6TCPPacket
	}
	// The type of the trace's family unless another one is given; type 0 is given
	// by packet_type_arg1.
	if t := s.number("packet_type"); t != 0 || s.number("packet_type_arg1") != 0 {
		packetType = packetpool.PacketType(t)
	}
	pool := &r.slot(s).on.pool
	packet, err := packetpool.Allocate(pool, packetType, nx.NoWait)
	if err != nil {
		answered(out, err)
		return
	}
	data := make([]byte, s.number("length"))
	for i := range data {
		data[i] = 'a' + byte(i%26)
	}
	if len(data) > 0 {
		if err := packetpool.DataAppend(packet, data, pool, nx.NoWait); err != nil {
			answered(out, err)
			_ = packetpool.Release(packet)
			return
		}
	}
	err = tcp.SocketSend(r.socket(s), packet, s.wait())
	answered(out, err)
	if err == nil {
		out["packet_ptr_after"] = "cleared"
		return
	}
	out["packet_ptr_after"] = "kept"
	out["release_by_caller"] = float64(nx.Code(packetpool.Release(packet)))
}

func (r *run) sendNull(s Step, out map[string]any) {
	answered(out, tcp.SocketSend(r.socket(s), packetpool.Packet{}, s.wait()))
}

// receive takes one packet, looks at it and releases it.
func (r *run) receive(s Step, out map[string]any) {
	packet, err := tcp.SocketReceive(r.socket(s), s.wait())
	answered(out, err)
	if err != nil {
		return
	}
	length, _ := packetpool.LengthGet(packet)
	chain := 0
	var first byte
	for piece := range packetpool.Pieces(packet) {
		if chain == 0 && len(piece) > 0 {
			first = piece[0]
		}
		chain++
	}
	out["length"] = float64(length)
	out["chain"] = float64(chain)
	out["first"] = string(rune(first))
	out["last"] = "-" // the recording does not look at the last byte
	_ = packetpool.Release(packet)
}

func (r *run) receiveNotify(s Step, out map[string]any) {
	var callback func(*tcp.Socket)
	if s.number("off") == 0 {
		name := r.slot(s).name
		callback = func(*tcp.Socket) { r.called("receive %s", name) }
	}
	answered(out, tcp.SocketReceiveNotify(r.socket(s), callback))
}

func (r *run) windowUpdateNotify(s Step, out map[string]any) {
	var callback func(*tcp.Socket)
	if s.number("off") == 0 {
		name := r.slot(s).name
		callback = func(*tcp.Socket) { r.called("window %s", name) }
	}
	answered(out, tcp.SocketWindowUpdateNotifySet(r.socket(s), callback))
}

func (r *run) socketInfo(s Step, out map[string]any) {
	info, err := tcp.SocketInfoGet(r.socket(s))
	answered(out, err)
	out["info"] = map[string]any{
		"packets_sent": float64(info.PacketsSent), "bytes_sent": float64(info.BytesSent),
		"packets_received": float64(info.PacketsReceived), "bytes_received": float64(info.BytesReceived),
		"retransmit": float64(info.RetransmittedPackets), "queued": float64(info.PacketsQueued),
		"checksum_errors": float64(info.ChecksumErrors), "state": float64(info.State),
		"tx_queue_depth": float64(info.TransmitQueueDepth), "tx_window": float64(info.TransmitWindow),
		"rx_window": float64(info.ReceiveWindow),
	}
}

// socketInfoNull asks without any output, which Go callers do by ignoring them.
func (r *run) socketInfoNull(s Step, out map[string]any) {
	_, err := tcp.SocketInfoGet(r.socket(s))
	answered(out, err)
}

func (r *run) mssSet(s Step, out map[string]any) {
	answered(out, tcp.SocketMSSSet(r.socket(s), uint32(s.number("mss"))))
}

func (r *run) peer(s Step, out map[string]any) {
	if s.number("null_arg") != 0 {
		nullOutput(r, s, out)
		return
	}
	address, port, err := tcp.SocketPeerInfoGet(r.socket(s))
	answered(out, err)
	if err != nil {
		return
	}
	version := 0.
	if address.IsValid() {
		version = 6
		if address.Is4() {
			version = 4
		}
	}
	out["peer_version"] = version
	out["peer_port_ephemeral"] = truth(port >= ephemeral)
	if port < ephemeral {
		out["peer_port"] = float64(port)
	}
}

func (r *run) peer4(s Step, out map[string]any) {
	address, _, err := tcp.SocketPeerInfoGet(r.socket(s))
	answered(out, err)
	if err == nil {
		out["peer_ip"] = address.String()
	}
}

func (r *run) stateWait(s Step, out map[string]any) {
	answered(out, tcp.SocketStateWait(r.socket(s), tcp.State(s.number("state")), s.wait()))
}

func (r *run) transmitConfigure(s Step, out map[string]any) {
	answered(out, tcp.SocketTransmitConfigure(r.socket(s), uint32(s.number("queue")), uint32(s.number("timeout")),
		uint32(s.number("retries")), uint32(s.number("shift"))))
}

func (r *run) receiveQueueMax(s Step, out map[string]any) {
	answered(out, tcp.SocketReceiveQueueMaxSet(r.socket(s), uint32(s.number("max"))))
}

func (r *run) freePort(s Step, out map[string]any) {
	if s.number("null_out") != 0 {
		nullOutput(r, s, out)
		out["free_port"] = 0.
		return
	}
	port, err := tcp.FreePortFind(r.instance(s), uint(s.number("port")))
	answered(out, err)
	out["free_port"] = float64(port)
}

func (r *run) tcpInfo(s Step, out map[string]any) {
	info, err := tcp.InfoGet(r.instance(s))
	answered(out, err)
	out["tcp_info"] = map[string]any{
		"packets_sent": float64(info.PacketsSent), "bytes_sent": float64(info.BytesSent),
		"packets_received": float64(info.PacketsReceived), "bytes_received": float64(info.BytesReceived),
		"invalid": float64(info.InvalidPackets), "dropped": float64(info.ReceivePacketsDropped),
		"checksum_errors": float64(info.ChecksumErrors), "connections": float64(info.Connections),
		"disconnections": float64(info.Disconnections), "dropped_connections": float64(info.ConnectionsDropped),
		"retransmit": float64(info.RetransmittedPackets),
	}
}
