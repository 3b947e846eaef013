package parity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"
)

// The identity of the mails.
const (
	mailUser     = "myusername"
	mailPassword = "mypassword"
	mailFrom     = "my@mycompany.com"
	mailTo       = "your@yourcompany.com"
)

// mailConduct is how a mail server behaves.
type mailConduct struct {
	deed     string // "": it behaves; refuse, silent, close, reset, bare
	phase    string // where
	code     uint   // of a refusal; 0: 550, or 4.. where that is usual
	password string // of the client; "": the right one
}

// mail sends a mail.
func (h *stackHost) mail(a *Action, u units) Outcome {
	auth := map[string]smtp.AuthType{"": smtp.AuthNone, "none": smtp.AuthNone, "plain": smtp.AuthPlain, "login": smtp.AuthLogin, "cram-md5": smtp.AuthCRAMMD5}[a.Auth]
	client := &smtp.Client{Config: &smtp.Config{
		GreetingTimeout: nx.Ticks(a.Wait), EnvelopeTimeout: nx.Ticks(a.Wait), MessageTimeout: nx.Ticks(a.Wait), SendTimeout: nx.Ticks(a.Wait),
		QuitTimeout: nx.Ticks(a.Wait), DisconnectTimeout: nx.Ticks(a.Wait),
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}}
	password := mailPassword
	if a.Mail.password != "" {
		password = a.Mail.password
	}
	err := smtp.ClientCreate(client, &h.inst, &h.sendPool, mailUser, password, mailFrom, "mycompany.com", auth, h.way.peer, smtp.DefaultPort)
	if err != nil {
		return failed(err)
	}
	err = smtp.MailSend(client, mailTo, smtp.PriorityNormal, "Parity", mailBody(a.Size.bytes(u)))
	o := failed(err)
	if info, infoErr := smtp.ClientInfoGet(client); infoErr == nil {
		o.Detail = strings.TrimPrefix(fmt.Sprintf("%s; last reply %d, %v %v", o.Detail, info.ReplyCode, info.AuthType, info.AuthState), "; ")
	}
	if err := smtp.ClientDelete(client); err != nil {
		return failed(err)
	}
	return o
}

// mailBody is a text of n bytes, with what a mail may go wrong with.
func mailBody(n int) []byte {
	const verse = "A line of text.\r\n.\r\n..and one with dots\r\n"
	return []byte(strings.Repeat(verse, n/len(verse)+1)[:n])
}

// mailServer is a session of a server.
type mailServer struct {
	line    line
	conduct mailConduct
	offer   string
	wait    time.Duration
	unread  string
	taken   int // bytes of the message
	by      string
}

// errEnded ends a session on purpose.
var errEnded = errors.New("the server ends the session")

// serveMail takes one connection and serves it.
func serveMail(a *Action, accept func() (line, error)) Outcome {
	l, err := accept()
	if err != nil {
		return failed(err)
	}
	s := &mailServer{line: l, conduct: a.Mail, offer: strings.ToUpper(strings.ReplaceAll(a.Auth, ",", " ")), wait: a.Wait}
	err = s.serve()
	if !errors.Is(err, errEnded) {
		l.end(afterOther)
	}
	if err != nil && !errors.Is(err, errEnded) {
		o := failed(err)
		if o.Word != "closed" && o.Word != "reset" {
			return o
		}
	}
	if s.taken == 0 {
		return done("no mail")
	}
	return done("a mail, %s", or(s.by, "no authentication"))
}

// serve goes through a session. An error is the end of the connection.
func (s *mailServer) serve() error {
	if err := s.say("greeting", "220 server ready"); err != nil {
		return err
	}
	for {
		command, err := s.readLine()
		if err != nil {
			return err
		}
		word, rest, _ := strings.Cut(command, " ")
		switch strings.ToUpper(word) {
		case "EHLO":
			err = s.say("ehlo", s.offers())
		case "HELO":
			err = s.say("helo", "250 server")
		case "AUTH":
			err = s.authenticate(rest)
		case "MAIL":
			err = s.say("mail", "250 sender ok")
		case "RCPT":
			err = s.say("rcpt", "250 recipient ok")
		case "DATA":
			err = s.message()
		case "QUIT":
			if err := s.say("quit", "221 bye"); err != nil {
				return err
			}
			return nil
		default:
			err = s.write("502 what?")
		}
		if err != nil {
			return err
		}
	}
}

