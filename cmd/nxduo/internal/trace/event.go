package trace

import (
	"time"
)

// Format and Version are what the first line of every trace says. See the
// package documentation for what may change within a version.
const (
	Format  = "nxduo-trace"
	Version = 1
)

// Header is the first line of a trace.
type Header struct {
	Format   string    `json:"format"`
	Version  int       `json:"version"`
	Program  string    `json:"program"` // that made it, with its version
	Title    string    `json:"title"`
	Command  []string  `json:"command"` // that repeats the run, word by word
	Started  time.Time `json:"started"`
	Workload string    `json:"workload"`
	Faults   string    `json:"faults,omitempty"` // as package fault reads them, with their seed; empty: none
	Families []Family  `json:"families"`         // in the order of their runs
	Notes    []string  `json:"notes,omitempty"`  // what is to be known about the run, such as why there is no TUN device
}

// Family is the part of a run that goes over one family, with an instance and
// pools of its own.
type Family struct {
	Family   string `json:"family"` // "IPv4" or "IPv6"
	Instance string `json:"instance"`
	Address  string `json:"address"` // of the instance, with its prefix
	Peer     string `json:"peer"`    // the address that it talks to
	MSS      int    `json:"mss"`     // the largest segment that the instance asks for
	Link     Link   `json:"link"`
	Pools    []Pool `json:"pools"`
}

// Link is what carried the datagrams.
type Link struct {
	Kind     string   `json:"kind"` // "tun", "ram"
	Device   string   `json:"device"`
	MTU      int      `json:"mtu"`
	Offload  bool     `json:"offload"`            // super-segments crossed it: then a segment of the trace may be several on the wire
	Why      string   `json:"why,omitempty"`      // there is no offload
	Wrappers []string `json:"wrappers,omitempty"` // the outermost first
	Peer     string   `json:"peer"`               // the stack at the other end, in words
}

// Pool is a packet pool.
type Pool struct {
	Name    string `json:"name"`
	Payload int    `json:"payload"` // bytes of a packet
	Packets int    `json:"packets"`
}

// Event is one thing that happened.
type Event struct {
	Time   float64 `json:"time"` // milliseconds since the run of its family began; never less than that of the event before it
	Family string  `json:"family,omitempty"`
	Name   string  `json:"name"`
	Data   any     `json:"data"` // a pointer to the type that belongs to the name
}

// At is the time of the event.
func (e *Event) At() time.Duration { return time.Duration(e.Time * float64(time.Millisecond)) }

// The names of events, each with the type of its data.
const (
	ConnectionStarted = "connection:started" // Connection
	SegmentSent       = "segment:sent"       // Segment
	SegmentReceived   = "segment:received"   // Segment
	CongestionState   = "congestion:state"   // Congestion
	PoolOccupancy     = "pool:occupancy"     // Occupancy
	PoolEmpty         = "pool:empty"         // Empty
	SocketState       = "socket:state"       // Socket
	APICall           = "api:call"           // Call
	SMTPCommand       = "smtp:command"       // Dialogue
	SMTPReply         = "smtp:reply"         // Dialogue
	PacketDropped     = "packet:dropped"     // Dropped
	PacketChanged     = "packet:changed"     // Changed
	StackWarning      = "stack:warning"      // Warning
	WorkloadBegin     = "workload:begin"     // Mark
	WorkloadNote      = "workload:note"      // Mark
	WorkloadEnd       = "workload:end"       // Mark
	TraceLost         = "trace:lost"         // Lost
	TraceEnd          = "trace:end"          // End
)

