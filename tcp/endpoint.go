package tcp

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// endpoint is gVisor's half of a connection. Its methods take the endpoint's
// lock and are never called with the protocol's.
type endpoint struct {
	ep    tcpip.Endpoint
	in    stack.TransportEndpoint // the same, as it takes segments
	queue waiter.Queue
	entry waiter.Entry
	ended sync.Once
}

const (
	// receiveBuffer is so large that gVisor never closes the window by itself:
	// what is advertised is written into each segment at the gate, from the
	// socket's own window (see connection.window).
	receiveBuffer = 8 << 20

	// sendBuffer is so large that gVisor takes every message whole: how much may
	// be outstanding is decided before it is written.
	sendBuffer = 64 << 20
)

// prepareStack makes the settings that all connections of an instance share,
// each for what NetX Duo does.
func (p *protocol) prepareStack() {
	s := p.inst.Stack()
	// NX_TCP_2MSL_TIMER: TIMED_WAIT lasts 240 s.
	timeWait := tcpip.TCPTimeWaitTimeoutOption(timedWait)
	must(s.SetTransportProtocolOption(tcp.ProtocolNumber, &timeWait))
	// A socket whose disconnect has timed out is aborted, so nothing ever waits
	// in FIN_WAIT_2 without an owner.
	// The receive window is the socket's: it does not grow by itself.
	moderate := tcpip.TCPModerateReceiveBufferOption(false)
	must(s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate))
}

// must turns an answer of gVisor's that only a change of gVisor can make into a
// panic at the place that has to change with it. Nothing that a caller passes
// leads here.
func must(err tcpip.Error) {
	if err != nil {
		panic(fmt.Sprintf("tcp: gVisor refused a constant setting: %s", err))
	}
}

// open makes the endpoint of a client, bound to the concrete source address: a
// wildcard reservation would stay after the connection was aborted.
func (e *endpoint) open(p *protocol, f flow, events waiter.EventListener) error {
	number := protocolOf(f.local.Addr())
	ep, err := p.inst.Stack().NewEndpoint(tcp.ProtocolNumber, number, &e.queue)
	if err != nil {
		return stackError(err)
	}
	e.set(ep)
	e.listen(events)
	ep.SocketOptions().SetV6Only(true)
	e.keepUnreachable(true)
	e.setSizes()
	if err := ep.Bind(tcpip.FullAddress{NIC: p.inst.NIC(), Addr: toStack(f.local.Addr()), Port: f.local.Port()}); err != nil {
		return stackError(err)
	}
	return nil
}

// set takes gVisor's endpoint.
func (e *endpoint) set(ep tcpip.Endpoint) {
	e.ep = ep
	e.in = ep.(stack.TransportEndpoint) // every endpoint of TCP is one
}

// listen has gVisor tell what happens. The entry must be in the queue before
// the endpoint can do anything.
func (e *endpoint) listen(events waiter.EventListener) {
	e.entry.Init(events, waiter.EventIn|waiter.EventOut|waiter.EventErr|waiter.EventHUp)
	e.queue.EventRegister(&e.entry)
}

func (e *endpoint) setSizes() {
	options := e.ep.SocketOptions()
	options.SetReceiveBufferSize(receiveBuffer, false)
	options.SetSendBufferSize(sendBuffer, true) // true: gVisor leaves the size alone from here on
}

// setFragment sets whether routers may cut up what is sent. The rest of the IP
// header is written at the gate: see (*connection).dress.
func (e *endpoint) setFragment(s *Socket) {
	discover := tcpip.PMTUDiscoveryDont
	if s.fragment == DontFragment {
		discover = tcpip.PMTUDiscoveryDo
	}
	_ = e.ep.SetSockOptInt(tcpip.MTUDiscoverOption, int(discover))
}

// keepUnreachable has gVisor keep what ICMP says of an attempt to connect.
func (e *endpoint) keepUnreachable(keep bool) {
	options := e.ep.SocketOptions()
	options.SetIPv4RecvError(keep)
	options.SetIPv6RecvError(keep)
}

// unreachable is what ICMP has said; nil: nothing. Unlike lastError it takes no
// lock of the endpoint's, and may be asked with the protocol's.
func (e *endpoint) unreachable() (first error) {
	for {
		said := e.ep.SocketOptions().DequeueErr()
		if said == nil {
			return first
		}
		if first == nil {
			first = stackError(said.Err)
		}
		if said.Payload != nil {
			said.Payload.Release() // gVisor made it for us
		}
	}
}

