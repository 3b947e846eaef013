package bench

import (
	"errors"
	"io"
	"net"
	"net/netip"
)

// kernel is the first yardstick: the kernel's TCP, by package net.
type kernel struct{}

func (kernel) about() string {
	return "Linux TCP over a veth pair; its congestion control, and that of the peer, is " + congestionName()
}
func (kernel) close() error { return nil }

func (kernel) dial(to netip.AddrPort) (conn, error) {
	c, err := kernelDial(to)
	if err != nil {
		return nil, err
	}
	return newStream(c, func() {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}), nil
}

func (kernel) mail(to netip.AddrPort) error {
	c, err := kernelDial(to)
	if err != nil {
		return err
	}
	return netMail(c)
}

// streamBlock is a write for a bulk transfer: large ones spare calls.
const streamBlock = 256 << 10

// stream is a connection that is a net.Conn, of whatever stack.
type stream struct {
	net.Conn
	out, in []byte
	reset   func()
}

// newStream makes a connection; reset aborts it. The memory for a bulk transfer
// is only there when it is used.
func newStream(c net.Conn, reset func()) *stream {
	return &stream{Conn: c, out: make([]byte, message), in: make([]byte, message), reset: reset}
}

func (s *stream) block() int {
	if len(s.out) < streamBlock {
		s.out, s.in = make([]byte, streamBlock), make([]byte, streamBlock)
	}
	return streamBlock
}

func (s *stream) lend(b []byte) { s.out, s.in = b, b }

// end closes in order; the peer, which closes when it has everything, has everything
// then.
func (s *stream) end() error {
	half, ok := s.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	if err := half.CloseWrite(); err != nil {
		return err
	}
	return s.finish()
}

func (s *stream) send(n int) error {
	_, err := s.Write(s.out[:n])
	return err
}

func (s *stream) receive() (int, error) { return s.Read(s.in) }

func (s *stream) finish() error {
	n, err := s.Read(s.in)
	if n > 0 {
		err = errors.New("bytes where none were expected")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.abort()
		return err
	}
	return s.Close()
}

func (s *stream) abort() { s.reset() }
