package tcp

import "fmt"

// State is the state of a socket, with NetX Duo's numbers. Code compares them
// by order ("not beyond ESTABLISHED"), as the original does.
type State uint

// The states of nx_api.h, NX_TCP_CLOSED and so on.
const (
	Closed      State = iota + 1
	ListenState       // a server socket before accept; also after its connection ended
	SynSent
	SynReceived // a server socket in accept
	Established
	CloseWait
	FinWait1
	FinWait2
	Closing
	TimedWait
	LastAck
)

var stateNames = [...]string{
	Closed: "CLOSED", ListenState: "LISTEN", SynSent: "SYN_SENT", SynReceived: "SYN_RECEIVED",
	Established: "ESTABLISHED", CloseWait: "CLOSE_WAIT", FinWait1: "FIN_WAIT_1", FinWait2: "FIN_WAIT_2",
	Closing: "CLOSING", TimedWait: "TIMED_WAIT", LastAck: "LAST_ACK",
}

// String answers the name without the prefix, "FIN_WAIT_1".
func (s State) String() string {
	if s >= Closed && s <= LastAck {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint(s))
}

// exchanges tells that data may be sent.
func (s State) exchanges() bool { return s == Established || s == CloseWait }

// connected tells what nx_tcp_socket_bytes_available and
// nx_tcp_socket_peer_info_get mean by it.
func (s State) connected() bool { return s > ListenState && s <= Established }
