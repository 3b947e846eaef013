package mailserver

import (
	"errors"
	"net"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial starts a server and connects go-smtp's own client to it.
func dial(t *testing.T, config Config) (*Server, *smtp.Client) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := Start(l, config)
	t.Cleanup(func() { _ = s.Close() })
	c, err := smtp.Dial(l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return s, c
}

func send(t *testing.T, c *smtp.Client, to, data string) error {
	t.Helper()
	require.NoError(t, c.Mail("my@mycompany.com", nil))
	if err := c.Rcpt(to, nil); err != nil {
		return err
	}
	w, err := c.Data()
	require.NoError(t, err)
	_, err = w.Write([]byte(data))
	require.NoError(t, err)
	return w.Close()
}

func TestMessageIsKeptByteForByte(t *testing.T) {
	told := make(chan Mail, 2)
	s, c := dial(t, Config{Taken: func(m Mail) { told <- m }})
	const data = "Subject: x\r\n\r\n.\r\n..two\r\n\r\n \xff\x00 end\r\n"
	require.NoError(t, send(t, c, "your@yourcompany.com", data))
	require.NoError(t, send(t, c, "other@yourcompany.com", "\r\nsecond\r\n"))
	require.NoError(t, c.Quit())

	mails := s.Mails()
	require.Len(t, mails, 2)
	assert.Equal(t, Mail{From: "my@mycompany.com", To: "your@yourcompany.com", Data: []byte(data)}, mails[0])
	assert.Equal(t, "\r\nsecond\r\n", string(mails[1].Data))
	for _, m := range mails {
		assert.Equal(t, m, <-told)
	}
}

func TestAuthentication(t *testing.T) {
	users := map[string]string{"user": "secret"}
	for _, c := range []struct {
		name      string
		config    Config
		client    sasl.Client
		mechanism string // empty: refused
	}{
		{"PLAIN", Config{Users: users}, sasl.NewPlainClient("", "user", "secret"), "PLAIN"},
		{"PLAIN with its own identity", Config{Users: users}, sasl.NewPlainClient("user", "user", "secret"), "PLAIN"},
		{"PLAIN for another", Config{Users: users}, sasl.NewPlainClient("root", "user", "secret"), ""},
		{"PLAIN, wrong password", Config{Users: users}, sasl.NewPlainClient("", "user", "Secret"), ""},
		{"LOGIN", Config{Users: users}, sasl.NewLoginClient("user", "secret"), "LOGIN"},
		{"LOGIN, prompted for both", Config{Users: users}, prompted{"user", "secret"}, "LOGIN"},
		{"LOGIN, unknown user", Config{Users: users}, sasl.NewLoginClient("nobody", "secret"), ""},
		{"LOGIN, no password", Config{Users: users}, prompted{"user", ""}, ""},
		{"LOGIN where only PLAIN is offered", Config{Users: users, Mechanisms: []string{"PLAIN"}}, sasl.NewLoginClient("user", "secret"), ""},
		{"no users", Config{}, sasl.NewPlainClient("", "user", "secret"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, client := dial(t, c.config)
			require.NoError(t, client.Hello("mycompany.com"))
			err := client.Auth(c.client)
			if c.mechanism == "" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.NoError(t, send(t, client, "your@yourcompany.com", "\r\n"))
			require.Equal(t, c.mechanism, s.Mails()[0].Mechanism)
			require.Equal(t, "user", s.Mails()[0].User)
		})
	}
}

// prompted is a LOGIN client that gives nothing before it is asked, as NetX
// Duo's.
type prompted struct{ user, password string }

func (p prompted) Start() (string, []byte, error) { return sasl.Login, nil, nil }

func (p prompted) Next(challenge []byte) ([]byte, error) {
	switch string(challenge) {
	case "Username:":
		return []byte(p.user), nil
	case "Password:":
		return []byte(p.password), nil
	}
	return nil, errors.New("what is " + string(challenge) + "?")
}

func TestOfferFollowsTheConfiguration(t *testing.T) {
	_, c := dial(t, Config{Users: map[string]string{"u": "p"}, Mechanisms: []string{"LOGIN"}})
	ok, mechanisms := c.Extension("AUTH")
	assert.True(t, ok)
	assert.Equal(t, "LOGIN", mechanisms)
	_, c = dial(t, Config{})
	ok, _ = c.Extension("AUTH")
	assert.False(t, ok)
}

func TestRefusals(t *testing.T) {
	s, c := dial(t, Config{MaxBytes: 100, Refuse: func(to string) error {
		if to == "nobody@yourcompany.com" {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
		}
		return nil
	}})
	var said *smtp.SMTPError
	require.ErrorAs(t, send(t, c, "nobody@yourcompany.com", "\r\n"), &said)
	assert.Equal(t, "no such user", said.Message)
	require.NoError(t, c.Reset())
	require.ErrorAs(t, send(t, c, "your@yourcompany.com", string(make([]byte, 101))), &said)
	assert.Equal(t, 552, said.Code)
	assert.Empty(t, s.Mails())
}
