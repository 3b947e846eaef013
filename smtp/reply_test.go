package smtp

import (
	"bufio"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newReader() *lineReader { return &lineReader{limit: 16384, parse: lineCode} }

// readAll feeds data in pieces of size and answers the replies.
func readAll(r *lineReader, data string, size int) (codes []uint, texts, flaws []string) {
	for len(data) > 0 {
		n := min(size, len(data))
		r.feed([]byte(data[:n]))
		data = data[n:]
		for {
			answer, ok := r.next()
			if !ok {
				break
			}
			codes, texts, flaws = append(codes, answer.code), append(texts, answer.text()), append(flaws, answer.flaw)
		}
	}
	return codes, texts, flaws
}

// A reply is the same however TCP cuts it.
func TestReplyCutAnywhere(t *testing.T) {
	for name, row := range map[string]struct {
		wire  string
		codes []uint
		texts []string
	}{
		"one line":               {"220 srv ESMTP\r\n", []uint{220}, []string{"srv ESMTP"}},
		"no text":                {"250\r\n", []uint{250}, []string{""}},
		"blank and no text":      {"250 \r\n", []uint{250}, []string{""}},
		"lines":                  {"250-srv\r\n250-SIZE\r\n250 HELP\r\n", []uint{250}, []string{"srv\nSIZE\nHELP"}},
		"last line without text": {"250-srv\r\n250-\r\n250\r\n", []uint{250}, []string{"srv\n\n"}},
		"bare LF":                {"250-a\n250 b\n", []uint{250}, []string{"a\nb"}},
		"two replies":            {"250 a\r\n354 b\r\n", []uint{250, 354}, []string{"a", "b"}},
		"digits in the text":     {"250-250 a\r\n250 250-b\r\n", []uint{250}, []string{"250 a\n250-b"}},
		"bytes of all kinds":     {"250 \x00\xff\r\r\n", []uint{250}, []string{"\x00\xff\r"}},
	} {
		for size := 1; size <= len(row.wire); size++ {
			codes, texts, flaws := readAll(newReader(), row.wire, size)
			require.Equal(t, row.codes, codes, "%s in pieces of %d", name, size)
			require.Equal(t, row.texts, texts, "%s in pieces of %d", name, size)
			require.Empty(t, strings.Join(flaws, ""), "%s in pieces of %d", name, size)
		}
	}
}

func TestReplyThatIsNone(t *testing.T) {
	for _, row := range []struct{ wire, flaw string }{
		{"hello\r\n", "no reply code"},
		{"\r\n", "no reply code"},
		{"22 x\r\n", "no reply code"},
		{"2200 x\r\n", "no reply code"},
		{"220x\r\n", "no reply code"},
		{"020 x\r\n", "no reply code"},
		{" 220 x\r\n", "no reply code"},
		{"250-a\r\n251 b\r\n", "lines with different codes"},
		{"250-a\r\n550 b\r\n", "lines with different codes"},
		{"250-a\r\nb\r\n250 c\r\n", "no reply code"},
	} {
		for size := 1; size <= len(row.wire); size++ {
			codes, _, flaws := readAll(newReader(), row.wire, size)
			require.Equal(t, row.flaw, flaws[0], "%q", row.wire)
			require.Zero(t, codes[0], "%q", row.wire)
		}
	}
}

// A reply without end takes no more memory than its limit and one packet.
func TestReplyTooLong(t *testing.T) {
	for name, endless := range map[string]string{"line": "250-" + strings.Repeat("x", 1000), "lines": "250-x\r\n"} {
		r := &lineReader{limit: 3000, parse: lineCode}
		for {
			r.feed([]byte(endless))
			endless = strings.TrimPrefix(endless, "250-")
			if name == "lines" {
				endless = "250-x\r\n"
			}
			require.LessOrEqual(t, len(r.buf), 4100, name)
			if answer, ok := r.next(); ok {
				assert.Equal(t, OversizeServerReply, answer.status, name)
				assert.NotEmpty(t, answer.flaw, name)
				break
			}
		}
	}
	r := &lineReader{limit: 20, parse: lineCode}
	r.feed([]byte("250-12345678\r\n250 x\r\n"))
	_, ok := r.next()
	assert.True(t, ok)
	r.reset()
	r.feed([]byte("250 1234567890abcd\r\n"))
	answer, _ := r.next()
	assert.Empty(t, answer.flaw, "exactly the limit")
}

// FuzzReply compares with package textproto, which knows no reply without text,
// takes lines without a code for text, and does not mind the code of further
// lines. Where it and the reader both answer a code, they agree.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"220 srv\r\n", "250-a\r\n250-b\r\n250 c\r\n", "250\r\n", "250-a\r\nb\r\n250 c\r\n", "250-a\r\n550 b\r\n",
		"2500 x\r\n", "\r\n", "250 \xff\r\n", "250-a\r\n250", "099 x\r\n", "250-\r\n250 \r\n", "334 VXNlcm5hbWU6\r\n",
	} {
		f.Add(seed, 3)
	}
	for _, find := range []string{
		"250-00\n250\n", // textproto reads on behind a last line without text
	} {
		f.Add(find, 2)
	}
	f.Fuzz(func(t *testing.T, wire string, size int) {
		size = max(1, size%64)
		whole := newReader()
		whole.feed([]byte(wire))
		first, complete := whole.next()
		code, text, flaw := first.code, first.text(), first.flaw

		codes, texts, flaws := readAll(newReader(), wire, size)
		require.Equal(t, complete, len(codes) > 0)
		if !complete {
			return
		}
		require.Equal(t, []any{code, text, flaw}, []any{codes[0], texts[0], flaws[0]}, "cutting changes nothing")

		if flaw != "" {
			return
		}
		require.True(t, code >= 100 && code <= 999)
		for line := range strings.SplitSeq(string(first.raw), "\n") {
			if len(strings.TrimSuffix(line, "\r")) == 3 {
				return // no text: textproto takes the line for a part of the one before, or for none
			}
		}
		wanted, message, err := textproto.NewReader(bufio.NewReader(strings.NewReader(wire))).ReadResponse(0)
		require.NoError(t, err)
		require.Equal(t, wanted, int(code))
		require.Equal(t, trimLines(message), trimLines(text))
	})
}

// trimLines takes off what textproto takes off: blanks and CR at the end of
// lines, and it is not of one mind where.
func trimLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	return lines
}
