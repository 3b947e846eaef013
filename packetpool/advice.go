package packetpool

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"gonetx/packetpool/nx"
)

// Plan is a pool for mail that somebody thinks of.
type Plan struct {
	Payload uint32 // bytes of a packet
	Memory  uint32 // bytes of the pool
	Body    uint32 // bytes of a mail's body
	Header  uint32 // bytes of its header; 0 is about what the SMTP client makes
	IPv6    bool
	Config  *Config // as of the pool; nil is NetX Duo's
}

// Advice tells what a mail takes of a pool: how it is cut into messages, how
// many packets these are, and how much of them is headers.
//
// The SMTP client sends a mail as one message for each command, one for the
// header, the body in chunks, and one for the end mark
// (_nx_smtp_cmd_body: a chunk is the payload without the IP and TCP headers).
// It allocates a TCP packet, which reserves the link's header, too, so a full
// chunk runs over by those 16 bytes into a second packet.
type Advice struct {
	Plan
	Packets uint32 // of the pool

	// Of the first packet of each message.
	Physical, IP, TCP uint32 // bytes reserved for headers
	Room              uint32 // all of them
	Data              uint32 // bytes left for data

	Chunk        uint32 // bytes of the body in one message
	Chunks       uint32 // messages that the body takes
	LastChunk    uint32 // bytes of the last one
	ChunkPackets uint32 // packets that a full one takes

	HeaderPackets  uint32 // packets that the mail's header takes
	BodyPackets    uint32 // packets that the body takes
	CommandPackets uint32 // packets for EHLO, MAIL, RCPT, DATA, the end mark, QUIT
	MailPackets    uint32 // packets that the mail takes, over all its time
	AtOnce         uint32 // packets that are out when the peer acknowledges nothing from DATA's reply on

	Verdict string // what will happen
}

const (
	adviceHeader   = 200 // To, From, Subject and three MIME lines
	adviceCommands = 6   // without AUTH
	transmitQueue  = 20  // messages: NX_TCP_MAXIMUM_TX_QUEUE of nx_tcp_socket_create
	ipv4Header     = 20
	ipv6Header     = 40
	tcpHeader      = 20
)

// Advise answers what a mail takes of a pool.
//
// Errors: NX_SIZE_ERROR for sizes that [PoolCreate] refuses, and
// NX_INVALID_PARAMETERS when a packet does not hold the headers: the client's
// allocations fail with it.
func Advise(plan Plan) (Advice, error) {
	const service = "packetpool.Advise"
	config := plan.Config.withDefaults()
	packets, _ := geometry(plan.Payload, plan.Memory, config.PacketSize, config.PacketAlignment)
	if packets == 0 {
		return Advice{}, nx.Fail(service, nx.SizeError, nil)
	}
	if plan.Header == 0 {
		plan.Header = adviceHeader
	}
	a := Advice{Plan: plan, Packets: uint32(packets), Physical: PhysicalHeader, IP: ipv4Header, TCP: tcpHeader}
	if plan.IPv6 {
		a.IP = ipv6Header
	}
	a.Room = a.Physical + a.IP + a.TCP
	if plan.Payload < a.Room {
		return Advice{}, nx.Fail(service, nx.InvalidParameters,
			fmt.Errorf("%d bytes of headers do not fit a packet of %d", a.Room, plan.Payload))
	}
	a.Data = plan.Payload - a.Room
	a.Chunk = plan.Payload - a.IP - a.TCP
	a.ChunkPackets = a.packets(a.Chunk)
	if plan.Body > 0 {
		a.Chunks = (plan.Body-1)/a.Chunk + 1
		a.LastChunk = plan.Body - (a.Chunks-1)*a.Chunk
		a.BodyPackets = (a.Chunks-1)*a.ChunkPackets + a.packets(a.LastChunk)
	}
	a.HeaderPackets = a.packets(plan.Header)
	a.CommandPackets = adviceCommands * a.packets(1)
	a.MailPackets = a.CommandPackets + a.HeaderPackets + a.BodyPackets
	a.AtOnce = a.atOnce()
	a.Verdict = a.verdict()
	return a, nil
}

// packets answers how many packets a message takes: a packet without room for
// data is one, too.
func (a Advice) packets(bytes uint32) uint32 {
	if bytes <= a.Data {
		return 1
	}
	return 1 + (bytes-a.Data-1)/a.Payload + 1
}

