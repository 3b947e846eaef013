package smtp

import (
	"bytes"
	"strings"
)

// reply is what a server answered to one command.
type reply struct {
	code   uint   // 0: there is none to be read
	raw    []byte // as received, all lines; valid until the next reply is read
	flaw   string // why it is no reply; "" when it is one
	status Status // of the flaw, when it is not the refusal of the phase
	broken bool   // the release could not make anything of the packet
}

// text is the reply without codes, its lines joined by "\n".
func (r reply) text() string {
	var b strings.Builder
	first := true
	for line := range r.lines() {
		if !first {
			b.WriteByte('\n')
		}
		first = false
		b.Write(line)
	}
	return b.String()
}

// lines yields the texts of the lines, without code and line end.
func (r reply) lines() func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		rest := r.raw
		for len(rest) > 0 {
			line := rest
			if i := bytes.IndexByte(rest, '\n'); i >= 0 {
				line, rest = rest[:i], rest[i+1:]
			} else {
				rest = nil
			}
			line = bytes.TrimSuffix(line, []byte("\r"))
			if _, sep, ok := lineCode(line); ok {
				if line = line[3:]; sep != 0 {
					line = line[1:]
				}
			}
			if !yield(line) {
				return
			}
		}
	}
}

// enhanced is the enhanced status code of RFC 2034, "5.1.1", that begins the
// text, or "".
func enhanced(text string) string {
	word := text
	if i := strings.IndexAny(text, " \n"); i >= 0 {
		word = text[:i]
	}
	parts := strings.Split(word, ".")
	if len(parts) != 3 || (parts[0] != "2" && parts[0] != "4" && parts[0] != "5") {
		return ""
	}
	for _, p := range parts[1:] {
		if len(p) < 1 || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return ""
		}
	}
	return word
}

// lineCode reads the code of a line without its line end: three digits, then
// a blank, a dash or nothing (RFC 5321 4.2).
func lineCode(line []byte) (code uint, sep byte, ok bool) {
	if len(line) < 3 || line[0] == '0' {
		return 0, 0, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		code = code*10 + uint(c-'0')
	}
	if len(line) == 3 {
		return code, 0, true
	}
	sep = line[3]
	return code, sep, sep == ' ' || sep == '-'
}

// lineReader cuts replies from a stream of bytes, however they arrive.
type lineReader struct {
	buf   []byte // what was received and not dropped; its capacity is kept over mails
	taken int    // bytes of the reply that next answered last
	line  int    // start of the first line that is not yet complete
	code  uint   // of the lines before, 0: none
	limit int    // bytes of one reply
	parse func(line []byte) (code uint, sep byte, ok bool)
}

// reset forgets everything, for a new connection or a new protection of it.
func (r *lineReader) reset() { r.buf, r.taken, r.line, r.code = r.buf[:0], 0, 0, 0 }

// feed takes bytes from the wire.
func (r *lineReader) feed(data []byte) {
	r.drop()
	r.buf = append(r.buf, data...)
}

// pending reports bytes that belong to no reply answered so far.
func (r *lineReader) pending() bool { return len(r.buf) > r.taken }

// drop forgets the reply that was answered last.
func (r *lineReader) drop() {
	if r.taken > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.taken:])]
		r.taken = 0
	}
}

// next answers the next reply; false when bytes are missing. A line that is
// none of a reply ends it with a flaw, as does one that goes on for ever.
func (r *lineReader) next() (reply, bool) {
	r.drop()
	for {
		n := bytes.IndexByte(r.buf[r.line:], '\n')
		if end := r.line + n + 1; n < 0 || end > r.limit {
			if len(r.buf) <= r.limit {
				return reply{}, false
			}
			return r.end(r.limit, "the reply is too long", OversizeServerReply), true
		}
		line := bytes.TrimSuffix(r.buf[r.line:r.line+n], []byte("\r"))
		code, sep, ok := r.parse(line)
		r.line += n + 1
		switch {
		case !ok:
			r.code = 0
			return r.end(r.line, "no reply code", 0), true
		case r.code != 0 && code != r.code:
			r.code = 0
			return r.end(r.line, "lines with different codes", 0), true
		case sep != '-':
			r.code = code
			return r.end(r.line, "", 0), true
		}
		r.code = code
	}
}

// end answers the reply that the first n bytes are.
func (r *lineReader) end(n int, flaw string, status Status) reply {
	answer := reply{code: r.code, raw: r.buf[:n:n], flaw: flaw, status: status}
	r.taken, r.line, r.code = n, 0, 0
	return answer
}
