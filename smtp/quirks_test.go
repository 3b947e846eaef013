package smtp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Servers as they are: what real ones were seen doing, and what a client has to
// get along with.

func TestServersAsTheyAre(t *testing.T) {
	const toRcpt = "C: MAIL FROM:<my@mycompany.com>\nS: 250 ok\nC: RCPT TO:<your@yourcompany.com>\n"
	const bye = "C: QUIT\nS: 221 bye\n"
	underscore := someone
	underscore.domain = "a_b"
	for name, row := range map[string]struct {
		who      identity
		dialogue string
		failed   string // "": the mail is sent
		is       Status
		perhaps  bool // Temporary
	}{
		"a greeting of lines":               {someone, "S: 220-srv\nS: 220-No pipelining, please\nS: 220 \nC: EHLO mycompany.com\nS: 250 srv\n" + andEnd, "", 0, false},
		"last EHLO line without text":       {someone, "S: 220 srv\nC: EHLO mycompany.com\nS: 250-srv\nS: 250-SIZE\nS: 250 \n" + andEnd, "", 0, false},
		"EHLO lines without text":           {someone, "S: 220 srv\nC: EHLO mycompany.com\nS: 250-\nS: 250-\nS: 250\n" + andEnd, "", 0, false},
		"no AUTH behind such lines":         {someone.with(AuthNone), "S: 220 srv\nC: EHLO mycompany.com\nS: 250-AUTH PLAIN\nS: 250-\nS: 250 \n" + andEnd, "", 0, false},
		"an underscore is refused":          {underscore, "S: 220 srv\nC: EHLO a_b\nS: 501 5.5.4 Invalid EHLO\nC: EHLO [1.2.3.5]\nS: 250 srv\n" + strings.ReplaceAll(andEnd, "id@mycompany.com", "id@a_b"), "", 0, false},
		"any argument is refused":           {underscore, "S: 220 srv\nC: EHLO a_b\nS: 501 no\nC: EHLO [1.2.3.5]\nS: 501 5.5.4 no\n" + bye, "EHLO: 501 5.5.4 no", HelloReplyError, false},
		"EHLO is not known":                 {someone, "S: 220 srv\nC: EHLO mycompany.com\nS: 500 what?\nC: HELO mycompany.com\nS: 250 srv\n" + andEnd, "", 0, false},
		"334 without text":                  {someone.with(AuthPlain), toAuth + "C: AUTH PLAIN\nS: 334 \nC: AHVzZXIAc2VjcmV0\nS: 235 ok\n" + andEnd, "", 0, false},
		"334 with a text that is none":      {someone.with(AuthPlain), toAuth + "C: AUTH PLAIN\nS: 334 ok, go on\nC: AHVzZXIAc2VjcmV0\nS: 235 ok\n" + andEnd, "", 0, false},
		"User Name":                         {someone.with(AuthLogin), toAuth + "C: AUTH LOGIN\nS: 334 VXNlciBOYW1lAA==\nC: dXNlcg==\nS: 334 UGFzc3dvcmQA\nC: c2VjcmV0\nS: 235 ok\n" + andEnd, "", 0, false},
		"AUTH is offered and means nothing": {someone.with(AuthLogin), toAuth + "C: AUTH LOGIN\nS: 250 ok\n" + andEnd, "", 0, false},
		"the AUTH answer is 250":            {someone.with(AuthPlain), toAuth + "C: AUTH PLAIN\nS: 334 \nC: AHVzZXIAc2VjcmV0\nS: 250 ok\n" + andEnd, "", 0, false},
		"no database":                       {someone.with(AuthPlain), toAuth + "C: AUTH PLAIN\nS: 334 \nC: AHVzZXIAc2VjcmV0\nS: 454 4.7.0 Temporary authentication failure\n" + bye, "AUTH PLAIN: 454 4.7.0 Temporary authentication failure", AuthReplyError, true},
		"251":                               {someone, toMail + strings.Replace(andEnd, "S: 250 ok\nC: DATA", "S: 251 will forward\nC: DATA", 1), "", 0, false},
		"greylisted":                        {someone, toMail + toRcpt + "S: 450 4.2.0 Greylisted\n" + bye, "RCPT TO: 450 4.2.0 Greylisted", RcptReplyError, true},
		"DATA after all is refused":         {someone, toMail + toRcpt + "S: 250 ok\nC: DATA\nS: 554 5.5.1 no valid recipients\n" + bye, "DATA: 554 5.5.1 no valid recipients", DataReplyError, false},
		"QUIT is refused":                   {someone, strings.Replace(toMail+andEnd, "S: 221 bye", "S: 502 no", 1), "", 0, false},
		"a greeting that refuses":           {someone, "S: 554-no mail here\nS: 554 for you\n" + bye, "greeting: 554 no mail here / for you", GreetReplyError, false},
		"busy":                              {someone, "S: 421 4.3.2 too many connections\n", "greeting: 421 4.3.2 too many connections", GreetReplyError, true},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := dialogue(t, options{who: row.who}, row.dialogue, func(b *bench) error { return b.sendMail("x") })
			if row.failed == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, row.is)
			require.ErrorContains(t, err, row.failed)
			var said *ReplyError
			require.ErrorAs(t, err, &said)
			assert.Equal(t, row.perhaps, said.Temporary())
			assert.Equal(t, !row.perhaps, said.Permanent())
			assertNoSecret(t, b, err)
		})
	}
}