// dataOf makes the data of an event by its name.
var dataOf = map[string]func() any{
	ConnectionStarted: func() any { return new(Connection) },
	SegmentSent:       func() any { return new(Segment) },
	SegmentReceived:   func() any { return new(Segment) },
	CongestionState:   func() any { return new(Congestion) },
	PoolOccupancy:     func() any { return new(Occupancy) },
	PoolEmpty:         func() any { return new(Empty) },
	SocketState:       func() any { return new(Socket) },
	APICall:           func() any { return new(Call) },
	SMTPCommand:       func() any { return new(Dialogue) },
	SMTPReply:         func() any { return new(Dialogue) },
	PacketDropped:     func() any { return new(Dropped) },
	PacketChanged:     func() any { return new(Changed) },
	StackWarning:      func() any { return new(Warning) },
	WorkloadBegin:     func() any { return new(Mark) },
	WorkloadNote:      func() any { return new(Mark) },
	WorkloadEnd:       func() any { return new(Mark) },
	TraceLost:         func() any { return new(Lost) },
	TraceEnd:          func() any { return new(End) },
}

// Connection is a connection whose first segment is about to be told of.
type Connection struct {
	Connection int    `json:"connection"` // its number in the trace, from 1
	Local      string `json:"local"`      // address and port of the instance
	Remote     string `json:"remote"`
	Role       string `json:"role"` // of the instance: "client" sent the SYN, "server" got it; "unknown" when there was none
}

// Segment is a TCP segment that the instance sent or received. What the link
// loses on its way out has been sent all the same; a "packet:dropped" follows.
type Segment struct {
	Connection  int        `json:"connection"`
	Flags       string     `json:"flags"` // letters of SYN, FIN, RST, PSH, ACK, URG in this order: "SA", "PA"
	Seq         int64      `json:"seq"`   // relative to the SYN of its direction
	Ack         int64      `json:"ack"`   // relative to the SYN of the other direction; 0 without ACK
	SeqAbsolute uint32     `json:"seq_absolute"`
	AckAbsolute uint32     `json:"ack_absolute"`
	Length      int        `json:"length"`                   // bytes of data
	Segments    int        `json:"segments"`                 // on the wire: more than 1 with offload
	Window      int64      `json:"window"`                   // bytes, scaled
	SACK        [][2]int64 `json:"sack,omitempty"`           // relative: from, to without to
	MSS         int        `json:"mss,omitempty"`            // of a SYN
	Scale       *int       `json:"scale,omitempty"`          // of a SYN that offers window scaling
	Selective   bool       `json:"sack_permitted,omitempty"` // of a SYN
	OutOfOrder  bool       `json:"out_of_order,omitempty"`   // came after bytes that follow it, and never before
	Again       bool       `json:"retransmission,omitempty"` // these bytes, or this SYN or FIN, were on the way before
	Cause       Cause      `json:"cause,omitempty"`          // of a retransmission
	Waited      *float64   `json:"waited_ms,omitempty"`      // since the same bytes were sent before
	Earlier     string     `json:"earlier,omitempty"`        // what happened to them then, when that is known
}

// Cause is why bytes came again.
type Cause string

const (
	CauseTimeout      Cause = "timeout"       // the retransmission timer, RFC 6298
	CauseAfterTimeout Cause = "after timeout" // was on its way when the timer went off
	CauseFast         Cause = "fast"          // duplicate or selective acknowledgements, RFC 5681, 6675
	CauseHandshake    Cause = "handshake"     // the SYN or SYN-ACK was not answered
	CauseWindowProbe  Cause = "window probe"  // the peer's window is closed
	CauseKeepalive    Cause = "keepalive"     // a byte that the peer knows
	CauseLost         Cause = "lost"          // received: the instance never got the earlier one
	CauseDuplicate    Cause = "duplicate"     // received: the link made two of one
	CauseUnneeded     Cause = "unneeded"      // received: the instance had it, and the peer did not know yet
	CauseUnknown      Cause = "unknown"
)

// Causes of older traces. The schema keeps them; nothing writes them any more.
const (
	CauseTailProbe  Cause = "tail probe" // RFC 8985 section 7: nothing more came, the last segment asked
	CauseStandstill Cause = "standstill" // nothing moved any more, and gVisor had no timer
)

