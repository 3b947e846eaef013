package smtp

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stuffed is what goes over the wire for a body, written in pieces of size.
func stuffed(t testing.TB, body string, size int) string {
	var out bytes.Buffer
	d := &dotWriter{w: &out}
	for rest := body; rest != ""; {
		n := min(size, len(rest))
		wrote, err := d.Write([]byte(rest[:n]))
		require.NoError(t, err)
		require.Equal(t, n, wrote)
		rest = rest[n:]
	}
	return out.String() + d.endMark()
}

func TestDotStuffing(t *testing.T) {
	for body, want := range map[string]string{
		"x":                    "x\r\n.\r\n",
		"x\r\n":                "x\r\n.\r\n",
		".":                    "..\r\n.\r\n",
		".\r\n":                "..\r\n.\r\n",
		"a\r\n.b\r\n..\r\n":    "a\r\n..b\r\n...\r\n.\r\n",
		"a.b\r\nc.":            "a.b\r\nc.\r\n.\r\n",
		"a\nb":                 "a\r\nb\r\n.\r\n",
		"a\rb":                 "a\r\nb\r\n.\r\n",
		"a\n.\nb":              "a\r\n..\r\nb\r\n.\r\n",
		"a\r.\rb":              "a\r\n..\r\nb\r\n.\r\n",
		"a\r\n.\r\nMAIL FROM:": "a\r\n..\r\nMAIL FROM:\r\n.\r\n",
		"\r\n.\r\n":            "\r\n..\r\n.\r\n",
		"\n\n":                 "\r\n\r\n.\r\n",
		"\r\r\n\n":             "\r\n\r\n\r\n.\r\n",
		"a\r":                  "a\r\n.\r\n",
		"a\r\n\r":              "a\r\n\r\n.\r\n",
	} {
		for size := 1; size <= len(body); size++ {
			require.Equal(t, want, stuffed(t, body, size), "%q in pieces of %d", body, size)
		}
	}
}

// Long runs of what needs work cost no more than time in proportion.
func TestDotStuffingOfManyBreaks(t *testing.T) {
	const n = 1 << 20
	started := time.Now()
	assert.Len(t, stuffed(t, strings.Repeat("\r", n), n), 2*n+3)
	assert.Less(t, time.Since(started), 5*time.Second)
}

// FuzzDotStuffing takes the stuffing off again as a server does.
func FuzzDotStuffing(f *testing.F) {
	for _, seed := range []string{"x", ".\r\n", "a\r\n.b\r\n", "\r\n.\r\n", "a\n.\rb\r\n..", "\r\r\n\n.", strings.Repeat(".", 9)} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, body string, size int) {
		if body == "" {
			return
		}
		wire := stuffed(t, body, max(1, size%32))
		require.Equal(t, wire, stuffed(t, body, len(body)), "pieces change nothing")
		require.Equal(t, 1, strings.Count("\r\n"+wire, "\r\n.\r\n"), "one end mark")
		require.True(t, strings.HasSuffix("\r\n"+wire, "\r\n.\r\n"), "at the end")
		require.NotContains(t, strings.ReplaceAll(wire, "\r\n", ""), "\r")
		require.NotContains(t, strings.ReplaceAll(wire, "\r\n", ""), "\n")

		r := textproto.NewReader(bufio.NewReader(strings.NewReader(wire)))
		got, err := io.ReadAll(r.DotReader())
		require.NoError(t, err)
		want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body)
		if !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		require.Equal(t, want, string(got))
	})
}

