package smtp

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every error of MailSend that comes before connecting, in the order of the
// checks: each row has all faults of the rows below it, too.
func TestMailSendChecks(t *testing.T) {
	who := identity{"", "", "a@b", "dom", AuthPlain}
	b := newBench(t, options{who: who}, friendly(mailLines, "250 hi")...)
	long, cr := strings.Repeat("x", 600), "a\rb"
	for _, row := range []struct {
		name          string
		client        *Client
		rcpt, subject string
		body          []byte
		want          nx.Coder
	}{
		{"no client", nil, cr, cr, nil, nx.PtrError},
		{"no body", &Client{}, cr, cr, nil, nx.PtrError},
		{"empty body", &Client{}, cr, cr, []byte{}, InvalidParam},
		{"not created", &Client{}, cr, cr, []byte("x"), ClientNotInitialized},
		{"line break in the recipient", b.client, cr + long, cr, []byte("x"), InvalidParam},
		{"long recipient", b.client, long, cr, []byte("x"), nx.SizeError},
		{"line break in the subject", b.client, "", cr + long, []byte("x"), InvalidParam},
		{"long subject", b.client, "", long, []byte("x"), nx.SizeError},
		{"no recipient", b.client, "", "s", []byte("x"), InvalidParam},
		{"no recipient in brackets", b.client, "<>", "s", []byte("x"), InvalidParam},
		{"no credentials", b.client, "r", "s", []byte("x"), AuthenticationError},
	} {
		err := MailSend(row.client, row.rcpt, PriorityNormal, row.subject, row.body)
		require.ErrorIs(t, err, row.want, row.name)
		assert.Equal(t, row.want.StatusCode(), nx.Code(err), row.name)
		assert.True(t, strings.HasPrefix(err.Error(), "smtp.MailSend: NX_"), err.Error())
	}
	assert.Zero(t, b.connects)
	b.client.authType = AuthNone
	require.NoError(t, MailSend(b.client, "r", PriorityNormal, "s", []byte("x")))

	var none context.Context
	require.ErrorIs(t, MailSendContext(none, b.client, "r", PriorityNormal, "s", []byte("x")), nx.PtrError)
}

func TestConnectErrors(t *testing.T) {
	for _, status := range []nx.Status{nx.NotConnected, nx.IPAddressError, nx.NoInterfaceAddress, nx.PortUnavailable, nx.NotEnabled} {
		b := newBench(t, options{})
		b.connectError = nx.Fail("tcp.ClientSocketConnect", status, errors.New("refused"))
		err := b.sendMail("x")
		require.ErrorIs(t, err, status)
		assert.Equal(t, uint(status), nx.Code(err))
		assert.ErrorContains(t, err, "GREETING: connecting: tcp.ClientSocketConnect")
		assert.Empty(t, b.ends, "nothing to disconnect")
		info, _ := ClientInfoGet(b.client)
		assert.Equal(t, StateIdle, info.CommandState)
		assert.Zero(t, info.MailStatus)
	}
}

// What NetX Duo leaves in its control block after a mail.
func TestClientInfo(t *testing.T) {
	_, err := ClientInfoGet(nil)
	require.ErrorIs(t, err, nx.PtrError)
	_, err = ClientInfoGet(&Client{})
	require.ErrorIs(t, err, nx.PtrError)

	b := newBench(t, options{who: someone.with(AuthCRAMMD5)}, says("220 hi", "250-x\r\n250 AUTH LOGIN", "334 ", "334 ", "235 ok", "550 no", "221 bye")...)
	info, err := ClientInfoGet(b.client)
	require.NoError(t, err)
	assert.Equal(t, ClientInfo{AuthType: AuthPlain, Server: info.Server}, info, "CRAM-MD5 is PLAIN")
	assert.Equal(t, "1.2.3.4:25", info.Server.String())

	var during []string
	b.onReceive = func(*script) {
		info, _ := ClientInfoGet(b.client)
		if state := info.CommandState.String(); len(during) == 0 || during[len(during)-1] != state {
			during = append(during, state)
		}
	}
	require.ErrorIs(t, b.sendMail("x"), MailReplyError)
	assert.Equal(t, []string{"GREETING", "EHLO", "AUTH", "AUTH_CHALLENGE", "MAIL", "QUIT"}, during)
	info, _ = ClientInfoGet(b.client)
	assert.Equal(t, ClientInfo{ReplyCode: 221, MailStatus: MailReplyError, AuthType: AuthLogin, AuthState: AuthenticationSucceeded, Server: info.Server}, info)

	// The next mail begins afresh.
	b.onReceive = nil
	b.turns = friendly(mailLines, "250-x\r\n250 AUTH PLAIN")
	b.turns = append(says("220 hi", "250-x\r\n250 AUTH PLAIN", "334 ", "235 ok"), turnsFrom(2, b.turns)...)
	require.NoError(t, b.sendMail("x"))
	info, _ = ClientInfoGet(b.client)
	assert.Equal(t, ClientInfo{ReplyCode: 221, AuthType: AuthPlain, AuthState: AuthenticationSucceeded, Server: info.Server}, info)

	require.NoError(t, ClientDelete(b.client))
	_, err = ClientInfoGet(b.client)
	require.ErrorIs(t, err, nx.PtrError)
	require.ErrorIs(t, ClientDelete(b.client), nx.PtrError)
	require.ErrorIs(t, ClientDelete(nil), nx.PtrError)
	require.ErrorIs(t, b.sendMail("x"), ClientNotInitialized)
	assert.NotNil(t, b.client.Config, "is the program's")
}

