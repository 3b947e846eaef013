package smtp

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gonetx/packetpool/nx"
)

// Limits of release 6.4.2.
const (
	commandLimit   = 512 // NX_SMTP_BUFFER_SIZE: of a command, and of an address before it is looked at
	fromLimit      = commandLimit - len("MAIL FROM:") - 5
	recipientLimit = commandLimit - len("RCPT TO:") - 5
	subjectLimit   = commandLimit
)

// message is what one session sends.
type message struct {
	from, recipient, subject string
	priority                 Priority
	body                     []byte
	content                  content
	encoding                 string // Content-Transfer-Encoding
	utf8                     bool   // an address is not ASCII
	id                       string // Message-ID
}

// newMail checks what is to be sent, before anything is.
func (c *Client) newMail(recipient string, priority Priority, subject string, body []byte) (message, error) {
	m := message{from: c.from, body: body, priority: priority}
	if priority != PriorityLow && priority != PriorityHigh {
		m.priority = PriorityNormal
	}
	var err error
	if m.recipient, err = c.address("recipient", recipient, recipientLimit); err != nil {
		return m, err
	}
	if m.subject, err = c.oneLine("subject", subject, subjectLimit); err != nil {
		return m, err
	}
	if m.recipient == "" && !c.as(EmptyRecipientSent) {
		return m, fail(mailSend, InvalidParam, fmt.Errorf("smtp: no recipient"))
	}
	if c.authType != AuthNone && !c.hasCredentials() && !c.as(EmptyCredentialsSent) {
		return m, fail(mailSend, AuthenticationError, ErrNoCredentials)
	}
	if !c.as(EightBitUndeclared) {
		m.content = inspect(body)
	}
	m.utf8 = !isASCII(m.from) || !isASCII(m.recipient)
	if !c.as(NoDateNoMessageID) {
		m.id = messageID(c.domain)
	}
	return m, nil
}

// choose answers how the body is encoded for a server.
func (m *message) choose(offered services, as differences) string {
	switch {
	case as.has(EightBitUndeclared):
		return "8bit"
	case m.content.encode, m.content.eightBit && !offered.eightBitMIME:
		return "quoted-printable"
	case m.content.eightBit:
		return "8bit"
	}
	return "7bit"
}

// address is oneLine, without a pair of brackets around it.
func (c *Client) address(what, text string, limit int) (string, error) {
	if !c.as(BracketsDoubled) && strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">") {
		text = text[1 : len(text)-1]
	}
	return c.oneLine(what, text, limit)
}

// oneLine refuses what cannot stand in a command or a header field.
func (c *Client) oneLine(what, text string, limit int) (string, error) {
	if c.as(LineBreaksPassed) {
		text, _, _ = strings.Cut(text, "\x00") // where a C string ends
	} else if strings.ContainsAny(text, "\r\n\x00") {
		return "", fail("", InvalidParam, fmt.Errorf("%s: %w", what, ErrLineBreak))
	}
	if len(text) > limit && !c.as(SizesFoundLate) {
		return "", fail("", nx.SizeError, fmt.Errorf("smtp: %s of %d bytes, at most %d", what, len(text), limit))
	}
	return text, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
