package parity

import (
	"fmt"
	"slices"
	"time"
)

// Scenario is one conversation between a stack and its peer. The zero Settings
// are those of [DefaultSettings].
type Scenario struct {
	Name  string
	Shows string // what can be seen in it, in a sentence

	// Places are the names of the places where it can run; nil: all.
	Places []string

	// NoControl is why the kernel cannot play the stack's part; empty: it can.
	NoControl string

	Settings Settings
	Steps    []Step
	Origin   string // "file:line"
}

// Settings are what a scenario needs before its first step.
type Settings struct {
	Pool     PoolSize // default pool of the stack's instance
	SendPool PoolSize // for what the stack sends
	PeerPool PoolSize // of a peer that is a stack, both its pools

	Window     Amount // of the stack's sockets
	PeerWindow Amount // of a peer's

	MTU         int           // of the stack's link
	PathMTU     int           // of the router between; 0: there is none
	Queue       int           // transmit queue of the stack's sockets, segments; 0: NetX Duo's
	NoFragments bool          // no router may cut what the stacks send
	Retries     int           // of a segment that is not acknowledged; 0: NetX Duo's
	Keepalive   time.Duration // 0: none

	Faults string // on the stack's link, as fault.Parse reads them
}

// PoolSize is the size of a packet pool.
type PoolSize struct{ Packets, Payload int }

// String is the size as the format has it.
func (p PoolSize) String() string { return fmt.Sprintf("%d x %d", p.Packets, p.Payload) }

// DefaultSettings are those of a scenario that says nothing.
var DefaultSettings = Settings{
	Pool: PoolSize{64, 1536}, SendPool: PoolSize{32, 1536}, PeerPool: PoolSize{64, 1536},
	Window: Amount{12, "mss", 0}, PeerWindow: Amount{12, "mss", 0}, MTU: 1500,
}

// Step is what happens at one time: its actions begin in order and run
// together, and the next step begins when all have ended.
type Step struct {
	Actions []Action

	// Background: the next step does not wait. A "join" does, and so does the
	// end of the scenario.
	Background bool
}

// Action is one thing that one side does.
type Action struct {
	Who  string // "stack", "peer", "wire", "time"
	Verb string
	Text string   // as it was written
	Line int      // in the file
	Want []string // words that the outcome must have; nil: "ok"

	Port  uint   // listen, connect, …
	Size  Amount // send, receive, ping, mail, take
	Sized bool   // a size was given
	End   bool   // receive end
	Count uint   // take, change the transmit queue, …
	For   time.Duration

	// Options, name=value.
	Wait    time.Duration // limit of the service
	At      string        // name of the socket
	To      string        // where to: "peer", "absent", …
	From    uint          // port to connect from
	Queue   uint          // of listen
	Piece   Amount        // in=: size of one message
	InParts bool
	Auth    string // mail, serve-mail
	Mail    mailConduct
	Faults  string // wire faults
}

// Amount is a number of bytes, also one that depends on the family: 3 MSS less
// one.
type Amount struct {
	Times int
	Unit  string // "", "mss", "payload", "chunk", "window"
	Plus  int
}

// units of an Amount.
type units struct{ MSS, Payload, Chunk, Window int }

// bytes is the amount with the units of a run.
func (a Amount) bytes(u units) int {
	unit := 0
	switch a.Unit {
	case "mss":
		unit = u.MSS
	case "payload":
		unit = u.Payload
	case "chunk":
		unit = u.Chunk
	case "window":
		unit = u.Window
	}
	return max(a.Times*unit+a.Plus, 0)
}

// String is the amount as the format has it.
func (a Amount) String() string {
	if a.Unit == "" {
		return fmt.Sprint(a.Plus)
	}
	s := a.Unit
	if a.Times != 1 {
		s = fmt.Sprint(a.Times) + s
	}
	if a.Plus != 0 {
		s += fmt.Sprintf("%+d", a.Plus)
	}
	return s
}

// Runs tells whether a scenario can run at a place.
func (s *Scenario) Runs(place string) bool {
	if len(s.Places) > 0 && !slices.Contains(s.Places, place) && place != "kernel" {
		return false
	}
	switch place {
	case "kernel":
		return s.NoControl == "" && (len(s.Places) == 0 || slices.Contains(s.Places, "tun"))
	case "offload":
		return !s.touchesWire() // faults are done to segments as they are on the wire
	}
	return true
}

// touchesWire tells that something is done to the stack's link.
func (s *Scenario) touchesWire() bool {
	if s.Settings.Faults != "" {
		return true
	}
	for _, step := range s.Steps {
		for _, a := range step.Actions {
			if a.Who == "wire" {
				return true
			}
		}
	}
	return false
}
