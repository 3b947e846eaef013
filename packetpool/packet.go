package packetpool

// nx_packet_length_get, nx_packet_vlan_priority_set, and the packet itself

import (
	"sync/atomic"

	"gonetx/packetpool/nx"
)

// Packet is what a program has of a packet, NX_PACKET *. It is a small value
// and is copied freely; the packet stays where it is. The zero Packet is no
// packet.
//
// A handle is good until its packet is released or given away (to a successful
// send). Every copy of it is stale then: services answer NX_PTR_ERROR, also
// when the packet has a new holder meanwhile, whom a stale pointer of the
// original would hit.
//
// Several goroutines may use one handle; each service sees the packet before
// or after another one, never in between.
type Packet struct {
	block      *block
	generation uint64
}

// PacketType is the number of bytes that stay free in front of the data for
// the headers, packet_type of nx_packet_allocate. Any multiple of 4 is allowed.
type PacketType uint32

// The packet types of the default build. IPv6 is part of it, so the types
// without a version have the room of IPv6.
const (
	ReceivePacket PacketType = 0 // NX_RECEIVE_PACKET: what a driver receives

	PhysicalHeader  = 16 // NX_PHYSICAL_HEADER: room for the link's header
	PhysicalTrailer = 4  // NX_PHYSICAL_TRAILER: nothing reserves it

	IPv4Packet     PacketType = PhysicalHeader + 20 // NX_IPv4_PACKET
	IPv4ICMPPacket            = IPv4Packet          // NX_IPv4_ICMP_PACKET
	IPv4IGMPPacket            = IPv4Packet          // NX_IPv4_IGMP_PACKET
	IPv4UDPPacket             = IPv4Packet + 8      // NX_IPv4_UDP_PACKET
	IPv4TCPPacket             = IPv4Packet + 20     // NX_IPv4_TCP_PACKET

	IPv6Packet     PacketType = PhysicalHeader + 40 // NX_IPv6_PACKET
	IPv6ICMPPacket            = IPv6Packet          // NX_IPv6_ICMP_PACKET
	IPv6UDPPacket             = IPv6Packet + 8      // NX_IPv6_UDP_PACKET
	IPv6TCPPacket             = IPv6Packet + 20     // NX_IPv6_TCP_PACKET

	IPPacket   = IPv6Packet     // NX_IP_PACKET
	ICMPPacket = IPv6ICMPPacket // NX_ICMP_PACKET
	IGMPPacket = IPv4IGMPPacket // NX_IGMP_PACKET
	UDPPacket  = IPv6UDPPacket  // NX_UDP_PACKET
	TCPPacket  = IPv6TCPPacket  // NX_TCP_PACKET
)

// block is one packet of a pool. A message is a chain of them.
type block struct {
	store *store

	mu guard // guards the message that begins here: the fields below, and those of its further packets. Taken before store.mu

	prepend  int // data[prepend:append] are the bytes of the message in this packet
	append   int
	length   int    // of the message; kept in the first packet only
	next     *block // the next packet of the message
	last     *block // the last one; nil in a message of one packet; kept in the first packet only
	borrowed bool   // received: the stack may have a part of data, too
	copied   bool   // queued, and the message has no bytes any more; kept in the first packet only
	data     []byte // the payload, all of it

	// Guarded by store.mu.
	state  state
	link   *block  // the next one in the free list, or in the list of packets in flight
	back   *block  // the one before, in the latter
	frame  *frame  // the frame of which this packet is a part, while the stack has its memory
	index  int     // in that frame
	riders *block  // packets of the same frame that are free when this one is
	owner  Owner   // who has it, when it is not free and not given out
	site   *site   // where it was allocated, when Config.Sites says so
	memory *memory // behind data; a free packet may have none

	given atomic.Bool // the program has it now, whatever owner says: Deliver
}

// assign notes who has a packet. The caller holds store.mu.
func (b *block) assign(o Owner) {
	b.owner = o
	if b.given.Load() {
		b.given.Store(false)
	}
}

// holder answers who has a packet. The caller holds store.mu.
func (b *block) holder() Owner {
	if b.given.Load() {
		return Owner{}
	}
	return b.owner
}

