// Package mailserver is a mail server for demonstrations and tests:
// emersion/go-smtp on any listener, with AUTH PLAIN and LOGIN, keeping each
// message byte for byte as it came.
//
//	server := mailserver.Start(listener, mailserver.Config{Users: map[string]string{"user": "secret"}})
//	defer server.Close()
//	…
//	mail := server.Mails()[0]
//
// It takes any address, needs no authentication but demands the right password
// from whoever tries, and writes nothing to disk or terminal.
package mailserver

import (
	"io"
	"log"
	"net"
	"slices"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Config describes a server. The zero Config takes any mail and knows no users.
type Config struct {
	Domain   string            // in the greeting; empty: "localhost"
	Users    map[string]string // passwords by user name; empty: no AUTH is offered
	MaxBytes int64             // of a message; zero: no limit

	// Mechanisms are offered in this order. Nil: PLAIN and LOGIN.
	Mechanisms []string

	// Refuse, when not nil, may refuse a recipient: it answers the error, best
	// an *smtp.SMTPError of go-smtp.
	Refuse func(recipient string) error

	// Taken, when not nil, is called with each message that the server has
	// taken, in the goroutine of its connection, before the client is told.
	Taken func(Mail)
}

// Mail is a message that the server has taken.
type Mail struct {
	From, To  string
	Mechanism string // of the authentication; empty: there was none
	User      string
	Data      []byte // header and body as on the wire, without stuffed dots and end mark
}

// Server serves one listener until Close.
type Server struct {
	config Config
	server *smtp.Server
	served chan struct{} // closed when Serve has ended

	mu    sync.Mutex // guards the fields below
	mails []Mail
}

// Start serves the listener, in a goroutine that ends with Close.
func Start(l net.Listener, config Config) *Server {
	if config.Domain == "" {
		config.Domain = "localhost"
	}
	if config.Mechanisms == nil {
		config.Mechanisms = []string{sasl.Plain, sasl.Login}
	}
	s := &Server{config: config, served: make(chan struct{})}
	s.server = smtp.NewServer(smtp.BackendFunc(s.session))
	s.server.Domain = config.Domain
	s.server.AllowInsecureAuth = true // the wire is inside this machine
	s.server.EnableSMTPUTF8 = true
	s.server.MaxMessageBytes = config.MaxBytes
	s.server.ErrorLog = log.New(io.Discard, "", 0) // a client that goes away is what some tests are about
	go s.serve(l)
	return s
}

func (s *Server) serve(l net.Listener) {
	defer close(s.served)
	_ = s.server.Serve(l) // ends with the listener
}

// Mails are the messages taken so far, in order.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Close ends the listener and all connections.
func (s *Server) Close() error {
	err := s.server.Close()
	<-s.served
	return err
}

func (s *Server) session(*smtp.Conn) (smtp.Session, error) {
	if len(s.config.Users) == 0 {
		return &session{server: s}, nil
	}
	return &authSession{session{server: s}}, nil
}

func (s *Server) store(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
}

// session is a connection without AUTH. It implements smtp.Session.
type session struct {
	server *Server
	mail   Mail
}

func (c *session) Mail(from string, _ *smtp.MailOptions) error {
	c.mail.From = from
	return nil
}

func (c *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if refuse := c.server.config.Refuse; refuse != nil {
		if err := refuse(to); err != nil {
			return err
		}
	}
	c.mail.To = to
	return nil
}

func (c *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := c.mail
	m.Data = data
	c.server.store(m)
	if taken := c.server.config.Taken; taken != nil {
		taken(m)
	}
	return nil
}

func (c *session) Reset()        { c.mail.From, c.mail.To = "", "" }
func (c *session) Logout() error { return nil }

// authSession is a connection that may authenticate. It implements
// smtp.AuthSession.
type authSession struct{ session }

func (c *authSession) AuthMechanisms() []string { return c.server.config.Mechanisms }

func (c *authSession) Auth(mechanism string) (sasl.Server, error) {
	if !slices.Contains(c.server.config.Mechanisms, mechanism) {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(identity, user, password string) error {
			if identity != "" && identity != user {
				return smtp.ErrAuthFailed
			}
			return c.authenticate(mechanism, user, password)
		}), nil
	case sasl.Login:
		return &loginServer{authenticate: func(user, password string) error {
			return c.authenticate(mechanism, user, password)
		}}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (c *authSession) authenticate(mechanism, user, password string) error {
	if want, known := c.server.config.Users[user]; !known || want != password {
		return smtp.ErrAuthFailed
	}
	c.mail.Mechanism, c.mail.User = mechanism, user
	return nil
}
