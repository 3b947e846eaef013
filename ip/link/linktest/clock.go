package linktest

import (
	"sync/atomic"
	"time"

	"gonetx/packetpool/nx"
)

// CountingClock is the machine's clock with a count of the goroutines that
// wait in a service.
type CountingClock struct{ parked atomic.Int64 }

// Now implements nx.Clock.
func (*CountingClock) Now() time.Duration { return nx.RealClock.Now() }

// AfterFunc implements nx.Clock.
func (*CountingClock) AfterFunc(d time.Duration, f func()) nx.Timer {
	return nx.RealClock.AfterFunc(d, f)
}

// Park and Unpark implement nx.Parker.
func (c *CountingClock) Park()   { c.parked.Add(1) }
func (c *CountingClock) Unpark() { c.parked.Add(-1) }

// Parked is how many goroutines wait.
func (c *CountingClock) Parked() int { return int(c.parked.Load()) }
