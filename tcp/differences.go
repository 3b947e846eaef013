package tcp

//go:generate go test -run TestReadmeTable -update

import "gonetx/packetpool/nx"

// Differences lists what is not as in NetX Duo, with an instance whose
// Config.Release is not set.
var Differences = []nx.Difference{
	{
		Name: "AcceptReturns",
		NetX: "accept after the connection has ended, without unaccept and relisten, and a second accept that waits on one socket, never return; the instance is stuck",
		Here: "NX_NOT_LISTEN_STATE",
		Why:  "a SYN-ACK has nobody to go to",
		Test: "TestAcceptReturns",
	},
	{
		Name: "Cause",
		NetX: "NX_NOT_CONNECTED for every reason",
		Here: "the same status, which wraps ErrRefused, ErrTimedOut, ErrUnreachable, ErrReset, ErrPeerClosed, ErrDisconnected or ErrLinkDown",
		Why:  "a program that is moved is to be understood",
		Test: "TestConnectChecks",
	},
	{
		Name: "Retransmission",
		NetX: "every second, all that is not acknowledged; the handshake too",
		Here: "gVisor's: times taken from the round trip and doubled up to 2 s, selective acknowledgements (RFC 6675); a connection is given up after NetX Duo's time",
		Why:  "nobody should lose it; ip.Config.Release restores the original",
		Test: "TestRetransmissionTimes",
	},
	{
		Name: "Acknowledgements",
		NetX: "an acknowledgement waits up to 200 ms",
		Here: "up to 40 ms, and not at all when it is the second, or when nobody has answered the last one",
		Why:  "peers send again after 200 ms, and nobody shall wait for an answer that does not come; ip.Config.Release restores the original",
		Test: "TestAcknowledgementsWait",
	},
	{
		Name: "CongestionWindow",
		NetX: "a send takes what the congestion window takes, 2 to 4 segments at first",
		Here: "it takes what the peer's window and the transmit queue take; gVisor keeps its congestion window to itself",
		Why:  "what may be written to gVisor need not leave at once",
		Test: "TestSendTakesThePeersWindow",
	},
	{
		Name: "WholeMessages",
		NetX: "a sender whose message has no room sends what has, segment by segment",
		Here: "while 32 KiB are on their way, one that can wait does so for the whole message, or 32 KiB of it; a part is as many segments as a packet takes",
		Why:  "a part costs a packet, a copy and a segment; with NX_NO_WAIT, and below 32 KiB, it is as in the original, and so it is with ip.Config.Release",
		Test: "TestMessagesStayWhole",
	},
	{
		Name: "UrgentData",
		NetX: "the callback runs on segments with URG",
		Here: "it never runs",
		Why:  "gVisor knows no urgent data",
		Test: "TestUrgentDataIsData",
	},
	{
		Name: "SelectiveAcknowledgements",
		NetX: "no option in a SYN but the MSS",
		Here: "SACK permitted is offered too; window scale and timestamps are blanked",
		Why:  "it is what gVisor recovers from loss with",
		Test: "TestSYNOptions",
	},
	{
		Name: "Unaccept",
		NetX: "a receiver that waits while its server socket is unaccepted waits on",
		Here: "it gets NX_NOT_CONNECTED",
		Why:  "nothing can come",
		Test: "TestUnacceptEndsReceive",
	},
	{
		Name: "PortWaiters",
		NetX: "who waits in bind for the port of a server socket is forgotten at unaccept",
		Here: "the oldest waiter gets the port when nobody has it",
		Why:  "it would wait for ever",
		Test: "TestPortOfServerIsInherited",
	},
	{
		Name: "ForeignSocket",
		NetX: "listen and relisten take a socket of another instance",
		Here: "NX_PTR_ERROR",
		Why:  "it would be in two port tables",
		Test: "TestForeignSocketIsRefused",
	},
	{
		Name: "ZeroWindowProbe",
		NetX: "the probe of a closed window carries the next byte",
		Here: "it carries a byte that the peer has acknowledged",
		Why:  "then no segment of the peer's begins with a part of a message",
		Test: "TestProbeCarriesNothingNew",
	},
	{
		Name: "BroadcastRequest",
		NetX: "a SYN to the subnet's broadcast address is answered as any other",
		Here: "it is dropped and counted",
		Why:  "RFC 1122 section 4.2.3.10; ip.Config.Release restores the original",
		Test: "TestBroadcastRequest",
	},
}