// atOnce answers how many packets are out at most: the transmit queue is
// limited in messages, and the one after it waits outside.
func (a Advice) atOnce() uint32 {
	left := uint32(transmitQueue)
	packets, next := a.HeaderPackets, a.packets(1) // next: the end mark, when all chunks are queued
	left--
	full := uint32(0)
	if a.Chunks > 0 {
		full = a.Chunks - 1
	}
	queued := min(full, left)
	packets, left = packets+queued*a.ChunkPackets, left-queued
	switch {
	case queued < full:
		return packets + a.ChunkPackets
	case a.Chunks > 0 && left == 0:
		return packets + a.packets(a.LastChunk)
	case a.Chunks > 0:
		packets += a.packets(a.LastChunk)
	}
	return packets + next
}

func (a Advice) verdict() string {
	largest := max(a.HeaderPackets, a.packets(min(a.Body, a.Chunk)))
	switch {
	case a.Packets < largest:
		return fmt.Sprintf("too small: one message takes %d packets, the pool has %d; the client waits 200 ticks for each and fails with NX_NO_PACKET", largest, a.Packets)
	case a.Packets < a.AtOnce:
		return fmt.Sprintf("works, and waits for acknowledgements: up to %d packets could be out at once, the pool has %d", a.AtOnce, a.Packets)
	}
	return fmt.Sprintf("works without waiting: at most %d packets are out at once, the pool has %d", a.AtOnce, a.Packets)
}

// String is a table of the advice and a drawing of one packet.
func (a Advice) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(what string, n uint32, why string) { _, _ = fmt.Fprintf(w, "%s\t%d\t%s\n", what, n, why) }
	config := a.Config.withDefaults()
	row("packets in the pool", a.Packets, fmt.Sprintf("%d bytes / (%d of NX_PACKET + %d payload)", a.Memory, config.PacketSize, a.Payload))
	row("header room of a packet", a.Room, fmt.Sprintf("%d physical + %d %s + %d TCP", a.Physical, a.IP, a.family(), a.TCP))
	row("data in the first packet", a.Data, "of each message")
	row("bytes of body in a message", a.Chunk, fmt.Sprintf("payload - %d %s - %d TCP", a.IP, a.family(), a.TCP))
	row("packets of such a message", a.ChunkPackets, fmt.Sprintf("%d bytes in front of the data, then %d run over", a.Room, a.Chunk-min(a.Chunk, a.Data)))
	row("messages of the body", a.Chunks, a.chunks())
	row("packets of the body", a.BodyPackets, fmt.Sprintf("%d bytes", a.Body))
	row("packets of the mail's header", a.HeaderPackets, fmt.Sprintf("%d bytes", a.Header))
	row("packets of the commands", a.CommandPackets, "EHLO, MAIL, RCPT, DATA, end mark, QUIT; one at a time")
	row("packets of the mail", a.MailPackets, fmt.Sprintf("with %d bytes of header room", a.headerBytes()))
	row("packets out at once", a.AtOnce, fmt.Sprintf("at most, with %d messages on the transmit queue", transmitQueue))
	_ = w.Flush() // into a strings.Builder
	return b.String() + "\n" + a.drawing() + "\n" + a.Verdict + "\n"
}

func (a Advice) family() string {
	if a.IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

func (a Advice) chunks() string {
	switch a.Chunks {
	case 0:
		return "the body is empty"
	case 1:
		return fmt.Sprintf("%d bytes", a.LastChunk)
	}
	return fmt.Sprintf("%d x %d and %d bytes", a.Chunks-1, a.Chunk, a.LastChunk)
}

// headerBytes is the header room of all messages of the mail.
func (a Advice) headerBytes() uint64 { return (adviceCommands + 1 + uint64(a.Chunks)) * uint64(a.Room) }

// drawing is one packet, from the first byte of its payload to the last.
func (a Advice) drawing() string {
	parts := []struct {
		name  string
		bytes uint32
	}{{"link", a.Physical}, {a.family(), a.IP}, {"TCP", a.TCP}, {"data", a.Data}}
	const width = 72
	var names, sizes, marks strings.Builder
	at := uint32(0)
	for _, p := range parts {
		columns := max(len(p.name)+2, 6, int(uint64(p.bytes)*width/uint64(a.Payload)))
		fmt.Fprintf(&names, "|%s", centred(p.name, columns))
		fmt.Fprintf(&sizes, "|%s", centred(fmt.Sprint(p.bytes), columns))
		fmt.Fprintf(&marks, "%-*d", columns+1, at)
		at += p.bytes
	}
	rule := "+" + strings.Repeat("-", names.Len()-1) + "+"
	return strings.Join([]string{rule, names.String() + "|", sizes.String() + "|", rule, marks.String() + fmt.Sprint(at), ""}, "\n")
}

func centred(s string, columns int) string {
	left := (columns - len(s)) / 2
	return strings.Repeat(" ", left) + s + strings.Repeat(" ", columns-len(s)-left)
}
