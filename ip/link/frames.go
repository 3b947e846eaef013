package link

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gonetx/packetpool/nx"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// FramesConfig describes a wire of one's own.
type FramesConfig struct {
	Name  string       // in Info; empty: "frames"
	MTU   uint32       // zero: 1500; longer frames are not sent
	Close func() error // closes the wire, once, when the instance is deleted; nil: nothing to close
}

// Frames makes a driver of two functions, for people who bring a wire of their
// own: a serial line, a tunnel, a file of recorded frames.
//
// read waits for the next datagram, copies it to frame, which has room for any
// of the MTU, and answers its length. It answers an error when ctx has ended,
// or when the wire is at its end; then the link is down, and read is not
// called again. write sends a datagram and must not keep it; it may be called
// from several goroutines at a time. An error of write drops the datagram,
// counted with the error's text as the reason.
func Frames(read func(ctx context.Context, frame []byte) (int, error), write func(frame []byte) error, config FramesConfig) Driver {
	if config.Name == "" {
		config.Name = "frames"
	}
	if config.MTU == 0 {
		config.MTU = 1500
	}
	return &frames{read: read, write: write, config: config}
}

type frames struct {
	read   func(context.Context, []byte) (int, error)
	write  func([]byte) error
	config FramesConfig

	mu   sync.Mutex // guards the field below
	busy bool       // an endpoint is open
}

// Open implements Driver.
func (f *frames) Open(a Attachment) (Endpoint, error) {
	if f.read == nil || f.write == nil {
		return nil, errors.New("link.Frames: a wire has two functions, read and write")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy {
		return nil, ErrInUse
	}
	f.busy = true
	e := &framesEndpoint{driver: f, ended: make(chan struct{})}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.Init("frames", f.config.Name, f.config.MTU, a)
	return e, nil
}

// framesEndpoint is a wire in use. Its reader is one goroutine, started by
// Attach and ended by Stop.
type framesEndpoint struct {
	Base
	driver *frames
	ctx    context.Context // of the reader; ended by Stop
	cancel context.CancelFunc
	ended  chan struct{} // closed by the reader

	mu       sync.Mutex // guards the fields below
	reading  bool       // the reader was started
	released bool
}

// Attach implements stack.LinkEndpoint. The first stack starts the reader.
func (e *framesEndpoint) Attach(d stack.NetworkDispatcher) {
	e.Base.Attach(d)
	if d == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.reading && e.ctx.Err() == nil {
		e.reading = true
		go e.receive()
	}
}

// receive is the reader.
func (e *framesEndpoint) receive() {
	defer close(e.ended)
	frame := make([]byte, e.driver.config.MTU)
	for e.ctx.Err() == nil {
		n, err := e.driver.read(e.ctx, frame)
		if e.ctx.Err() != nil {
			return
		}
		if err == nil && (n < 0 || n > len(frame)) {
			err = fmt.Errorf("the wire read %d bytes into room for %d", n, len(frame))
		}
		if err != nil {
			e.LinkChange(false, err)
			return
		}
		e.Deliver(frame[:n])
	}
}

// WritePackets implements stack.LinkEndpoint.
func (e *framesEndpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	list := pkts.AsSlice()
	for _, pkt := range list {
		e.send(Bytes(pkt))
	}
	return len(list), nil
}

func (e *framesEndpoint) send(frame []byte) {
	e.mu.Lock()
	released := e.released
	e.mu.Unlock()
	reason := ""
	switch {
	case released:
		reason = DropReleased
	case len(frame) > int(e.driver.config.MTU):
		reason = DropTooLong
	default:
		if err := e.driver.write(frame); err != nil {
			reason = err.Error()
		}
	}
	if reason != "" {
		e.Drop(nx.Sent, reason, len(frame), frame)
		return
	}
	e.CountOut(1)
}

// Stop implements Endpoint.
func (e *framesEndpoint) Stop() {
	e.mu.Lock()
	e.cancel()
	reading := e.reading
	e.mu.Unlock()
	if reading {
		<-e.ended
	}
}

// Release implements Endpoint.
func (e *framesEndpoint) Release() error {
	e.Stop()
	e.mu.Lock()
	again := e.released
	e.released = true
	e.mu.Unlock()
	if again {
		return nil
	}
	e.driver.mu.Lock()
	e.driver.busy = false
	e.driver.mu.Unlock()
	if e.driver.config.Close == nil {
		return nil
	}
	return e.driver.config.Close()
}

// Info implements Endpoint.
func (e *framesEndpoint) Info() Info {
	info := e.Base.Info()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.released {
		info.Up, info.Why = false, DropReleased
	} else if info.Up {
		info.Why = "the wire carries one datagram at a time"
	}
	return info
}
