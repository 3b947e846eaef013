package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"gonetx/netns-tests/mailserver"
)

// expectation is what must have come of one mail of the demonstration.
type expectation struct {
	auth string
	date time.Time
	body string
}

// messageID is the one field that cannot be known ahead.
var messageID = regexp.MustCompile(`(?m)^Message-ID: <[^\s<>@]+@mycompany\.com>\r\n`)

// compare tells what is different between what was to be sent and what the
// server took and kept: nothing, if all is well. The message is written down
// here a second time, and compared whole and byte for byte.
func compare(mails []mailserver.Mail, want expectation) []string {
	if len(mails) != 1 {
		return []string{fmt.Sprintf("the server took %d mails, not one", len(mails))}
	}
	got := mails[0]
	var differences []string
	for _, field := range []struct{ what, want, got string }{
		{"sender", fromAddress, got.From},
		{"recipient", recipient, got.To},
		{"authentication", want.auth, got.Mechanism},
		{"user", username, got.User},
	} {
		if field.want != field.got {
			differences = append(differences, fmt.Sprintf("%s: %q was sent, %q stored", field.what, field.want, field.got))
		}
	}
	id := messageID.Find(got.Data)
	if id == nil {
		differences = append(differences, "the header has no Message-ID of mycompany.com")
	}
	sent := "To: " + recipient + "\r\n" +
		"From: " + fromAddress + "\r\n" +
		"Subject: " + subject + "\r\n" +
		"Date: " + want.date.Format(time.RFC1123Z) + "\r\n" +
		string(id) +
		"MIME-Version: 1.0\r\n" +
		"Content-Type: text/plain;\r\n  charset=\"utf-8\"\r\n" +
		"Content-Transfer-Encoding: 7bit\r\n" +
		"\r\n" + want.body
	if at := firstDifference([]byte(sent), got.Data); at >= 0 {
		differences = append(differences, fmt.Sprintf("byte %d of %d sent and %d stored: %q was sent, %q stored",
			at, len(sent), len(got.Data), around(sent, at), around(string(got.Data), at)))
	}
	return differences
}

// firstDifference answers where a and b part, -1 if they do not.
func firstDifference(a, b []byte) int {
	if bytes.Equal(a, b) {
		return -1
	}
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// around is the text at a place, for a message.
func around(s string, at int) string {
	return strings.ToValidUTF8(s[min(at, len(s)):min(at+20, len(s))], "?")
}