// Congestion is the sender's state after a segment has come in. A timeout shows
// with the next one.
type Congestion struct {
	Connection  int      `json:"connection"`
	Window      int      `json:"cwnd"`                     // segments
	WindowBytes int64    `json:"cwnd_bytes"`               // the same in bytes
	Threshold   *int64   `json:"ssthresh_bytes,omitempty"` // of slow start; absent: none yet
	InFlight    int64    `json:"in_flight"`                // bytes that are sent and not acknowledged
	Outstanding int      `json:"outstanding"`              // segments on their way, as the sender reckons
	SRTT        *float64 `json:"srtt_ms,omitempty"`        // absent: not measured yet
	RTTVar      *float64 `json:"rttvar_ms,omitempty"`
	RTO         float64  `json:"rto_ms"`
	State       string   `json:"state"` // "open", "disorder", "recovery"
}

// Occupancy is who has the packets of a pool. It comes when that has changed,
// at a bounded rate; Lowest holds the least there was in between.
type Occupancy struct {
	Pool    string   `json:"pool"`
	Free    int      `json:"free"`
	Lowest  int      `json:"lowest"` // free packets, since the occupancy before
	Holders []Holder `json:"holders"`
}

// Holder is the packets of a pool in one kind of place.
type Holder struct {
	Kind    string `json:"kind"`           // "application", "transmit queue", "receive queue", "driver"
	Name    string `json:"name,omitempty"` // of the socket or link
	Packets int    `json:"packets"`
}

// Empty is a request that found its pool empty, at the end of its wait.
type Empty struct {
	Pool   string  `json:"pool"`
	Waited float64 `json:"waited_ms"`
	Served bool    `json:"served"`
}

// Socket is a change of a socket's state.
type Socket struct {
	Socket string `json:"socket"`
	Local  string `json:"local,omitempty"`
	Remote string `json:"remote,omitempty"`
	From   string `json:"from"`
	To     string `json:"to"`
	Cause  string `json:"cause,omitempty"`
}

// Call is the end of a service call.
type Call struct {
	Service string  `json:"service"`
	Object  string  `json:"object"`
	Took    float64 `json:"took_ms"`
	Status  string  `json:"status"` // "NX_SUCCESS"
	Bytes   int     `json:"bytes,omitempty"`
}

// Dialogue is a line of the SMTP dialogue. The message itself has no text.
type Dialogue struct {
	Client string `json:"client"`
	Phase  string `json:"phase"`
	Text   string `json:"text"`
	Bytes  int    `json:"bytes"`
	Code   int    `json:"code,omitempty"`
}

// Dropped is something that was thrown away.
type Dropped struct {
	Where     string       `json:"where"`
	Direction string       `json:"direction,omitempty"` // "sent" or "received"
	Reason    string       `json:"reason"`
	Bytes     int          `json:"bytes"`
	Segment   *SegmentName `json:"segment,omitempty"`        // when it is known to be one
	Unseen    bool         `json:"unseen,omitempty"`         // TCP never got it: no segment:received tells of it
	Again     bool         `json:"retransmission,omitempty"` // the bytes were on the way before; of received ones
}

// Changed is what a fault did to a datagram that it did not drop.
type Changed struct {
	Direction string       `json:"direction"`
	Done      string       `json:"done"`
	Bytes     int          `json:"bytes"`
	Segment   *SegmentName `json:"segment,omitempty"`
}

// SegmentName tells which segment of a connection something is about.
type SegmentName struct {
	Connection int    `json:"connection"`
	Flags      string `json:"flags"`
	Seq        int64  `json:"seq"`
	Length     int    `json:"length"`
}

// Warning is something that is to be known and is no error.
type Warning struct {
	Where string `json:"where"`
	Text  string `json:"text"`
}

// Mark is where the workload has got to.
type Mark struct {
	Text   string `json:"text"`
	Bytes  int64  `json:"bytes,omitempty"`  // of user data, so far
	Failed bool   `json:"failed,omitempty"` // of an end: the workload did not do what it should
}

// Lost tells that events are missing here, because more came than could be
// written.
type Lost struct {
	Events int `json:"events"`
}

// End is the last line.
type End struct {
	Events      int    `json:"events"`      // lines between the header and this one
	Interrupted bool   `json:"interrupted"` // by the user or by the time limit
	Why         string `json:"why,omitempty"`
}
