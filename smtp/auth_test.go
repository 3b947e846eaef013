package smtp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The table of chooseAuth, cell by cell, in both ways.
func TestChooseAuth(t *testing.T) {
	offers := []auths{{}, {auth: true}, {auth: true, login: true}, {auth: true, plain: true}, {auth: true, login: true, plain: true}, {auth: true, other: true}}
	const N, L, P, none = AuthNone, AuthLogin, AuthPlain, AuthType(0)
	for _, row := range []struct {
		name        string
		as          differences
		wanted      AuthType
		credentials bool
		want        [6]AuthType // absent, empty, LOGIN, PLAIN, both, others; 0: ErrNoMechanism
	}{
		{"default", 0, N, true, [6]AuthType{N, N, L, P, P, N}},
		{"default", 0, N, false, [6]AuthType{N, N, N, N, N, N}},
		{"default", 0, P, true, [6]AuthType{P, P, L, P, P, none}},
		{"default", 0, L, true, [6]AuthType{P, P, L, P, L, none}},
		{"release", everything, N, true, [6]AuthType{N, N, N, N, N, N}},
		{"release", everything, P, true, [6]AuthType{P, P, L, P, P, P}},
		{"release", everything, L, true, [6]AuthType{L, P, L, P, L, P}},
	} {
		for i, offered := range offers {
			got, err := chooseAuth(row.wanted, offered, row.as, row.credentials)
			if row.want[i] == none {
				require.ErrorIs(t, err, ErrNoMechanism, "%s %v %+v", row.name, row.wanted, offered)
				continue
			}
			require.NoError(t, err)
			assert.Equal(t, row.want[i], got, "%s %v %+v credentials %v", row.name, row.wanted, offered, row.credentials)
		}
	}
}

func TestParseServices(t *testing.T) {
	for wire, want := range map[string]services{
		"250 srv\r\n":                 {},
		"250-AUTH PLAIN\r\n250 x\r\n": {}, // the first line is a greeting
		"250-srv\r\n250-AUTH PLAIN LOGIN\r\n250 HELP\r\n":            {auths: auths{true, true, true, false}},
		"250-srv\r\n250-auth login cram-md5\r\n250 8bitmime\r\n":     {auths: auths{true, true, false, true}, eightBitMIME: true},
		"250-srv\r\n250-AUTH=LOGIN PLAIN\r\n250 x\r\n":               {auths: auths{true, true, true, false}},
		"250-srv\r\n250-AUTH\r\n250 x\r\n":                           {auths: auths{auth: true}},
		"250-srv\r\n250-AUTH CRAM-MD5\r\n250-XLOGIN\r\n250 x\r\n":    {auths: auths{auth: true, other: true}},
		"250-srv\r\n250-XAUTH PLAIN\r\n250-AUTHOR LOGIN\r\n250 \r\n": {},
		"250-srv\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n":                {startTLS: true, smtpUTF8: true},
		"250-srv\r\n250-AUTH LOGINX XPLAIN\r\n250\r\n":               {auths: auths{auth: true, other: true}},
	} {
		r := newReader()
		r.feed([]byte(wire))
		answer, ok := r.next()
		require.True(t, ok)
		assert.Equal(t, want, parseServices(answer), "%q", wire)
	}
}

func TestPlainAnswer(t *testing.T) {
	assert.Equal(t, "AHVzZXIAc2VjcmV0", plainAnswer("user", "secret", 0))
	assert.Equal(t, "dXNlcgB1c2VyAHNlY3JldA==", plainAnswer("user", "secret", everything))
}

// afterEHLO is a dialogue up to the reply to AUTH, and from MAIL on.
const (
	toAuth = "S: 220 srv\nC: EHLO mycompany.com\nS: 250-srv\nS: 250 AUTH PLAIN LOGIN\n"
	toMail = "S: 220 srv\nC: EHLO mycompany.com\nS: 250 srv\n"
	andEnd = `C: MAIL FROM:<my@mycompany.com>
S: 250 ok
C: RCPT TO:<your@yourcompany.com>
S: 250 ok
C: DATA
S: 354 go
C: To: your@yourcompany.com
C: From: my@mycompany.com
C: Subject: Subject
C: Date: Wed, 04 Mar 2026 05:06:07 +0000
C: Message-ID: <id@mycompany.com>
C: MIME-Version: 1.0
C: Content-Type: text/plain;
C:   charset="utf-8"
C: Content-Transfer-Encoding: 7bit
C: 
C: x
C: .
S: 250 ok
C: QUIT
S: 221 bye
`
)

