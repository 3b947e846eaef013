package smtp

import (
	"strings"
	"time"

	"gonetx/packetpool/nx"
)

// What a session tells the recorder: each command, each line of a reply, the
// message as its size, and warnings. Credentials are taken out here.

func (s *session) recordCommand(text string, bytes int) {
	if s.recorder != nil {
		s.recorder.Record(nx.DialogueEvent{
			Client: s.name, Direction: nx.Sent, Phase: s.state.String(), Text: printable(text), Bytes: bytes,
		})
	}
}

// recordMessage tells that the mail is out; its text is not shown.
func (s *session) recordMessage(bytes int) { s.recordCommand("", bytes) }

func (s *session) recordReply(r reply) {
	if s.recorder == nil {
		return
	}
	for i, line := range strings.Split(s.secrets.blot(r.text()), "\n") {
		event := nx.DialogueEvent{
			Client: s.name, Direction: nx.Received, Phase: s.state.String(), Text: printable(line), Code: int(r.code),
		}
		if i == 0 {
			event.Bytes = len(r.raw)
		}
		s.recorder.Record(event)
	}
}

// recordCall tells how a service of the client has ended, and how long it took.
func (c *Client) recordCall(service string, took time.Duration, bytes int, err error) {
	if c.recorder == nil {
		return
	}
	var status nx.Coder = nx.Success
	if err != nil {
		status = statusOf(err)
	}
	name, _, _ := strings.Cut(status.Error(), " ")
	c.recorder.Record(nx.CallEvent{Service: service, Object: c.name, Took: took, Status: name, Bytes: bytes})
}

func (s *session) warn(text string) {
	if s.recorder != nil {
		s.recorder.Record(nx.WarningEvent{Where: "smtp", Text: text})
	}
}

// warnOpenPassword tells that the password will cross the network for all to
// read.
func (s *session) warnOpenPassword() {
	if !s.info.Secured && !s.as(ClearPasswordUnmentioned) {
		s.warn("the password of " + s.name + " crosses an unprotected connection (RFC 4954 14); see Config.TLS")
	}
}
