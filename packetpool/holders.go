package packetpool

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"gonetx/packetpool/nx"
)

// OwnerKind tells what kind of place a packet is in.
type OwnerKind uint8

const (
	Application   OwnerKind = iota // a program has its handle
	TransmitQueue                  // sent and not yet acknowledged
	ReceiveQueue                   // received by a socket, not yet by its program
	Driver                         // with a driver, or received and not yet sorted
)

func (k OwnerKind) String() string {
	switch k {
	case Application:
		return "application"
	case TransmitQueue:
		return "transmit queue"
	case ReceiveQueue:
		return "receive queue"
	case Driver:
		return "driver"
	}
	return "unknown"
}

// Owner is who has a packet: the kind of place, and the name of the socket or
// the link. The zero Owner is the program.
type Owner struct {
	Kind OwnerKind
	Name string
}

// String answers "transmit queue of mail".
func (o Owner) String() string {
	if o.Name == "" {
		return o.Kind.String()
	}
	return o.Kind.String() + " of " + o.Name
}

// Holding is how many packets of a pool an owner has.
type Holding struct {
	Owner   Owner
	Packets int
}

// Holders tells who has the packets of a pool, at one moment: the packets of
// the holdings and the free ones make the total. It is ordered by kind and
// name, and cheap enough to be looked at many times a second. A pool that is
// not created has no holders.
func (pool *Pool) Holders() []Holding {
	s := pool.created()
	if s == nil {
		return nil
	}
	var holdings []Holding
	s.mu.Lock()
	s.sweep()
	i := 0 // neighbours often have the same owner
	for _, b := range s.blocks {
		if b.state == free {
			continue
		}
		owner := b.holder()
		if i >= len(holdings) || holdings[i].Owner != owner {
			i = slices.IndexFunc(holdings, func(h Holding) bool { return h.Owner == owner })
			if i < 0 {
				i = len(holdings)
				holdings = append(holdings, Holding{Owner: owner})
			}
		}
		holdings[i].Packets++
	}
	s.mu.Unlock()
	slices.SortFunc(holdings, func(a, b Holding) int {
		return cmp.Or(cmp.Compare(a.Owner.Kind, b.Owner.Kind), cmp.Compare(a.Owner.Name, b.Owner.Name))
	})
	return holdings
}

// Outstanding is one packet that is not in its pool.
type Outstanding struct {
	Owner Owner
	Site  string // where it was allocated, innermost first; empty without Config.Sites
}

// Outstanding answers the packets that are not in the pool, for the report of
// a leak.
func (pool *Pool) Outstanding() []Outstanding {
	s := pool.created()
	if s == nil {
		return nil
	}
	var list []Outstanding
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	for _, b := range s.blocks {
		if b.state != free {
			list = append(list, Outstanding{b.holder(), b.site.String()})
		}
	}
	return list
}

// site is where a packet was allocated.
type site [6]uintptr

// newSite remembers the callers of this package's services.
func newSite() *site {
	var s site
	runtime.Callers(3, s[:])
	return &s
}

// String answers "tcp.SocketSend (send.go:61) < smtp.MailSend (mail.go:100)".
func (s *site) String() string {
	if s == nil {
		return ""
	}
	var calls []string
	frames := runtime.CallersFrames(s[:])
	for {
		f, more := frames.Next()
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		own := strings.HasPrefix(name, "packetpool.") && !strings.HasSuffix(f.File, "_test.go")
		if name != "" && !own && !strings.HasPrefix(name, "testing.") && !strings.HasPrefix(name, "runtime.") {
			calls = append(calls, fmt.Sprintf("%s (%s:%d)", name, f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line))
		}
		if !more {
			return strings.Join(calls, " < ")
		}
	}
}

// recordEmpty makes the event of a request that found the pool empty.
func (s *store) recordEmpty(waited time.Duration, served bool) {
	if r := s.config.Recorder; r != nil {
		r.Record(nx.PoolEmptyEvent{Pool: s.name, Waited: waited, Served: served})
	}
}

// recordPackets makes the event of packets that were taken or given back, if there
// are some. left is how many are free afterwards.
func (s *store) recordPackets(released bool, packets, left int, owner Owner) {
	if r := s.config.Recorder; r != nil && packets > 0 {
		e := nx.PacketEvent{Pool: s.name, Released: released, Packets: packets, Free: left}
		if owner != (Owner{}) {
			e.Owner = owner.String()
		}
		r.Record(e)
	}
}
