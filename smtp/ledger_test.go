package smtp

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write LEDGER.md")

// LEDGER.md is made from the ledger.
func TestLedgerTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Differences from NetX Duo's SMTP client, release 6.4.2\n\n" +
		"Made by `go generate ./smtp` from the ledger in the code. Each is a switch of `smtp.Config`; `Release` turns all on.\n" +
		"*Instead* is what happens with the switch on where the release crashes, spins or has no behaviour.\n\n" +
		"| Number and name | The release | By default here | Source |\n|---|---|---|---|\n")
	cell := strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`)
	for _, e := range Ledger() {
		release := cell.Replace(e.Release)
		if e.Instead != "" {
			release += ". *Instead:* " + cell.Replace(e.Instead)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", e.Difference, release, cell.Replace(e.Here), cell.Replace(e.Source))
	}
	if *update {
		require.NoError(t, os.WriteFile("LEDGER.md", []byte(b.String()), 0o644))
	}
	written, err := os.ReadFile("LEDGER.md")
	require.NoError(t, err)
	require.Equal(t, b.String(), string(written), "run go generate")
}

func TestLedgerIsWhole(t *testing.T) {
	entries := Ledger()
	require.Len(t, entries, differenceCount)
	names := map[string]bool{}
	for i, e := range entries {
		assert.Equal(t, Difference(i+1), e.Difference)
		assert.Equal(t, fmt.Sprintf("NXD-%02d %s", i+1, e.Name), e.Difference.String())
		assert.NotEmpty(t, e.Release)
		assert.NotEmpty(t, e.Here)
		assert.NotEmpty(t, e.Source)
		assert.False(t, names[e.Name], e.Name)
		names[e.Name] = true
		assert.Contains(t, differenceTests, e.Difference, "%s has a test", e.Name)
	}
	assert.Equal(t, "NXD-99", Difference(99).String())
}

// Release is every switch, a single one is itself alone.
func TestConfigSwitches(t *testing.T) {
	release := (&Config{Release: true}).settings()
	single := (&Config{Differences: []Difference{DotsNotStuffed, NoHELO, 200}}).settings()
	none := (*Config)(nil).settings()
	for _, e := range Ledger() {
		assert.True(t, release.as.has(e.Difference))
		assert.Equal(t, e.Difference == DotsNotStuffed || e.Difference == NoHELO, single.as.has(e.Difference))
		assert.False(t, none.as.has(e.Difference))
	}
}

// Each difference, with its switch off and on, on its own.
func TestDifferences(t *testing.T) {
	for d, test := range differenceTests {
		for _, on := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", ledger[d].Name, on), func(t *testing.T) {
				config := &Config{}
				if on {
					config.Differences = []Difference{d}
				}
				test(t, config, on)
			})
		}
	}
}

// run sends a mail over a server that answers as told, and then, from the
// first MAIL on, with friendly replies.
func run(t *testing.T, o options, body string, turns ...turnOf) (*bench, error) {
	t.Helper()
	b := newBench(t, o, turns...)
	err := b.sendMail(body)
	b.balanced(t)
	return b, err
}

// says makes turns that await one line each.
func says(replies ...string) []turnOf {
	var turns []turnOf
	for i, reply := range replies {
		turns = append(turns, turnOf{min(i, 1), []string{reply + "\r\n"}})
	}
	return turns
}

// friendly is a server that takes a mail whose header and body have so many
// lines.
func friendly(lines int, ehlo string) []turnOf {
	turns := says("220 hi", ehlo, "250 ok", "250 ok", "354 go")
	return append(turns, turnOf{lines, []string{"250 ok\r\n"}}, turnOf{1, []string{"221 bye\r\n"}})
}

// Lines of a mail with an unfinished line as its body and the end mark.
const mailLines = 10 + 2

var differenceTests = map[Difference]func(t *testing.T, config *Config, on bool){
	SharedCommandBuffer: func(t *testing.T, config *Config, on bool) {
		a, b := newBench(t, options{config: config}, friendly(mailLines, "250 hi")...), newBench(t, options{config: config}, friendly(mailLines, "250 hi")...)
		require.NoError(t, a.sendMail("one"))
		require.NoError(t, b.sendMail("two"))
		assert.NotSame(t, &a.client.buffer[0], &b.client.buffer[0])
	},
	HeaderFailureSwallowed: func(t *testing.T, config *Config, on bool) {
		// The header does not fit the packets that are left, the body does.
		config.Differences = append(config.Differences, MessageInPieces)
		b := newBench(t, options{config: config, payload: 128, packets: 2}, says("220 hi", "250 hi", "250 ok", "250 ok", "354 go")...)
		err := b.sendMail("body")
		b.balanced(t)
		if !on {
			require.ErrorIs(t, err, nx.NoPacket)
			assert.NotContains(t, b.heard.String(), "body")
			return
		}
		require.ErrorIs(t, err, InternalError)
		assert.True(t, strings.HasSuffix(b.heard.String(), "DATA\r\nbody\r\n.\r\n"), "%q", b.heard.String())
		info, _ := ClientInfoGet(b.client)
		assert.Equal(t, InternalError, info.MailStatus)
	},
	DotsNotStuffed: func(t *testing.T, config *Config, on bool) {
		b, err := run(t, options{config: config}, "a\r\n.\r\nb\nc", friendly(mailLines+3, "250 hi")...)
		require.NoError(t, err)
		body := "a\r\n..\r\nb\r\nc\r\n.\r\n"
		if on {
			body = "a\r\n.\r\nb\nc\r\n.\r\n"
		}
		assert.Contains(t, b.heard.String(), "\r\n\r\n"+body)
	},
	EndMarkAddsLine: func(t *testing.T, config *Config, on bool) {
		lines, mark := mailLines, ".\r\n" // "a" and the dot
		if on {
			lines, mark = mailLines+1, "\r\n.\r\n"
		}
		b, err := run(t, options{config: config}, "a\r\n", friendly(lines, "250 hi")...)
		require.NoError(t, err)
		assert.True(t, strings.HasSuffix(b.heard.String(), "\r\n\r\na\r\n"+mark+"QUIT\r\n"), "%q", b.heard.String())
	},
	LineBreaksPassed: func(t *testing.T, config *Config, on bool) {
		for _, bad := range []string{"a\rb", "a\nb", "a\r\nb", "a\x00b"} {
			b := newBench(t, options{config: config}, friendly(mailLines, "250 hi")...)
			for _, err := range []error{
				MailSend(b.client, bad, PriorityNormal, "Subject", []byte("x")),
				MailSend(b.client, "a@b", PriorityNormal, bad, []byte("x")),
			} {
				assert.Equal(t, !on, nx.Code(err) == uint(InvalidParam), "%q: %v", bad, err)
			}
			for field := range 2 {
				who := identity{"user", "secret", "a@b", "dom", AuthNone}
				*[]*string{&who.from, &who.domain}[field] = bad
				assert.Equal(t, on, createWith(t, config, who, 800, 25) == nil, "%q", bad)
			}
			b.balanced(t)
		}
		for _, who := range []identity{{"us\x00er", "secret", "a@b", "dom", AuthPlain}, {"user", "sec\x00ret", "a@b", "dom", AuthPlain}} {
			assert.Equal(t, on, createWith(t, config, who, 800, 25) == nil)
		}
	},
	SpaceAfterPath: func(t *testing.T, config *Config, on bool) {
		b, err := run(t, options{config: config}, "x", friendly(mailLines, "250 hi")...)
		require.NoError(t, err)
		assert.Equal(t, on, strings.Contains(b.heard.String(), "MAIL FROM:<my@mycompany.com> \r\nRCPT TO:<your@yourcompany.com> \r\n"))
		assert.Equal(t, !on, strings.Contains(b.heard.String(), "MAIL FROM:<my@mycompany.com>\r\nRCPT TO:<your@yourcompany.com>\r\n"))
	},
	PacketIsReply: func(t *testing.T, config *Config, on bool) {
		// A cut greeting, and a cut reply to the message.
		turns := friendly(mailLines, "250 hi")
		turns[0].sends = []string{"220-h", "i\r\n220 there\r\n"}
		_, err := run(t, options{config: config}, "x", turns...)
		assert.Equal(t, on, err != nil, "%v", err)

		turns = friendly(mailLines, "250 hi")
		turns[5].sends = []string{"250-o", "k\r\n250 ok\r\n"}
		b, err := run(t, options{config: config}, "x", turns...)
		require.NoError(t, err)
		assert.Equal(t, !on, strings.Contains(b.heard.String(), "QUIT"), "the unfinished 250- mutes")
	},
	LongCodeCrashes: func(t *testing.T, config *Config, on bool) {
		_, err := run(t, options{config: config}, "x", says("220 hi", "2500 x", "221 bye")...)
		require.ErrorIs(t, err, HelloReplyError)
	},
	ChainedReplyRefused: func(t *testing.T, config *Config, on bool) {
		turns := friendly(mailLines, "250 hi")
		turns[2].sends = []string{"250 " + strings.Repeat("x", 600) + "\r\n"} // the packets have 512 bytes
		_, err := run(t, options{config: config}, "x", turns...)
		if on {
			require.ErrorIs(t, err, MailReplyError)
			return
		}
		require.NoError(t, err)
	},
	QuitOverridesOutcome: func(t *testing.T, config *Config, on bool) {
		for name, quit := range map[string][]string{"closed": {verbClose}, "reset": {verbReset}, "silence": nil} {
			turns := friendly(mailLines, "250 hi")
			turns[6].sends = quit
			b, err := run(t, options{config: config}, "x", turns...)
			if on {
				require.Error(t, err, name)
				assert.Contains(t, []uint{0x01, 0x38}, nx.Code(err), name)
				continue
			}
			require.NoError(t, err, name)
			if name == "silence" {
				assert.Equal(t, nx.Wait(1000), b.maxWait)
			}
		}
		// A refusal stays what it was, too.
		_, err := run(t, options{config: config}, "x", says("220 hi", "250 hi", "550 no")...)
		if on {
			require.ErrorIs(t, err, nx.NoPacket)
		} else {
			require.ErrorIs(t, err, MailReplyError)
		}
	},
	ExactCodesOnly: func(t *testing.T, config *Config, on bool) {
		for at, reply := range map[int]string{2: "251 ok", 3: "252 maybe", 5: "251 ok", 4: "355 go", 1: "251 hi"} {
			turns := friendly(mailLines, "250 hi")
			turns[at].sends = []string{reply + "\r\n"}
			_, err := run(t, options{config: config}, "x", turns...)
			assert.Equal(t, on, err != nil, "%s: %v", reply, err)
		}
	},
	BareCodeRefused: func(t *testing.T, config *Config, on bool) {
		for _, at := range []int{0, 1, 2, 3, 4, 5} {
			turns := friendly(mailLines, "250 hi")
			turns[at].sends = []string{turns[at].sends[0][:3] + "\r\n"}
			_, err := run(t, options{config: config}, "x", turns...)
			assert.Equal(t, on, err != nil, "%d: %v", at, err)
		}
	},
	AuthWithoutOffer: func(t *testing.T, config *Config, on bool) {
		b, err := run(t, options{config: config, who: someone.with(AuthLogin)}, "x", says("220 hi", "250 hi", "502 no", "221 bye")...)
		require.ErrorIs(t, err, AuthReplyError)
		assert.Equal(t, on, strings.Contains(b.heard.String(), "AUTH LOGIN"))
		assert.Equal(t, !on, strings.Contains(b.heard.String(), "AUTH PLAIN"))
	},
	PlainWithoutOffer: func(t *testing.T, config *Config, on bool) {
		b, err := run(t, options{config: config, who: someone.with(AuthLogin)}, "x", says("220 hi", "250-hi\r\n250 AUTH CRAM-MD5", "504 no", "221 bye")...)
		require.ErrorIs(t, err, AuthReplyError)
		assert.Equal(t, on, strings.Contains(b.heard.String(), "AUTH PLAIN"))
	},
	AuthTypeSticks: func(t *testing.T, config *Config, on bool) {
		b := newBench(t, options{config: config, who: someone.with(AuthLogin)}, says("220 hi", "250-hi\r\n250 AUTH PLAIN", "535 no", "221 bye")...)
		require.ErrorIs(t, b.sendMail("x"), AuthReplyError)
		b.turns = says("220 hi", "250-hi\r\n250 AUTH LOGIN PLAIN", "535 no", "221 bye")
		require.ErrorIs(t, b.sendMail("x"), AuthReplyError)
		assert.Equal(t, on, strings.Contains(b.heard.String(), "AUTH PLAIN"), "%s", b.heard.String())
	},
	AuthRepeated: func(t *testing.T, config *Config, on bool) {
		replies := []string{"220 hi", "250-hi\r\n250 AUTH PLAIN"}
		for range 2 * maxRepeats {
			replies = append(replies, "250 ok")
		}
		b, err := run(t, options{config: config, who: someone.with(AuthPlain)}, "x", says(replies...)...)
		require.Error(t, err)
		if on {
			require.ErrorIs(t, err, AuthReplyError)
			assert.Equal(t, 1+maxRepeats, strings.Count(b.heard.String(), "AUTH PLAIN"))
		} else {
			require.ErrorIs(t, err, DataReplyError) // 250 to MAIL and RCPT, and no 354
		}
		for i := range replies[2:] {
			replies[2+i] = "334 "
		}
		b, err = run(t, options{config: config, who: someone.with(AuthPlain)}, "x", says(replies...)...)
		require.ErrorIs(t, err, AuthReplyError)
		answers := 1
		if on {
			answers = maxRepeats
		}
		assert.Equal(t, answers, strings.Count(b.heard.String(), "AHVzZXIAc2VjcmV0"))
		assert.Contains(t, b.heard.String(), "\r\n*\r\n")
	},
	LoginPromptExact: func(t *testing.T, config *Config, on bool) {
		b, err := run(t, options{config: config, who: someone.with(AuthLogin)}, "x",
			says("220 hi", "250-hi\r\n250 AUTH LOGIN", "334 "+encode("User Name\x00"), "334 "+encode("Password\x00"), "535 no", "221 bye")...)
		require.ErrorIs(t, err, AuthReplyError)
		assert.Equal(t, on, strings.Contains(b.heard.String(), "AUTH LOGIN\r\nQUIT\r\n"))
		assert.Equal(t, !on, strings.Contains(b.heard.String(), "AUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\n"))
	},
	EmptyCredentialsSent: func(t *testing.T, config *Config, on bool) {
		for _, who := range []identity{{"", "secret", "a@b", "dom", AuthLogin}, {"user", "", "a@b", "dom", AuthPlain}} {
			b, err := run(t, options{config: config, who: who}, "x", says("220 hi", "250-hi\r\n250 AUTH LOGIN PLAIN", "334 ", "535 no", "221 bye")...)
			if on {
				require.ErrorIs(t, err, AuthReplyError)
			} else {
				require.ErrorIs(t, err, AuthenticationError)
				require.ErrorIs(t, err, ErrNoCredentials)
				assert.Zero(t, b.connects, "before connecting")
			}
		}
	},
	ClearPasswordUnmentioned: func(t *testing.T, config *Config, on bool) {
		b, _ := run(t, options{config: config, who: someone.with(AuthPlain)}, "x", says("220 hi", "250-hi\r\n250 AUTH PLAIN", "535 no", "221 bye")...)
		assert.Equal(t, !on, strings.Contains(b.text(), "unprotected connection"))
	},
	AuthorizationIsUsername: func(t *testing.T, config *Config, on bool) {
		b, _ := run(t, options{config: config, who: someone.with(AuthPlain)}, "x", says("220 hi", "250-hi\r\n250 AUTH PLAIN", "334 ", "535 no", "221 bye")...)
		assert.Equal(t, on, strings.Contains(b.heard.String(), encode("user\x00user\x00secret")))
		assert.Equal(t, !on, strings.Contains(b.heard.String(), encode("\x00user\x00secret")))
	},
	EightBitUndeclared: func(t *testing.T, config *Config, on bool) {
		for _, row := range []struct{ body, ehlo, mail, encoding, sent string }{
			{"ascii", "250 hi", "", "7bit", "ascii"},
			{"ü", "250-hi\r\n250 8BITMIME", " BODY=8BITMIME", "8bit", "ü"},
			{"ü", "250 hi", "", "quoted-printable", "=C3=BC"},
			{"a\x00b", "250-hi\r\n250 8BITMIME", "", "quoted-printable", "a=00b"},
			{strings.Repeat("x", 999), "250-hi\r\n250 8BITMIME", "", "quoted-printable", strings.Repeat("x", 75) + "=\r\nx"},
		} {
			lines := mailLines
			if !on && len(row.body) == 999 {
				lines += 13
			}
			b, err := run(t, options{config: config, packets: 20}, row.body, friendly(lines, row.ehlo)...)
			require.NoError(t, err)
			if on {
				row.mail, row.encoding, row.sent = "", "8bit", row.body
			}
			assert.Contains(t, b.heard.String(), "MAIL FROM:<my@mycompany.com>"+row.mail+"\r\n")
			assert.Contains(t, b.heard.String(), "Content-Transfer-Encoding: "+row.encoding+"\r\n\r\n"+row.sent)
		}
		for _, ehlo := range []string{"250 hi", "250-hi\r\n250-8BITMIME\r\n250 SMTPUTF8"} {
			b := newBench(t, options{config: config}, friendly(mailLines, ehlo)...)
			err := MailSend(b.client, "jürgen@b", PriorityNormal, "S", []byte("x"))
			switch {
			case on:
				require.NoError(t, err)
			case ehlo == "250 hi":
				require.ErrorIs(t, err, MailReplyError)
				require.ErrorIs(t, err, ErrNoSMTPUTF8)
				assert.NotContains(t, b.heard.String(), "MAIL")
			default:
				require.NoError(t, err)
				assert.Contains(t, b.heard.String(), "MAIL FROM:<my@mycompany.com> SMTPUTF8\r\nRCPT TO:<jürgen@b>\r\n")
			}
			b.balanced(t)
		}
	},
	SubjectRaw: func(t *testing.T, config *Config, on bool) {
		subject := "ü " + strings.Repeat("word ", 30)
		b := newBench(t, options{config: config}, friendly(mailLines+50, "250 hi")...)
		_ = MailSend(b.client, "a@b", PriorityNormal, subject, []byte("x"))
		assert.Equal(t, on, strings.Contains(b.heard.String(), "Subject: "+subject+"\r\n"))
		assert.Equal(t, !on, strings.Contains(b.heard.String(), "Subject: =?utf-8?b?"))
		b.balanced(t)
	},
	NoDateNoMessageID: func(t *testing.T, config *Config, on bool) {
		lines := mailLines
		if on {
			lines -= 2
		}
		b, err := run(t, options{config: config}, "x", friendly(lines, "250 hi")...)
		require.NoError(t, err)
		assert.Equal(t, !on, strings.Contains(b.heard.String(), "\r\nDate: Wed, 04 Mar 2026 05:06:07 +0000\r\nMessage-ID: <"))
	},
	FromByReference: func(t *testing.T, config *Config, on bool) {
		from := []byte("my@mycompany.com")
		b := newBench(t, options{config: config, who: identity{"u", "p", string(from), "dom", AuthNone}}, friendly(mailLines, "250 hi")...)
		copy(from, "xxxxxxxxxxxxxxxx")
		require.NoError(t, b.sendMail("x"))
		assert.Contains(t, b.heard.String(), "From: my@mycompany.com\r\n")
	},
	CreateUnchecked: func(t *testing.T, config *Config, on bool) {
		for _, port := range []uint{0, 65536} {
			assert.Equal(t, !on, nx.Code(createWith(t, config, someone, 800, port)) == uint(nx.InvalidPort))
		}
		assert.Equal(t, !on, nx.Code(createWith(t, config, someone, 56, 25)) == uint(InvalidParam), "no room for the headers")

		b := newBench(t, options{config: config}, friendly(mailLines, "250 hi")...)
		require.ErrorIs(t, b.client.create(creation{pool: b.sendPool}, noSocket), nx.PtrError, "a second create does not crash")

		noTCP := func(uint32, *tcp.Config) error { return nx.Fail("tcp.SocketCreate", nx.NotEnabled, nil) }
		c := &Client{Config: config}
		err := c.create(creation{pool: b.sendPool, clock: b.clock, server: netip.MustParseAddr("1.2.3.4"), port: 25, t: b.script}, noTCP)
		if on {
			require.NoError(t, err)
			require.NoError(t, ClientDelete(c))
		} else {
			require.ErrorIs(t, err, nx.NotEnabled)
		}
		c = &Client{Config: config}
		err = c.create(creation{pool: new(packetpool.Pool), clock: b.clock, server: netip.MustParseAddr("1.2.3.4"), port: 25, authType: AuthNone, t: b.script}, noSocket)
		if !on {
			require.ErrorIs(t, err, nx.PtrError, "a pool that does not exist")
			return
		}
		require.NoError(t, err)
		b.turns = says("220 hi")
		require.ErrorIs(t, MailSend(c, "a@b", PriorityNormal, "S", []byte("x")), nx.InvalidParameters)
	},
	DeleteRefused: func(t *testing.T, config *Config, on bool) {
		b := newBench(t, options{config: config})
		require.NoError(t, ClientDelete(b.client))
		assert.Equal(t, on, b.onlyEstablished)
	},
	ShortTimeouts: func(t *testing.T, config *Config, on bool) {
		s := config.settings()
		want := [...]nx.Wait{30000, 30000, 60000, 18000, 1000}
		if on {
			want = [...]nx.Wait{1000, 1000, 3000, 500, 1000}
		}
		assert.Equal(t, want, [...]nx.Wait{s.GreetingTimeout, s.EnvelopeTimeout, s.MessageTimeout, s.SendTimeout, s.QuitTimeout})
		for at, phase := range []State{StateGreeting, StateEHLO, StateMail, StateRcpt, StateData, StateMessage} {
			b, err := run(t, options{config: config}, "x", friendly(mailLines, "250 hi")[:at]...)
			var broken *PhaseError
			require.ErrorAs(t, err, &broken)
			assert.Equal(t, phase, broken.Phase)
			switch phase {
			case StateGreeting:
				assert.Equal(t, want[0], b.maxWait)
			case StateMessage:
				assert.Equal(t, want[2], b.maxWait)
			default:
				assert.Equal(t, want[1], b.maxWait)
			}
		}
	},
	PayloadUnderflows: func(t *testing.T, config *Config, on bool) {
		assert.Equal(t, uint(InvalidParam), nx.Code(createWith(t, config, someone, 36, 25)))
		config.Differences = append(config.Differences, MessageInPieces)
		for ipv6, sizes := range map[bool][]int{false: {760, 760, 480}, true: {740, 740, 520}} {
			b, err := run(t, options{config: config, ipv6: ipv6}, strings.Repeat("x", 998)+"\r\n"+strings.Repeat("y", 998)+"\r\n", friendly(mailLines+1, "250 hi")...)
			require.NoError(t, err)
			var got []int
			for _, segment := range b.segments[5 : len(b.segments)-2] {
				got = append(got, len(segment))
			}
			assert.Equal(t, sizes, got)
		}
	},
	ReadsOutOfRange: func(t *testing.T, config *Config, on bool) {
		for _, data := range []string{"", "-", " ", "2-", "25-", "250", "250-", "0-250"} {
			packetReply([]byte(data), everything, false) // the race detector and the bounds of slices look on
		}
	},
	KeywordAnywhere: func(t *testing.T, config *Config, on bool) {
		turns := says("220 hi", "250-authority.example\r\n250 XPLAIN", "334 ", "535 no", "221 bye")
		b, err := run(t, options{config: config}, "x", turns...)
		require.Error(t, err)
		assert.Equal(t, on, strings.Contains(b.heard.String(), "AUTH PLAIN"), "%s", b.heard.String())
	},
	NoHELO: func(t *testing.T, config *Config, on bool) {
		for _, code := range []string{"500", "502", "504", "550"} {
			turns := append(says("220 hi", code+" what?"), turnsFrom(1, friendly(mailLines, "250 hi"))...)
			b, err := run(t, options{config: config}, "x", turns...)
			assert.Equal(t, on, err != nil)
			assert.Equal(t, !on, strings.Contains(b.heard.String(), "HELO mycompany.com\r\n"))
		}
		for ipv6, literal := range map[bool]string{false: "[1.2.3.5]", true: "[IPv6:2001::5]"} {
			turns := append(says("220 hi", "501 no underscore"), turnsFrom(1, friendly(mailLines, "250 hi"))...)
			b, err := run(t, options{config: config, ipv6: ipv6}, "x", turns...)
			assert.Equal(t, on, err != nil)
			assert.Equal(t, !on, strings.Contains(b.heard.String(), "EHLO "+literal+"\r\n"))
		}
		nameless := someone
		nameless.domain = ""
		b, err := run(t, options{config: config, who: nameless}, "x", friendly(mailLines, "250 hi")...)
		require.NoError(t, err)
		assert.Equal(t, on, strings.Contains(b.heard.String(), "EHLO \r\n"))
	},
	SizesFoundLate: func(t *testing.T, config *Config, on bool) {
		type row struct {
			from, rcpt, subject int
			code                uint // with the switch on
		}
		for _, row := range []row{
			{497, 1, 1, 0}, {498, 1, 1, 0xA3}, {512, 1, 1, 0xA3}, {513, 1, 1, 0x09},
			{1, 499, 1, 0}, {1, 500, 1, 0xA3}, {1, 512, 1, 0xA3}, {1, 513, 1, 0x09},
			{1, 1, 512, 0}, {1, 1, 513, 0x09},
		} {
			who := someone
			who.from = strings.Repeat("f", row.from)
			if !on && row.from > 497 {
				assert.Equal(t, uint(nx.SizeError), nx.Code(createWith(t, config, who, 800, 25)))
				continue
			}
			b := newBench(t, options{config: config, who: who}, friendly(mailLines, "250 hi")...)
			err := MailSend(b.client, strings.Repeat("r", row.rcpt), PriorityNormal, strings.Repeat("s", row.subject), []byte("x"))
			b.balanced(t)
			if on {
				assert.Equal(t, row.code, nx.Code(err), "%+v", row)
			} else {
				want := uint(0)
				if row.code != 0 {
					want = 0x09
					assert.Zero(t, b.connects)
				}
				assert.Equal(t, want, nx.Code(err), "%+v", row)
			}
		}
	},
	ClosingIgnored: func(t *testing.T, config *Config, on bool) {
		for at, status := range []Status{GreetReplyError, HelloReplyError, MailReplyError, RcptReplyError, DataReplyError, MessageReplyError} {
			turns := friendly(mailLines, "250 hi")[:at+1]
			turns[at].sends = []string{"421 4.3.2 closing\r\n", verbClose}
			b, err := run(t, options{config: config}, "x", turns...)
			assert.Equal(t, on, strings.Contains(b.heard.String(), "QUIT"))
			require.ErrorIs(t, err, status)
			var said *ReplyError
			require.ErrorAs(t, err, &said)
			assert.True(t, said.Temporary())
			assert.Equal(t, "4.3.2", said.Enhanced)
			if !on {
				assert.Equal(t, []string{"disconnect 500"}, b.ends)
			}
		}
	},
	NoneStaysNone: func(t *testing.T, config *Config, on bool) {
		for _, who := range []identity{someone, {"", "", "a@b", "dom", AuthNone}, {"user", "", "a@b", "dom", AuthNone}} {
			b, _ := run(t, options{config: config, who: who}, "x", says("220 hi", "250-hi\r\n250 AUTH PLAIN", "535 no", "221 bye")...)
			assert.Equal(t, !on && who.password != "", strings.Contains(b.heard.String(), "AUTH PLAIN"))
		}
	},
	PriorityUnused: func(t *testing.T, config *Config, on bool) {
		for priority, field := range map[Priority]string{PriorityLow: "Importance: low\r\nX-Priority: 5\r\n", PriorityHigh: "Importance: high\r\nX-Priority: 1\r\n", 99: "", PriorityNormal: ""} {
			lines := mailLines
			if !on && field != "" {
				lines += 2
			}
			b := newBench(t, options{config: config}, friendly(lines, "250 hi")...)
			require.NoError(t, MailSend(b.client, "a@b", priority, "S", []byte("x")))
			assert.Equal(t, !on && field != "", strings.Contains(b.heard.String(), "Importance"))
			if !on {
				assert.Contains(t, b.heard.String(), field)
			}
		}
	},
	BracketsDoubled: func(t *testing.T, config *Config, on bool) {
		who := someone
		who.from = "<my@mycompany.com>"
		b := newBench(t, options{config: config, who: who}, friendly(mailLines, "250 hi")...)
		require.NoError(t, MailSend(b.client, "<your@yourcompany.com>", PriorityNormal, "S", []byte("x")))
		assert.Equal(t, on, strings.Contains(b.heard.String(), "MAIL FROM:<<my@mycompany.com>>\r\nRCPT TO:<<your@yourcompany.com>>\r\n"))
		assert.Equal(t, !on, strings.Contains(b.heard.String(), "MAIL FROM:<my@mycompany.com>\r\nRCPT TO:<your@yourcompany.com>\r\n"))
		assert.Equal(t, !on, strings.Contains(b.heard.String(), "To: your@yourcompany.com\r\nFrom: my@mycompany.com\r\n"))
	},
	CodeAnywhere: func(t *testing.T, config *Config, on bool) {
		for _, greeting := range []string{"ESMTP 220 x", " 220 x", "[10.0.0.1] 220 x", "- 220 x"} {
			turns := friendly(mailLines, "250 hi")
			turns[0].sends[0] = greeting + "\r\n"
			_, err := run(t, options{config: config}, "x", turns...)
			assert.Equal(t, !on, err != nil, "%s", greeting)
		}
	},
	TimeoutRestarts: func(t *testing.T, config *Config, on bool) {
		// One byte each minute: never silent for five.
		b := newBench(t, options{config: config}, turnOf{0, strings.Split(strings.Repeat("2", 40), "")})
		b.gap = time.Minute
		err := b.sendMail("x")
		require.ErrorIs(t, err, nx.NoPacket)
		if on {
			assert.Greater(t, b.clock.Now().Minutes(), 40.0)
		} else {
			assert.Less(t, b.clock.Now().Minutes(), 7.0)
		}
		b.queue = nil
		b.balanced(t)
	},
	EarlyReplyTaken: func(t *testing.T, config *Config, on bool) {
		turns := friendly(mailLines, "250 hi")
		turns[4].sends = []string{"354 go\r\n250 thanks\r\n"} // before the mail
		turns[5].sends = nil
		b, err := run(t, options{config: config}, "x", turns...)
		if on {
			require.NoError(t, err, "the server never answered the mail")
			return
		}
		require.ErrorIs(t, err, MessageReplyError)
		assert.ErrorContains(t, err, "sent before the command")
		assert.Equal(t, []string{"disconnect 0"}, b.ends)

		turns[4].sends = []string{"354 go\r\n", "552 5.3.4 too much\r\n"} // while the mail goes out
		b, err = run(t, options{config: config}, "x", turns...)
		require.ErrorIs(t, err, MessageReplyError)
		assert.ErrorContains(t, err, "message: 552 5.3.4 too much")
		assert.NotContains(t, b.heard.String(), "\r\n.\r\n")
	},
	LastWordsLost: func(t *testing.T, config *Config, on bool) {
		config.Differences = append(config.Differences, EarlyReplyTaken)
		b := newBench(t, options{config: config}, says("220 hi", "250 hi")...)
		b.toServer, b.after = reset, 30
		b.onBreak = func(s *script) { s.queue = append(s.queue, "452 4.3.1 disk full\r\n") }
		err := b.sendMail("x")
		b.balanced(t)
		if on {
			require.ErrorIs(t, err, nx.NotConnected)
		} else {
			require.ErrorIs(t, err, MailReplyError)
			require.ErrorContains(t, err, "452 4.3.1 disk full")
		}
	},
	BusyPoolIsEmpty: func(t *testing.T, config *Config, on bool) {
		b := newBench(t, options{config: config, packets: 3}, friendly(mailLines+44, "250 hi")...)
		b.busy = 3
		err := b.sendMail(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 45))
		assert.Equal(t, on, err != nil, "%v", err)
		b.balanced(t)
	},
	EmptyRecipientSent: func(t *testing.T, config *Config, on bool) {
		b := newBench(t, options{config: config}, friendly(mailLines, "250 hi")...)
		err := MailSend(b.client, "", PriorityNormal, "S", []byte("x"))
		if on {
			require.NoError(t, err)
			assert.Contains(t, b.heard.String(), "RCPT TO:<>\r\n")
		} else {
			require.ErrorIs(t, err, InvalidParam)
			assert.Zero(t, b.connects)
		}
	},
	MessageInPieces: func(t *testing.T, config *Config, on bool) {
		for _, row := range []struct{ body, pieces, segments int }{
			{10, 3, 1},
			{400, 3, 1},     // with the header less than a chunk of 760
			{2000, 5, 3},    // 760 + 760 + 480
			{760 * 4, 6, 5}, // the header does not fit beside it
		} {
			body := strings.Repeat(strings.Repeat("x", 78)+"\r\n", row.body/80+1)[:row.body-2] + "\r\n"
			b, err := run(t, options{config: config}, body, friendly(mailLines-1+strings.Count(body, "\n"), "250 hi")...)
			require.NoError(t, err)
			message := b.segments[4 : len(b.segments)-1]
			if !on {
				assert.Len(t, message, row.segments)
				continue
			}
			assert.Len(t, message, row.pieces)
			assert.True(t, strings.HasSuffix(message[0], "\r\n\r\n"), "the header")
			assert.Equal(t, ".\r\n", message[len(message)-1], "the end mark")
		}
		// The end mark is in one piece, wherever the packets end.
		for n := range 760 {
			b, err := run(t, options{config: config}, strings.Repeat("x", 760-n), friendly(mailLines, "250 hi")...)
			require.NoError(t, err)
			assert.True(t, strings.HasSuffix(b.segments[len(b.segments)-2], "\r\n.\r\n"))
		}
	},
}

// turnsFrom is turns from one on.
func turnsFrom(n int, turns []turnOf) []turnOf { return turns[n:] }

// createWith tries a create.
func createWith(t *testing.T, config *Config, who identity, payload uint32, port uint) error {
	clock := &instantClock{}
	c := &Client{Config: config}
	return c.create(creation{
		pool: nxtest.NewPool(t, payload, 4, nxtest.On(clock)), clock: clock, username: who.username, password: who.password,
		from: who.from, domain: who.domain, authType: who.auth, server: netip.MustParseAddr("1.2.3.4"), port: port, t: &script{},
	}, noSocket)
}

func noSocket(uint32, *tcp.Config) error { return nil }
