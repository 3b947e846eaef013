package parity

import (
	"net/netip"
	"time"
)

// host is one side of a conversation. Its methods are called by the goroutine
// of an action, and may wait.
type host interface {
	// do does one action.
	do(a *Action, u units) Outcome

	// speaksNX tells that outcomes have statuses of NetX Duo.
	speaksNX() bool

	// mss is the largest segment of the connection made last; 0: not known.
	mss() int

	// shut ends all connections, and answers what was lost.
	shut() []string
}

// way is what a host knows of the addresses of a place.
type way struct {
	own, peer netip.Addr

	absent, unreachable, nowhere netip.Addr // zero: the place has none
}

// to is the address of a destination.
func (w way) to(name string) netip.Addr {
	v4 := w.own.Is4()
	switch name {
	case "peer":
		return w.peer
	case "absent":
		return w.absent
	case "unreachable":
		return w.unreachable
	case "nowhere":
		return w.nowhere
	case "itself":
		return w.own
	case "multicast":
		if v4 {
			return netip.MustParseAddr("224.0.0.5")
		}
		return netip.MustParseAddr("ff02::5")
	case "zero":
		if v4 {
			return netip.IPv4Unspecified()
		}
		return netip.IPv6Unspecified()
	}
	return netip.Addr{}
}

// pattern is the byte at a place of a stream.
func pattern(at int) byte { return byte(at*7 + at>>8*13 + at>>16) }

// patterned is a part of a stream.
func patterned(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = pattern(from + i)
	}
	return b
}

// intact compares a part of a stream.
func intact(from int, b []byte) bool {
	for i, c := range b {
		if c != pattern(from+i) {
			return false
		}
	}
	return true
}

// line is a connection that a mail server talks over.
type line interface {
	read(wait time.Duration) ([]byte, error)
	write(b []byte, wait time.Duration) error
	end(how ending)
}

// ending is how a line ends.
type ending uint8

const (
	afterOther ending = iota // when the other side has ended its direction
	first                    // before the other side does
	withReset
)

// unhandled is the outcome of an action that the host does not know: an error
// of this package.
func unhandled(a *Action) Outcome {
	return Outcome{Word: "failed", Detail: "nobody does " + a.Verb + " here"}
}
