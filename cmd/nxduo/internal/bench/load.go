package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// load is one workload under way. Its lanes work until it is stopped.
type load struct {
	design design
	kind   Kind
	to     netip.AddrPort

	units    atomic.Uint64 // done by all lanes
	stopping atomic.Bool
	ready    sync.WaitGroup // of all lanes: they are connected, or have failed
	ended    sync.WaitGroup // of all lanes
	door     chan struct{}  // has room for those that connect at the same time
	start    chan struct{}  // closed when all lanes are ready

	mu      sync.Mutex // guards the fields below
	failure error      // the first
	conns   []conn     // of lanes that keep one
}

// doors is how many lanes connect at the same time.
const doors = 16

// startLoad starts the lanes. Those that keep a connection connect while nothing else
// goes on, a few at a time, and begin to work when all are there. Otherwise what is
// measured is how they came to be: a connection that was made in the rush of a thousand
// others, or in the stream of those before it, takes the queues that it met there for
// the way to the peer, which Linux does not forget for five minutes (tcp_min_rtt_wlen)
// and makes its super-segments smaller for (tcp_tso_autosize).
func startLoad(d design, kind Kind, lanes int, to netip.AddrPort) *load {
	l := &load{design: d, kind: kind, to: to, door: make(chan struct{}, doors), start: make(chan struct{})}
	l.ready.Add(lanes)
	l.ended.Add(lanes)
	for range lanes {
		go l.lane()
	}
	l.ready.Wait()
	close(l.start)
	return l
}

// stop ends all lanes and answers the first failure.
func (l *load) stop() error {
	l.stopping.Store(true)
	l.mu.Lock()
	conns := l.conns
	l.mu.Unlock()
	for _, c := range conns {
		c.abort()
	}
	done := make(chan struct{})
	go func() {
		l.ended.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(2 * patience):
		return fmt.Errorf("%s to %s does not stop", l.kind, l.to)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

func (l *load) lane() {
	defer l.ended.Done()
	var err error
	switch l.kind {
	case Connect, Mails:
		l.ready.Done()
		err = l.repeat(l.operation())
	default:
		err = l.keep()
	}
	if err != nil && !l.stopping.Load() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failure = cmpOr(l.failure, err)
	}
}

func cmpOr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// repeat counts how often do succeeds.
func (l *load) repeat(do func() (int, error)) error {
	for !l.stopping.Load() {
		n, err := do()
		if err != nil {
			return err
		}
		l.units.Add(uint64(n))
	}
	return nil
}

// operation is a unit of work that has a connection of its own.
func (l *load) operation() func() (int, error) {
	if l.kind == Mails {
		return func() (int, error) { return 1, l.design.mail(l.to) }
	}
	return func() (int, error) {
		c, err := l.design.dial(l.to)
		if err != nil {
			return 0, err
		}
		return 1, c.finish()
	}
}

// keep works on one connection.
func (l *load) keep() error {
	l.door <- struct{}{}
	c, err := l.design.dial(l.to)
	<-l.door
	if err == nil {
		l.mu.Lock()
		l.conns = append(l.conns, c)
		l.mu.Unlock()
	}
	l.ready.Done()
	if err != nil {
		return err
	}
	// stop may have come before the connection was known to it.
	defer c.abort()
	<-l.start
	switch l.kind {
	case BulkOut:
		n := c.block()
		return l.repeat(func() (int, error) { return n, c.send(n) })
	case BulkIn:
		if err := c.send(cue); err != nil {
			return err
		}
		c.block()
		return l.repeat(c.receive)
	default:
		return l.repeat(func() (int, error) { return 1, roundTrip(c) })
	}
}

func roundTrip(c conn) error {
	if err := c.send(message); err != nil {
		return err
	}
	for left := message; left > 0; {
		n, err := c.receive()
		if err != nil {
			return err
		}
		if left -= n; left < 0 {
			return errors.New("more came back than was sent")
		}
	}
	return nil
}

// reading is what the instruments show at one moment.
type reading struct {
	units float64
	at    time.Duration // by the clock of who counts
	cpu   time.Duration // of this process, user and system
}

// read looks at the instruments. How much a client has sent only its peer
// knows, because what is under way is in somebody's buffers; everything else
// is counted here.
func (l *load) read(meter net.Conn, started time.Time) (reading, error) {
	r := reading{units: float64(l.units.Load()), at: time.Since(started), cpu: cpuTime()}
	if l.kind != BulkOut {
		return r, nil
	}
	var b [16]byte
	if _, err := meter.Write(b[:1]); err != nil {
		return r, err
	}
	if _, err := io.ReadFull(meter, b[:]); err != nil {
		return r, err
	}
	r.units = float64(binary.LittleEndian.Uint64(b[:]))
	r.at = time.Duration(binary.LittleEndian.Uint64(b[8:]))
	return r, nil
}
