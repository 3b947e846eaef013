package interop

import (
	"encoding/base64"
	"math/rand/v2"
	"mime"
	"net/netip"
	"strings"
	"testing"

	"gonetx/packetpool/nx"
	"gonetx/smtp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// authenticated is a letter with the user that the servers know.
func authenticated(auth smtp.AuthType) letter {
	return letter{user: saslUser + "@" + saslDomain, password: saslWord, auth: auth, to: "member@example.test"}
}

func (l letter) with(change func(*letter)) letter {
	change(&l)
	return l
}

// lines is a text of so many bytes, more or less, that nothing can be lost from
// without being missed.
func lines(bytes int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < bytes {
		line := make([]byte, random.IntN(78))
		for i := range line {
			line[i] = "abcdefghijklmnopqrstuvwxyz. "[random.IntN(28)]
		}
		b.Write(line)
		b.WriteString("\r\n")
	}
	return b.String()
}

func TestPostfix(t *testing.T) {
	w := newWorld(t)
	cert, other := newCertificate(t, "postfix.example.test"), newCertificate(t, "other.example.test")
	startPostfix(t, w, cert)
	protected := smtp.Config{TLS: smtp.StartTLS, RequireTLS: true, RootCAs: cert.roots, ServerName: "postfix.example.test"}

	taken := map[string]struct {
		letter
		encoding string
		check    func(t *testing.T, info smtp.ClientInfo, r receipt)
	}{
		"none": {letter{}, "7bit", func(t *testing.T, info smtp.ClientInfo, r receipt) {
			assert.Equal(t, "sender@client.example.test", r.From)
			assert.Equal(t, "user@example.test", r.To)
			assert.NotContains(t, r.header.Get("Received"), "Authenticated")
			assert.Equal(t, smtp.AuthNone, info.AuthType)
			assert.Equal(t, smtp.NotAuthenticated, info.AuthState)
			_, err := r.header.Date()
			assert.NoError(t, err)
			assert.Regexp(t, `^<[A-Z2-7]+@client\.example\.test>$`, r.header.Get("Message-ID"))
		}},
		"PLAIN":  {authenticated(smtp.AuthPlain), "7bit", isAuthenticated(smtp.AuthPlain)},
		"LOGIN":  {authenticated(smtp.AuthLogin), "7bit", isAuthenticated(smtp.AuthLogin)},
		"switch": {authenticated(smtp.AuthNone), "7bit", isAuthenticated(smtp.AuthPlain)},
		"without AUTH on offer": {authenticated(smtp.AuthNone).with(func(l *letter) { l.port, l.to = poorPort, "" }), "7bit",
			func(t *testing.T, info smtp.ClientInfo, r receipt) { assert.Equal(t, smtp.AuthNone, info.AuthType) }},
		"a subject of many words": {letter{subject: "Grüße aus Köln, " + strings.Repeat("und noch ein Wort ", 20)}, "7bit",
			func(t *testing.T, _ smtp.ClientInfo, r receipt) {
				subject, err := new(mime.WordDecoder).DecodeHeader(r.header.Get("Subject"))
				require.NoError(t, err)
				assert.Equal(t, "Grüße aus Köln, "+strings.TrimRight(strings.Repeat("und noch ein Wort ", 20), " "), strings.TrimRight(subject, " "))
			}},
		"dots":                {letter{body: ".\r\n..\r\n.dot\r\n\r\n.\r\nQUIT\r\n"}, "7bit", nil},
		"bare line ends":      {letter{body: "a\n.\nb\r.\rc\n.\r\nd\r\n.\n"}, "7bit", nil},
		"smuggled":            {letter{body: "a\n.\r\nMAIL FROM:<x@y>\r\nRCPT TO:<z@example.test>\r\nDATA\r\nb\r\n\r.\r\n"}, "7bit", nil},
		"no line end":         {letter{body: "no line end"}, "7bit", nil},
		"empty lines":         {letter{body: "\r\n\r\n"}, "7bit", nil},
		"8 bit":               {letter{body: "Grüße, 世界\r\n\xff\xfe\r\n"}, "8bit", nil},
		"8 bit, not on offer": {letter{body: "Grüße, 世界\r\n.\r\n", port: poorPort}, "quoted-printable", nil},
		"NUL":                 {letter{body: "a\x00b\r\n"}, "quoted-printable", nil},
		"long lines":          {letter{body: strings.Repeat("x", 5000) + "\r\n." + strings.Repeat("y", 998) + "\r\n"}, "quoted-printable", nil},
		"998 bytes":           {letter{body: strings.Repeat("x", 998) + "\r\n"}, "7bit", nil},
		"1 MB":                {letter{body: lines(1 << 20)}, "7bit", nil},
		"SMTPUTF8": {letter{from: "grüße@client.example.test"}, "7bit", func(t *testing.T, _ smtp.ClientInfo, r receipt) {
			assert.Equal(t, "grüße@client.example.test", r.From)
		}},
		"an underscore in EHLO": {letter{domain: "a_b.example.test"}, "7bit", nil},
		"no domain":             {letter{domain: " "}, "7bit", nil},
		"brackets":              {letter{from: "<sender@client.example.test>", to: "<user@example.test>"}, "7bit", nil},
		"STARTTLS":              {authenticated(smtp.AuthPlain).with(func(l *letter) { l.config = protected }), "7bit", isAuthenticated(smtp.AuthPlain)},
		"STARTTLS, 1 MB":        {authenticated(smtp.AuthLogin).with(func(l *letter) { l.config, l.body = protected, lines(1<<20) }), "7bit", isAuthenticated(smtp.AuthLogin)},
		"STARTTLS by address":   {letter{config: smtp.Config{TLS: smtp.StartTLS, RootCAs: cert.roots}, port: encryptedPort}, "7bit", isSecured},
		"implicit TLS":          {letter{config: smtp.Config{TLS: smtp.ImplicitTLS, RootCAs: cert.roots}, port: implicitPort}, "7bit", isSecured},
		"release":               {authenticated(smtp.AuthPlain).with(func(l *letter) { l.config.Release = true }), "8bit", isAuthenticated(smtp.AuthPlain)},
		"release, LOGIN":        {authenticated(smtp.AuthLogin).with(func(l *letter) { l.config.Release = true }), "8bit", isAuthenticated(smtp.AuthLogin)},
	}
	refused := map[string]struct {
		letter
		status    smtp.Status
		command   string
		code      uint
		enhanced  string
		text      string
		temporary bool
	}{
		"bad password, PLAIN": {authenticated(smtp.AuthPlain).with(func(l *letter) { l.password = "Sesame,open2" }), smtp.AuthReplyError, "AUTH PLAIN", 535, "5.7.8", "authentication failed", false},
		"bad password, LOGIN": {authenticated(smtp.AuthLogin).with(func(l *letter) { l.password = "Sesame,open2" }), smtp.AuthReplyError, "AUTH LOGIN", 535, "5.7.8", "authentication failed", false},
		"no database":         {authenticated(smtp.AuthPlain).with(func(l *letter) { l.port = brokenPort }), smtp.AuthReplyError, "AUTH PLAIN", 454, "4.7.0", "Temporary authentication failure", true},
		"refused recipient":   {letter{to: "nobody@example.test"}, smtp.RcptReplyError, "RCPT TO", 550, "5.1.1", "there is nobody of that name here", false},
		"put off":             {letter{to: "later@example.test"}, smtp.RcptReplyError, "RCPT TO", 451, "4.7.1", "come back later", true},
		"members only":        {letter{to: "member@example.test"}, smtp.RcptReplyError, "RCPT TO", 554, "5.7.1", "", false},
		"too large":           {letter{body: lines(3 << 20)}, smtp.MessageReplyError, "message", 552, "5.3.4", "", false},
		"TLS wanted by it":    {letter{port: encryptedPort}, smtp.MailReplyError, "MAIL FROM", 530, "5.7.0", "", false},
		"AUTH not on offer":   {authenticated(smtp.AuthPlain).with(func(l *letter) { l.port = poorPort }), smtp.AuthReplyError, "AUTH PLAIN", 503, "5.5.1", "", false},
	}
	broken := map[string]struct {
		letter
		cause error
		phase smtp.State
	}{
		"unknown authority":       {letter{config: smtp.Config{TLS: smtp.StartTLS, RootCAs: other.roots}}, smtp.AuthenticationError, smtp.StateStartTLS},
		"wrong name":              {letter{config: smtp.Config{TLS: smtp.StartTLS, RootCAs: cert.roots, ServerName: "mail.example.test"}}, smtp.AuthenticationError, smtp.StateStartTLS},
		"TLS required":            {authenticated(smtp.AuthNone).with(func(l *letter) { l.port, l.config = poorPort, smtp.Config{RequireTLS: true} }), smtp.ErrTLSRequired, smtp.StateEHLO},
		"SMTPUTF8 wanted":         {letter{from: "grüße@client.example.test", port: poorPort}, smtp.ErrNoSMTPUTF8, smtp.StateEHLO},
		"TLS where there is none": {letter{config: smtp.Config{TLS: smtp.ImplicitTLS, RootCAs: cert.roots}, port: poorPort}, smtp.AuthenticationError, smtp.StateGreeting},
	}

	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			for name, row := range taken {
				t.Run(name, func(t *testing.T) {
					info, err := w.send(t, family.server, row.letter)
					require.NoError(t, err)
					r := w.receive(t)
					assert.Equal(t, row.encoding, r.header.Get("Content-Transfer-Encoding"))
					want := row.body
					if want == "" {
						want = "Hello\r\n"
					}
					if row.config.Release {
						want += "\r\n" // EndMarkAddsLine
					}
					if row.encoding == "quoted-printable" {
						want = strings.ReplaceAll(want, "\r\n.\n", "\r\n.\r\n")
					} else {
						want = wireLines(want)
					}
					require.True(t, want == r.body, "%d bytes sent, %d arrived: %.200q", len(want), len(r.body), r.body)
					if row.check != nil {
						row.check(t, info, r)
					}
				})
			}
			for name, row := range refused {
				t.Run(name, func(t *testing.T) {
					_, err := w.send(t, family.server, row.letter)
					require.ErrorIs(t, err, row.status)
					var said *smtp.ReplyError
					require.ErrorAs(t, err, &said)
					assert.Equal(t, row.command, said.Command)
					assert.Equal(t, row.code, said.Code)
					assert.Equal(t, row.enhanced, said.Enhanced)
					assert.Contains(t, said.Text, row.text)
					assert.Equal(t, row.temporary, said.Temporary(), "%v", said)
					assert.Equal(t, !row.temporary, said.Permanent())
					t.Log(err)
				})
			}
			for name, row := range broken {
				t.Run(name, func(t *testing.T) {
					_, err := w.send(t, family.server, row.letter)
					require.ErrorIs(t, err, row.cause)
					var where *smtp.PhaseError
					require.ErrorAs(t, err, &where)
					assert.Equal(t, row.phase, where.Phase)
					t.Log(err)
				})
			}
			t.Run("postscreen", func(t *testing.T) { testScreen(t, w, family.server) })
			w.nothingElse(t)
		})
	}
	w.secretless(t, saslWord, "Sesame,open2", encode(saslWord), encode("Sesame,open2"), encode(saslUser+"@"+saslDomain),
		encode("\x00"+saslUser+"@"+saslDomain+"\x00"+saslWord), encode("\x00"+saslUser+"@"+saslDomain+"\x00"+"Sesame,open2"))
}

