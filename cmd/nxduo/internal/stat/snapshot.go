// Package stat shows a running instance to another process, as "ss -tiem"
// shows the kernel's sockets: a [Snapshot] is taken, goes over a unix socket
// of a private directory as one JSON object, and is printed there.
//
//	server, err := stat.Serve(name, func() stat.Snapshot { return stat.Take(source) })
//	defer server.Close()
//
//	snapshot, err := stat.Fetch(name)   // in another process
//	snapshot.Print(os.Stdout)
//
// A snapshot costs the instance what the services of its counters cost, and
// nothing when nobody asks.
package stat

import (
	"net/netip"
	"os"
	"time"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/tcp"
)

// Source is an instance that can be looked at.
type Source struct {
	Name     string
	Instance *ip.Instance
	Pools    []*packetpool.Pool
	Began    time.Time
}

// Snapshot is an instance at one moment.
type Snapshot struct {
	Name     string    `json:"name"`
	Process  int       `json:"pid"`
	Began    time.Time `json:"began"`
	Taken    time.Time `json:"taken"`
	Instance Instance  `json:"instance"`
	Pools    []Pool    `json:"pools"`
	Listens  []Listen  `json:"listens"`
	Sockets  []Socket  `json:"sockets"`
	Counters Counters  `json:"counters"`
}

// Instance is what ip knows of the instance and its link.
type Instance struct {
	Addresses []netip.Prefix `json:"addresses"`
	Gateways  []netip.Addr   `json:"gateways,omitempty"`
	MTU       uint32         `json:"mtu"`
	Device    string         `json:"device"`
	Kind      string         `json:"kind"`
	Up        bool           `json:"up"`
	Offload   bool           `json:"offload"`
	Why       string         `json:"why,omitempty"` // it is down, or there is no offload
	Wrappers  []string       `json:"wrappers,omitempty"`
}

// Pool is a packet pool and who has its packets.
type Pool struct {
	Name        string   `json:"name"`
	Payload     uint32   `json:"payload"`
	Packets     uint32   `json:"packets"`
	Free        uint32   `json:"free"`
	Empty       uint32   `json:"empty_requests"`
	Suspensions uint32   `json:"empty_suspensions"`
	Invalid     uint32   `json:"invalid_releases"`
	Holders     []Holder `json:"holders"`
}

// Holder is one owner of packets.
type Holder struct {
	Kind    string `json:"kind"`
	Name    string `json:"name,omitempty"`
	Packets int    `json:"packets"`
}

// Listen is a port that is listened on.
type Listen struct {
	Port    uint `json:"port"`
	Ready   bool `json:"ready"`
	Queued  int  `json:"queued"`
	Maximum uint `json:"queue_maximum"`
}

// Socket is a TCP socket; see tcp.SocketStats for what the fields mean.
type Socket struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Server  bool   `json:"server"`
	Deleted bool   `json:"deleted,omitempty"`
	Local   string `json:"local"`
	Remote  string `json:"remote,omitempty"`

	Unread          uint32 `json:"unread_bytes"`
	Unacknowledged  uint32 `json:"unacknowledged_bytes"`
	ReceivedPackets uint32 `json:"receive_queue_packets"`
	QueueDepth      uint32 `json:"transmit_queue_segments"`
	QueueMaximum    uint32 `json:"transmit_queue_maximum"`
	Receivers       int    `json:"suspended_receivers"`
	Senders         int    `json:"suspended_senders"`

	PeerWindow     uint32 `json:"peer_window"`
	TransmitWindow uint32 `json:"usable_window"`
	ReceiveWindow  uint32 `json:"receive_window"`
	Window         uint32 `json:"receive_window_maximum"`
	MSS            uint32 `json:"mss"`
	PeerMSS        uint32 `json:"peer_mss"`

	SentPackets     uint32 `json:"segments_sent"`
	SentBytes       uint32 `json:"bytes_sent"`
	InPackets       uint32 `json:"segments_received"`
	InBytes         uint32 `json:"bytes_received"`
	Retransmissions uint32 `json:"segments_retransmitted"`

	Congestion *Congestion `json:"congestion,omitempty"`
}

// Congestion is tcp.Congestion.
type Congestion struct {
	State     string        `json:"state"`
	Window    uint32        `json:"window_segments"`
	Threshold uint32        `json:"threshold_segments,omitempty"`
	RTT       time.Duration `json:"rtt_ns"`
	RTTVar    time.Duration `json:"rttvar_ns"`
	RTO       time.Duration `json:"rto_ns"`
	Reordered bool          `json:"reordering_seen,omitempty"`
}

