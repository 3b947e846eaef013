package tcp

import "errors"

// Why a connection could not be made or has ended. NetX Duo answers
// NX_NOT_CONNECTED to all of it; the errors of this package wrap one of these
// beside the status, for errors.Is.
var (
	ErrRefused      = errors.New("connection refused")
	ErrTimedOut     = errors.New("no answer in time")
	ErrUnreachable  = errors.New("destination unreachable")
	ErrReset        = errors.New("connection reset by the peer")
	ErrPeerClosed   = errors.New("the peer has closed the connection")
	ErrDisconnected = errors.New("disconnected by this side")
	ErrLinkDown     = errors.New("the interface was detached")
)

var (
	errNeverConnected = errors.New("the socket is not connected")
	errOtherWaits     = errors.New("another caller waits in accept already")
	errLingers        = errors.New("its last connection is still being closed")
	errEnded          = errors.New("its connection has ended: unaccept and relisten come first")
)
