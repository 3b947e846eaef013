package study

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gonetx/cmd/nxduo/internal/trace"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// Workload is what a study has the stack do.
type Workload struct {
	Name  string
	About string
	run   func(*job) error

	Bytes int64 // a run's size when none is given
	Times int   // the same of what is repeated
	// Inbound says that what comes in fills the pools, so that the IP pool is
	// the one to look at.
	Inbound bool
}

// Workloads are all there are.
var Workloads = []Workload{
	{Name: "mail", About: "send mails to a server, with AUTH", run: mails, Bytes: 4000, Times: 1},
	{Name: "in", About: "receive one stream", run: bulkIn, Bytes: 256 << 10, Inbound: true},
	{Name: "out", About: "send one stream", run: bulkOut, Bytes: 256 << 10},
	{Name: "request", About: "a request and its response, again and again on one connection", run: requests, Bytes: 1000, Times: 50},
	{Name: "many", About: "connections at once, each with a request and its response", run: many, Bytes: 1000, Times: 20},
}

// Find answers the workload of a name.
func Find(name string) (Workload, bool) {
	for _, w := range Workloads {
		if w.Name == name {
			return w, true
		}
	}
	return Workload{}, false
}

// job is one run of a workload over one lane.
type job struct {
	*lane
	ctx     context.Context
	bytes   int64 // of a stream, a message or a response
	times   int
	packets uint32       // of the pool
	moved   atomic.Int64 // user data
}

// note tells how far the workload is.
func (j *job) note(format string, values ...any) {
	j.side.Mark(trace.WorkloadNote, trace.Mark{Text: fmt.Sprintf(format, values...), Bytes: j.moved.Load()})
}

const (
	streamPort  = 5001 // where iperf listens
	requestPort = 7    // echo, RFC 862
)

// patience is how long one service call may wait. The run's own limit ends it
// earlier.
const patience = time.Minute

// pattern is the user data at an offset: what arrives is compared with it.
func pattern(offset int64, b []byte) []byte {
	for i := range b {
		n := offset + int64(i)
		b[i] = byte(n) ^ byte(n>>8)*31 ^ byte(n>>16)*17
	}
	return b
}

// errWrong marks that the bytes that arrived are not those that were sent.
var errWrong = errors.New("the bytes that arrived are not those that were sent")

// serve has f serve each connection to a port at the other end, until the
// function that it answers is called, or the context ends. That function
// answers the first error of f.
func (j *job) serve(port uint16, f func(net.Conn) error) (stop func() error, err error) {
	l, err := j.listen(port)
	if err != nil {
		return nil, fmt.Errorf("the server at the other end: %w", err)
	}
	s := &server{serve: f, l: l, conns: make(map[net.Conn]bool)}
	s.running.Add(1)
	go s.accept()
	cancel := context.AfterFunc(j.ctx, s.abort)
	return func() error {
		if cancel() {
			_ = l.Close()
		}
		s.running.Wait()
		return s.first
	}, nil
}

// server is the other end of a workload.
type server struct {
	serve   func(net.Conn) error
	l       net.Listener
	running sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	conns map[net.Conn]bool
	ended bool
	first error
}

func (s *server) accept() {
	defer s.running.Done()
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.ended {
			s.mu.Unlock()
			_ = c.Close()
			return
		}
		s.conns[c] = true
		s.mu.Unlock()
		s.running.Add(1)
		go s.one(c)
	}
}

func (s *server) one(c net.Conn) {
	defer s.running.Done()
	err := s.serve(c)
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.first == nil && !s.ended {
		s.first = err
	}
}

// abort ends everything at once.
func (s *server) abort() {
	_ = s.l.Close()
	s.mu.Lock()
	s.ended = true
	var open []net.Conn
	for c := range s.conns {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		_ = c.SetDeadline(time.Unix(1, 0))
		_ = c.Close()
	}
}

// socket is a client's socket that is connected to a port at the other end. close ends
// it, in good order or, when the run is aborted, at once.
func (j *job) socket(name string, port uint16) (s *tcp.Socket, close func() error, err error) {
	s = &tcp.Socket{}
	if err := tcp.SocketCreate(&j.inst, s, name, tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 65535, nil, nil); err != nil {
		return nil, nil, err
	}
	abort := context.AfterFunc(j.ctx, func() { _ = tcp.SocketDisconnect(s, nx.NoWait) })
	remove := func(wait nx.Wait) error {
		abort()
		err := tcp.SocketDisconnect(s, wait)
		if errors.Is(err, nx.NotConnected) || wait == nx.NoWait || errors.Is(err, nx.DisconnectFailed) && j.ctx.Err() != nil {
			err = nil
		}
		return errors.Join(err, tcp.ClientSocketUnbind(s), tcp.SocketDelete(s))
	}
	if err = tcp.ClientSocketBind(s, tcp.AnyPort, nx.NoWait); err == nil {
		err = tcp.ClientSocketConnect(s, j.ends.peer.Addr(), uint(port), nx.Ticks(patience))
	}
	if err != nil {
		abort()
		_ = tcp.ClientSocketUnbind(s)
		return nil, nil, errors.Join(err, tcp.SocketDelete(s))
	}
	return s, func() error { return remove(nx.Ticks(10 * time.Second)) }, nil
}

// send sends bytes in packets of the pool.
func (j *job) send(s *tcp.Socket, b []byte) error {
	kind := packetpool.IPv4TCPPacket
	if j.ends.peer.Addr().Is6() {
		kind = packetpool.IPv6TCPPacket
	}
	p, err := packetpool.Allocate(&j.pool, kind, nx.Ticks(patience))
	if err != nil {
		return err
	}
	if err := packetpool.DataAppend(p, b, &j.pool, nx.Ticks(patience)); err != nil {
		return errors.Join(err, packetpool.Release(p))
	}
	if err := tcp.SocketSend(s, p, nx.Ticks(patience)); err != nil {
		return errors.Join(err, packetpool.Release(p))
	}
	j.moved.Add(int64(len(b)))
	return nil
}

// receive answers the next message; at the end io.EOF.
func (j *job) receive(s *tcp.Socket, b []byte) (int, error) {
	p, err := tcp.SocketReceive(s, nx.Ticks(patience))
	if err != nil {
		if errors.Is(err, tcp.ErrPeerClosed) {
			return 0, io.EOF
		}
		return 0, err
	}
	n, err := packetpool.DataRetrieve(p, b)
	j.moved.Add(int64(n))
	return int(n), errors.Join(err, packetpool.Release(p))
}

// largest is a buffer for any message.
const largest = 1 << 16

// check compares bytes with the pattern.
func check(offset int64, b []byte) error {
	if !bytes.Equal(b, pattern(offset, make([]byte, len(b)))) {
		return fmt.Errorf("%w: somewhere from byte %d", errWrong, offset)
	}
	return nil
}
