package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gonetx/ip"
	"gonetx/ip/link"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// stack is an IP instance with the two pools that an SMTP client needs.
type stack struct {
	ipPool, clientPool packetpool.Pool
	inst               ip.Instance
	untouched          []poolState // before the instance had the pools: a link that is up may bring something at any moment
}

// stackConfig describes a stack.
type stackConfig struct {
	name       string
	poolName   string // of clientPool; empty: that of an SMTP client's
	ipPool     poolSize
	clientPool poolSize
	addresses  []netip.Prefix // one of a family at most
	gateways   []netip.Addr   // the same
	driver     link.Driver
	recorder   nx.Recorder
}

// poolSize is what packetpool.PoolCreate takes: bytes of a packet's payload,
// and bytes of memory for all.
type poolSize struct{ payload, memory uint32 }

// packets is the size of a pool of n packets.
func packets(n, payload uint32) poolSize {
	const header = 60 // of a packet, see packetpool.PoolCreate
	return poolSize{payload, n * (header + (payload+3)&^3)}
}

// up makes the pools and the instance, as a NetX Duo program does in
// tx_application_define. After an error there is nothing to take down.
func (s *stack) up(c stackConfig) error {
	err := s.make(c)
	if err != nil {
		_ = s.down() // what there is of it
	}
	return err
}

// errLink marks that the link did not open.
var errLink = errors.New("the link does not open")

func (s *stack) make(c stackConfig) error {
	s.ipPool.Config = &packetpool.Config{Recorder: c.recorder}
	s.clientPool.Config = &packetpool.Config{Recorder: c.recorder}
	s.inst.Config = &ip.Config{Recorder: c.recorder, NoDAD: true} // nobody else is on the link
	if err := packetpool.PoolCreate(&s.ipPool, "IP packet pool", c.ipPool.payload, c.ipPool.memory); err != nil {
		return err
	}
	name := c.poolName
	if name == "" {
		name = "SMTP client packet pool"
	}
	if err := packetpool.PoolCreate(&s.clientPool, name, c.clientPool.payload, c.clientPool.memory); err != nil {
		return err
	}
	s.untouched = s.look()
	address, mask := ip.IPAddress(0, 0, 0, 0), ip.IPAddress(0, 0, 0, 0)
	for _, p := range c.addresses {
		if p.Addr().Is4() {
			address, mask = p.Addr(), ip.AddressFromWords(^uint32(0)<<(32-p.Bits()))
		}
	}
	if err := ip.Create(&s.inst, c.name, address, mask, &s.ipPool, c.driver, 2048, 1); err != nil {
		if errors.Is(err, nx.NotSuccessful) {
			return fmt.Errorf("%w: %w", errLink, err)
		}
		return err
	}
	for _, enable := range []func(*ip.Instance) error{
		func(inst *ip.Instance) error { return ip.ARPEnable(inst, 1040) },
		ip.ICMPEnable, ip.IPv6Enable, tcp.Enable,
	} {
		if err := enable(&s.inst); err != nil {
			return err
		}
	}
	return s.address6(c)
}

func (s *stack) address6(c stackConfig) error {
	for _, p := range c.addresses {
		if p.Addr().Is6() {
			if _, err := ip.IPv6AddressSet(&s.inst, 0, p.Addr(), uint32(p.Bits())); err != nil {
				return err
			}
		}
	}
	for _, g := range c.gateways {
		var err error
		if g.Is4() {
			err = ip.GatewayAddressSet(&s.inst, g)
		} else {
			err = ip.IPv6DefaultRouterAdd(&s.inst, g, 0xFFFF, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stop deletes the instance, so that nothing moves any more. It may be called
// more than once.
func (s *stack) stop() error {
	if !s.inst.Created() {
		return nil
	}
	return ip.Delete(&s.inst)
}

// down takes everything away. It may be called on what up left half done.
func (s *stack) down() error {
	errs := []error{s.stop()}
	for _, pool := range []*packetpool.Pool{&s.ipPool, &s.clientPool} {
		if _, err := packetpool.PoolInfoGet(pool); err == nil {
			errs = append(errs, packetpool.PoolDelete(pool))
		}
	}
	return errors.Join(errs...)
}

// poolState is a pool as reports show it.
type poolState struct {
	Name    string `json:"name"`
	Payload uint32 `json:"payload"`
	Packets uint32 `json:"packets"`
	Before  uint32 `json:"free_before"`
	Lowest  uint32 `json:"free_lowest"`
	After   uint32 `json:"free_after"`
	Empty   uint32 `json:"empty_requests"`   // requests that found no packet free
	Invalid uint32 `json:"invalid_releases"` // see packetpool.PoolInfo
	pool    *packetpool.Pool
}

// pools are the states of both pools, before anything happened.
func (s *stack) pools() []poolState { return slices.Clone(s.untouched) }

func (s *stack) look() []poolState {
	var states []poolState
	for _, pool := range []*packetpool.Pool{&s.ipPool, &s.clientPool} {
		if info, err := packetpool.PoolInfoGet(pool); err == nil {
			states = append(states, poolState{
				Name: pool.Name(), Payload: pool.PayloadSize(), Packets: info.TotalPackets,
				Before: info.FreePackets, Lowest: info.FreePackets, pool: pool,
			})
		}
	}
	return states
}

// settle completes the states when all is over. lowest has the free packets
// that were seen least.
func settle(states []poolState, lowest map[string]int) {
	for i := range states {
		p := &states[i]
		info, err := packetpool.PoolInfoGet(p.pool)
		if err != nil {
			continue
		}
		p.After, p.Empty, p.Invalid = info.FreePackets, info.EmptyPoolRequests, info.InvalidPacketReleases
		if least, seen := lowest[p.Name]; seen {
			p.Lowest = uint32(least)
		}
	}
}

// full tells whether every packet came back.
func full(states []poolState) bool {
	for _, p := range states {
		if p.After != p.Packets || p.Invalid != 0 {
			return false
		}
	}
	return true
}