func TestAuthDialogues(t *testing.T) {
	for name, row := range map[string]struct {
		auth     AuthType
		dialogue string
		failed   string // "": the mail is sent
		state    AuthState
	}{
		"PLAIN":                         {AuthPlain, toAuth + "C: AUTH PLAIN\nS: 334 \nC: AHVzZXIAc2VjcmV0\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"PLAIN, 334 without a blank":    {AuthPlain, toAuth + "C: AUTH PLAIN\nS: 334\nC: AHVzZXIAc2VjcmV0\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"LOGIN":                         {AuthLogin, toAuth + "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"LOGIN, password first":         {AuthLogin, toAuth + "C: AUTH LOGIN\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"LOGIN, User Name and no colon": {AuthLogin, toAuth + "C: AUTH LOGIN\nS: 334 VXNlciBOYW1lAA==\nC: dXNlcg==\nS: 334 UGFzc3dvcmQA\nC: c2VjcmV0\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"LOGIN, no prompts":             {AuthLogin, toAuth + "C: AUTH LOGIN\nS: 334 \nC: dXNlcg==\nS: 334\nC: c2VjcmV0\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"LOGIN, not base64":             {AuthLogin, toAuth + "C: AUTH LOGIN\nS: 334 Username?\nC: dXNlcg==\nS: 334 Password?\nC: c2VjcmV0\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"LOGIN, username is enough":     {AuthLogin, toAuth + "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"235 at once":                   {AuthPlain, toAuth + "C: AUTH PLAIN\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"AUTH is just a word":           {AuthPlain, toAuth + "C: AUTH PLAIN\nS: 250 ok\n" + andEnd, "", NotAuthenticated},
		"NONE switches to PLAIN":        {AuthNone, toAuth + "C: AUTH PLAIN\nS: 334 \nC: AHVzZXIAc2VjcmV0\nS: 235 ok\n" + andEnd, "", AuthenticationSucceeded},
		"LOGIN without an AUTH line":    {AuthLogin, toMail + "C: AUTH PLAIN\nS: 502 what?\nC: QUIT\nS: 221 bye\n", "AUTH PLAIN: 502 what?", AuthenticationInProgress},
		"refused":                       {AuthPlain, toAuth + "C: AUTH PLAIN\nS: 334 \nC: AHVzZXIAc2VjcmV0\nS: 535 5.7.8 no\nC: QUIT\nS: 221 bye\n", "AUTH PLAIN: 535 5.7.8 no", AuthenticationInProgress},
		"third prompt":                  {AuthLogin, toAuth + "C: AUTH LOGIN\nS: 334 \nC: dXNlcg==\nS: 334 \nC: c2VjcmV0\nS: 334 dG9rZW4/\nC: *\nS: 501 canceled\nC: QUIT\nS: 221 bye\n", "AUTH LOGIN: an unknown prompt: 501 canceled", AuthenticationInProgress},
		"prompts for ever":              {AuthLogin, toAuth + "C: AUTH LOGIN\n" + strings.Repeat("S: 334 VXNlcm5hbWU6\nC: dXNlcg==\n", 4) + "S: 334 VXNlcm5hbWU6\nC: *\nS: 501 canceled\nC: QUIT\nS: 221 bye\n", "AUTH LOGIN: too many prompts: 501 canceled", AuthenticationInProgress},
		"PLAIN twice":                   {AuthPlain, toAuth + "C: AUTH PLAIN\nS: 334 \nC: AHVzZXIAc2VjcmV0\nS: 334 \nC: *\nS: 235 ok?\nC: QUIT\nS: 221 bye\n", "AUTH PLAIN: too many prompts: 235 ok?", AuthenticationInProgress},
		"another 3xx":                   {AuthPlain, toAuth + "C: AUTH PLAIN\nS: 354 go\nC: QUIT\nS: 221 bye\n", "AUTH PLAIN: not the reply that was awaited: 354 go", AuthenticationInProgress},
		"no mechanism":                  {AuthPlain, "S: 220 srv\nC: EHLO mycompany.com\nS: 250-srv\nS: 250 AUTH CRAM-MD5\nC: QUIT\nS: 221 bye\n", "neither PLAIN nor LOGIN", NotAuthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := dialogue(t, options{who: someone.with(row.auth)}, row.dialogue, func(b *bench) error { return b.sendMail("x") })
			if row.failed == "" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, AuthReplyError)
				require.ErrorContains(t, err, row.failed)
			}
			info, _ := ClientInfoGet(b.client)
			assert.Equal(t, row.state, info.AuthState)
			assertNoSecret(t, b, err)
		})
	}
}

// assertNoSecret looks for the password in whatever form in what one can see.
func assertNoSecret(t *testing.T, b *bench, err error) {
	t.Helper()
	seen := b.text()
	if err != nil {
		seen += err.Error()
	}
	for _, form := range []string{"secret", encode("secret"), encode("user"), plainAnswer("user", "secret", 0), plainAnswer("user", "secret", everything)} {
		assert.NotContains(t, seen, form)
	}
}

// A server that repeats what it was told does not make us tell it on.
func TestSecretsAreBlottedOut(t *testing.T) {
	for _, auth := range []AuthType{AuthPlain, AuthLogin} {
		b := newBench(t, options{who: someone.with(auth)}, turnsOf(toAuth+"C: AUTH\nS: 334 \nC: u\nS: 334 \nC: p\n"+
			"S: 535-AHVzZXIAc2VjcmV0 dXNlcg== c2VjcmV0\nS: 535 your password is secret\nC: QUIT\nS: 221 secret\n")...)
		if auth == AuthPlain {
			b.turns = turnsOf(toAuth + "C: AUTH\nS: 334 \nC: u\nS: 535-AHVzZXIAc2VjcmV0 dXNlcg== c2VjcmV0\nS: 535 your password is secret\nC: QUIT\nS: 221 secret\n")
		}
		err := b.sendMail("x")
		require.ErrorIs(t, err, AuthReplyError)
		var said *ReplyError
		require.ErrorAs(t, err, &said)
		assert.Contains(t, said.Text, "your password is [redacted]")
		assert.NotContains(t, said.Text, "secret")
		assertNoSecret(t, b, err)
		assert.Contains(t, b.text(), "[redacted]")
	}
}

// A server that knows the credentials from a mail before may tell them at any
// time, and one that did not understand may repeat a part.
func TestSecretsAreBlottedOutFromTheBeginning(t *testing.T) {
	who := someone.with(AuthPlain)
	who.username, who.password = "somebody", "open,Sesame1"
	blob := plainAnswer(who.username, who.password, 0)
	for name, words := range map[string]string{
		"the password": "550 " + who.password, "the blob": "550 " + blob, "a part": "550 what is " + blob[:12] + "...?",
		"both": "550-" + blob[:20] + "\nS: 550 " + encode(who.password)[:9] + who.password, "username": "550 " + encode(who.username),
	} {
		b := newBench(t, options{who: who}, turnsOf("S: "+words+"\nC: QUIT\nS: 221 bye\n")...)
		err := b.sendMail("x")
		require.ErrorIs(t, err, GreetReplyError, name)
		for _, seen := range []string{err.Error(), b.text()} {
			assert.Contains(t, seen, blotted, name)
			for _, secret := range []string{who.password, blob[:8], encode(who.password)[:8], encode(who.username)[:8]} {
				assert.NotContains(t, seen, secret, name)
			}
		}
	}
	// What is put in its place is no secret, whatever the password is.
	s := newSecrets("[redacted]", "[redacted]", 0)
	assert.Equal(t, "a [redacted] b", s.blot("a [redacted] b"))
	assert.Equal(t, "[redacted][redacted]", s.blot(encode("[redacted]")+encode("[redacted]")[:8]))
}

// A password over an open connection is a warning.
func TestOpenPasswordWarns(t *testing.T) {
	b, err := dialogue(t, options{who: someone.with(AuthPlain)}, toAuth+"C: AUTH PLAIN\nS: 334 \nC: AHVzZXIAc2VjcmV0\nS: 235 ok\n"+andEnd,
		func(b *bench) error { return b.sendMail("x") })
	require.NoError(t, err)
	assert.Contains(t, b.text(), "unprotected connection")

	b, err = dialogue(t, options{}, toMail+andEnd, func(b *bench) error { return b.sendMail("x") })
	require.NoError(t, err)
	assert.NotContains(t, b.text(), "unprotected connection")
}
