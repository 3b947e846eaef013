package smtp_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"gonetx/ip/driven"
	"gonetx/packetpool/nx"
	"gonetx/smtp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dialogue is one of those at each octet of which a connection goes wrong.
type dialogue struct {
	name  string
	auth  smtp.AuthType
	body  string
	turns []turn
}

func dialogues() []dialogue {
	const line = "\r\n"
	ehlo := turn{smtp.StateEHLO, line, "250-srv\r\n250-SIZE 1000000\r\n250-AUTH PLAIN LOGIN\r\n250 HELP\r\n"}
	mail := []turn{
		{smtp.StateMail, line, "250 2.1.0 ok\r\n"},
		{smtp.StateRcpt, line, "250 2.1.5 ok\r\n"},
		{smtp.StateData, line, "354 go ahead\r\n"},
		{smtp.StateMessage, endOfMail, "250-2.0.0 taken\r\n250 2.0.0 thanks\r\n"},
		{smtp.StateQuit, line, "221 2.0.0 bye\r\n"},
	}
	with := func(first ...turn) []turn {
		return append(append([]turn{{smtp.StateGreeting, "", "220-srv\r\n220 ready\r\n"}}, first...), mail...)
	}
	return []dialogue{
		{"PLAIN", smtp.AuthPlain, "Hello\r\n.\r\nbye", with(ehlo,
			turn{smtp.StateAuth, line, "334 \r\n"}, turn{smtp.StateAuthChallenge, line, "235 2.7.0 ok\r\n"})},
		{"LOGIN", smtp.AuthLogin, "Hello\r\n.\r\nbye", with(ehlo,
			turn{smtp.StateAuth, line, "334 VXNlcm5hbWU6\r\n"}, turn{smtp.StateAuthChallenge, line, "334 UGFzc3dvcmQ6\r\n"},
			turn{smtp.StateAuthChallenge, line, "235 2.7.0 ok\r\n"})},
		{"100 kB", smtp.AuthNone, strings.Repeat(strings.Repeat("0123456789", 6)+"..\r\n", 100<<10/64),
			with(turn{smtp.StateEHLO, line, "250-srv\r\n250 HELP\r\n"})},
	}
}

// TestEveryOctetOnTheStack makes a connection go wrong at every octet of three
// dialogues, in both directions and on both families, on real stacks in driven
// time: the server closes it or resets it, nothing gets through any more, or what
// follows is lost once.
//
// A mail is reported as sent exactly when the reply to it has come, the call
// returns within the time-out of its phase and says phase and cause, all packets
// come back, and the next mail works.
//
// Inside the long body it is every 1709th octet, and outside of CI every third
// elsewhere; NX_OCTETS=all takes each, which is more than 800 000 mails and takes an
// hour: -timeout 3h.
func TestEveryOctetOnTheStack(t *testing.T) {
	defer driven.Session()()
	total := 0
	for _, d := range dialogues() {
		for _, ipv6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s IPv6 %v", d.name, ipv6), func(t *testing.T) { total += d.sweep(t, ipv6) })
		}
	}
	which := "every third, every 1709th inside the long body (CI=true: each but there, NX_OCTETS=all: each)"
	switch {
	case testing.Short():
		which = "every 13th, fewer inside the long body"
	case os.Getenv("NX_OCTETS") == "all":
		which = "each"
	case os.Getenv("CI") == "true":
		which = "each, every 1709th inside the long body"
	}
	fmt.Printf("octets: %d mails with a connection that goes wrong at an octet: %s\n", total, which)
}

func (d *dialogue) sweep(t *testing.T, ipv6 bool) (runs int) {
	r := newRig(t, ipv6, d.auth, d.turns)
	_, err := r.mail(trouble{}, d.body)
	require.NoError(t, err)
	heard, said := append([]int{}, r.heard...), append([]int{}, r.said...)
	for _, kind := range []string{"cut", "reset", "stall", "lose"} {
		for _, to := range []string{"server", "client"} {
			length := map[string]int{"server": heard[len(heard)-1], "client": said[len(said)-1]}[to]
			for at := 0; at <= length; at += d.stride(to, at, length) {
				r.try(d, trouble{kind, to, at}, heard, said)
				runs++
				if t.Failed() {
					return runs
				}
			}
		}
	}
	return runs
}

// stride is the way to the next octet.
func (d *dialogue) stride(to string, at, length int) int {
	inside := to == "server" && len(d.body) > 1000 && at > 600 && at < length-100
	switch {
	case inside && testing.Short():
		return 19997
	case testing.Short():
		return 13
	case inside && os.Getenv("NX_OCTETS") != "all":
		return min(1709, length-100-at)
	case os.Getenv("CI") != "true" && os.Getenv("NX_OCTETS") != "all":
		return 3
	}
	return 1
}

// try sends a mail with a trouble, looks at the outcome, and sends another one.
func (r *rig) try(d *dialogue, trouble trouble, heard, said []int) {
	t := r.t
	what := fmt.Sprintf("%s after %d octets to the %s", trouble.kind, trouble.at, trouble.to)
	phase, done := d.phaseAt(trouble, heard, said)
	took, err := r.mail(trouble, d.body)
	taken := r.wire.passed["client"] >= said[len(said)-2] // the reply to the message has come
	switch {
	case taken != (err == nil), done != (err == nil):
		t.Errorf("%s: the reply has come: %v, awaited: %v, outcome: %v", what, taken, done, err)
	case err != nil:
		checkBroken(t, what, trouble, phase, err)
		var said *smtp.PhaseError
		if undecided := len(r.heard) == len(d.turns)-1; errors.As(err, &said) && undecided && !said.Undecided {
			t.Errorf("%s: the server has the message, and the error does not say that it may: %v", what, err)
		}
	}
	if limit := phaseLimit(phase); took > limit {
		t.Errorf("%s: took %d ticks, more than %d", what, took, limit)
	}
	r.next(what)
}