// state tells who may do what with a packet, NetX Duo's markers in
// nx_packet_tcp_queue_next.
type state uint8

const (
	free        state = iota // on the free list, NX_PACKET_FREE
	application              // somebody has a handle, or it continues such a message, NX_PACKET_ALLOCATED
	queued                   // on a transmit queue: the stack's until it is acknowledged, NX_PACKET_ENQUEUED
	reserved                 // a reader reads into it
	inFlight                 // received, and in the stack
)

// start makes a packet look as one that was just allocated. The caller is the
// only one who knows the packet: there is no handle with its generation yet.
func (b *block) start(room int) {
	b.prepend, b.append, b.length = room, room, 0
	if b.next != nil || b.last != nil {
		b.next, b.last = nil, nil
	}
	b.borrowed = false
}

// handle answers the Packet for a block that the caller alone knows.
func (b *block) handle() Packet { return Packet{b, b.mu.handle()} }

// lock answers the packet's block, locked; nil when the handle is zero or
// stale.
func (p Packet) lock() *block {
	if p.block == nil || !p.block.mu.lock(p.generation) {
		return nil
	}
	return p.block
}

// bounds makes the checks of a packet's pointers that many services of NetX
// Duo begin with. Only the first packet of a message is looked at. The caller
// holds b.mu.
func (b *block) bounds() nx.Status {
	if b.prepend < 0 {
		return nx.Underflow
	}
	if b.append > b.store.payload {
		return nx.Overflow
	}
	return nx.Success
}

// bytes answers the bytes of the message in this packet; none when the
// pointers contradict each other. The caller holds the mu of the message.
func (b *block) bytes() []byte {
	from, to := max(b.prepend, 0), min(b.append, len(b.data))
	if from >= to {
		return nil
	}
	return b.data[from:to]
}

// LengthGet answers how many bytes a message has, over all its packets,
// nx_packet_length_get.
//
// Errors: NX_PTR_ERROR when packet is zero or stale, or its pool is deleted.
func LengthGet(packet Packet) (uint32, error) {
	const service = "packetpool.LengthGet"
	b := packet.lock()
	if b == nil {
		return 0, packet.refused(service)
	}
	defer b.mu.Unlock()
	if !b.store.created() {
		return 0, nx.Fail(service, nx.PtrError, errDeleted)
	}
	return uint32(b.length), nil
}

// Fragment is one packet of a message.
type Fragment struct {
	Room   int // bytes in front of the data
	Data   int // bytes of the message
	Behind int // bytes free behind the data
}

// Fragments answers how a message lies in its packets. A zero or stale handle
// has none.
func Fragments(packet Packet) []Fragment {
	b := packet.lock()
	if b == nil {
		return nil
	}
	defer b.mu.Unlock()
	var list []Fragment
	for at := b; at != nil; at = at.next {
		list = append(list, Fragment{at.prepend, at.append - at.prepend, len(at.data) - at.append})
	}
	return list
}

// VLANPrioritySet stands for nx_packet_vlan_priority_set, which the default
// build does not have.
//
// Errors: NX_NOT_SUPPORTED, whatever the arguments.
func VLANPrioritySet(packet Packet, priority uint) error {
	return nx.Fail("packetpool.VLANPrioritySet", nx.NotSupported, nil)
}

// refused is the error for a handle that lock did not accept.
func (p Packet) refused(service string) error {
	if p.block == nil {
		return nx.Fail(service, nx.PtrError, nil)
	}
	return nx.Fail(service, nx.PtrError, errStale)
}

// HeadRoom answers how many bytes are free in front of the data, for services
// that put a header there and answer NX_UNDERFLOW when it does not fit.
//
// Errors: NX_PTR_ERROR.
func HeadRoom(packet Packet) (uint32, error) {
	const service = "packetpool.HeadRoom"
	b := packet.lock()
	if b == nil {
		return 0, packet.refused(service)
	}
	defer b.mu.Unlock()
	if !b.store.created() {
		return 0, nx.Fail(service, nx.PtrError, errDeleted)
	}
	return uint32(b.prepend), nil
}
