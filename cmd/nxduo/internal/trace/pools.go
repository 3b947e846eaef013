package trace

import (
	"sync"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// pools keeps the low-water marks between two looks at the pools. The recorder
// may call no service, so who holds the packets is asked by a goroutine of its
// own, when something has changed, and not more often than a look may come.
type pools struct {
	mu      sync.Mutex // guards the fields below
	lowest  map[string]int
	changed chan struct{} // has room for one; nil: nobody samples
}

func (p *pools) note(e nx.PacketEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lowest == nil {
		p.lowest = make(map[string]int)
	}
	if least, seen := p.lowest[e.Pool]; !seen || e.Free < least {
		p.lowest[e.Pool] = e.Free
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// take answers the low-water marks since the last call.
func (p *pools) take() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	lowest := p.lowest
	p.lowest = nil
	return lowest
}

// Sample tells who holds the packets of pools when that has changed, at most
// once in a pace. Its goroutine ends with stop, which tells it once more.
func (s *Side) Sample(pace time.Duration, watched ...*packetpool.Pool) (stop func()) {
	changed := make(chan struct{}, 1)
	s.pools.mu.Lock()
	s.pools.changed = changed
	s.pools.mu.Unlock()
	quit, ended := make(chan struct{}), make(chan struct{})
	sampler := &sampler{s, watched, make(map[string]Occupancy)}
	sampler.look(true)
	go func() {
		defer close(ended)
		sampler.run(pace, changed, quit)
	}()
	return sync.OnceFunc(func() {
		close(quit)
		<-ended
		sampler.look(false)
	})
}

type sampler struct {
	side  *Side
	pools []*packetpool.Pool
	last  map[string]Occupancy
}

func (m *sampler) run(pace time.Duration, changed, quit chan struct{}) {
	wait := time.NewTimer(pace)
	defer wait.Stop()
	for {
		select {
		case <-quit:
			return
		case <-changed:
		}
		m.look(false)
		wait.Reset(pace)
		select {
		case <-quit:
			return
		case <-wait.C:
		}
	}
}

// look tells of the pools that are not as they were.
func (m *sampler) look(all bool) {
	lowest := m.side.pools.take()
	for _, pool := range m.pools {
		info, err := packetpool.PoolInfoGet(pool)
		if err != nil {
			continue
		}
		o := Occupancy{Pool: pool.Name(), Free: int(info.TotalPackets), Holders: []Holder{}}
		for _, h := range pool.Holders() { // at one moment, so that they make the total
			o.Free -= h.Packets
			o.Holders = append(o.Holders, Holder{Kind: h.Owner.Kind.String(), Name: h.Owner.Name, Packets: h.Packets})
		}
		o.Lowest = o.Free
		if least, seen := lowest[o.Pool]; seen {
			o.Lowest = min(o.Lowest, least)
		}
		if last := m.last[o.Pool]; all || !o.like(last) {
			m.side.add(PoolOccupancy, &o)
			m.last[o.Pool] = o
		}
	}
}

func (o *Occupancy) like(last Occupancy) bool {
	if o.Free != last.Free || o.Lowest != last.Free || len(o.Holders) != len(last.Holders) {
		return false
	}
	for i, h := range o.Holders {
		if h != last.Holders[i] {
			return false
		}
	}
	return true
}
