// Package tcp is the TCP of NetX Duo in Go: sockets over an IP instance, client
// and server, with the services, statuses and states of NX_TCP_SOCKET. gVisor
// does the work underneath; this package makes it behave as NetX Duo does, and
// keeps what gVisor does better.
//
// A client is a socket that is bound to a port and connects:
//
//	var socket tcp.Socket
//	tcp.SocketCreate(&inst, &socket, "client", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 8192, nil, nil)
//	tcp.ClientSocketBind(&socket, tcp.AnyPort, nx.WaitForever)
//	err := tcp.ClientSocketConnect(&socket, server, 7, nx.Ticks(5*time.Second))
//
// A server is a socket that listens, and goes round:
//
//	tcp.ServerSocketListen(&inst, 7, &socket, 5, nil)
//	for {
//		tcp.ServerSocketAccept(&socket, nx.WaitForever)
//		... SocketReceive, SocketSend, SocketDisconnect ...
//		tcp.ServerSocketUnaccept(&socket)
//		tcp.ServerSocketRelisten(&inst, 7, &socket)
//	}
//
// # What is not as elsewhere
//
// A message is a packet of a pool. A successful [SocketSend] gives it to the
// stack, which keeps it until the peer has acknowledged it; after a failure it
// is the caller's, and holds what was not sent. [SocketReceive] answers one
// segment of the peer's, in the packets that it came in, and the caller releases
// it. So a program that forgets to do that runs out of packets, here as on the
// device.
//
// A listening socket does not answer a SYN until the program accepts. The peer
// repeats it meanwhile.
//
// Three answers are no failures: NX_IN_PROGRESS of a connect or an accept with
// NoWait, NX_IN_PROGRESS of a disconnect with NoWait (it is complete), and
// NX_CONNECTION_PENDING of a relisten.
//
// # How it works
//
// Every segment of the instance passes its gate (ip.Transport), in both
// directions. There the socket's exact receive window is written into what
// gVisor sends, the options that NetX Duo does not know are taken out of SYNs,
// and acknowledgements free the packets of the transmit queue. Connection
// requests end there; accept feeds one of them to gVisor. gVisor tells of data
// and of the end of a connection through its waiter queues. The package has no
// goroutine of its own but one for each handshake that accept waits for.
//
// [Dial], [Listen] and [NewConn] make net.Conn and net.Listener of sockets, for
// libraries that know nothing of all this.
package tcp
