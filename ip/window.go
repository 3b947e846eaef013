package ip

import "gvisor.dev/gvisor/pkg/tcpip/header"

// ReceiveLimit answers the largest window and MSS that a connection of this
// instance may advertise so that its default pool can hold what then comes.
// With Config.NoWindowRule, as the original has it, only the MTU limits the
// MSS, and nothing the window.
//
// A frame takes as many packets as its length needs. A quarter of the pool, and
// at least what two small segments take, stays free for acknowledgements. Of
// the rest the window may take all, and one segment at most a quarter, as long
// as it carries a decent load: then an acknowledgement comes before the window
// is full.
func (inst *Instance) ReceiveLimit(ipv6 bool) (window, mss uint32) {
	mtu := inst.gate.mtu()
	headers := uint32(header.IPv4MinimumSize + header.TCPMinimumSize)
	if ipv6 {
		headers = header.IPv6MinimumSize + header.TCPMinimumSize
	}
	if inst.config.NoWindowRule {
		return ^uint32(0), mtu - headers
	}
	packets := inst.pool.TotalPackets()
	if packets == 0 {
		return 0, 0 // the pool has been deleted
	}
	return receiveLimit(packets, inst.pool.PayloadSize(), mtu, headers)
}

func receiveLimit(packets, payload, mtu, headers uint32) (window, mss uint32) {
	const (
		options = 40 // of TCP, in each segment
		decent  = 88 // Linux' TCP_MIN_SND_MSS and more: less is all headers
	)
	need := func(bytes uint32) uint32 { return (bytes + payload - 1) / payload }

	reserve := max(packets/4, 2*need(headers+options))
	available := uint32(1)
	if packets > reserve {
		available = packets - reserve
	}
	frame := need(mtu)
	if frame > available/4 {
		frame = min(frame, available, max(available/4, need(headers+options+decent)))
	}
	mss = min(frame*payload, mtu)
	if mss <= headers {
		mss = 1
	} else {
		mss -= headers
	}
	return available / frame * mss, mss
}
