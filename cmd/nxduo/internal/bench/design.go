package bench

import (
	"net/netip"
	"time"
)

// design is a way to speak TCP with the peer. It is used by many goroutines.
type design interface {
	// dial connects.
	dial(to netip.AddrPort) (conn, error)

	// mail sends the mail of the benchmark, on a connection of its own.
	mail(to netip.AddrPort) error

	// about tells what the measured thing is: device, offload, pool.
	about() string

	close() error
}

// conn is a connection. One goroutine uses it, and another may abort it.
type conn interface {
	// send sends the first n bytes of something, at most block of them; it
	// returns when they are on their way.
	send(n int) error

	// block is how much send is best given for a bulk transfer.
	block() int

	// receive waits for bytes and takes what has come.
	receive() (int, error)

	// finish waits for the peer's end and closes in order.
	finish() error

	// abort resets the connection and ends a send or receive under way.
	abort()
}

// instancer is a design that can tell how long it takes to make and to unmake
// an instance of itself, addresses, TCP and all.
type instancer interface {
	instance() (create, remove time.Duration, err error)
}

const (
	patience = 5 * time.Second // for anything that takes microseconds
	message  = 64              // bytes of a round trip

	// For what takes seconds: a process that starts makes pools of a hundred megabytes,
	// and the machine may have other things to do.
	longPatience = 6 * patience
)
