package smtp

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/require"
)

// hostile makes a server of bytes: turns end with 0xFF, the first byte of a
// turn is how many lines of the client it awaits, 0xFE cuts segments, 0xFD
// closes and 0xFC resets.
func hostile(server []byte) []turnOf {
	var turns []turnOf
	for _, part := range bytes.Split(server, []byte{0xFF}) {
		if len(part) == 0 {
			continue
		}
		turn := turnOf{lines: int(part[0]) % 32}
		for _, segment := range bytes.Split(part[1:], []byte{0xFE}) {
			text, ended := string(segment), ""
			if i := slices.IndexFunc(segment, func(c byte) bool { return c == 0xFC || c == 0xFD }); i >= 0 {
				if ended = verbReset; text[i] == 0xFD {
					ended = verbClose
				}
				text = text[:i]
			}
			for _, send := range []string{text, ended} {
				if send != "" {
					turn.sends = append(turn.sends, send)
				}
			}
		}
		turns = append(turns, turn)
	}
	return turns
}

// FuzzDialogue holds sessions with servers that do as they please. Whatever
// they do the session ends, all packets come back, the connection is closed
// once, nothing is said that is not a command, and by default a mail counts as
// sent exactly when the reply to it says so.
func FuzzDialogue(f *testing.F) {
	turn := func(lines byte, text string) string { return string([]byte{lines}) + text + "\xFF" }
	var friendly string
	for _, t := range friendlyTurns {
		friendly += turn(byte(t.lines), strings.Join(t.sends, "\xFE"))
	}
	for auth := range byte(3) {
		for _, release := range []bool{false, true} {
			f.Add([]byte(friendly), auth, release, false)
			f.Add([]byte(turn(0, "220 hi\r\n")+turn(1, "250-x\r\n250 AUTH PLAIN LOGIN\r\n")+turn(1, "334 VXNlcm5hbWU6\r\n")+turn(1, "334 UGFzc3dvcmQ6\r\n")+turn(1, "235 ok\r\n")), auth, release, true)
			f.Add([]byte(turn(0, "220-hi\xFE\r\n220 x\r\n250 early\r\n")+turn(1, "250-\xFE250\xFE \r\n")+turn(1, "421 no\r\n\xFD")), auth, release, false)
			f.Add([]byte(turn(0, "2200 hi\r\n")+turn(1, "2500 x\r\n")+turn(1, "\x00\r\n")), auth, release, false)
			f.Add([]byte(turn(0, "220 hi\r\n")+turn(1, "501 no\r\n")+turn(1, "502 no\r\n")+turn(1, "250 ok\r\n\xFC")), auth, release, true)
			f.Add([]byte(turn(0, "220 hi\r\n")+turn(1, "250 ok\r\n")+turn(1, "250 ok\r\n")+turn(1, "250 ok\r\n")+turn(1, "354 go\r\n250 early\r\n")+turn(12, "250 ok\r\n")), auth, release, true)
		}
	}
	f.Fuzz(func(t *testing.T, server []byte, auth byte, release, ipv6 bool) {
		who := someone.with([]AuthType{AuthNone, AuthPlain, AuthLogin}[auth%3])
		b := newBench(t, options{config: &Config{Release: release}, who: who, ipv6: ipv6, fast: true}, hostile(server)...)
		mark := -1 // bytes delivered when the end mark came
		b.onHeard = func(s *script) {
			if mark < 0 && bytes.HasSuffix(s.heard.Bytes(), []byte("\r\n.\r\n")) {
				mark = s.delivered
			}
		}
		body := "Hello\r\n.\r\nbye"
		if release {
			body = "Hello" // a dot would end it
		}
		err := b.sendMail(body)
		require.Len(t, b.ends, 1, "closed once")
		b.full(t, "after the session")
		info, _ := ClientInfoGet(b.client)
		require.Equal(t, StateIdle, info.CommandState)
		for line := range strings.SplitSeq(strings.TrimSuffix(commandsOf(b.heard.String()), "\r\n"), "\r\n") {
			require.True(t, isCommand(line), "%q", line)
		}
		if err != nil {
			require.NotEqual(t, uint(0xFFFFFFFF), nx.Code(err), "%v", err)
		}
		if release {
			return
		}
		taken := false
		if mark >= 0 {
			r := newReader()
			r.feed([]byte(b.all.String()[mark:]))
			answer, ok := r.next()
			taken = ok && answer.flaw == "" && answer.code/100 == 2 && answer.code != 221
		}
		require.Equal(t, taken, err == nil, "%v", err)
	})
}

var friendlyTurns = friendly(mailLines+2, "250-hi\r\n250 AUTH LOGIN")

// commandsOf takes the mail out of what the client has sent.
func commandsOf(heard string) string {
	before, rest, found := strings.Cut(heard, "To: your@")
	if !found {
		return heard
	}
	_, after, _ := strings.Cut(rest, "\r\n.\r\n")
	return before + after
}

func isCommand(line string) bool {
	for _, command := range []string{
		"EHLO mycompany.com", "EHLO [1.2.3.5]", "EHLO [IPv6:2001::5]", "HELO mycompany.com", "HELO [1.2.3.5]", "HELO [IPv6:2001::5]",
		"AUTH PLAIN", "AUTH LOGIN", "*", "dXNlcg==", "c2VjcmV0", "AHVzZXIAc2VjcmV0", "dXNlcgB1c2VyAHNlY3JldA==",
		"MAIL FROM:<my@mycompany.com>", "RCPT TO:<your@yourcompany.com>", "DATA", "QUIT", ".", "",
	} {
		if strings.TrimSuffix(line, " ") == command {
			return true
		}
	}
	return false
}
