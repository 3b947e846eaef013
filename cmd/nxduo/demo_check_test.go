package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"gonetx/netns-tests/mailserver"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stored is a mail as it should arrive.
func stored(date time.Time) mailserver.Mail {
	return mailserver.Mail{
		From: fromAddress, To: recipient, Mechanism: "PLAIN", User: username,
		Data: []byte("To: your@yourcompany.com\r\nFrom: my@mycompany.com\r\nSubject: " + subject + "\r\n" +
			"Date: " + date.Format("Mon, 02 Jan 2006 15:04:05 -0700") + "\r\nMessage-ID: <ABC@mycompany.com>\r\n" +
			"MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n  charset=\"utf-8\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + body),
	}
}

func TestCompareFindsEveryDifference(t *testing.T) {
	date := time.Now()
	want := expectation{auth: "PLAIN", date: date, body: body}
	require.Empty(t, compare([]mailserver.Mail{stored(date)}, want))
	for _, c := range []struct {
		name   string
		change func(*mailserver.Mail)
		says   string
	}{
		{"another sender", func(m *mailserver.Mail) { m.From = "x@y" }, `sender: "my@mycompany.com" was sent, "x@y" stored`},
		{"another recipient", func(m *mailserver.Mail) { m.To = "x@y" }, "recipient"},
		{"no authentication", func(m *mailserver.Mail) { m.Mechanism = "" }, "authentication"},
		{"another user", func(m *mailserver.Mail) { m.User = "root" }, "user"},
		{"no Message-ID", func(m *mailserver.Mail) {
			m.Data = bytes.Replace(m.Data, []byte("Message-ID: <ABC@mycompany.com>\r\n"), nil, 1)
		}, "Message-ID"},
		{"a dot lost", func(m *mailserver.Mail) { m.Data = bytes.Replace(m.Data, []byte("\r\n..two"), []byte("\r\n.two"), 1) }, `".two`},
		{"a line more", func(m *mailserver.Mail) { m.Data = append(m.Data, "\r\n"...) }, `"" was sent, "\r\n" stored`},
		{"the end missing", func(m *mailserver.Mail) { m.Data = m.Data[:len(m.Data)-9] }, `"" stored`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := stored(date)
			c.change(&m)
			differences := strings.Join(compare([]mailserver.Mail{m}, want), "\n")
			assert.Contains(t, differences, c.says)
		})
	}
	assert.NotEmpty(t, compare(nil, want), "no mail")
	assert.NotEmpty(t, compare([]mailserver.Mail{stored(date), stored(date)}, want), "the mail twice")
	for at := range stored(date).Data {
		m := stored(date)
		m.Data[at] ^= 0x20
		if !bytes.HasPrefix(m.Data[at:], []byte("x")) && messageID.Match(m.Data) && bytes.Equal(messageID.Find(m.Data), messageID.Find(stored(date).Data)) {
			require.NotEmpty(t, compare([]mailserver.Mail{m}, want), "byte %d", at)
		}
	}
}
