package parity

import (
	"errors"
	"fmt"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// How a stack ends, and what is looked at then.

// remove ends whatever a socket does, and deletes it.
func (h *stackHost) remove(s *socket) error {
	if s.conn != nil {
		_ = s.conn.Close() // it may be closed; the socket is deleted with it
		return nil
	}
	_ = tcp.SocketDisconnect(&s.Socket, nx.NoWait) // it may not be connected
	if s.port != 0 {
		_ = tcp.ServerSocketUnaccept(&s.Socket)
		if err := tcp.ServerSocketUnlisten(&h.inst, s.port); err != nil && !errors.Is(err, nx.EntryNotFound) {
			return err
		}
	} else {
		_ = tcp.ClientSocketUnbind(&s.Socket) // bind may have failed
	}
	return tcp.SocketDelete(&s.Socket)
}

// shut implements host.
func (h *stackHost) shut() (failures []string) {
	h.mu.Lock()
	sockets := h.sockets
	h.sockets, h.latest = map[string]*socket{}, nil
	h.mu.Unlock()
	for _, name := range sorted(sockets) {
		if err := h.remove(sockets[name]); err != nil {
			failures = append(failures, fmt.Sprintf("the socket %s of the %s cannot be deleted: %v", name, h.name, err))
		}
	}
	if o := h.give(); o.Word != "ok" {
		failures = append(failures, "packets that were taken cannot be given back: "+o.String())
	}
	return failures
}

// down deletes the instance and looks into the pools.
func (h *stackHost) down() (failures []string) {
	if h.inst.Created() {
		if err := ip.Delete(&h.inst); err != nil {
			failures = append(failures, fmt.Sprintf("the instance of the %s cannot be deleted: %v", h.name, err))
		}
	}
	for _, pool := range []*packetpool.Pool{&h.pool, &h.sendPool} {
		info, err := packetpool.PoolInfoGet(pool)
		if err != nil {
			continue // it was not created
		}
		if info.FreePackets != info.TotalPackets || info.InvalidPacketReleases != 0 {
			failures = append(failures, fmt.Sprintf("the %s of the %s has %d of %d packets, %d were released wrongly: %v",
				pool.Name(), h.name, info.FreePackets, info.TotalPackets, info.InvalidPacketReleases, pool.Holders()))
		}
		if err := packetpool.PoolDelete(pool); err != nil {
			failures = append(failures, fmt.Sprintf("the %s of the %s cannot be deleted: %v", pool.Name(), h.name, err))
		}
	}
	return failures
}

// full tells that both pools have all their packets.
func (h *stackHost) full() bool {
	for _, pool := range []*packetpool.Pool{&h.pool, &h.sendPool} {
		if info, err := packetpool.PoolInfoGet(pool); err != nil || info.FreePackets != info.TotalPackets {
			return false
		}
	}
	return true
}

// notePools makes the event of the pools at the end of a step.
func (h *stackHost) notePools(l *log) {
	e := Event{Lane: Pools, What: "free packets"}
	for _, p := range []struct {
		pool *packetpool.Pool
		name string
	}{{&h.pool, "pool"}, {&h.sendPool, "sending"}} {
		info, err := packetpool.PoolInfoGet(p.pool)
		if err != nil {
			continue
		}
		free := int(info.FreePackets)
		e.Numbers = append(e.Numbers, Number{p.name, free}, Number{p.name + "-lowest", l.least(p.pool.Name(), free)},
			Number{p.name + "-empty", int(info.EmptyPoolRequests)})
	}
	l.add(e)
}

// noteCounts makes the event of the counters of TCP and ICMP.
func (h *stackHost) noteCounts(l *log) {
	t, err := tcp.InfoGet(&h.inst)
	if err != nil {
		return
	}
	l.add(Event{Lane: Counts, What: "TCP", Numbers: []Number{
		{"sent", int(t.PacketsSent)}, {"sent-bytes", int(t.BytesSent)},
		{"received", int(t.PacketsReceived)}, {"received-bytes", int(t.BytesReceived)},
		{"invalid", int(t.InvalidPackets)}, {"dropped", int(t.ReceivePacketsDropped)}, {"damaged", int(t.ChecksumErrors)},
		{"connections", int(t.Connections)}, {"disconnections", int(t.Disconnections)}, {"refused", int(t.ConnectionsDropped)},
		{"again", int(t.RetransmittedPackets)},
	}})
	m, err := ip.ICMPInfoGet(&h.inst)
	if err != nil {
		return
	}
	l.add(Event{Lane: Counts, What: "ping", Numbers: []Number{
		{"sent", int(m.PingsSent)}, {"timed-out", int(m.PingTimeouts)}, {"received", int(m.PingResponsesReceived)},
		{"damaged", int(m.ICMPChecksumErrors)},
	}})
}

// recorder turns the events of a stack into those of a log.
type recorder struct{ log *log }

// Record implements nx.Recorder.
func (r recorder) Record(e nx.Event) {
	l := r.log
	switch e := e.(type) {
	case nx.PacketEvent:
		l.free(e.Pool, e.Free)
	case nx.SocketEvent:
		what := fmt.Sprintf("%s: %s to %s", e.Socket, e.From, e.To)
		if e.Cause != "" {
			what += ", " + l.nameless(e.Cause)
		}
		l.add(Event{Lane: States, What: what})
	case nx.DropEvent:
		if !ofTheLink(e.Packet) {
			l.add(Event{Lane: Drops, What: fmt.Sprintf("%s: %s %s", e.Where, e.Direction, l.nameless(e.Reason))})
		}
	case nx.FaultEvent:
		l.add(Event{Lane: Drops, What: fmt.Sprintf("fault: %s %s", e.Direction, e.Done)})
	case nx.DialogueEvent:
		ev := Event{Lane: Mail, What: fmt.Sprintf("%s %s %s", e.Direction, e.Phase, l.nameless(e.Text))}
		if e.Text == "" {
			ev.Numbers = []Number{{"bytes", e.Bytes}}
		}
		l.add(ev)
	case nx.WarningEvent:
		l.add(Event{Lane: Mail, What: "warning: " + l.nameless(e.Text)})
	}
}

// ofTheLink tells that a datagram is multicast: the link's own business.
func ofTheLink(head []byte) bool {
	return len(head) >= 40 && head[0]>>4 == 6 && head[24] == 0xFF
}
