package smtp

import (
	"errors"
	"fmt"
	"strings"

	"gonetx/packetpool/nx"
)

// ReplyError is a server's refusal in its own words. [MailSend] answers it
// inside an nx.Error; errors.As finds it.
type ReplyError struct {
	Status   Status // what NetX Duo answers for the phase, [RcptReplyError]
	Command  string // what was refused: "RCPT TO", "AUTH PLAIN"; "greeting" and "message" are what they say
	Code     uint   // three digits, 0 when the server sent something that is no reply
	Enhanced string // RFC 2034: "5.1.1"; "" when there is none
	Text     string // all lines without their codes, joined by "\n"; credentials that the server repeats are blotted out
	Reason   string // why a reply that does not refuse is refused; "" for a 4xx or 5xx
}

// Error answers "RCPT TO: 550 5.1.1 no such user", a multi-line text in one
// line, with nothing in it that a terminal would act on.
func (e *ReplyError) Error() string {
	var b strings.Builder
	b.WriteString(e.Command + ": ")
	if e.Reason != "" {
		b.WriteString(e.Reason + ": ")
	}
	if e.Code != 0 {
		fmt.Fprintf(&b, "%03d ", e.Code)
	}
	b.WriteString(printable(strings.ReplaceAll(e.Text, "\n", " / ")))
	return strings.TrimRight(b.String(), " ")
}

// Unwrap answers the status.
func (e *ReplyError) Unwrap() error { return e.Status }

// Temporary reports a 4yz reply: the same mail may be taken later.
func (e *ReplyError) Temporary() bool { return e.Code/100 == 4 }

// Permanent reports a 5yz reply: the same mail will be refused again.
func (e *ReplyError) Permanent() bool { return e.Code/100 == 5 }

// PhaseError says in which phase of the session something failed that no
// server said: a time-out, a broken connection, an empty pool. It is the
// cause inside the nx.Error that [MailSend] answers.
type PhaseError struct {
	Phase     State
	Doing     string // "connecting", "sending", "awaiting the reply", "giving up"
	Err       error
	Undecided bool // the end mark was sent and not answered: the server may have taken the mail
}

// Error answers "MAIL: awaiting the reply: tcp.SocketReceive: NX_NO_PACKET (0x01)".
func (e *PhaseError) Error() string {
	s := e.Phase.String() + ": " + e.Doing
	if e.Undecided {
		s += " (the server may have taken the mail)"
	}
	return s + ": " + e.Err.Error()
}

// Unwrap answers the cause.
func (e *PhaseError) Unwrap() error { return e.Err }

// Causes of a session that the client itself ends.
var (
	// ErrTLSRequired: Config.RequireTLS is set and the server does not protect
	// the connection.
	ErrTLSRequired = errors.New("smtp: the connection is not protected and Config.RequireTLS is set")
	// ErrNoMechanism: the server offers mechanisms, but neither PLAIN nor LOGIN.
	ErrNoMechanism = errors.New("smtp: the server offers neither PLAIN nor LOGIN")
	// ErrNoCredentials: the client was created for PLAIN or LOGIN with an empty
	// username or password.
	ErrNoCredentials = errors.New("smtp: no username or no password to authenticate with")
	// ErrNoSMTPUTF8: an address is not ASCII and the server does not offer
	// SMTPUTF8 (RFC 6531).
	ErrNoSMTPUTF8 = errors.New("smtp: an address needs SMTPUTF8, which the server does not offer")
	// ErrLineBreak: a CR, LF or NUL where one line of text belongs.
	ErrLineBreak = errors.New("smtp: CR, LF or NUL inside")
)

// fail makes the error of a service. A status of the layers below keeps its
// number and name; errors that carry none are NX_SMTP_INTERNAL_ERROR.
func fail(service string, status nx.Coder, cause error) error {
	return &nx.Error{Service: service, Status: status, Cause: cause}
}

// statusOf answers the status that err carries.
func statusOf(err error) nx.Coder {
	var c nx.Coder
	if errors.As(err, &c) {
		return c
	}
	return InternalError
}

// printable replaces what is not a graphic ASCII or UTF-8 character by '?', so
// that a server's words cannot drive the terminal that shows them.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r < 0xA0 || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}