func (s *mailServer) offers() string {
	if s.offer == "" || s.offer == "NONE" {
		return "250-server\r\n250 8BITMIME"
	}
	return "250-server\r\n250-8BITMIME\r\n250 AUTH " + s.offer
}

// say answers in a phase, as the conduct has it.
func (s *mailServer) say(phase, reply string) error {
	if s.conduct.phase != phase {
		return s.write(reply)
	}
	switch s.conduct.deed {
	case "refuse":
		code := s.conduct.code
		if code == 0 {
			code = 550
		}
		return s.write(fmt.Sprintf("%d no", code))
	case "silent":
		for { // until the client goes away
			if _, err := s.line.read(s.wait); err != nil {
				return err
			}
		}
	case "close", "reset":
		how := first
		if s.conduct.deed == "reset" {
			how = withReset
		}
		s.line.end(how)
		return errEnded
	case "bare":
		return s.write(reply[:3])
	}
	return s.write(reply)
}

func (s *mailServer) authenticate(rest string) error {
	kind, initial, _ := strings.Cut(rest, " ")
	switch strings.ToUpper(kind) {
	case "PLAIN":
		if initial == "" {
			if err := s.say("auth", "334 "); err != nil {
				return err
			}
			var err error
			if initial, err = s.readLine(); err != nil {
				return err
			}
		} else if s.conduct.phase == "auth" {
			return s.say("auth", "")
		}
		b, _ := base64.StdEncoding.DecodeString(initial)
		return s.admit("PLAIN", strings.HasSuffix(string(b), "\x00"+mailUser+"\x00"+mailPassword))
	case "LOGIN":
		if err := s.say("auth", "334 VXNlcm5hbWU6"); err != nil || s.conduct.phase == "auth" && s.conduct.deed == "refuse" {
			return err
		}
		user, err := s.readLine()
		if err != nil {
			return err
		}
		if err = s.write("334 UGFzc3dvcmQ6"); err != nil {
			return err
		}
		password, err := s.readLine()
		if err != nil {
			return err
		}
		u, _ := base64.StdEncoding.DecodeString(user)
		p, _ := base64.StdEncoding.DecodeString(password)
		return s.admit("LOGIN", string(u) == mailUser && string(p) == mailPassword)
	}
	return s.write("504 unknown")
}

func (s *mailServer) admit(by string, ok bool) error {
	if !ok {
		return s.write("535 5.7.8 no")
	}
	s.by = by
	return s.say("password", "235 2.7.0 yes")
}

// message reads the mail.
func (s *mailServer) message() error {
	if err := s.say("data", "354 go ahead"); err != nil || s.conduct.phase == "data" && s.conduct.deed == "refuse" {
		return err
	}
	for {
		text, err := s.readLine()
		if err != nil {
			return err
		}
		if text == "." {
			break
		}
		s.taken += len(text) + 2
	}
	if s.conduct.phase == "message" && s.conduct.deed == "refuse" {
		s.taken = 0
	}
	return s.say("message", "250 2.0.0 taken")
}

func (s *mailServer) readLine() (string, error) {
	for {
		if text, rest, ok := strings.Cut(s.unread, "\r\n"); ok {
			s.unread = rest
			return text, nil
		}
		b, err := s.line.read(s.wait)
		if err != nil {
			return "", err
		}
		s.unread += string(b)
		if len(s.unread) > maxBytes {
			return "", errors.New("a line without an end")
		}
	}
}

func (s *mailServer) write(reply string) error {
	return s.line.write([]byte(reply+"\r\n"), s.wait)
}

// stackLine is a line over a socket.
type stackLine struct {
	host   *stackHost
	socket *socket
}

func (l *stackLine) read(wait time.Duration) ([]byte, error) {
	return l.host.next(l.socket, nx.Ticks(wait))
}

func (l *stackLine) write(b []byte, wait time.Duration) error {
	_, err := l.host.message(l.socket, b, nx.Ticks(wait))
	return err
}

func (l *stackLine) end(how ending) {
	wait := nx.Ticks(5 * time.Second)
	if how == withReset {
		wait = nx.NoWait
	}
	for err := error(nil); how == afterOther && err == nil; {
		_, err = l.host.next(l.socket, wait)
	}
	_ = tcp.SocketDisconnect(&l.socket.Socket, wait) // the client may have gone first
}
