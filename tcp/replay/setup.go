package replay

import (
	"errors"
	"fmt"
	"slices"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// Sizes of the recording: a packet header is 60 bytes there, and a thread's
// stack and an ARP cache are memory areas of which only the size matters here.
const (
	packetHeader = 60
	memorySize   = 4096
	priority     = 1
)

// setUp makes what the recording has made before the first step: the pools,
// and, unless the trace makes its own, the instances A and B. The first step
// of a recorded trace is at tick 20, or 320 when addresses had to be verified.
func (r *run) setUp() error {
	t := r.trace
	for _, side := range []string{"A", "B"} {
		n := r.named(side)
		if err := r.makePool(&n.pool, side, t.config("payload", 1536), t.config("count", 64)); err != nil {
			return err
		}
	}
	if t.config("setup", 1) == 0 {
		r.world.Sleep(20)
		return nil
	}
	for _, side := range []string{"A", "B"} {
		if err := r.setUpInstance(r.named(side), t.config("tcp"+side, 1) != 0); err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
	}
	if t.AF == 6 && t.config("wait6", 1) != 0 {
		r.world.Sleep(300)
	}
	r.world.Sleep(20)
	return nil
}

func (r *run) setUpInstance(n *instance, withTCP bool) error {
	v4, v6 := clientV4, clientV6
	if n.name == "B" {
		v4, v6 = serverV4, serverV6
	}
	n.block.Config = r.config(n)
	err := ip.Create(&n.block, n.name, v4, createMasks[0], &n.pool, n.driver, memorySize, priority)
	if err != nil {
		return err
	}
	r.ended = append(r.ended, func() error { return r.deleteInstance(n) })
	steps := []func() error{func() error { return ip.ARPEnable(&n.block, memorySize) }}
	if withTCP {
		steps = append(steps, func() error { return tcp.Enable(&n.block) })
	}
	if r.trace.config("icmp", 1) != 0 {
		steps = append(steps, func() error { return ip.ICMPEnable(&n.block) })
	}
	if r.trace.AF == 6 {
		steps = append(steps, func() error { return ip.IPv6Enable(&n.block) }, func() error {
			_, err := ip.IPv6AddressSet(&n.block, 0, v6, 64)
			return err
		})
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// config is the release on the clock of the world. The window rule, which the
// original does not have, is off; the hardware addresses are those of the
// recording, because link-local addresses are made of them.
func (r *run) config(n *instance) *ip.Config {
	last := byte(0x58)
	switch n.name {
	case "A":
		last = 0x56
	case "B":
		last = 0x57
	}
	return &ip.Config{
		Clock: r.world.Clock, Release: true, NoWindowRule: true,
		PhysicalAddress: [6]byte{0x00, 0x11, 0x22, 0x33, 0x44, last},
	}
}

// makePool makes a pool of exactly count packets.
func (r *run) makePool(pool *packetpool.Pool, name string, payload, count int) error {
	return r.makePoolOf(pool, name, payload, count*(packetHeader+(payload+3)/4*4))
}

func (r *run) makePoolOf(pool *packetpool.Pool, name string, payload, size int) error {
	pool.Config = &packetpool.Config{Clock: r.world.Clock}
	err := packetpool.PoolCreate(pool, name, uint32(payload), uint32(size))
	if err == nil {
		r.ended = append(r.ended, func() error { return r.deletePool(pool, name) })
	}
	return err
}

// tearDown ends the program as a tidy one would, whatever state the trace has
// left it in. What cannot be ended is an error of the replay, and so is a
// packet that has not come back to its pool.
func (r *run) tearDown() error {
	r.wire.Lose = nil
	for _, s := range r.sockets {
		s := s
		if s.name == "null" {
			continue
		}
		r.do(func() {
			block := &s.block
			_ = tcp.SocketDisconnect(block, nx.NoWait)
			_ = tcp.ServerSocketUnaccept(block)
			for _, port := range s.listened {
				_ = tcp.ServerSocketUnlisten(&s.on.block, port)
				_ = tcp.ServerSocketUnaccept(block)
			}
			_ = tcp.ClientSocketUnbind(block)
			if err := tcp.SocketDelete(block); err != nil && nx.Code(err) != uint(nx.PtrError) {
				r.left = append(r.left, fmt.Errorf("socket %s: %w", s.name, err))
			}
		})
	}
	for _, undo := range slices.Backward(r.ended) {
		undo := undo
		r.do(func() {
			if err := undo(); err != nil {
				r.left = append(r.left, err)
			}
		})
	}
	for n, c := range r.workers {
		if !c.Done() {
			r.left = append(r.left, fmt.Errorf("worker %d is left waiting", n))
		}
	}
	return errors.Join(r.left...)
}

// do runs f as a thread to its end.
func (r *run) do(f func()) {
	c := r.world.Go(controller, f, nil)
	if !r.world.Wait(c, stepLimit) {
		r.left = append(r.left, errors.New("the end does not return"))
	}
}

func (r *run) deleteInstance(n *instance) error {
	if err := ip.Delete(&n.block); err != nil && nx.Code(err) != uint(nx.PtrError) {
		return fmt.Errorf("instance %s: %w", n.name, err)
	}
	return nil
}

func (r *run) deletePool(pool *packetpool.Pool, name string) error {
	info, err := packetpool.PoolInfoGet(pool)
	if err != nil {
		return fmt.Errorf("pool %s: %w", name, err)
	}
	if info.FreePackets != info.TotalPackets {
		return fmt.Errorf("pool %s: %d of %d packets are back: %v", name, info.FreePackets, info.TotalPackets, pool.Holders())
	}
	return packetpool.PoolDelete(pool)
}
