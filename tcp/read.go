package tcp

import (
	"errors"
	"io"

	"gonetx/packetpool"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// How data leaves gVisor: Endpoint.Read writes the views of its segments, one
// after the other, to a writer, with the endpoint's lock held. The views lie in
// packets of the pool, and the pool is told of them before gVisor lets go of
// them, which is when Read goes on to the next segment.

// intake cuts what gVisor hands out into messages, one for each segment, so
// that one pass takes a whole super-segment. It is an io.Writer.
type intake struct {
	conn     *connection
	arrival  packetpool.Arrival
	at       uint32 // where the next byte lies in the stream
	order    []span // some of the segments to come, as the gate has seen them
	next     int    // of order
	messages []queued
	err      error // of the pool

	ends    []int // in what is at hand; used again
	packets []packetpool.Packet
}

// What one pass takes at most: a super-segment of the shortest usual segments.
const (
	intakeMessages = 128
	intakeSpans    = 32
)

var (
	errIntakeFull = errors.New("enough for one pass")
	errBufferFull = errors.New("the buffer is full")
)

// begin prepares a pass. A message that the pass before began goes on. The
// caller holds the protocol's lock.
func (in *intake) begin(c *connection, owner string) {
	if in.conn == nil {
		in.arrival = c.p.inst.Pool().Arrive(packetpool.Owner{Kind: packetpool.ReceiveQueue, Name: owner}, int(headerSize(c.flow.local.Addr())))
	}
	in.conn, in.at, in.err = c, c.receiver.read, nil
	in.order, in.next = in.order[:0], 0
}

// Write implements io.Writer.
func (in *intake) Write(b []byte) (int, error) {
	left := intakeMessages - len(in.messages)
	begun := in.arrival.Length()
	in.ends = in.ends[:0]
	to := 0 // of b
	for to < len(b) && len(in.ends) < left {
		end, known := in.end(in.at + uint32(to))
		if !known {
			to = len(b)
			in.ends = append(in.ends, to)
			break
		}
		unit := int(end - in.at)
		if unit > len(b) {
			to = len(b)
			break
		}
		to = unit
		in.ends = append(in.ends, to)
	}
	var taken int
	in.packets, taken, in.err = in.arrival.AddUnits(b[:to], in.ends, in.packets[:0])
	in.at += uint32(taken)
	from := -begun
	for i, packet := range in.packets {
		in.messages = append(in.messages, queued{packet, uint32(in.ends[i] - from)})
		from = in.ends[i]
	}
	switch {
	case in.err != nil:
		return taken, in.err
	case taken < len(b):
		return taken, errIntakeFull
	}
	return taken, nil
}

// end answers where the segment ends in which a byte of the stream lies. The
// gate has seen everything that gVisor has, so it is asked when gVisor has
// something; where it does not know the place, the bytes are taken as they lie.
func (in *intake) end(at uint32) (uint32, bool) {
	for range 2 {
		for ; in.next < len(in.order); in.next++ {
			if s := in.order[in.next]; before(at, s.to) {
				return s.end(at), true
			}
		}
		in.look(at)
	}
	return 0, false
}

// look asks the gate for the next segments. It is called with the lock of
// gVisor's endpoint held, as the gate is.
func (in *intake) look(at uint32) {
	p, r := in.conn.p, &in.conn.receiver
	in.order, in.next = in.order[:0], 0
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range r.order {
		if before(at, s.to) && len(in.order) < intakeSpans {
			in.order = append(in.order, s)
		}
	}
}

// rest ends the message under construction.
func (in *intake) rest() queued {
	n := in.arrival.Length()
	return queued{in.arrival.Message(), uint32(n)}
}

// drop gives up the message under construction.
func (in *intake) drop() {
	if rest := in.rest(); rest.length > 0 {
		_ = packetpool.Release(rest.packet) // nobody else has it
	}
}

// readInto takes what has arrived out of gVisor. It answers how many bytes it
// took. No error and nothing taken: there is nothing now; io.EOF: there will be
// nothing.
func (e *endpoint) readInto(in *intake) (uint32, error) {
	from := in.at
	_, err := e.ep.Read(in, tcpip.ReadOptions{})
	switch {
	case in.err != nil:
		return in.at - from, in.err
	case in.at != from || err == nil:
		return in.at - from, nil
	}
	return 0, readError(err)
}

// readStream copies what has arrived into buffer, without regard to units.
func (e *endpoint) readStream(buffer []byte) (int, error) {
	w := streamWriter{buffer: buffer}
	if _, err := e.ep.Read(&w, tcpip.ReadOptions{}); err != nil {
		return 0, readError(err)
	}
	return w.n, nil
}

type streamWriter struct {
	buffer []byte
	n      int
}

func (w *streamWriter) Write(b []byte) (int, error) {
	n := copy(w.buffer[w.n:], b)
	w.n += n
	if n < len(b) || w.n == len(w.buffer) {
		return n, errBufferFull
	}
	return n, nil
}

func readError(err tcpip.Error) error {
	switch err.(type) {
	case *tcpip.ErrWouldBlock:
		return nil
	case *tcpip.ErrClosedForReceive:
		return io.EOF
	}
	return stackError(err)
}

// payload shows messages to gVisor as what it writes: it copies them into its
// own memory.
type payload struct {
	pieces [][]byte
	length int
}

// Len implements tcpip.Payloader.
func (p *payload) Len() int { return p.length }

// Read implements tcpip.Payloader.
func (p *payload) Read(b []byte) (int, error) {
	if p.length == 0 {
		return 0, io.EOF
	}
	n := 0
	for len(b) > n && len(p.pieces) > 0 {
		m := copy(b[n:], p.pieces[0])
		n += m
		if p.pieces[0] = p.pieces[0][m:]; len(p.pieces[0]) == 0 {
			p.pieces = p.pieces[1:]
		}
	}
	p.length -= n
	return n, nil
}
