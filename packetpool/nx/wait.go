package nx

import "time"

// Wait is a wait option: how many ticks a service may suspend its caller.
type Wait uint32

const (
	NoWait      Wait = 0          // NX_NO_WAIT: answer at once
	WaitForever Wait = 0xFFFFFFFF // NX_WAIT_FOREVER: no limit

	// TicksPerSecond is NX_IP_PERIODIC_RATE of the default build.
	TicksPerSecond = 100
	// Tick is the length of one tick.
	Tick = time.Second / TicksPerSecond
)

// Ticks converts a duration to a wait option, rounded up to whole ticks. A
// duration of zero or less is NoWait; one too long for the type is the longest
// finite wait, never WaitForever.
func Ticks(d time.Duration) Wait {
	if d <= 0 {
		return NoWait
	}
	n := int64(d / Tick)
	if d%Tick != 0 {
		n++
	}
	if n >= int64(WaitForever) {
		return WaitForever - 1
	}
	return Wait(n)
}

// Duration is the time that the option stands for. For WaitForever it answers
// the longest duration there is.
func (w Wait) Duration() time.Duration {
	if w == WaitForever {
		return 1<<63 - 1
	}
	return time.Duration(w) * Tick
}
