package smtp

import (
	"context"
	"errors"

	"gonetx/packetpool/nx"
)

// MailSend sends one mail to one recipient in a session of its own
// (nx_smtp_mail_send): it connects, authenticates as the client was created
// for and the server offers, hands over the mail, and closes the connection,
// whatever happened. It answers nil exactly when the server has taken the mail.
// The caller keeps mailBody; it is not changed.
//
// A second caller on one client waits until the first mail is through.
// mailBody is text, its lines ended by CRLF, CR or LF. Any bytes are taken; the
// ledger says how they are made fit to travel. A priority other than LOW and
// HIGH is NORMAL.
//
// Errors, in the order in which they are checked: NX_PTR_ERROR (client or
// mailBody nil); NX_SMTP_INVALID_PARAM (mailBody empty);
// NX_SMTP_CLIENT_NOT_INTIALIZED (client not created); NX_CALLER_ERROR (in a
// callback of the instance, where nothing can be waited for); NX_SMTP_INVALID_PARAM
// (CR, LF or NUL in the recipient) and NX_SIZE_ERROR (over 499 bytes); the
// same for the subject (over 512); NX_SMTP_INVALID_PARAM (no recipient);
// NX_SMTP_AUTHENTICATION_ERROR (no credentials). Then those of tcp's bind and
// connect, of a session that broke (a [PhaseError] inside says where), and the
// server's refusals NX_SMTP_GREET_REPLY_ERROR to NX_SMTP_AUTH_REPLY_ERROR (a
// [ReplyError] inside has its words).
func MailSend(client *Client, recipientAddress string, priority Priority, subject string, mailBody []byte) error {
	return MailSendContext(context.Background(), client, recipientAddress, priority, subject, mailBody)
}

// MailSendContext is [MailSend] that ends early, with NX_WAIT_ABORTED and the
// context's error inside, when ctx does. A mail that the server has taken by
// then is sent all the same. It is an addition to NetX Duo.
func MailSendContext(ctx context.Context, client *Client, recipientAddress string, priority Priority, subject string, mailBody []byte) error {
	if client == nil || mailBody == nil || ctx == nil {
		return nx.Fail(mailSend, nx.PtrError, nil)
	}
	if len(mailBody) == 0 {
		return fail(mailSend, InvalidParam, errors.New("smtp: empty body"))
	}
	inst, clock, ok := client.live()
	if !ok {
		return fail(mailSend, ClientNotInitialized, nil)
	}
	if inst != nil && inst.InCallback() {
		return nx.Fail(mailSend, nx.CallerError, nil)
	}
	if err := client.turn.take(ctx, clock); err != nil {
		return fail(mailSend, nx.WaitAborted, err)
	}
	defer client.turn.give()
	if _, _, ok := client.live(); !ok { // deleted while this one waited
		return fail(mailSend, ClientNotInitialized, nil)
	}
	m, err := client.newMail(recipientAddress, priority, subject, mailBody)
	if err != nil {
		return serviceError(mailSend, err)
	}
	began := clock.Now()
	err = client.send(ctx, m)
	client.recordCall(mailSend, clock.Now()-began, len(mailBody), err)
	return err
}

// send is the core of MailSend: one session.
func (c *Client) send(ctx context.Context, m message) error {
	s := &session{Client: c, ctx: ctx, t: c.t, mail: m, state: StateGreeting}
	if username, password := c.credentials(); password != "" {
		s.secrets = newSecrets(username, password, c.config.as)
	}
	c.reader.reset()
	c.info.ReplyCode, c.info.MailStatus, c.info.Mute = 0, 0, false
	c.info.AuthType, c.info.AuthState, c.info.Secured = c.authType, NotAuthenticated, false
	defer func() {
		c.info.CommandState, c.info.ReplyState = StateIdle, StateIdle
		c.info.Mute = s.mute
		c.publish()
	}()
	c.publish()

	stop := s.watch()
	defer stop()
	if err := s.t.connect(ctx, c.info.Server, c.config.ConnectionTimeout); err != nil {
		s.broken("connecting", err)
		return s.outcome
	}
	if s.begin() && s.run() {
		s.t.disconnect(c.config.DisconnectTimeout)
	} else {
		s.t.disconnect(nx.NoWait)
	}
	return s.outcome
}

// begin protects a connection that is to be so from its first byte.
func (s *session) begin() bool {
	if s.config.TLS != ImplicitTLS {
		return true
	}
	if err := s.handshake(); err != nil {
		s.broken("TLS handshake", err)
		return false
	}
	return true
}

// watch aborts the connection when the context ends. The answer ends the
// watching; after it nothing is aborted any more.
func (s *session) watch() (stop func()) {
	if s.ctx.Done() == nil {
		return func() {}
	}
	done := make(chan struct{})
	cancel := context.AfterFunc(s.ctx, func() {
		defer close(done)
		s.t.abort()
	})
	return func() {
		if !cancel() {
			<-done
		}
	}
}
