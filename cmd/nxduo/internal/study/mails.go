package study

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"gonetx/netns-tests/mailserver"
	"gonetx/smtp"
)

// What the mails of a study say, as in NetX Duo's guide.
const (
	username  = "myusername"
	password  = "mypassword"
	sender    = "my@mycompany.com"
	recipient = "your@yourcompany.com"
	domain    = "mycompany.com"
)

// text is a body of at least so many bytes, with lines that begin with a dot.
func text(bytes int64) []byte {
	const line = "Text that does not fit one packet goes out in further ones.\r\n.a line that begins with a dot.\r\n"
	return []byte(strings.Repeat(line, int(bytes/int64(len(line)))+1))
}

// mails sends mails one after the other, with AUTH PLAIN. The server must have
// kept every byte.
func mails(j *job) (err error) {
	l, err := j.listen(smtp.DefaultPort)
	if err != nil {
		return fmt.Errorf("the mail server: %w", err)
	}
	server := mailserver.Start(l, mailserver.Config{Users: map[string]string{username: password}})
	defer func() { _ = server.Close() }()
	client := &smtp.Client{}
	if err := smtp.ClientCreate(client, &j.inst, &j.pool, username, password, sender, domain, smtp.AuthPlain, j.ends.peer.Addr(), smtp.DefaultPort); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, smtp.ClientDelete(client)) }()
	body := text(j.bytes)
	for i := range j.times {
		if err := smtp.MailSendContext(j.ctx, client, recipient, smtp.PriorityNormal, "Study", body); err != nil {
			return fmt.Errorf("mail %d: %w", i+1, err)
		}
		j.moved.Add(int64(len(body)))
		j.note("mail %d of %d is taken", i+1, j.times)
	}
	kept := server.Mails()
	if len(kept) != j.times {
		return fmt.Errorf("the server has %d mails of %d", len(kept), j.times)
	}
	for i, m := range kept {
		if _, got, _ := bytes.Cut(m.Data, []byte("\r\n\r\n")); !bytes.Equal(got, body) {
			return fmt.Errorf("mail %d: %w", i+1, errWrong)
		}
	}
	return nil
}
