package tcp

import (
	"errors"
	"io"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// How data leaves gVisor: Endpoint.Read writes the views of its segments, one
// after the other, to a writer, with the endpoint's lock held. The views lie in
// packets of the pool, so the bytes of one unit become one message without a
// copy, if the pool is told of them before gVisor lets go of them, which is
// when Read goes on to the next segment.

var (
	errUnitTaken = errors.New("the unit is complete")
	errMorePiece = errors.New("the unit lies in several pieces")
)

// wholePiece takes a unit that lies in one view, which is the rule: then one
// pass does it.
type wholePiece struct {
	want  int // bytes of the unit; 0: as much as the first view has
	claim func([][]byte) error
	taken int
	err   error
	piece [1][]byte
}

func (w *wholePiece) Write(b []byte) (int, error) {
	if w.want == 0 {
		w.want = len(b)
	}
	if len(b) < w.want {
		return 0, errMorePiece
	}
	w.piece[0] = b[:w.want]
	if w.err = w.claim(w.piece[:]); w.err != nil {
		return 0, w.err
	}
	w.taken = w.want
	return w.want, errUnitTaken
}

// pieces looks at a unit that lies in several views, without taking it.
type pieces struct {
	want  int
	claim func([][]byte) error
	found [][]byte
	taken int
	err   error
}

func (w *pieces) Write(b []byte) (int, error) {
	n := min(len(b), w.want-w.taken)
	w.found = append(w.found, b[:n:cap(b)])
	w.taken += n
	if w.taken == w.want {
		w.err = w.claim(w.found)
		return n, errUnitTaken
	}
	return n, nil
}

// discard throws bytes away that were claimed before.
type discardBytes struct{ left int }

func (w *discardBytes) Write(b []byte) (int, error) {
	n := min(len(b), w.left)
	w.left -= n
	if w.left == 0 {
		return n, errUnitTaken
	}
	return n, nil
}

// readUnit takes the next want bytes out of gVisor (0: the first view) and
// gives them to claim, in pieces where they lie; claim runs with the endpoint's
// lock held. When less has arrived it takes that. It answers how many bytes it
// took; none and nil when there are none now; io.EOF when there will be none.
// An error of claim's leaves everything as it was.
func (e *endpoint) readUnit(want int, claim func([][]byte) error) (int, error) {
	whole := wholePiece{want: want, claim: claim}
	_, err := e.ep.Read(&whole, tcpip.ReadOptions{})
	switch {
	case whole.taken > 0:
		return whole.taken, nil
	case whole.err != nil:
		return 0, whole.err
	case err != nil:
		if _, pieces := err.(*tcpip.ErrBadBuffer); !pieces {
			return 0, readError(err)
		}
	}
	found := pieces{want: want, claim: claim}
	_, err = e.ep.Read(&found, tcpip.ReadOptions{Peek: true})
	if err == nil && found.taken < found.want && found.taken > 0 {
		// Less than a unit: the rest of it was lost on the way to gVisor, and will
		// come again as something else.
		found = pieces{want: found.taken, claim: claim}
		_, err = e.ep.Read(&found, tcpip.ReadOptions{Peek: true})
	}
	switch {
	case found.err != nil:
		return 0, found.err
	case err != nil:
		return 0, readError(err)
	case found.taken == 0:
		return 0, nil
	}
	_, _ = e.ep.Read(&discardBytes{found.taken}, tcpip.ReadOptions{})
	return found.taken, nil
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
		return n, errUnitTaken
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
