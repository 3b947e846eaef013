package nx

import (
	"net/netip"
	"time"
)

// An Event is one thing that a stack did, as a value of one of the types
// below. Every view (capture comments, JSON lines, the live view, the report)
// is made from these and nothing else.
//
// Credentials never enter an event: the layer that knows a line to be secret
// redacts it before it makes the event.
type Event interface {
	// EventName is the name of the event in traces, "segment:sent".
	EventName() string
}

// A Recorder receives events. Record is called where the thing happens, from
// any goroutine, sometimes under locks of the stack: it must be quick, must
// not block, and must not call any service. It stamps the time itself.
//
// A nil Recorder means that nobody looks. Callers test for nil before they
// make an event, so that nothing is spent on it.
type Recorder interface {
	Record(Event)
}

// Direction tells sent from received, seen from the instance.
type Direction uint8

const (
	Sent Direction = iota + 1
	Received
)

func (d Direction) String() string {
	switch d {
	case Sent:
		return "sent"
	case Received:
		return "received"
	}
	return "unknown"
}

// MarshalText makes JSON show "sent" and "received".
func (d Direction) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// PacketEvent is a packet taken from or given back to its pool.
type PacketEvent struct {
	Pool     string `json:"pool"`
	Released bool   `json:"released"`
	Packets  int    `json:"packets"` // of a chain
	Free     int    `json:"free"`    // in the pool afterwards
	Owner    string `json:"owner,omitempty"`
}

func (e PacketEvent) EventName() string {
	if e.Released {
		return "packet:released"
	}
	return "packet:allocated"
}

// PoolEmptyEvent is a request that found its pool empty. Waited is how long
// the caller was suspended, known when the event is made at the end of the
// wait.
type PoolEmptyEvent struct {
	Pool   string        `json:"pool"`
	Waited time.Duration `json:"waited_ns"`
	Served bool          `json:"served"`
}

func (PoolEmptyEvent) EventName() string { return "pool:empty" }

// SegmentEvent is one TCP segment (or, with offload, super-segment) that
// crossed the link of an instance.
type SegmentEvent struct {
	Instance  string         `json:"instance"`
	Direction Direction      `json:"direction"`
	Local     netip.AddrPort `json:"local"`
	Remote    netip.AddrPort `json:"remote"`
	Flags     uint8          `json:"flags"` // as in the header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32
	Sequence  uint32         `json:"seq"`
	Ack       uint32         `json:"ack"`
	Window    uint32         `json:"window"` // as in the header, not scaled
	Scaled    uint32         `json:"scaled"` // the window in bytes; as in the header while the scale is not agreed on
	Length    int            `json:"length"` // payload bytes
	GSOSize   int            `json:"gso_size,omitempty"`
	SACK      []Block        `json:"sack,omitempty"`    // RFC 2018: what came ahead of what is missing
	Damaged   bool           `json:"damaged,omitempty"` // its checksum is wrong: nothing in it can be believed

	// Of a SYN.
	MSS       int  `json:"mss,omitempty"`
	Scale     int  `json:"scale,omitempty"`     // shift count of the window; -1: none offered
	Selective bool `json:"selective,omitempty"` // selective acknowledgements are permitted

	// What a recorder that knows the history of the connection adds before it
	// hands the event on. The stack leaves both empty.
	Again bool   `json:"again,omitempty"` // the peer of the sender was sent these bytes before
	Cause string `json:"cause,omitempty"` // why
}

// Block is the sequence numbers from Left up to Right, without Right itself.
type Block struct {
	Left  uint32 `json:"left"`
	Right uint32 `json:"right"`
}

func (e SegmentEvent) EventName() string { return "segment:" + e.Direction.String() }

// SocketEvent is a change of a socket's state.
type SocketEvent struct {
	Instance string         `json:"instance"`
	Socket   string         `json:"socket"`
	Local    netip.AddrPort `json:"local"`
	Remote   netip.AddrPort `json:"remote"`
	From     string         `json:"from"`
	To       string         `json:"to"`
	Cause    string         `json:"cause,omitempty"`
}

func (SocketEvent) EventName() string { return "socket:state" }

// CongestionEvent is the sender's state of a connection after a segment has
// come in. A timeout changes it too; its event comes with the next segment.
type CongestionEvent struct {
	Instance    string         `json:"instance"`
	Local       netip.AddrPort `json:"local"`
	Remote      netip.AddrPort `json:"remote"`
	Window      int            `json:"cwnd"`        // congestion window, segments
	Threshold   int            `json:"ssthresh"`    // of slow start, segments; 0: none yet
	MSS         int            `json:"mss"`         // bytes of data in a full segment
	Outstanding int            `json:"outstanding"` // segments that are on their way, as the sender reckons
	InFlight    uint32         `json:"in_flight"`   // bytes that are sent and not acknowledged
	SRTT        time.Duration  `json:"srtt_ns"`     // 0: not measured yet
	RTTVar      time.Duration  `json:"rttvar_ns"`
	RTO         time.Duration  `json:"rto_ns"`
	State       string         `json:"state"` // "open", "disorder", "recovery"
}

func (CongestionEvent) EventName() string { return "congestion:state" }

// CallEvent is the end of a service call that took part in the traffic.
type CallEvent struct {
	Service string        `json:"service"`
	Object  string        `json:"object"`
	Took    time.Duration `json:"took_ns"`
	Status  string        `json:"status"`
	Bytes   int           `json:"bytes,omitempty"` // of data that the call moved
}

func (CallEvent) EventName() string { return "api:call" }

// DialogueEvent is a line of the SMTP dialogue, or the message itself, which
// is not shown but counted. Text never holds credentials.
type DialogueEvent struct {
	Client    string    `json:"client"`
	Direction Direction `json:"direction"`
	Phase     string    `json:"phase"`
	Text      string    `json:"text"`
	Bytes     int       `json:"bytes"`
	Code      int       `json:"code,omitempty"` // of a reply
}

func (e DialogueEvent) EventName() string {
	if e.Direction == Sent {
		return "smtp:command"
	}
	return "smtp:reply"
}

// DropEvent is something that was thrown away: where, what, and why.
type DropEvent struct {
	Where     string    `json:"where"`
	Direction Direction `json:"direction,omitempty"` // zero when it was on no way
	Reason    string    `json:"reason"`
	Bytes     int       `json:"bytes"`
	Packet    []byte    `json:"-"` // the first bytes of the datagram, for captures; nil when not at hand
}

func (DropEvent) EventName() string { return "packet:dropped" }

// FaultEvent is what a fault wrapper did to a frame that it did not drop.
type FaultEvent struct {
	Direction Direction `json:"direction"`
	Done      string    `json:"done"`                // "delayed 20ms, corrupted"
	Copies    int       `json:"copies,omitempty"`    // that were made of it
	Corrupted bool      `json:"corrupted,omitempty"` // one bit was turned over
	Bytes     int       `json:"bytes"`
	Packet    []byte    `json:"-"` // the first bytes of the datagram before that, for captures
}

func (FaultEvent) EventName() string { return "packet:changed" }

// WarningEvent is something that the user should know and that is no error.
type WarningEvent struct {
	Where string `json:"where"`
	Text  string `json:"text"`
}

func (WarningEvent) EventName() string { return "stack:warning" }
