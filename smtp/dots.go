package smtp

import (
	"bytes"
	"io"
)

// dotWriter makes a body safe between DATA and the end mark (RFC 5321 4.5.2):
// every line break becomes CRLF, also a lone CR or LF, and a line that begins
// with a dot gets another. What needs no change is passed on in one piece.
type dotWriter struct {
	w      io.Writer
	middle bool // the last byte passed on ended no line
	cr     bool // the last byte taken was a CR; its CRLF is out already
}

// Write takes the next bytes of the body.
func (d *dotWriter) Write(body []byte) (int, error) {
	total := len(body)
	if d.cr && total > 0 {
		d.cr = false
		if body[0] == '\n' {
			body = body[1:]
		}
	}
	start := 0 // of what has not been passed on
	for at := 0; at < len(body); {
		if body[at] == '.' && !d.middle {
			if err := d.pass(body[start:at], oneDot); err != nil {
				return 0, err
			}
			start = at
		}
		d.middle = true
		n := lineEnd(body[at:])
		if n < 0 {
			break
		}
		end := at + n
		at = end + 1
		d.middle = false
		switch {
		case body[end] == '\r' && at < len(body) && body[at] == '\n':
			at++
			continue
		case body[end] == '\r' && at == len(body):
			d.cr = true
		}
		if err := d.pass(body[start:end], lineBreak); err != nil {
			return 0, err
		}
		start = at
	}
	return total, d.pass(body[start:], nil)
}

// lineEnd answers the position of the first CR or LF. It looks in steps, so
// that a body of many lone CRs is not searched to its end for each.
func lineEnd(b []byte) int {
	const step = 256
	for from := 0; from < len(b); from += step {
		window := b[from:min(from+step, len(b))]
		lf := bytes.IndexByte(window, '\n')
		if lf >= 0 {
			window = window[:lf]
		}
		if cr := bytes.IndexByte(window, '\r'); cr >= 0 {
			return from + cr
		}
		if lf >= 0 {
			return from + lf
		}
	}
	return -1
}

// What is put in; as strings each would be copied to the heap.
var (
	oneDot    = []byte(".")
	lineBreak = []byte("\r\n")
)

func (d *dotWriter) pass(data, then []byte) error {
	for _, b := range [...][]byte{data, then} {
		if len(b) == 0 {
			continue
		}
		if _, err := d.w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// endMark is what ends the mail: the dot on a line of its own.
func (d *dotWriter) endMark() string {
	if d.middle {
		return "\r\n.\r\n"
	}
	return ".\r\n"
}