func TestInspect(t *testing.T) {
	long := strings.Repeat("x", 998)
	for name, row := range map[string]struct {
		body string
		want content
	}{
		"ASCII":                 {"hello\r\nworld", content{}},
		"8 bit":                 {"grüße", content{eightBit: true}},
		"NUL":                   {"a\x00b", content{encode: true}},
		"998":                   {long, content{}},
		"998 and CRLF":          {long + "\r\n" + long + "\r\n" + long, content{}},
		"998 and LF":            {long + "\n" + long, content{}},
		"999":                   {long + "y", content{encode: true}},
		"999 and CRLF":          {"a\r\n" + long + "y\r\nb", content{encode: true}},
		"999 at the end":        {long + "\r\n" + long + "y", content{encode: true}},
		"998 and CR at the end": {long + "\r", content{encode: true}}, // a CR alone: encoding does no harm
	} {
		assert.Equal(t, row.want, inspect([]byte(row.body)), name)
	}
}

func header(m message, as differences) string {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", -3600*3))
	return string(m.appendHeader(nil, now, as))
}

func TestHeaderOfTheRelease(t *testing.T) {
	m := message{recipient: "a@b.c", from: "my@mycompany.com", subject: "Subj", priority: PriorityHigh, encoding: "8bit"}
	got := header(m, everything)
	assert.Equal(t, "To: a@b.c\r\nFrom: my@mycompany.com\r\nSubject: Subj\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain;\r\n  charset=\"utf-8\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", got)
	assert.Len(t, got, 150)
}

func TestHeader(t *testing.T) {
	m := message{recipient: "a@b.c", from: "my@mycompany.com", subject: "Subj", priority: PriorityLow, encoding: "7bit", id: "x@y"}
	assert.Equal(t, "To: a@b.c\r\nFrom: my@mycompany.com\r\nSubject: Subj\r\nDate: Wed, 04 Mar 2026 05:06:07 -0300\r\nMessage-ID: <x@y>\r\n"+
		"Importance: low\r\nX-Priority: 5\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain;\r\n  charset=\"utf-8\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n", header(m, 0))
	m.priority = PriorityHigh
	assert.Contains(t, header(m, 0), "\r\nImportance: high\r\nX-Priority: 1\r\n")
	m.priority = PriorityNormal
	assert.NotContains(t, header(m, 0), "Importance")
}

// Whatever the subject, net/mail reads it back, and lines stay short where
// there are blanks to break them at.
func TestSubjectTravels(t *testing.T) {
	for _, subject := range []string{
		"", "Hello", "two words", strings.Repeat("word ", 60) + "end", strings.Repeat("x", 512),
		"Grüße aus Köln", strings.Repeat("ü", 250), "日本語の件名", "tab\tinside", "=?utf-8?q?not_encoded?=", "a =?b?= c",
		"  two blanks  before and after  ", strings.Repeat(" ", 200) + "x", "\x01control", "100% sure", strings.Repeat("é ", 150),
	} {
		m := message{recipient: "a@b.c", from: "d@e.f", subject: subject, encoding: "7bit", id: "x@y"}
		text := header(m, 0)
		assert.True(t, isASCII(text), "%q", subject)
		for line := range strings.SplitSeq(text, "\r\n") {
			if !strings.Contains(subject, "xxx") && !strings.HasPrefix(subject, "    ") { // those have nothing to break at
				assert.LessOrEqual(t, len(line), foldAt, "%q", subject)
			}
			assert.LessOrEqual(t, len(line), maxLineLen)
		}
		parsed, err := mail.ReadMessage(strings.NewReader(text))
		require.NoError(t, err, "%q", subject)
		decoded, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
		require.NoError(t, err)
		assert.Equal(t, strings.Trim(subject, " "), strings.Trim(decoded, " "))
		_, err = parsed.Header.Date()
		assert.NoError(t, err)
	}
}

func TestMessageID(t *testing.T) {
	a, b := messageID("mycompany.com"), messageID("mycompany.com")
	assert.NotEqual(t, a, b)
	assert.Regexp(t, `^[A-Z2-7]{26}@mycompany\.com$`, a)
	for _, domain := range []string{"", "a b", "<x>", `"`, "a@b"} {
		assert.Regexp(t, `@localhost$`, messageID(domain))
	}
	assert.Regexp(t, `@\[1\.2\.3\.4\]$`, messageID("[1.2.3.4]"))
}
