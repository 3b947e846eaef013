package ip

import (
	"time"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// stackClock shows an nx.Clock to gVisor, so that one clock drives the stack's
// timers and the services' waits. A timer's function runs in a goroutine of the
// nx.Clock's.
type stackClock struct {
	clock nx.Clock
	start time.Time // wall time at the clock's zero
}

func newStackClock(clock nx.Clock) stackClock {
	return stackClock{clock: clock, start: time.Now().Add(-clock.Now())}
}

// Now implements tcpip.Clock.
func (c stackClock) Now() time.Time { return c.start.Add(c.clock.Now()) }

// NowMonotonic implements tcpip.Clock.
func (c stackClock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(c.clock.Now())
}

// AfterFunc implements tcpip.Clock. An nx.Timer has the methods of a
// tcpip.Timer, with the same meaning.
func (c stackClock) AfterFunc(d time.Duration, f func()) tcpip.Timer { return c.clock.AfterFunc(d, f) }