// Take looks at an instance. What does not exist (any more) is left out.
func Take(s Source) Snapshot {
	shot := Snapshot{
		Name: s.Name, Process: os.Getpid(), Began: s.Began, Taken: time.Now(),
		Pools: []Pool{}, Listens: []Listen{}, Sockets: []Socket{},
	}
	shot.Instance.take(s.Instance)
	for _, pool := range s.Pools {
		if p, ok := takePool(pool); ok {
			shot.Pools = append(shot.Pools, p)
		}
	}
	shot.Counters.take(s.Instance)
	all, _ := tcp.StatsGet(s.Instance)
	for _, listen := range all.Listens {
		shot.Listens = append(shot.Listens, Listen(listen))
	}
	for i := range all.Sockets {
		shot.Sockets = append(shot.Sockets, takeSocket(&all.Sockets[i]))
	}
	return shot
}

func (i *Instance) take(inst *ip.Instance) {
	if address, mask, err := ip.AddressGet(inst); err == nil && !address.IsUnspecified() {
		i.Addresses = append(i.Addresses, netip.PrefixFrom(address, ones(mask)))
	}
	for index := range uint(3) { // the fourth is ::1
		if address, length, _, err := ip.IPv6AddressGet(inst, index); err == nil {
			i.Addresses = append(i.Addresses, netip.PrefixFrom(address, int(length)))
		}
	}
	if gateway, err := ip.GatewayAddressGet(inst); err == nil {
		i.Gateways = append(i.Gateways, gateway)
	}
	if router, err := ip.IPv6DefaultRouterGet(inst, 0); err == nil {
		i.Gateways = append(i.Gateways, router.Address)
	}
	info, _ := ip.InterfaceInfoGet(inst, 0)
	l := inst.Link()
	i.MTU, i.Device, i.Kind, i.Up, i.Offload = info.MTU, l.Device, l.Kind, l.Up, l.Offload
	i.Why, i.Wrappers = l.Why, l.Wrappers
}

// ones is the length of the prefix that a mask stands for.
func ones(mask netip.Addr) int {
	n := 0
	for _, b := range mask.AsSlice() {
		for ; b != 0; b <<= 1 {
			n++
		}
	}
	return n
}

func takePool(pool *packetpool.Pool) (Pool, bool) {
	holders := pool.Holders()
	info, err := packetpool.PoolInfoGet(pool)
	if err != nil {
		return Pool{}, false
	}
	p := Pool{
		Name: pool.Name(), Payload: pool.PayloadSize(), Packets: info.TotalPackets, Free: info.FreePackets,
		Empty: info.EmptyPoolRequests, Suspensions: info.EmptyPoolSuspensions, Invalid: info.InvalidPacketReleases,
		Holders: []Holder{},
	}
	for _, h := range holders {
		p.Holders = append(p.Holders, Holder{h.Owner.Kind.String(), h.Owner.Name, h.Packets})
	}
	return p, true
}

func takeSocket(s *tcp.SocketStats) Socket {
	socket := Socket{
		Name: s.Name, State: s.State.String(), Server: s.Server, Deleted: s.Deleted,
		Local: endpoint(s.Local), Remote: endpoint(s.Remote),
		Unread: s.Unread, Unacknowledged: s.Unacknowledged,
		ReceivedPackets: s.PacketsQueued, QueueDepth: s.TransmitQueueDepth, QueueMaximum: s.QueueMaximum,
		Receivers: s.Receivers, Senders: s.Senders,
		PeerWindow: s.PeerWindow, TransmitWindow: s.TransmitWindow, ReceiveWindow: s.ReceiveWindow, Window: s.Window,
		MSS: s.MSS, PeerMSS: s.PeerMSS,
		SentPackets: s.PacketsSent, SentBytes: s.BytesSent, InPackets: s.PacketsReceived, InBytes: s.BytesReceived,
		Retransmissions: s.RetransmittedPackets,
	}
	if c := s.Congestion; c.State != "" {
		socket.Congestion = &Congestion{c.State, c.Window, c.Threshold, c.RTT, c.RTTVar, c.RTO, c.Reordered}
	}
	return socket
}

// endpoint writes an address and a port; one that is not known is "[::]".
func endpoint(a netip.AddrPort) string {
	switch {
	case a.Addr().IsValid():
		return a.String()
	case a.Port() == 0:
		return ""
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port()).String()
}
