package tcp

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"gonetx/ip"
	"gonetx/packetpool/nx"
)

// This file shows sockets as "ss -tiem" shows those of the kernel. NetX Duo has
// no such service: a debugger looks at its NX_TCP_SOCKETs.

// SocketStats is what [SocketStatsGet] answers: a socket and its connection at
// one moment.
type SocketStats struct {
	SocketInfo

	Name    string
	Local   netip.AddrPort // the address is the zero one before a connection, the port 0 when unbound
	Remote  netip.AddrPort // the zero one without a connection
	Server  bool           // from listen or relisten until unaccept
	Deleted bool           // and its connection is being closed; see [Conn.Close]

	Unread         uint32 // bytes received and not taken
	Unacknowledged uint32 // bytes sent and not acknowledged
	PeerWindow     uint32 // that the peer advertised last
	Window         uint32 // the receive window that the socket was created with, bytes
	MSS, PeerMSS   uint32 // of what is sent; what the peer said in its SYN
	QueueMaximum   uint32 // of TransmitQueueDepth
	Receivers      int    // callers suspended in SocketReceive
	Senders        int    // callers suspended in SocketSend

	Congestion Congestion
}

// Congestion is what decides when a connection sends: RFC 5681 and RFC 6298.
// It is gVisor's, and with ip.Config.Release the window and the threshold are
// the release's. The zero one before the handshake is done.
type Congestion struct {
	State     string        // "open", "disorder", "recovery", "SACK recovery", "RTO recovery"; empty: nothing is known
	Window    uint32        // segments
	Threshold uint32        // segments; 0: none yet, slow start goes on until something is lost
	RTT       time.Duration // smoothed; 0: none was measured
	RTTVar    time.Duration
	RTO       time.Duration
	Reordered bool // segments have come in another order than they were sent in
}

// SocketStatsGet answers all that there is to know of a socket. It is an
// addition to NetX Duo.
//
// Errors: NX_PTR_ERROR.
func SocketStatsGet(socket *Socket) (SocketStats, error) {
	p := created(socket)
	if p == nil {
		return SocketStats{}, nx.Fail("tcp.SocketStatsGet", nx.PtrError, nil)
	}
	return p.stats(socket), nil
}

// InstanceStats is what [StatsGet] answers.
type InstanceStats struct {
	Sockets []SocketStats // in the order of creation
	Listens []ListenStats // by port
}

// ListenStats is one port that is listened on.
type ListenStats struct {
	Port    uint
	Ready   bool // a socket waits for the next connection; otherwise relisten is wanted
	Queued  int  // connection requests that wait for relisten
	Maximum uint // of Queued
}

// StatsGet answers all sockets of an instance, also those that are deleted and
// whose connection is being closed. Each is seen at one moment, not all at the
// same. It is an addition to NetX Duo.
//
// Errors, in order: NX_PTR_ERROR, NX_NOT_ENABLED.
func StatsGet(inst *ip.Instance) (InstanceStats, error) {
	p, status := enabled(inst)
	if status != nx.Success {
		return InstanceStats{}, nx.Fail("tcp.StatsGet", status, nil)
	}
	var all InstanceStats
	p.mu.Lock()
	var sockets []*Socket
	for s := range p.sockets {
		sockets = append(sockets, s)
	}
	for s := range p.lingering {
		sockets = append(sockets, s)
	}
	slices.SortFunc(sockets, func(a, b *Socket) int { return cmp.Compare(a.serial, b.serial) })
	for _, l := range p.listens {
		all.Listens = append(all.Listens, ListenStats{
			Port: uint(l.port), Ready: l.socket != nil, Queued: len(l.queue), Maximum: l.maximum,
		})
	}
	p.mu.Unlock()
	slices.SortFunc(all.Listens, func(a, b ListenStats) int { return cmp.Compare(a.Port, b.Port) })
	for _, s := range sockets {
		all.Sockets = append(all.Sockets, p.stats(s))
	}
	return all, nil
}

// stats asks gVisor last: it takes the endpoint's lock, which comes before the
// protocol's.
func (p *protocol) stats(s *Socket) SocketStats {
	p.mu.Lock()
	stats := SocketStats{
		SocketInfo: s.info(), Name: s.name, Server: !s.client, Deleted: s.lingers,
		Local: netip.AddrPortFrom(s.local, s.port), Remote: s.peer,
		Window: s.window, PeerMSS: s.peerMSS, QueueMaximum: s.queueMax,
		Receivers: len(s.receiving) + len(s.starving), Senders: len(s.transmitting),
	}
	c := s.conn
	if c == nil || !c.ready || c.over {
		p.mu.Unlock()
		return stats
	}
	t := &c.sender
	stats.Unread, stats.Unacknowledged = c.receiver.unread(), t.outstanding()
	stats.PeerWindow, stats.MSS = t.window, t.mss
	var release *Congestion
	if l := c.release; l != nil && t.mss > 0 {
		release = &Congestion{Window: l.window / t.mss, Threshold: l.threshold / t.mss}
	}
	p.mu.Unlock()

	stats.Congestion = c.endpoint.congestion()
	if release != nil {
		stats.Congestion.Window, stats.Congestion.Threshold = release.Window, release.Threshold
	}
	return stats
}
