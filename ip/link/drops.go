package link

import (
	"bytes"
	"sync"

	"gonetx/packetpool/nx"
)

// Reasons for a drop that more than one driver has.
const (
	DropDetached  = "no stack is attached"
	DropStopped   = "the endpoint is stopped"
	DropReleased  = "the device is closed"
	DropLinkDown  = "the link is down"
	DropQueueFull = "the queue of the port is full"
	DropPoolEmpty = "the packet pool is empty"
	DropEmpty     = "no bytes in it"
	DropTooLong   = "longer than the MTU of the link"
)

// Drops counts dropped frames by direction and reason. The zero Drops has
// counted nothing.
type Drops struct {
	mu     sync.Mutex // guards the field below
	counts map[drop]uint64
}

type drop struct {
	direction nx.Direction
	reason    string
}

// Add counts one frame of size bytes and makes the event.
func (d *Drops) Add(r nx.Recorder, where string, direction nx.Direction, reason string, size int, head []byte) {
	d.mu.Lock()
	if d.counts == nil {
		d.counts = make(map[drop]uint64)
	}
	d.counts[drop{direction, reason}]++
	d.mu.Unlock()
	RecordDrop(r, where, direction, reason, size, head)
}

// RecordDrop makes the event of a dropped frame, for a recorder that is not
// nil. The event keeps as much of head as shows the headers.
func RecordDrop(r nx.Recorder, where string, direction nx.Direction, reason string, size int, head []byte) {
	if r == nil {
		return
	}
	r.Record(nx.DropEvent{
		Where: where, Direction: direction, Reason: reason, Bytes: size,
		Packet: bytes.Clone(head[:min(len(head), HeadBytes)]),
	})
}

// Show adds the counts to those of info.
func (d *Drops) Show(info *Info) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for which, n := range d.counts {
		if info.Drops == nil {
			info.Drops = make(map[string]uint64)
		}
		info.Drops[which.reason] += n
		if which.direction == nx.Sent {
			info.OutDrops += n
		} else {
			info.InDrops += n
		}
	}
}