// next sets everything right, sees that all packets are back, and sends a
// mail.
func (r *rig) next(what string) {
	r.repair()
	if !r.full() {
		r.t.Errorf("%s: packets are missing: %v", what, r.info())
	}
	_, err := r.mail(trouble{}, "next "+what)
	if err != nil || !strings.Contains(r.last, "\r\n\r\nnext "+what+"\r\n.") {
		r.t.Errorf("%s: the next mail: %v; the server has %q", what, err, r.last)
	}
}

// phaseAt is the phase that a trouble comes in; done tells that the mail is
// reported as sent nevertheless.
func (d *dialogue) phaseAt(trouble trouble, heard, said []int) (phase smtp.State, done bool) {
	if trouble.kind == "lose" {
		return smtp.StateQuit, true
	}
	for k, turn := range d.turns {
		if trouble.to == "server" && trouble.at <= heard[k] || trouble.to == "client" && trouble.at < said[k] {
			return turn.phase, turn.phase == smtp.StateQuit
		}
	}
	return smtp.StateQuit, true
}

// checkBroken looks at the error of a session that could not go on.
func checkBroken(t *testing.T, what string, trouble trouble, phase smtp.State, err error) {
	var said *smtp.PhaseError
	if !errors.As(err, &said) || said.Err == nil || said.Doing == "" {
		t.Errorf("%s: the error does not say the phase and the cause: %v", what, err)
		return
	}
	if said.Phase != phase {
		t.Errorf("%s: in phase %v, the error says %v", what, phase, err)
	}
	code := nx.Code(err)
	switch {
	case code == uint(nx.NotConnected):
	case trouble.kind == "stall" && (code == uint(nx.NoPacket) || code == uint(nx.WindowOverflow) || code == uint(nx.TxQueueDepth)):
	default:
		t.Errorf("%s: %v", what, err)
	}
}

// phaseLimit is how many ticks a mail may take that ends in a phase: the time-out
// of the phase, for the message that of a block too, and the way out.
func phaseLimit(phase smtp.State) uint32 {
	const disconnect, block = 500, 18_000
	switch phase {
	case smtp.StateMessage:
		return 60_000 + block + disconnect
	case smtp.StateQuit:
		return 30_000 + disconnect
	}
	return 30_000 + disconnect
}

// TestEveryPhaseOnTheStack takes the device away, and empties the client's pool
// and that of its instance, in every phase of the dialogues. The call says phase
// and cause, and when the device or the packets are back the next mail works.
func TestEveryPhaseOnTheStack(t *testing.T) {
	defer driven.Session()()
	runs := 0
	for _, d := range dialogues() {
		for _, ipv6 := range []bool{false, true} {
			r := newRig(t, ipv6, d.auth, d.turns)
			for k := range d.turns {
				for _, kind := range []string{"device away", "client's pool dry", "instance's pool dry"} {
					r.without(&d, kind, k)
					runs++
				}
			}
		}
	}
	fmt.Printf("phases: %d mails with the device away or a pool dry in a phase\n", runs)
}

// without sends a mail during which something is missing from the time on at
// which the server answers a turn.
func (r *rig) without(d *dialogue, kind string, k int) {
	t := r.t
	what := fmt.Sprintf("%s at turn %d of %s", kind, k, d.name)
	restore := func() {}
	r.before = func(turn int) {
		if turn != k {
			return
		}
		switch kind {
		case "device away":
			r.device.Unplug()
			restore = r.device.Plug
		case "client's pool dry":
			restore = drain(r.pools[poolOfClient])
		case "instance's pool dry":
			restore = drain(r.pools[poolOfInstance])
		}
	}
	took, err := r.mail(trouble{}, d.body)
	r.before = nil
	taken := r.wire.passed["client"] >= r.replyEnd(d)
	// What is dry does not keep the reply to the message from coming when it is the
	// client's pool; then QUIT has no packet, and that changes nothing.
	assert.Equal(t, taken && (kind == "client's pool dry" || k == len(d.turns)-1), err == nil, "%s: %v", what, err)
	if err != nil {
		var said *smtp.PhaseError
		if assert.ErrorAs(t, err, &said, what) {
			want := d.turns[k].phase
			if kind == "client's pool dry" && k+1 < len(d.turns) {
				want = d.turns[k+1].phase // this reply still comes
			}
			assert.Equal(t, want, said.Phase, "%s: %v", what, err)
			assert.Error(t, said.Err, what)
		}
		code := nx.Code(err)
		assert.Contains(t, []uint{uint(nx.NoPacket), uint(nx.NotConnected)}, code, "%s: %v", what, err)
	}
	assert.LessOrEqual(t, took, phaseLimit(d.turns[k].phase)+200, what)
	restore()
	r.next(what)
}

// replyEnd is where the reply to the message ends, among the octets to the
// client.
func (r *rig) replyEnd(d *dialogue) (end int) {
	for _, turn := range d.turns[:len(d.turns)-1] {
		end += len(turn.reply)
	}
	return end
}

// info is what is free in each pool, for reports.
func (r *rig) info() (free []string) {
	for _, pool := range r.pools {
		free = append(free, poolState(pool))
	}
	return free
}
