package tcp

import (
	"gonetx/packetpool"
	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Sending as release 6.4.2 does. gVisor makes the segments; when one may leave
// is decided here alone, so gVisor is told at once that what it has sent is
// acknowledged: its own congestion window, its window of the peer and its
// retransmission never come into it. The data stay on the transmit queue until
// the peer has acknowledged them.

// releaseSend is the loop of nx_tcp_socket_send_internal.c: one segment after the
// other, each as long as the MSS and what may be outstanding allow. Every segment
// that is not the packet as it was given takes a packet of its own from the
// same pool. It is called and returns with the protocol's lock held.
//
// A caller that has found no room once keeps the others from preempting it until
// its message is sent, or it has to wait again.
func (p *protocol) releaseSend(s *Socket, packet packetpool.Packet, wait nx.Wait, in *interrupt) (nx.Status, error) {
	for alone := false; ; {
		c := s.conn
		if !s.refresh().exchanges() || c == nil {
			return nx.NotConnected, s.cause()
		}
		if status, cause := p.sourceGone(s); status != nx.Success {
			return status, cause
		}
		out, ok := packetpool.Inspect(packet)
		if !ok {
			return nx.InvalidPacket, nil
		}
		if n := min(c.room(out.Length), max(c.sender.mss, 1)); n > 0 {
			whole, status, cause := p.releaseTransmit(s, c, packet, out, n, wait)
			if status != nx.Success {
				return status, cause
			}
			if whole || !alone {
				p.giveWay()
			}
			if whole {
				return nx.Success, nil
			}
			continue
		}
		c.probe()
		if wait == nx.NoWait {
			return s.full(c), nil
		}
		alone = true
		if status, cause := p.suspendSender(s, c, out.Length, wait, in); status != nx.Success {
			// The IP thread goes before the caller, and its timer may be due.
			p.mu.Unlock()
			p.fastPeriodic()
			p.mu.Lock()
			p.giveWay()
			return status, cause
		}
	}
}

// releaseTransmit sends the first n bytes of a message. whole tells that they
// were all, and the packet is the stack's.
func (p *protocol) releaseTransmit(
	s *Socket, c *connection, packet packetpool.Packet, out packetpool.Outgoing, n uint32, wait nx.Wait,
) (whole bool, _ nx.Status, _ error) {
	p.mu.Unlock()
	defer p.mu.Lock()
	part := packet
	room := headroomFor(s.local.Is4())
	if n < out.Length || adjusts(out, int(room)) {
		var err error
		if part, err = packetpool.Split(packet, n, room, wait); err != nil {
			return false, statusOf(err), err
		}
		n, _ = packetpool.LengthGet(part)
	}
	ok, err := p.write(s, c, part, n)
	switch {
	case !ok:
		if part != packet {
			_ = packetpool.Release(part)
		}
		if err != nil {
			return false, nx.NotConnected, err
		}
		return false, nx.Success, nil // less room than before: look again
	case n < out.Length:
		_ = packetpool.Trim(packet, n)
		return false, nx.Success, nil
	case part != packet:
		_ = packetpool.Release(packet)
	}
	return true, nx.Success, nil
}

// adjusts tells whether the rest of a message is copied before it is sent: its
// first byte, and the headers with it, would not lie at a multiple of four, or it
// lies in several packets and fits one.
func adjusts(out packetpool.Outgoing, headers int) bool {
	return out.Start&3 != 0 || out.Chained && int(out.Length)+headers < out.Payload && out.Free > 0
}

// giveWay lets everybody go on who has a higher priority than the caller, in a
// world that knows priorities. It is called and returns with the protocol's lock
// held.
func (p *protocol) giveWay() {
	p.mu.Unlock()
	p.yield()
	p.mu.Lock()
}

func (p *protocol) yield() {
	if y, ok := p.clock.(nx.Yielder); ok {
		y.Yield()
	}
}

// satisfy shows gVisor a segment as it is to see it: all that it has sent is
// acknowledged, though not its FIN before it is, and the window is wide open.
func (c *connection) satisfy(h header.TCP) {
	t := &c.sender
	if h.Flags().Contains(header.TCPFlagAck) && (!t.hasFIN || !before(t.fin, h.AckNumber())) {
		h.SetAckNumber(t.given)
	}
	h.SetWindowSize(maxWindow)
}

// satisfied gives gVisor an acknowledgement of what it has just sent. It is
// called without the protocol's lock.
func (c *connection) satisfied() {
	p := c.p
	p.mu.Lock()
	if c.release == nil || !c.ready || c.over || c.sender.hasFIN {
		p.mu.Unlock()
		return
	}
	flags, seq, ack := header.TCPFlagAck, c.receiver.receivedUpTo(), c.sender.given
	to, f := c.endpoint.in, c.flow
	p.mu.Unlock()

	number, size := protocolOf(f.local.Addr()), header.IPv6MinimumSize
	if f.local.Addr().Is4() {
		size = header.IPv4MinimumSize
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(make([]byte, size+header.TCPMinimumSize))})
	defer pkt.DecRef()
	pkt.NetworkProtocolNumber = number
	network, _ := pkt.NetworkHeader().Consume(size)
	if f.local.Addr().Is4() {
		header.IPv4(network).Encode(&header.IPv4Fields{
			TotalLength: uint16(size + header.TCPMinimumSize), TTL: 1, Protocol: uint8(header.TCPProtocolNumber),
			SrcAddr: toStack(f.remote.Addr()), DstAddr: toStack(f.local.Addr()),
		})
	} else {
		header.IPv6(network).Encode(&header.IPv6Fields{
			PayloadLength: header.TCPMinimumSize, HopLimit: 1, TransportProtocol: header.TCPProtocolNumber,
			SrcAddr: toStack(f.remote.Addr()), DstAddr: toStack(f.local.Addr()),
		})
	}
	h, _ := pkt.TransportHeader().Consume(header.TCPMinimumSize)
	header.TCP(h).Encode(&header.TCPFields{
		SrcPort: f.remote.Port(), DstPort: f.local.Port(), SeqNum: seq, AckNum: ack,
		DataOffset: header.TCPMinimumSize, Flags: flags, WindowSize: maxWindow,
	})
	p.inst.Queue(to, f.local, f.remote, pkt) // past the gate, which is about what comes from the wire
}
