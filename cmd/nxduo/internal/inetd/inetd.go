// Package inetd serves the small services that a stack is tried out with:
// echo, discard, daytime and chargen on the ports that the RFCs gave them, and
// a web page.
//
// The small ones are servers as a NetX Duo program has them: listen, accept,
// then relisten with another socket while the first one is served, so that
// there may be any number of connections at once, until a pool is empty. The
// page is net/http over tcp.Listen.
//
//	servers, err := inetd.Start(inetd.Config{Instance: &inst, Pool: &pool})
//	...
//	err = servers.Stop()
package inetd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// Config says what serves.
type Config struct {
	Instance *ip.Instance
	Pool     *packetpool.Pool // for what is sent
	Page     http.Handler     // what the web server shows; nil: no web server
}

// Service is one port that is served.
type Service struct {
	Name string `json:"name"`
	Port uint   `json:"port"`
	RFC  string `json:"rfc,omitempty"`

	serve func(*connection) error // nil: the web server
}

// Services are all of them, by port.
var Services = []Service{
	{"echo", 7, "RFC 862", (*connection).echo},
	{"discard", 9, "RFC 863", (*connection).discard},
	{"daytime", 13, "RFC 867", (*connection).daytime},
	{"chargen", 19, "RFC 864", (*connection).chargen},
	{"web", 80, "", nil},
}

const (
	window = 65535 // the largest receive window without scaling
	queue  = 64    // connection requests that wait while one is accepted

	// Nothing waits longer for a packet or for room at the peer before it looks
	// whether all is to end. Waiting goes on then.
	breath = time.Second

	// farewell is how long a connection that is closed may take for it.
	farewell = 5 * time.Second
)

// Servers are the services while they run. There is a goroutine that accepts
// for each port, and one for each connection; Stop ends and awaits them all.
type Servers struct {
	config  Config
	ctx     context.Context // done: Stop was called
	cancel  context.CancelFunc
	running sync.WaitGroup
	page    *http.Server
	served  atomic.Uint64

	mu      sync.Mutex // guards the fields below
	sockets map[*tcp.Socket]struct{}
	failed  error // a service that could not go on
}

// Start opens all ports.
func Start(config Config) (*Servers, error) {
	s := &Servers{config: config, sockets: make(map[*tcp.Socket]struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, service := range Services {
		var err error
		if service.serve != nil {
			err = s.open(service)
		} else if config.Page != nil {
			err = s.openPage(service)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s, port %d: %w", service.Name, service.Port, err), s.Stop())
		}
	}
	return s, nil
}

// Served is how many connections there were, but for those of the web server.
func (s *Servers) Served() uint64 { return s.served.Load() }

// Stop ends all connections with a reset, and answers why a service had
// stopped before, if one had.
//
// It disconnects until everybody has gone, and not once: what a goroutine
// begins to wait for in the same moment is not disturbed by a disconnect that
// came before.
func (s *Servers) Stop() error {
	s.cancel()
	var err error
	if s.page != nil {
		err = s.page.Close()
	}
	gone := make(chan struct{})
	go func() {
		s.running.Wait()
		close(gone)
	}()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		s.mu.Lock()
		sockets := make([]*tcp.Socket, 0, len(s.sockets))
		for socket := range s.sockets {
			sockets = append(sockets, socket)
		}
		s.mu.Unlock()
		for _, socket := range sockets {
			_ = tcp.SocketDisconnect(socket, nx.NoWait)
		}
		select {
		case <-gone:
			return errors.Join(s.failed, err)
		case <-again.C:
		}
	}
}

// open listens on a port and accepts from then on.
func (s *Servers) open(service Service) error {
	l := &listener{servers: s, service: service}
	socket, err := l.socket()
	if err != nil {
		return err
	}
	if err := tcp.ServerSocketListen(s.config.Instance, service.Port, socket, queue, nil); err != nil {
		return errors.Join(err, s.drop(socket))
	}
	s.running.Add(1)
	go l.accept(socket)
	return nil
}

// listener is one port.
type listener struct {
	servers *Servers
	service Service
	made    int // sockets, for their names
}

func (l *listener) socket() (*tcp.Socket, error) {
	s := l.servers
	l.made++
	socket := &tcp.Socket{}
	name := fmt.Sprintf("%s %d", l.service.Name, l.made)
	if err := tcp.SocketCreate(s.config.Instance, socket, name, tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, window, nil, nil); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sockets[socket] = struct{}{}
	return socket, nil
}

// drop takes a socket down that has no connection any more.
func (s *Servers) drop(socket *tcp.Socket) error {
	s.mu.Lock()
	delete(s.sockets, socket)
	s.mu.Unlock()
	_ = tcp.ServerSocketUnaccept(socket) // NX_NOT_LISTEN_STATE of one that is CLOSED
	return tcp.SocketDelete(socket)
}

// accept goes round until Stop: the way of a NetX Duo server, with a new
// socket for each connection.
func (l *listener) accept(socket *tcp.Socket) {
	s := l.servers
	defer s.running.Done()
	err := error(nil)
	for err == nil && s.ctx.Err() == nil {
		if tcp.ServerSocketAccept(socket, nx.WaitForever) == nil {
			s.running.Add(1)
			go s.serve(l.service, socket)
			if socket, err = l.socket(); err != nil {
				break
			}
		} else {
			_ = tcp.ServerSocketUnaccept(socket) // the handshake failed: the next one, please
		}
		if err = tcp.ServerSocketRelisten(s.config.Instance, l.service.Port, socket); errors.Is(err, nx.ConnectionPending) {
			err = nil
		}
	}
	if socket != nil {
		_ = tcp.SocketDisconnect(socket, nx.NoWait) // it may have got a request
		err = errors.Join(err, s.drop(socket))
	}
	_ = tcp.ServerSocketUnlisten(s.config.Instance, l.service.Port)
	if err != nil {
		s.fail(fmt.Errorf("%s: %w", l.service.Name, err))
	}
}

func (s *Servers) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = errors.Join(s.failed, err)
}

// serve is one connection, from its handshake to its end.
func (s *Servers) serve(service Service, socket *tcp.Socket) {
	defer s.running.Done()
	s.served.Add(1)
	c := &connection{socket: socket, pool: s.config.Pool, ctx: s.ctx}
	c.room = roomFor(socket)
	// That the connection ends is how every service ends; why does not matter.
	_ = service.serve(c)
	_ = tcp.SocketDisconnect(socket, nx.Ticks(farewell))
	if err := s.drop(socket); err != nil {
		s.fail(fmt.Errorf("%s: %w", service.Name, err))
	}
}