// A context ends a mail, also one that is only about to begin, but not one
// that the server has taken.
func TestContext(t *testing.T) {
	for after := range 7 {
		b := newBench(t, options{}, friendly(mailLines, "250 hi")...)
		ctx, cancel := context.WithCancelCause(context.Background())
		why := errors.New("enough")
		receives := 0
		b.onReceive = func(s *script) {
			if len(s.queue) > 0 {
				if receives == after {
					cancel(why)
					s.broken = true // as abort makes it
					s.queue = nil
				}
				receives++
			}
		}
		err := MailSendContext(ctx, b.client, "a@b", PriorityNormal, "s", []byte("x"))
		if after == 6 {
			require.NoError(t, err, "QUIT")
		} else {
			require.ErrorIs(t, err, nx.WaitAborted, "%d", after)
			require.ErrorIs(t, err, why)
			var broken *PhaseError
			require.ErrorAs(t, err, &broken)
			assert.Equal(t, []State{StateGreeting, StateEHLO, StateMail, StateRcpt, StateData, StateMessage}[after], broken.Phase)
		}
		assert.EqualValues(t, 1, b.aborts.Load())
		b.balanced(t)
		cancel(nil)
	}
	b := newBench(t, options{}, friendly(mailLines, "250 hi")...)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := MailSendContext(ctx, b.client, "a@b", PriorityNormal, "s", []byte("x"))
	require.ErrorIs(t, err, nx.WaitAborted)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, b.heard.String())
}

// Mails of one client follow one another, whoever sends them.
func TestMailsTakeTurns(t *testing.T) {
	const senders, mails = 8, 5
	b := newBench(t, options{packets: 4}, friendly(mailLines, "250 hi")...)
	inside := 0
	b.onReceive = func(s *script) {
		inside++
		assert.Equal(t, 1, inside)
		inside--
	}
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for range mails {
				assert.NoError(t, b.sendMail(fmt.Sprint("from ", i)))
				_, err := ClientInfoGet(b.client)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, senders*mails, b.connects)
	b.balanced(t)
	require.NoError(t, ClientDelete(b.client))
}

// The turn on a driven clock: first come, first served, and who gives up does
// not stop the others.
func TestTurn(t *testing.T) {
	clock := new(nxtest.Clock)
	var turn turn
	var mu sync.Mutex // guards order
	var order []string
	ctx, cancel := context.WithCancel(context.Background())
	come := func(name string, at, stay nx.Wait, ctx context.Context) {
		clock.Go(func() {
			clock.Sleep(at)
			err := turn.take(ctx, clock)
			mu.Lock()
			if err != nil {
				order = append(order, name+": "+err.Error())
				mu.Unlock()
				return
			}
			order = append(order, fmt.Sprint(name, "@", clock.Ticks()))
			mu.Unlock()
			clock.Sleep(stay)
			turn.give()
		})
	}
	come("a", 1, 10, context.Background())
	come("b", 2, 10, context.Background())
	come("c", 3, 10, ctx)
	come("d", 4, 10, context.Background())
	clock.Go(func() {
		clock.Sleep(5)
		cancel()
		for left := false; !left; runtime.Gosched() {
			turn.mu.Lock()
			left = len(turn.waiting) == 2
			turn.mu.Unlock()
		}
	})
	clock.Wait(t)
	require.Len(t, order, 4)
	assert.Equal(t, "a@1", order[0])
	assert.ElementsMatch(t, []string{"c: context canceled", "b@11", "d@21"}, order[1:])
}

// A mail that waits for its turn can be given up.
func TestContextWhileWaiting(t *testing.T) {
	b := newBench(t, options{}, friendly(mailLines, "250 hi")...)
	require.NoError(t, b.client.turn.take(context.Background(), nx.RealClock))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := MailSendContext(ctx, b.client, "a@b", PriorityNormal, "s", []byte("x"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, nx.WaitAborted)
	b.client.turn.give()
	require.NoError(t, b.sendMail("x"))
}

// 100 kB through the guide's pool of nine packets, on both families, in chunks
// of the payload less headers.
func TestGuidesPool(t *testing.T) {
	line := strings.Repeat("0123456789", 6) + "..\r\n"
	body := strings.Repeat(line, 100<<10/64)
	for ipv6, chunk := range map[bool]int{false: 760, true: 740} {
		b := newBench(t, options{ipv6: ipv6}, friendly(mailLines-1+len(body)/64, "250 hi")...)
		b.busy = 4
		require.NoError(t, b.sendMail(body))
		b.balanced(t)
		chunks := b.segments[4 : len(b.segments)-1]
		_, got, _ := strings.Cut(strings.Join(chunks, ""), "\r\n\r\n")
		require.True(t, got == body+".\r\n")
		for _, segment := range chunks[:len(chunks)-1] {
			assert.Len(t, segment, chunk)
		}
	}
}

// A client does not show its password, however it is printed.
func TestPrintedClient(t *testing.T) {
	b := newBench(t, options{who: someone.with(AuthPlain)}, says("220 hi")...)
	_ = b.sendMail("x")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.NotContains(t, fmt.Sprintf(format, b.client), "secret")
	}
}
