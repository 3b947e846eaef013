package smtp

import (
	"bytes"
	"strings"
)

// This file holds how release 6.4.2 reads: the reply code, the unfinished
// 250-, the keywords of EHLO, and the prompt of LOGIN. Each is behind its
// difference.

// releaseCode finds a reply code as the release does: the first run of digits
// that a blank or a dash follows, or that ends the data. It answers the
// position behind the run. A run of more than three digits anywhere before it
// is an error (nxd_smtp_client.c, _nx_smtp_parse_response).
//
// Without bareRefused a line end closes a run too.
func releaseCode(data []byte, bareRefused bool) (code uint, end int, ok bool) {
	digits := 0
	for i, c := range data {
		switch {
		case c >= '0' && c <= '9':
			if digits == 3 {
				return 0, i, false
			}
			digits++
			code = code*10 + uint(c-'0')
		case digits > 0 && (c == ' ' || c == '-'),
			digits == 3 && (c == '\r' || c == '\n') && !bareRefused:
			return code, i, true
		default:
			digits, code = 0, 0
		}
	}
	return code, len(data), true
}

// lineParser answers how the code of one line is read under the differences.
func lineParser(as differences) func(line []byte) (uint, byte, bool) {
	if !as.has(CodeAnywhere) && !as.has(BareCodeRefused) {
		return lineCode
	}
	return func(line []byte) (code uint, sep byte, ok bool) {
		if as.has(CodeAnywhere) {
			var end int
			if code, end, ok = releaseCode(line, as.has(BareCodeRefused)); ok && end < len(line) {
				sep = line[end]
			}
			ok = ok && code != 0
		} else {
			code, sep, ok = lineCode(line)
		}
		return code, sep, ok && !(sep == 0 && as.has(BareCodeRefused))
	}
}

// packetReply reads one packet as one reply. muted tells whether the client
// sends nothing before the next packet: a 250- without a later 250 mutes it,
// a 250 ends that, anything else leaves it.
func packetReply(data []byte, as differences, muted bool) (reply, bool) {
	r := reply{raw: data}
	code, end, ok := releaseCode(data, as.has(BareCodeRefused))
	if !as.has(CodeAnywhere) {
		var sep byte
		line, _, _ := bytes.Cut(data, []byte("\r\n"))
		code, sep, ok = lineCode(line)
		end = 3
		ok = ok && !(sep == 0 && len(line) < len(data) && as.has(BareCodeRefused))
	}
	if !ok {
		r.flaw, r.broken = "no reply code", true
		return r, muted
	}
	r.code = code
	if end < 3 || end >= len(data) || string(data[end-3:end]) != "250" {
		return r, muted
	}
	switch data[end] {
	case '-':
		return r, !bytes.Contains(data[end:], []byte("250 "))
	case ' ':
		return r, false
	}
	return r, muted
}

// releaseAuths finds what the release finds in a packet: AUTH anywhere but
// at the very end, and mechanisms anywhere behind it but at the very end
// (_nx_smtp_utility_parse_server_services).
func releaseAuths(data []byte) auths {
	var found auths
	at := indexFold(data, "AUTH")
	if at < 0 || len(data)-at-4 < 5 {
		return found
	}
	found.auth = true
	found.login = indexFold(data[at+4:], "LOGIN") >= 0
	found.plain = indexFold(data[at+4:], "PLAIN") >= 0
	found.other = true
	return found
}

// indexFold finds an ASCII word in any case, not counting one that ends with
// the data.
func indexFold(data []byte, word string) int {
	for i := 0; i+len(word) < len(data); i++ {
		if strings.EqualFold(string(data[i:i+len(word)]), word) {
			return i
		}
	}
	return -1
}

// releasePrompt answers the word after the code of a 334 line, up to the next
// blank, decoded; "" when there is none or it is longer than 200 bytes. The
// line comes without its end.
func releasePrompt(line []byte) string {
	i := bytes.IndexAny(line, " -")
	if i < 0 {
		return ""
	}
	word, _, _ := bytes.Cut(line[i+1:], []byte(" "))
	word, _, _ = bytes.Cut(word, []byte{0})
	if len(word) > 200 {
		return ""
	}
	return releaseBase64(word)
}

// releaseBase64 decodes as NetX Duo does (_nx_utility_base64_decode): the
// length follows from the number of characters, letters of no alphabet count
// as zero bits, and = ends the text.
func releaseBase64(text []byte) string {
	size := len(text) * 6 / 8
	for _, tail := range []int{1, 2} {
		if size == 0 || len(text) < tail || text[len(text)-tail] != '=' {
			break
		}
		size--
	}
	bits := func(i int) uint {
		if i >= len(text) {
			return 0
		}
		switch c := text[i]; {
		case c >= 'A' && c <= 'Z':
			return uint(c - 'A')
		case c >= 'a' && c <= 'z':
			return uint(c-'a') + 26
		case c >= '0' && c <= '9':
			return uint(c-'0') + 52
		case c == '+' || c == '-':
			return 62
		case c == '/' || c == '_':
			return 63
		}
		return 0
	}
	decoded := make([]byte, 0, size)
	for k := 0; k < size; k++ {
		i, r := k/3*4+k%3, k%3
		if i >= len(text) || text[i] == '=' {
			break
		}
		decoded = append(decoded, byte((bits(i)<<6|bits(i+1))>>(4-2*r)))
	}
	return string(decoded)
}
