package smtp

import (
	"io"
	"mime/quotedprintable"
	"strings"

	"gonetx/packetpool/nx"
)

// Commands and what their replies do, in the order of a session. AUTH is in
// exchange.go, STARTTLS in tls.go.

// positive reports a reply of the kind that want is: by its first digit (RFC
// 5321 4.2.1), but for 221, which closes.
func (s *session) positive(r reply, want uint) bool {
	if s.as(ExactCodesOnly) {
		return r.code == want
	}
	return r.flaw == "" && r.code/100 == want/100 && r.code != 221
}

func (s *session) greeted(r reply) State {
	if !s.positive(r, 220) {
		return s.refuse(r, "")
	}
	return StateEHLO
}

func (s *session) sendEHLO() error { return s.command("EHLO " + s.identity()) }
func (s *session) sendHELO() error { return s.command("HELO " + s.identity()) }

// identity is the argument of EHLO: the client's domain, or its address where
// there is none or the server does not take it (RFC 5321 4.1.3).
func (s *session) identity() string {
	if s.literal || s.domain == "" && !s.as(NoHELO) {
		if source := s.t.source(); source.Is6() {
			return "[IPv6:" + source.WithZone("").String() + "]"
		} else {
			return "[" + source.String() + "]"
		}
	}
	return s.domain
}

func (s *session) repliedEHLO(r reply) State {
	if s.as(KeywordAnywhere) {
		s.offered = parseServices(r)
		s.offered.auths = releaseAuths(r.raw)
		_ = s.chooseAuth()
	}
	switch {
	case s.mute && r.broken:
		return s.refuse(r, "")
	case s.mute:
		return StateEHLO
	case !s.positive(r, 250):
		return s.refusedEHLO(r)
	}
	if !s.as(KeywordAnywhere) {
		s.offered = parseServices(r)
	}
	return s.greetedBack()
}

// refusedEHLO goes on with HELO where the server does not know EHLO, and with
// the address where it does not take the domain.
func (s *session) refusedEHLO(r reply) State {
	if !s.as(NoHELO) {
		switch r.code {
		case 500, 502, 504, 550:
			return StateHELO
		case 501:
			if !s.literal {
				s.literal = true
				return StateEHLO
			}
		}
	}
	return s.refuse(r, "")
}

func (s *session) repliedHELO(r reply) State {
	if !s.positive(r, 250) {
		return s.refuse(r, "")
	}
	s.offered = services{}
	return s.greetedBack()
}

// greetedBack decides what comes after EHLO or HELO: protection,
// authentication, or the mail.
func (s *session) greetedBack() State {
	if next := s.protect(); next != StateIdle {
		return next
	}
	if err := s.chooseAuth(); err != nil {
		return s.giveUp(AuthReplyError, err)
	}
	if s.info.AuthType != AuthNone {
		s.warnOpenPassword()
		return StateAuth
	}
	return s.beginMail()
}

// beginMail is the way to MAIL.
func (s *session) beginMail() State {
	if s.mail.utf8 && !s.offered.smtpUTF8 && !s.as(EightBitUndeclared) {
		return s.giveUp(MailReplyError, ErrNoSMTPUTF8)
	}
	s.mail.encoding = s.mail.choose(s.offered, s.config.as)
	return StateMail
}

func (s *session) sendMail() error {
	var parameters string
	if s.mail.encoding == "8bit" && !s.as(EightBitUndeclared) {
		parameters = " BODY=8BITMIME"
	}
	if s.mail.utf8 && !s.as(EightBitUndeclared) {
		parameters += " SMTPUTF8"
	}
	return s.path("MAIL FROM:", s.mail.from, parameters)
}

func (s *session) repliedMail(r reply) State {
	if !s.positive(r, 250) {
		return s.refuse(r, "")
	}
	return StateRcpt
}

func (s *session) sendRcpt() error { return s.path("RCPT TO:", s.mail.recipient, "") }

// path sends a command with an address. The release finds only now that the
// address is too long: it counts a terminating zero with the command, and one
// with the line end.
func (s *session) path(command, address, parameters string) error {
	switch {
	case len(address) > commandLimit:
		return nx.SizeError
	case len(command)+len(address)+5 > commandLimit:
		return InternalError
	}
	if s.as(SpaceAfterPath) {
		parameters += " "
	}
	return s.command(command + "<" + address + ">" + parameters)
}

func (s *session) repliedRcpt(r reply) State {
	if !s.positive(r, 250) {
		return s.refuse(r, "")
	}
	return StateData
}

func (s *session) sendData() error { return s.command("DATA") }

func (s *session) repliedData(r reply) State {
	if !s.positive(r, 354) {
		return s.refuse(r, "")
	}
	return StateMessage
}

// sendMessage sends header, body and end mark, one after the other in packets
// of one chunk each. The end mark is not cut, and what the server has said
// before it is looked at first.
func (s *session) sendMessage() error {
	if len(s.mail.subject) > subjectLimit {
		return nx.SizeError
	}
	out := chunker{s: s, limit: s.chunk}
	defer out.drop()
	s.buffer = s.mail.appendHeader(s.buffer[:0], s.config.Now(), s.config.as)
	lost := s.sendHeader(&out)
	if lost != nil {
		if !s.as(HeaderFailureSwallowed) {
			return lost
		}
		s.info.MailStatus = InternalError
	}
	mark, err := s.sendBody(&out)
	if err == nil && (s.as(MessageInPieces) || !out.fits(mark)) {
		err = out.flush()
	}
	if err == nil {
		err = s.early()
	}
	if err != nil {
		return err
	}
	s.ended = true
	if err := out.writeLast(mark); err != nil {
		return err
	}
	s.recordMessage(len(s.buffer) + len(s.mail.body))
	if lost != nil {
		return fail("", InternalError, lost)
	}
	return nil
}

// sendHeader sends the header that is in the buffer. The release has it in one
// packet of its own, whatever its length.
func (s *session) sendHeader(out *chunker) error {
	if s.as(MessageInPieces) {
		return s.sendPacket(s.buffer)
	}
	_, err := out.Write(s.buffer)
	return err
}

// sendBody sends the body and answers the end mark that it needs.
func (s *session) sendBody(out *chunker) (endMark string, err error) {
	dots := &dotWriter{w: out}
	var w io.Writer = dots
	if s.as(DotsNotStuffed) {
		w = out
	}
	if s.mail.encoding == "quoted-printable" {
		encoder := quotedprintable.NewWriter(w)
		_, err = encoder.Write(s.mail.body)
		if err == nil {
			err = encoder.Close()
		}
	} else {
		_, err = w.Write(s.mail.body)
	}
	if err != nil {
		return "", err
	}
	switch {
	case s.as(EndMarkAddsLine):
		return "\r\n.\r\n", nil
	case s.as(DotsNotStuffed):
		if !strings.HasSuffix(string(s.mail.body[max(0, len(s.mail.body)-2):]), "\r\n") {
			return "\r\n.\r\n", nil
		}
		return ".\r\n", nil
	}
	return dots.endMark(), nil
}

func (s *session) repliedMessage(r reply) State {
	if !s.positive(r, 250) {
		return s.refuse(r, "")
	}
	s.info.MailStatus, s.outcome = 0, nil
	return StateQuit
}

func (s *session) sendQuit() error { return s.command("QUIT") }

// repliedQuit takes any reply for good.
func (s *session) repliedQuit(r reply) State {
	if r.broken && s.as(QuitOverridesOutcome) {
		s.refuse(r, "")
	}
	return StateCompletedNormally
}