// testScreen meets Postfix's guard, which sends the first line of a greeting
// and throws out whoever speaks before the second one, three seconds later.
func testScreen(t *testing.T, w *world, server netip.Addr) {
	_, err := w.send(t, server, letter{port: screenPort})
	require.NoError(t, err)
	w.receive(t)
	// Half a second less than somebody waits whom it does not know.
	_, err = w.send(t, server, letter{port: screenPort, config: smtp.Config{GreetingTimeout: 5 * nx.TicksPerSecond / 2}})
	require.NoError(t, err, "it is known now")
	w.receive(t)
}

func isAuthenticated(auth smtp.AuthType) func(t *testing.T, info smtp.ClientInfo, r receipt) {
	return func(t *testing.T, info smtp.ClientInfo, r receipt) {
		assert.Equal(t, auth, info.AuthType)
		assert.Equal(t, smtp.AuthenticationSucceeded, info.AuthState)
		assert.Contains(t, r.header.Get("Received"), "Authenticated sender: "+saslUser+"@"+saslDomain)
		assert.Equal(t, info.Secured, strings.Contains(r.header.Get("Received"), "using TLS"))
	}
}

func isSecured(t *testing.T, info smtp.ClientInfo, r receipt) {
	assert.True(t, info.Secured)
	assert.Contains(t, r.header.Get("Received"), "using TLS")
}

// wireLines is a body as lines: every line break is CRLF, and the last line has
// one.
func wireLines(body string) string {
	body = strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(body)
	if !strings.HasSuffix(body, "\r\n") {
		body += "\r\n"
	}
	return body
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
