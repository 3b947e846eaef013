package study

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"gonetx/tcp"
)

// The workloads over plain TCP. Every byte that arrives is compared with what
// was sent.

// over serves a port at the other end and runs a connection to it.
func (j *job) over(name string, port uint16, there func(net.Conn) error, here func(*tcp.Socket) error) (err error) {
	stop, err := j.serve(port, there)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return j.run(name, port, here)
}

// run runs a connection.
func (j *job) run(name string, port uint16, here func(*tcp.Socket) error) (err error) {
	s, end, err := j.socket(name, port)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer func() { err = errors.Join(err, end()) }()
	return here(s)
}

// bulkOut sends a stream.
func bulkOut(j *job) error {
	return j.over("stream", streamPort,
		func(c net.Conn) error { return readStream(c, j.bytes) },
		func(s *tcp.Socket) error { return j.stream(s, j.bytes) })
}

// stream sends so many bytes of the pattern, a segment at a time.
func (j *job) stream(s *tcp.Socket, bytes int64) error {
	mss, err := tcp.SocketMSSGet(s)
	if err != nil {
		return err
	}
	chunk := make([]byte, min(int64(mss), j.fits()))
	for at := int64(0); at < bytes; {
		b := pattern(at, chunk[:min(int64(len(chunk)), bytes-at)])
		if err := j.send(s, b); err != nil {
			return fmt.Errorf("byte %d of %d: %w", at, bytes, err)
		}
		at += int64(len(b))
	}
	return nil
}

// fits is the data that half of the pool holds.
func (j *job) fits() int64 {
	const headers = 76
	payload := int64(j.pool.PayloadSize())
	packets := max(int64(j.packets)/2, 1)
	return max(packets*payload-headers, 1)
}

// readStream reads the pattern to its end.
func readStream(c net.Conn, bytes int64) error {
	buf, at := make([]byte, largest), int64(0)
	for {
		n, err := c.Read(buf)
		if err := check(at, buf[:n]); err != nil {
			return err
		}
		at += int64(n)
		switch {
		case errors.Is(err, io.EOF) && at == bytes:
			return nil
		case err != nil:
			return fmt.Errorf("the other end, after %d of %d bytes: %w", at, bytes, err)
		}
	}
}

// bulkIn receives a stream.
func bulkIn(j *job) error {
	return j.over("stream", streamPort, func(c net.Conn) error { return writeStream(c, j.bytes) }, j.takeStream)
}

// takeStream receives the pattern to its end.
func (j *job) takeStream(s *tcp.Socket) error {
	buf := make([]byte, largest)
	for at := int64(0); ; {
		n, err := j.receive(s, buf)
		switch {
		case errors.Is(err, io.EOF) && at == j.bytes:
			return nil
		case err != nil:
			return fmt.Errorf("byte %d of %d: %w", at, j.bytes, err)
		}
		if err := check(at, buf[:n]); err != nil {
			return err
		}
		at += int64(n)
	}
}

// writeStream writes the pattern.
func writeStream(c net.Conn, bytes int64) error {
	buf := make([]byte, largest)
	for at := int64(0); at < bytes; {
		n, err := c.Write(pattern(at, buf[:min(int64(len(buf)), bytes-at)]))
		at += int64(n)
		if err != nil {
			return fmt.Errorf("the other end, after %d of %d bytes: %w", at, bytes, err)
		}
	}
	return nil
}

// requestBytes is the length of a request.
const requestBytes = 64

// respond answers each request with a response of so many bytes.
func respond(c net.Conn, bytes int64) error {
	request := make([]byte, requestBytes)
	for n := int64(0); ; n++ {
		if _, err := io.ReadFull(c, request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := check(n, request); err != nil {
			return err
		}
		if err := writeStream(c, bytes); err != nil {
			return err
		}
	}
}

// requests sends requests, each after the response to the one before.
func requests(j *job) error {
	return j.over("request", requestPort,
		func(c net.Conn) error { return respond(c, j.bytes) },
		func(s *tcp.Socket) error { return j.exchange(s, j.times) })
}

// exchange sends requests on a connection and reads the responses.
func (j *job) exchange(s *tcp.Socket, times int) error {
	buf := make([]byte, largest)
	for i := range times {
		if err := j.send(s, pattern(int64(i), make([]byte, requestBytes))); err != nil {
			return fmt.Errorf("request %d: %w", i+1, err)
		}
		for at := int64(0); at < j.bytes; {
			n, err := j.receive(s, buf)
			if err == nil {
				err = check(at, buf[:n])
			}
			if err != nil {
				return fmt.Errorf("response %d: %w", i+1, err)
			}
			at += int64(n)
		}
	}
	return nil
}

// many opens connections at once, each with one request.
func many(j *job) (err error) {
	stop, err := j.serve(requestPort, func(c net.Conn) error { return respond(c, j.bytes) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	var group sync.WaitGroup
	errs := make([]error, j.times)
	for i := range errs {
		group.Go(func() {
			errs[i] = j.run(fmt.Sprintf("connection %d", i+1), requestPort, func(s *tcp.Socket) error { return j.exchange(s, 1) })
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
