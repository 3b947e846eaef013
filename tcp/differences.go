package tcp

// Difference is one thing that TCP does otherwise than NetX Duo 6.4.2.
type Difference struct {
	Name string
	NetX string // what the original does
	Here string // what this package does
	Why  string
	Test string // that shows it
}

// Differences lists what is not as in NetX Duo, with an instance whose
// Config.Release is not set.
var Differences = []Difference{
	{"AcceptReturns",
		"accept after the connection has ended, without unaccept and relisten, and a second accept that waits on one socket, never return; the instance is stuck",
		"NX_NOT_LISTEN_STATE", "a SYN-ACK has nobody to go to", "TestAcceptReturns"},
	{"Cause",
		"NX_NOT_CONNECTED for every reason",
		"the same status, which wraps ErrRefused, ErrTimedOut, ErrUnreachable, ErrReset, ErrPeerClosed, ErrDisconnected or ErrLinkDown",
		"a program that is moved is to be understood", "TestConnectChecks"},
	{"Retransmission",
		"every second, all that is not acknowledged; the handshake too",
		"gVisor's: times taken from the round trip, selective acknowledgements, RACK; a connection is given up after NetX Duo's time",
		"nobody should lose it; ip.Config.Release restores the original", "TestTransfer"},
	{"Acknowledgements",
		"an acknowledgement waits up to 200 ms",
		"it leaves at once", "gVisor delays none (rcv.go)", "TestExactWindow"},
	{"CongestionWindow",
		"a send takes what the congestion window takes, 2 to 4 segments at first",
		"it takes what the peer's window and the transmit queue take; gVisor keeps its congestion window to itself",
		"what may be written to gVisor need not leave at once", "TestMessageIsSegment"},
	{"UrgentData",
		"the callback runs on segments with URG", "it never runs", "gVisor knows no urgent data", "TestSocketCreate"},
	{"SelectiveAcknowledgements",
		"no option in a SYN but the MSS", "SACK permitted is offered too; window scale and timestamps are blanked",
		"it is what gVisor recovers from loss with", "TestMessageIsSegment"},
	{"Unaccept",
		"a receiver that waits while its server socket is unaccepted waits on",
		"it gets NX_NOT_CONNECTED", "nothing can come", "TestServerGoesRound"},
	{"PortWaiters",
		"who waits in bind for the port of a server socket is forgotten at unaccept",
		"the oldest waiter gets the port when nobody has it", "it would wait for ever", "TestBind"},
	{"ForeignSocket",
		"listen and relisten take a socket of another instance",
		"NX_PTR_ERROR", "it would be in two port tables", "TestInstanceServices"},
	{"ZeroWindowProbe",
		"the probe of a closed window carries the next byte",
		"it carries a byte that the peer has acknowledged", "then no segment of the peer's begins with a part of a message", "TestPartialSend"},
}
