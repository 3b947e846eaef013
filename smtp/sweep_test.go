package smtp

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"gonetx/packetpool/nx"

	"github.com/stretchr/testify/require"
)

// swept is a dialogue at each byte of which something goes wrong.
type swept struct {
	name  string
	who   identity
	body  string
	turns []turnOf
}

func sweptDialogues() []swept {
	long := strings.Repeat(strings.Repeat("0123456789", 6)+"..\r\n", 100<<10/64)
	mail := func(lines int, before ...string) []turnOf {
		turns := append(says(before...), says("", "250 2.1.0 ok", "250 2.1.5 ok", "354 go ahead")[1:]...)
		return append(turns, turnOf{lines, []string{"250-2.0.0 taken\r\n250 2.0.0 thanks\r\n"}}, turnOf{1, []string{"221 2.0.0 bye\r\n"}})
	}
	const ehlo = "250-srv\r\n250-SIZE 1000000\r\n250-AUTH PLAIN LOGIN\r\n250 HELP"
	return []swept{
		{"PLAIN", someone.with(AuthPlain), "Hello\r\n.\r\nbye", mail(mailLines+2, "220-srv\r\n220 ready", ehlo, "334 ", "235 2.7.0 ok")},
		{"LOGIN", someone.with(AuthLogin), "Hello\r\n.\r\nbye", mail(mailLines+2, "220-srv\r\n220 ready", ehlo, "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0 ok")},
		{"100 kB", someone, long, mail(mailLines-1+len(long)/64, "220-srv\r\n220 ready", "250-srv\r\n250 HELP")},
	}
}

// TestEveryOctet makes a connection end, break, or stand still at every byte of
// three dialogues, in both directions and on both families, and cuts segments
// there. A mail is reported as sent exactly when the reply to it has come, the
// session ends within the time-out of its phase and says which it was, all
// packets come back, and the next mail works.
func TestEveryOctet(t *testing.T) {
	runs := 0
	for _, d := range sweptDialogues() {
		for _, ipv6 := range []bool{false, true} {
			b := newBench(t, options{who: d.who, ipv6: ipv6, fast: true}, d.turns...)
			require.NoError(t, b.sendMail(d.body))
			sent, received := b.heard.Len(), b.delivered
			accepted := map[string]int{ // bytes that must have passed for the mail to be taken, and known to be
				"server": strings.LastIndex(b.heard.String(), "QUIT"),
				"client": received - len("221 2.0.0 bye\r\n"),
			}
			for _, direction := range []string{"client", "server"} {
				length := map[string]int{"client": received, "server": sent}[direction]
				for _, fault := range []fault{cut, reset, stall, split} {
					for at := 0; at <= length; at += stride(d, direction, at, length) {
						if direction == "server" && fault == split {
							continue // the client's segments are its own
						}
						b.sweep(t, d, fmt.Sprintf("%s, IPv6 %v, %s after %d bytes to the %s", d.name, ipv6, fault, at, direction),
							direction, fault, at, fault == split || at >= accepted[direction])
						runs++
					}
				}
			}
		}
	}
	t.Logf("%d sessions", runs)
}

// stride is the step to the next byte: one in CI, where the race detector (there
// with -short) does not look on; else larger in the middle of the long body.
func stride(d swept, direction string, at, length int) int {
	middle := direction == "server" && len(d.body) > 1000 && at > 500 && at < length-500
	switch {
	case testing.Short() && middle:
		return 1999
	case testing.Short():
		return 7
	case !middle:
		return 1
	case os.Getenv("CI") == "true":
		return 1
	}
	return 97
}

func (b *bench) sweep(t *testing.T, d swept, what, direction string, f fault, at int, taken bool) {
	b.toClient, b.toServer, b.after, b.delivered = "", "", at, 0
	if direction == "client" {
		b.toClient = f
	} else {
		b.toServer = f
	}
	b.ends, b.maxWait = nil, 0
	b.turns = d.turns
	started := b.clock.Now()
	err := b.sendMail(d.body)
	took := b.clock.Now() - started
	if taken != (err == nil) {
		t.Fatalf("%s: %v", what, err)
	}
	if err != nil {
		if taken || !strings.Contains(err.Error(), ": sending") && !strings.Contains(err.Error(), ": awaiting the reply") {
			t.Fatalf("%s: the error does not say the phase: %v", what, err)
		}
		want := map[fault]nx.Status{cut: nx.NotConnected, reset: nx.NotConnected, stall: nx.NoPacket}[f]
		if code := nx.Code(err); code != uint(want) && !(f == stall && code == uint(nx.WindowOverflow)) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	if limit := nx.Wait(60000 + 1000).Duration(); took > limit {
		t.Fatalf("%s: took %v", what, took)
	}
	if len(b.ends) != 1 {
		t.Fatalf("%s: closed %v", what, b.ends)
	}
	b.queue = nil
	b.full(t, what)

	b.toClient, b.toServer, b.delivered = "", "", 0
	b.turns = nextMail
	b.client.authType = AuthNone
	if err := b.sendMail("next"); err != nil {
		t.Fatalf("%s: the next mail: %v", what, err)
	}
	b.client.authType = d.who.auth
	b.log.Reset()
	b.events.Reset()
}

var nextMail = friendly(mailLines, "250 hi")
