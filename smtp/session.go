package smtp

import (
	"context"
	"errors"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// session is one connection and one mail. Its state machine is NetX Duo's: the
// command of a state is sent, then its reply is read and answers the next
// state (_nx_smtp_client_process).
type session struct {
	*Client
	ctx  context.Context
	t    transport
	mail message

	state State
	mute  bool // PacketIsReply: an unfinished 250- was read, nothing is sent

	offered  services
	literal  bool   // EHLO was refused for its argument: the address is given instead
	prompted prompt // what the last 334 asked for
	answers  int    // to 334s, and repeated commands
	named    bool   // the username was asked for by a LOGIN prompt
	cancel   string // why the AUTH exchange is given up; "" when it is not
	noTLS    bool   // STARTTLS was refused
	secrets  secrets

	last packetpool.Packet // received last

	ended   bool  // the end mark is out: the server may take the mail
	outcome error // what MailSend answers when the dialogue comes to its end
}

// step is one state: the command, and what its reply does.
type step struct {
	send    func(*session) error // nil: nothing is sent
	replied func(*session, reply) State
}

// steps is the state machine (protocol_states of nxd_smtp_client.c).
var steps = [...]step{
	StateGreeting:      {nil, (*session).greeted},
	StateEHLO:          {(*session).sendEHLO, (*session).repliedEHLO},
	StateHELO:          {(*session).sendHELO, (*session).repliedHELO},
	StateStartTLS:      {(*session).sendStartTLS, (*session).repliedStartTLS},
	StateAuth:          {(*session).sendAuth, (*session).repliedAuth},
	StateAuthChallenge: {(*session).sendAnswer, (*session).repliedAuth},
	StateMail:          {(*session).sendMail, (*session).repliedMail},
	StateRcpt:          {(*session).sendRcpt, (*session).repliedRcpt},
	StateData:          {(*session).sendData, (*session).repliedData},
	StateMessage:       {(*session).sendMessage, (*session).repliedMessage},
	StateQuit:          {(*session).sendQuit, (*session).repliedQuit},
}

// refusals are the command of each state as errors name it, and the status of
// its refusal.
var refusals = [...]struct {
	command string
	status  Status
}{
	StateGreeting:      {"greeting", GreetReplyError},
	StateEHLO:          {"EHLO", HelloReplyError},
	StateHELO:          {"HELO", HelloReplyError},
	StateStartTLS:      {"STARTTLS", AuthenticationError},
	StateAuth:          {"AUTH", AuthReplyError},
	StateAuthChallenge: {"AUTH", AuthReplyError},
	StateMail:          {"MAIL FROM", MailReplyError},
	StateRcpt:          {"RCPT TO", RcptReplyError},
	StateData:          {"DATA", DataReplyError},
	StateMessage:       {"message", MessageReplyError},
	StateQuit:          {"QUIT", ServerErrorReply},
}

// run holds the dialogue on an open connection. It leaves the outcome of the
// mail in s.outcome and answers whether the dialogue came to its end, or was
// broken off.
func (s *session) run() (orderly bool) {
	for s.state = StateGreeting; s.state != StateCompletedNormally; {
		s.info.CommandState, s.info.ReplyState = s.state, s.state
		s.publish()
		if send := steps[s.state].send; send != nil && !s.mute {
			err := s.early()
			if err == nil {
				err = send(s)
			}
			s.info.ReplyCode = 0
			if err != nil {
				s.broken("sending", err)
				return false
			}
		}
		s.info.ReplyCode = 0
		r, err := s.read(s.timeout())
		if err != nil {
			s.broken("awaiting the reply", err)
			return false
		}
		s.info.ReplyCode = r.code
		s.recordReply(r)
		s.state = steps[s.state].replied(s, r)
		if s.state == StateError {
			return false
		}
	}
	return true
}

// timeout is how long the reply of the state is awaited.
func (s *session) timeout() nx.Wait {
	switch s.state {
	case StateGreeting:
		return s.config.GreetingTimeout
	case StateMessage:
		return s.config.MessageTimeout
	case StateQuit:
		return s.config.QuitTimeout
	}
	return s.config.EnvelopeTimeout
}

// refuse notes that the server did not do what the state wants, and answers
// the next state. A server that closes gets no QUIT (RFC 5321 3.8).
func (s *session) refuse(r reply, reason string) State {
	s.outcome = s.refusal(r, reason)
	if r.code == 421 && !s.as(ClosingIgnored) {
		return StateCompletedNormally
	}
	return StateQuit
}

// refusal is the error of a reply that the state cannot go on with.
func (s *session) refusal(r reply, reason string) error {
	command, status := refusals[s.state].command, refusals[s.state].status
	if command == "AUTH" {
		command += " " + s.info.AuthType.String()
	}
	if r.status != 0 {
		status = r.status
	}
	switch {
	case r.flaw != "":
		reason = r.flaw
	case reason == "" && r.code < 400:
		reason = "not the reply that was awaited"
	}
	text := s.secrets.blot(r.text())
	return s.end(status, &ReplyError{
		Status: status, Command: command, Code: r.code,
		Enhanced: enhanced(text), Text: text, Reason: reason,
	})
}

// end notes the status of a mail that will not be sent, and answers the error.
func (s *session) end(status Status, cause error) error {
	s.info.MailStatus = status
	return fail(mailSend, status, cause)
}

// giveUp ends the session in good order for a reason of the client's own.
func (s *session) giveUp(status Status, cause error) State {
	s.outcome = s.end(status, &PhaseError{Phase: s.state, Doing: "giving up", Err: cause})
	return StateQuit
}

// broken makes the outcome of a session that cannot go on: a time-out, a lost
// connection, an empty pool. What happens in QUIT does not count.
func (s *session) broken(doing string, err error) {
	var said *ReplyError
	switch {
	case s.state == StateQuit && !s.as(QuitOverridesOutcome):
		return
	case errors.As(err, &said): // early found it
		s.outcome = err
		return
	case s.ctx.Err() != nil:
		s.outcome = fail(mailSend, nx.WaitAborted, s.phaseError(doing, context.Cause(s.ctx)))
		return
	}
	if doing == "sending" && !s.as(LastWordsLost) {
		if r, ok := s.unasked(); ok && r.code >= 400 {
			s.outcome = s.refusal(r, "")
			return
		}
	}
	s.outcome = fail(mailSend, statusOf(err), s.phaseError(doing, err))
}

func (s *session) phaseError(doing string, err error) error {
	return &PhaseError{Phase: s.state, Doing: doing, Err: err, Undecided: s.ended && s.state == StateMessage}
}

// early answers an error when the server has said something that it was not
// asked: that is no reply to what is sent next.
func (s *session) early() error {
	if s.as(EarlyReplyTaken) || s.state == StateQuit {
		return nil
	}
	r, ok := s.unasked()
	switch {
	case !ok:
		return nil
	case r.code >= 400:
		return s.refusal(r, "")
	}
	return s.refusal(r, "sent before the command")
}

// unasked answers what has arrived and was not read as a reply.
func (s *session) unasked() (reply, bool) {
	if s.as(PacketIsReply) {
		r, err := s.readPacket(nx.NoWait)
		return r, err == nil
	}
	for {
		if r, ok := s.reader.next(); ok {
			return r, true
		}
		if _, err := s.receive(nx.NoWait); err != nil {
			break
		}
	}
	if !s.reader.pending() {
		return reply{}, false
	}
	return reply{raw: s.reader.buf, flaw: "no complete reply"}, true
}

// read reads the reply to the command of the state. The wait is for all of it,
// in however many packets it comes.
func (s *session) read(wait nx.Wait) (reply, error) {
	if s.as(PacketIsReply) {
		return s.readPacket(wait)
	}
	deadline := s.clock.Now() + wait.Duration()
	for {
		if r, ok := s.reader.next(); ok {
			return r, nil
		}
		if wait != nx.WaitForever && !s.as(TimeoutRestarts) {
			wait = nx.Ticks(deadline - s.clock.Now())
		}
		chained, err := s.receive(wait)
		if errors.Is(err, nx.NoPacket) && s.clock.Now() < deadline && !s.as(TimeoutRestarts) {
			// Bytes are there, and no packet of the instance's pool is free for
			// them at this moment.
			nx.NewSuspension(s.clock).Await(1)
			continue
		}
		if err != nil {
			return reply{}, err
		}
		if chained && s.as(ChainedReplyRefused) {
			return reply{flaw: "a chained packet", broken: true}, nil
		}
	}
}

// readPacket reads one packet as one reply.
func (s *session) readPacket(wait nx.Wait) (reply, error) {
	s.reader.reset()
	chained, err := s.receive(wait)
	if err != nil {
		return reply{}, err
	}
	if chained && s.as(ChainedReplyRefused) {
		// The release releases the packet before once more.
		_ = packetpool.Release(s.before)
		return reply{flaw: "a chained packet", broken: true}, nil
	}
	r, mute := packetReply(s.reader.buf, s.config.as, s.mute)
	s.mute, s.before = mute, s.last
	if r.broken {
		s.before = packetpool.Packet{}
	}
	return r, nil
}

// receive takes the bytes of the next packet into the reader and releases it.
func (s *session) receive(wait nx.Wait) (chained bool, err error) {
	packet, err := s.t.receive(wait)
	if err != nil {
		return false, err
	}
	pieces := 0
	for piece := range packetpool.Pieces(packet) {
		s.reader.feed(piece)
		pieces++
	}
	s.last = packet
	return pieces > 1, packetpool.Release(packet)
}