// A guard sends the first line of its greeting, and throws out whoever speaks
// before the last, seconds later.
func TestSlowGreeting(t *testing.T) {
	turns := friendly(mailLines, "250 hi")
	turns[0].sends = []string{"220-wait a moment\r\n", "220 ready\r\n"}
	b := newBench(t, options{}, turns...)
	b.gap, b.next = 3*time.Second, 3*time.Second
	b.onReceive = func(s *script) {
		if s.delivered < len("220-wait a moment\r\n220 ready\r\n") {
			assert.Zero(t, s.heard.Len(), "nothing is said before the greeting has ended")
		}
	}
	require.NoError(t, b.sendMail("x"))
	assert.GreaterOrEqual(t, b.clock.Now(), 6*time.Second)
	b.balanced(t)
}

// Nothing is sent between the end mark and its reply, nor between any command
// and its reply: some servers end with "pipelining not supported".
func TestNothingIsSentAhead(t *testing.T) {
	for _, auth := range []AuthType{AuthNone, AuthPlain, AuthLogin} {
		turns := turnsOf(map[AuthType]string{
			AuthNone:  toMail,
			AuthPlain: toAuth + "C: AUTH\nS: 334 \nC: u\nS: 235 ok\n",
			AuthLogin: toAuth + "C: AUTH\nS: 334 VXNlcm5hbWU6\nC: u\nS: 334 UGFzc3dvcmQ6\nC: p\nS: 235 ok\n",
		}[auth])
		turns = append(turns, turnsFrom(2, friendly(mailLines, ""))...)
		b := newBench(t, options{who: someone.with(auth)}, turns...)
		replies, spoke := 0, 0
		b.onReceive = func(s *script) {
			if spoke++; len(s.queue) > 0 {
				replies++
			}
		}
		b.onHeard = func(s *script) { assert.Empty(t, s.queue, "the reply to the command before has been read") }
		require.NoError(t, b.sendMail("x"))
		assert.Equal(t, len(turns), replies)
		b.balanced(t)
	}
}

// 421 may come at any time (RFC 5321 3.8): as a reply, before a command, and
// while the mail goes out. It is reported as what it is, and the server hears no
// more.
func TestClosingAtAnyTime(t *testing.T) {
	const words = "421 4.4.2 srv idle too long\r\n"
	statuses := []Status{GreetReplyError, HelloReplyError, MailReplyError, RcptReplyError, DataReplyError, MessageReplyError}
	for at, status := range statuses {
		for _, end := range []string{"", verbClose, verbReset} {
			for _, early := range []bool{false, true} {
				if early && at == 0 {
					continue // before there is a connection
				}
				t.Run(fmt.Sprintf("%v early %v %q", status, early, end), func(t *testing.T) {
					turns := friendly(mailLines, "250 hi")[:at+1]
					if early { // behind the reply before
						turns = turns[:at]
						turns[at-1].sends = append(turns[at-1].sends, words, end)
					} else {
						turns[at].sends = []string{words, end}
					}
					b := newBench(t, options{}, turns...)
					err := b.sendMail("x")
					require.ErrorIs(t, err, status)
					var said *ReplyError
					require.ErrorAs(t, err, &said)
					assert.Equal(t, uint(421), said.Code)
					assert.Equal(t, "4.4.2", said.Enhanced)
					assert.True(t, said.Temporary())
					assert.NotContains(t, b.heard.String(), "QUIT")
					b.balanced(t)
				})
			}
		}
	}
}

// A server that takes LF.LF for the end of a mail, and closes with 221 when it
// reads the rest as commands: no body has that in it any more.
func TestBareLineEndsDoNotEndTheMail(t *testing.T) {
	for _, body := range []string{"a\n.\nb", "a\n.\r\nb", "a\r\n.\nb", "a\r.\rb", "a\r.\nb", ".\nb", "a\n.", "a\n\n.\n\nb\n"} {
		b := newBench(t, options{}, says("220 hi", "250 hi", "250 ok", "250 ok", "354 go")...)
		err := b.sendMail(body)
		require.ErrorIs(t, err, nx.NoPacket, "this server says nothing to the mail")
		_, mail, _ := strings.Cut(b.heard.String(), "\r\n\r\n")
		mail, ended := strings.CutSuffix(mail, "\r\n.\r\n")
		require.True(t, ended, "%q", mail)
		for _, mark := range []string{"\n.\n", "\n.\r", "\r.\r", "\r.\n", "\n.\r\n"} {
			assert.NotContains(t, "\r\n"+mail+"\r\n", mark, "%q", body)
		}
	}
}
