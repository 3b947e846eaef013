package ip

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// This file is nx_ip_fragment_enable and nx_ip_fragment_disable, and puts
// fragments together (_nx_ip_fragment_assembly, _nx_ipv6_process_fragment_option).
// gVisor always would; the original only when told to, and what has come stays
// in the packets of the pool meanwhile.

// FragmentEnable turns fragmentation on, of what the instance itself sends and
// of what it receives: nx_ip_fragment_enable. It may be called again.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_ip_fragment_enable.c, nx_ip_fragment_enable.c.
func FragmentEnable(inst *Instance) error {
	if !inst.isCreated() {
		return nx.Fail("ip.FragmentEnable", nx.PtrError, nil)
	}
	inst.mu.Lock()
	defer inst.mu.Unlock()
	inst.change(func(s *settings) { s.fragments = true })
	return nil
}

// FragmentDisable turns fragmentation off, as it is after Create, and throws
// fragments away that wait for the rest: nx_ip_fragment_disable.
//
// Errors: NX_PTR_ERROR.
//
// Source: nxe_ip_fragment_disable.c, nx_ip_fragment_disable.c.
func FragmentDisable(inst *Instance) error {
	if !inst.isCreated() {
		return nx.Fail("ip.FragmentDisable", nx.PtrError, nil)
	}
	inst.mu.Lock()
	inst.change(func(s *settings) { s.fragments = false })
	inst.mu.Unlock()
	inst.assembly.flush(inst, dropFragmentsFlushed)
	return nil
}

const (
	assemblyTimeIPv4 = 15 * time.Second // NX_IPV4_MAX_REASSEMBLY_TIME
	assemblyTimeIPv6 = 60 * time.Second // NX_IPV6_MAX_REASSEMBLY_TIME

	// assemblyLimit is how many datagrams may be incomplete at a time. The pool
	// limits their fragments.
	assemblyLimit = 64
)

// assembly holds the fragments of datagrams that are not complete.
type assembly struct {
	mu      sync.Mutex // guards the fields below
	partial map[fragmentKey]*partial
}

// fragmentKey is what the fragments of a datagram have in common (RFC 791
// section 2.3, RFC 8200 section 4.5).
type fragmentKey struct {
	source, destination netip.Addr
	id                  uint32
	protocol            uint8
}

type partial struct {
	pieces []piece // by offset, without gaps between those that touch and without overlaps
	size   int     // of the payload; -1 until the last fragment is there
	timer  nx.Timer
}

type piece struct {
	datagram     // holds a reference of its packet
	begin    int // in the payload
	end      int
}

// add takes a fragment. It answers the datagram when that was the last one
// missing; the caller has the reference.
func (a *assembly) add(inst *Instance, d *datagram) *stack.PacketBuffer {
	f := d.fragment
	key := fragmentKey{d.source, d.destination, f.id, d.protocol}
	if d.source.Is6() {
		key.protocol = 0
	}
	p := piece{*d, f.offset, f.offset + d.payload()}
	if p.end > 0xFFFF || p.begin == p.end || f.more && p.payload()%8 != 0 {
		inst.drop(nx.Received, dropBadFragment, d.pkt.Size(), headOf(d.pkt))
		return nil
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	whole := a.partial[key]
	if whole == nil {
		if len(a.partial) >= assemblyLimit {
			inst.drop(nx.Received, dropBadFragment, d.pkt.Size(), headOf(d.pkt))
			return nil
		}
		whole = &partial{size: -1}
		limit := assemblyTimeIPv4
		if d.source.Is6() {
			limit = assemblyTimeIPv6
		}
		whole.timer = inst.clock.AfterFunc(limit, func() { a.expire(inst, key, whole) })
		if a.partial == nil {
			a.partial = make(map[fragmentKey]*partial)
		}
		a.partial[key] = whole
	}
	if !whole.insert(p) {
		// RFC 5722: of a datagram with an overlap all fragments go.
		inst.drop(nx.Received, dropBadFragment, d.pkt.Size(), headOf(d.pkt))
		a.forget(inst, key, whole, dropBadFragment)
		return nil
	}
	if !whole.complete() {
		return nil
	}
	pkt := whole.join()
	a.forget(inst, key, whole, "")
	return pkt
}

// insert puts a fragment in its place and takes a reference of its packet.
// False: it overlaps another one, or ends elsewhere than the last one.
func (w *partial) insert(p piece) bool {
	if !p.fragment.more {
		if w.size >= 0 && w.size != p.end {
			return false
		}
		w.size = p.end
	}
	at, _ := slices.BinarySearchFunc(w.pieces, p.begin, func(q piece, begin int) int { return q.begin - begin })
	if at > 0 && w.pieces[at-1].end > p.begin || at < len(w.pieces) && w.pieces[at].begin < p.end {
		return false
	}
	if last := len(w.pieces) - 1; w.size >= 0 && (p.end > w.size || last >= 0 && w.pieces[last].end > w.size) {
		return false
	}
	p.pkt.IncRef()
	w.pieces = slices.Insert(w.pieces, at, p)
	return true
}

func (w *partial) complete() bool {
	at := 0
	for i := range w.pieces {
		if w.pieces[i].begin != at {
			return false
		}
		at = w.pieces[i].end
	}
	return at == w.size
}

// join makes one datagram of the pieces. Their bytes stay where they are; only
// the header is new.
func (w *partial) join() *stack.PacketBuffer {
	first := &w.pieces[0].datagram
	f := first.fragment
	b, _ := first.bytes(0, f.header)
	head := buffer.NewViewWithData(b[:f.header])
	if h := head.AsSlice(); first.source.Is4() {
		ip := header.IPv4(h)
		ip.SetTotalLength(uint16(f.header + w.size))
		ip.SetFlagsFragmentOffset(0, 0)
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
	} else {
		h[f.nextByte] = f.next
		binary.BigEndian.PutUint16(h[4:], uint16(f.header-header.IPv6MinimumSize+w.size))
	}
	data := buffer.MakeWithView(head)
	for i := range w.pieces {
		rest := w.pieces[i].pkt.Data().ToBuffer()
		rest.TrimFront(int64(w.pieces[i].offset))
		data.Merge(&rest)
	}
	return stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
}

// forget lets go of the pieces, for a reason if they are lost. The caller holds
// the lock.
func (a *assembly) forget(inst *Instance, key fragmentKey, w *partial, reason string) {
	delete(a.partial, key)
	w.timer.Stop()
	for i := range w.pieces {
		pkt := w.pieces[i].pkt
		if reason != "" {
			inst.drop(nx.Received, reason, pkt.Size(), headOf(pkt))
		}
		pkt.DecRef()
	}
	w.pieces = nil
}

func (a *assembly) expire(inst *Instance, key fragmentKey, w *partial) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.partial[key] == w {
		a.forget(inst, key, w, dropFragmentTimeout)
	}
}

// flush lets go of everything.
func (a *assembly) flush(inst *Instance, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, w := range a.partial {
		a.forget(inst, key, w, reason)
	}
}
