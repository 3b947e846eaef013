package smtp

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Line lengths of RFC 5322 2.1.1, without CRLF.
const (
	foldAt     = 78
	maxLineLen = 998
)

// content says what a body needs from the way it is sent.
type content struct {
	eightBit bool // bytes over 127
	encode   bool // NUL, or a line longer than 998 bytes
}

// inspect looks through a body once.
func inspect(body []byte) content {
	return content{
		eightBit: !isASCIIText(body),
		encode:   bytes.IndexByte(body, 0) >= 0 || hasLongLine(body),
	}
}

// isASCIIText looks at eight bytes at a time.
func isASCIIText(text []byte) bool {
	for ; len(text) >= 8; text = text[8:] {
		if binary.LittleEndian.Uint64(text)&0x8080808080808080 != 0 {
			return false
		}
	}
	for _, b := range text {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// hasLongLine reports a line of more than 998 bytes. It goes from the last line
// end that it finds within that many bytes to the next.
func hasLongLine(text []byte) bool {
	for len(text) > maxLineLen {
		n := bytes.LastIndexByte(text[:maxLineLen+1], '\n')
		if n < 0 && bytes.HasPrefix(text[maxLineLen:], []byte("\r\n")) {
			n = maxLineLen + 1
		}
		if n < 0 {
			return true
		}
		text = text[n+1:]
	}
	return false
}

// appendHeader appends the header of a mail and the empty line behind it. To,
// From, Subject and the four MIME lines are NetX Duo's, in its order.
func (m *message) appendHeader(b []byte, now time.Time, as differences) []byte {
	b = append(b, "To: "+m.recipient+"\r\nFrom: "+m.from+"\r\n"...)
	if as.has(SubjectRaw) {
		b = append(b, "Subject: "+m.subject+"\r\n"...)
	} else {
		b = appendSubject(b, m.subject)
	}
	if !as.has(NoDateNoMessageID) {
		b = append(b, "Date: "+now.Format("Mon, 02 Jan 2006 15:04:05 -0700")+"\r\n"...)
		b = append(b, "Message-ID: <"+m.id+">\r\n"...)
	}
	if !as.has(PriorityUnused) {
		switch m.priority {
		case PriorityHigh:
			b = append(b, "Importance: high\r\nX-Priority: 1\r\n"...)
		case PriorityLow:
			b = append(b, "Importance: low\r\nX-Priority: 5\r\n"...)
		}
	}
	return append(b, "MIME-Version: 1.0\r\n"+
		"Content-Type: text/plain;\r\n  charset=\"utf-8\"\r\n"+
		"Content-Transfer-Encoding: "+m.encoding+"\r\n\r\n"...)
}

// appendSubject encodes a subject that is not plain ASCII, or that looks as if
// it were encoded, and folds the field.
func appendSubject(b []byte, subject string) []byte {
	if !isASCII(subject) || strings.Contains(subject, "=?") || strings.ContainsFunc(subject, unicode.IsControl) {
		subject = encodeWords(subject)
	}
	return fold(append(b, "Subject: "...), len("Subject: "), subject)
}

// encodeWords encodes text as words of RFC 2047, none of them longer than what
// fits beside the name of the field, and each of whole characters.
func encodeWords(text string) string {
	const most = 39 // bytes, that is 64 with all around them
	var words []string
	for len(text) > 0 {
		n := min(len(text), most)
		for n < len(text) && n > most-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+encode(text[:n])+"?=")
		text = text[n:]
	}
	return strings.Join(words, " ")
}

// fold appends text and CRLF, and breaks the line before a blank that comes
// before a word, so that lines stay within 78 bytes where words allow it (RFC
// 5322 2.2.3). used bytes of the line are taken already.
func fold(b []byte, used int, text string) []byte {
	for len(text) > 0 {
		n := wordEnd(text)
		if used+n > foldAt && used > 0 && (text[0] == ' ' || text[0] == '\t') {
			b = append(b, "\r\n"...)
			used = 0
		}
		b = append(b, text[:n]...)
		used += n
		text = text[n:]
	}
	return append(b, "\r\n"...)
}

// wordEnd answers the length of the blanks and the word that text begins with;
// blanks at the very end belong to the word before them.
func wordEnd(text string) int {
	blanks := len(text) - len(strings.TrimLeft(text, " \t"))
	n := strings.IndexAny(text[blanks:], " \t")
	if n < 0 || strings.Trim(text[blanks+n:], " \t") == "" {
		return len(text)
	}
	return blanks + n
}

// messageID answers a new id for the domain (RFC 5322 3.6.4). A domain that
// cannot stand there is replaced.
func messageID(domain string) string {
	if domain == "" || strings.ContainsAny(domain, " \t<>@()\\\"") {
		domain = "localhost"
	}
	return rand.Text() + "@" + domain
}
