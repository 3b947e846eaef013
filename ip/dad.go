package ip

import (
	"net/netip"
	"time"

	"gonetx/packetpool/nx"
)

// This file is duplicate address detection (RFC 4862 section 5.4) with the
// timing of NetX Duo: _nx_icmpv6_perform_DAD, _nx_icmpv6_DAD_failure. gVisor's
// own stays off: its probes carry a nonce and go out at once, and an address
// under detection would be in its books.

const (
	detectionProbes = 3                      // NX_IPV6_DAD_TRANSMITS
	detectionPeriod = time.Second            // of the IP thread's slow timer
	fastPeriod      = 100 * time.Millisecond // of its fast timer (NX_IP_FAST_TIMER_RATE)
)

// detection is one address under detection.
type detection struct {
	sent  int
	timer nx.Timer
}

// startDetection sends the first probe when the fast timer is due next. The
// caller holds the lock.
func (inst *Instance) startDetection(index int) {
	d := &detection{}
	inst.detections[index] = d
	first := fastPeriod - (inst.clock.Now()-inst.born)%fastPeriod
	d.timer = inst.clock.AfterFunc(first, func() {
		inst.Post(func() { inst.detect(index, d) })
	})
}

// stopDetection ends what startDetection began, if it has not ended. The caller
// holds the lock.
func (inst *Instance) stopDetection(index int) {
	if d := inst.detections[index]; d != nil {
		d.timer.Stop()
		inst.detections[index] = nil
	}
}

// stopDetections is for Delete.
func (inst *Instance) stopDetections() {
	inst.mu.Lock()
	defer inst.mu.Unlock()
	for i := range inst.detections {
		inst.stopDetection(i)
	}
}

// detect is one beat of the detection: a probe, or after the third and one
// period more the end. It runs on the callback goroutine.
func (inst *Instance) detect(index int, d *detection) {
	inst.mu.Lock()
	if inst.detections[index] != d {
		inst.mu.Unlock()
		return
	}
	e := &inst.settings.Load().ipv6At[index]
	address := e.address
	if d.sent < detectionProbes {
		d.sent++
		d.timer.Reset(detectionPeriod)
		inst.mu.Unlock()
		inst.sendProbe(address)
		return
	}
	inst.detections[index] = nil
	inst.change(func(s *settings) { s.ipv6At[index].state = AddressValid })
	inst.addIPv6(e)
	notify := inst.ipv6Notify
	inst.mu.Unlock()
	if notify != nil {
		notify(inst, IPv6AddressDADSuccessful, 0, uint(index), address)
	}
}

// conflict is called at the gate when somebody else turns out to have, or to
// try, a tentative address. The slot becomes free.
func (inst *Instance) conflict(address netip.Addr) {
	inst.Post(func() {
		inst.mu.Lock()
		index := inst.settings.Load().ipv6AddressOf(address)
		if index < 0 || index >= maxIPv6Addresses || inst.detections[index] == nil {
			inst.mu.Unlock()
			return
		}
		inst.forgetIPv6(index)
		notify := inst.ipv6Notify
		inst.mu.Unlock()
		if inst.recorder != nil {
			inst.recorder.Record(nx.WarningEvent{Where: inst.name, Text: "somebody else has the address " + address.String()})
		}
		if notify != nil {
			notify(inst, IPv6AddressDADFailure, 0, uint(index), address)
		}
	})
}