// connect sends the SYN.
func (e *endpoint) connect(f flow) error {
	err := e.ep.Connect(tcpip.FullAddress{Addr: toStack(f.remote.Addr()), Port: f.remote.Port()})
	if _, started := err.(*tcpip.ErrConnectStarted); started || err == nil {
		return nil
	}
	return stackError(err)
}

// write hands data to gVisor, all of it or nothing.
func (e *endpoint) write(data tcpip.Payloader) error {
	want := int64(data.Len())
	// Atomic: the copy is made with the endpoint's lock held, which spares
	// giving it up and taking it again.
	n, err := e.ep.Write(data, tcpip.WriteOptions{Atomic: true})
	if err != nil {
		return stackError(err)
	}
	if n != want {
		return fmt.Errorf("the stack took %d of %d bytes", n, want)
	}
	return nil
}

// shutdown sends the FIN.
func (e *endpoint) shutdown() error {
	if err := e.ep.Shutdown(tcpip.ShutdownWrite); err != nil {
		return stackError(err)
	}
	return nil
}

// discard ends the endpoint, whatever it does, and frees its port and what it
// has received. Connected it sends a RST, which the gate keeps back unless the
// socket wants it sent.
func (e *endpoint) discard() {
	if e.ep == nil {
		return
	}
	e.ended.Do(func() {
		e.queue.EventUnregister(&e.entry)
		e.ep.Abort()
		e.ep.Close()
		_ = e.unreachable() // nobody asks any more; its memory is given back
	})
}

// state is gVisor's state in NetX Duo's words; CLOSED for everything that is
// not connected or connecting. It takes no lock.
func (e *endpoint) state() State {
	switch tcp.EndpointState(e.ep.State()) {
	case tcp.StateConnecting, tcp.StateSynSent:
		return SynSent
	case tcp.StateSynRecv:
		return SynReceived
	case tcp.StateEstablished:
		return Established
	case tcp.StateCloseWait:
		return CloseWait
	case tcp.StateFinWait1:
		return FinWait1
	case tcp.StateFinWait2:
		return FinWait2
	case tcp.StateClosing:
		return Closing
	case tcp.StateTimeWait:
		return TimedWait
	case tcp.StateLastAck:
		return LastAck
	}
	return Closed
}

// congestion is what gVisor knows of the way to the peer. Its threshold is the
// greatest int until something is lost (snd.go, InitialSsthresh).
func (e *endpoint) congestion() Congestion {
	var info tcpip.TCPInfoOption
	if err := e.ep.GetSockOpt(&info); err != nil || info.SndCwnd == 0 {
		return Congestion{}
	}
	c := Congestion{
		State: congestionStates[info.CcState], Window: info.SndCwnd, Threshold: info.SndSsthresh,
		RTT: info.RTT, RTTVar: info.RTTVar, RTO: info.RTO, Reordered: info.ReorderSeen,
	}
	if c.Threshold == math.MaxUint32 {
		c.Threshold = 0
	}
	return c
}

var congestionStates = map[tcpip.CongestionControlState]string{
	tcpip.Open: "open", tcpip.Disorder: "disorder", tcpip.FastRecovery: "recovery",
	tcpip.SACKRecovery: "SACK recovery", tcpip.RTORecovery: "RTO recovery",
}

// lastError is why the endpoint has ended; nil when gVisor does not tell.
func (e *endpoint) lastError() error {
	if e.ep == nil {
		return nil
	}
	switch err := e.ep.LastError().(type) {
	case nil:
		return nil
	default:
		return stackError(err)
	}
}

// stackError is a gVisor error as one of this package, or as an error that can
// be wrapped.
func stackError(err tcpip.Error) error {
	switch err.(type) {
	case *tcpip.ErrConnectionRefused:
		return ErrRefused
	case *tcpip.ErrTimeout:
		return ErrTimedOut
	case *tcpip.ErrHostUnreachable, *tcpip.ErrNetworkUnreachable, *tcpip.ErrHostDown, *tcpip.ErrNoNet:
		return fmt.Errorf("%w: %s", ErrUnreachable, err)
	case *tcpip.ErrConnectionReset:
		return ErrReset
	}
	return errors.New(err.String())
}

func toStack(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.AsSlice()) }

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}
