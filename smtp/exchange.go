package smtp

import (
	"bytes"
	"encoding/base64"
)

// maxRepeats ends what the release would do without end.
const maxRepeats = 100

// maxAnswers is how many prompts of a LOGIN exchange are answered: two, and
// each once more for a server that asks again.
const maxAnswers = 4

// chooseAuth settles the type of authentication for this session.
func (s *session) chooseAuth() error {
	t, err := chooseAuth(s.info.AuthType, s.offered.auths, s.config.as, s.hasCredentials())
	s.info.AuthType = t
	if s.as(AuthTypeSticks) {
		s.authType = t
	}
	return err
}

func (s *session) sendAuth() error {
	s.info.AuthState = AuthenticationInProgress
	return s.command("AUTH " + s.info.AuthType.String())
}

// repliedAuth takes the reply to AUTH and to each answer.
func (s *session) repliedAuth(r reply) State {
	switch {
	case s.cancel != "":
		return s.refuse(r, s.cancel)
	case r.code == 235:
		s.info.AuthState = AuthenticationSucceeded
		return s.beginMail()
	case r.code == 334:
		return s.challenged(r)
	case r.code/100 != 2 || r.code == 221:
		return s.refuse(r, "")
	case !s.as(AuthRepeated):
		// Some servers take everything: there AUTH is just a word.
		s.warn("AUTH was answered with " + s.secrets.blot(printable(r.text())) + ": going on without authentication")
		s.info.AuthState = NotAuthenticated
		return s.beginMail()
	case r.code == 252:
		return s.refuse(r, "")
	}
	if s.answers++; s.answers > maxRepeats {
		return s.refuse(r, "repeated for ever")
	}
	return s.state
}

// challenged answers a 334.
func (s *session) challenged(r reply) State {
	line, _, found := bytes.Cut(r.raw, []byte("\r\n"))
	if !found && s.as(PacketIsReply) {
		r.status = ServerErrorReply
		return s.refuse(r, "no line end")
	}
	limit := maxAnswers
	if s.info.AuthType == AuthPlain {
		s.prompted, limit = usernamePrompt, 1
	} else if s.as(LoginPromptExact) {
		if s.prompted = loginPrompt(releasePrompt(line)); s.prompted == unknownPrompt {
			return s.refuse(r, "an unknown prompt")
		}
	} else {
		s.prompted = s.promptByPosition(r)
	}
	if s.as(AuthRepeated) {
		limit = maxRepeats
	}
	if s.answers++; s.answers > limit {
		s.cancel = "too many prompts"
	}
	if s.prompted == unknownPrompt {
		s.cancel = "an unknown prompt"
	}
	return StateAuthChallenge
}

// promptByPosition tells what a LOGIN prompt asks for: what it says, or else
// the username first and the password then.
func (s *session) promptByPosition(r reply) prompt {
	decoded, _ := base64.StdEncoding.DecodeString(r.text())
	asked := loginPrompt(string(decoded))
	if asked == unknownPrompt && s.answers < 2 {
		asked = usernamePrompt
		if s.named {
			asked = passwordPrompt
		}
	}
	s.named = s.named || asked == usernamePrompt
	return asked
}

// sendAnswer answers the last 334, or cancels the exchange (RFC 4954 4).
func (s *session) sendAnswer() error {
	username, password := s.credentials()
	switch {
	case s.cancel != "":
		return s.command("*")
	case s.info.AuthType == AuthPlain:
		return s.secret(plainAnswer(username, password, s.config.as))
	case s.prompted == usernamePrompt:
		return s.secret(encode(username))
	}
	return s.secret(encode(password))
}
