package smtp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/smtp"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A mail is given up in every phase, over the stack: while it connects, while
// it waits for each reply, while the peer takes nothing of the body, while the
// pool is empty, and in the handshake of TLS. The call ends at once with the
// phase and the reason, no packet stays out, and the next mail works.
func TestContextEndsEveryPhase(t *testing.T) {
	for _, family := range []struct {
		name           string
		server, absent netip.Addr
	}{
		{"IPv4", serverIPv4, netip.MustParseAddr("1.2.3.99")},
		{"IPv6", serverIPv6, netip.MustParseAddr("2001:db8:1::99")},
	} {
		t.Run(family.name, func(t *testing.T) {
			network := ram.NewNetwork(ram.Config{})
			pool, serverPool := nxtest.NewPool(t, 800, 9), nxtest.NewPool(t, 1536, 64)
			events := new(nxtest.Recorder)
			client := watched(t, network, "client", nxtest.NewPool(t, 1536, 16), clientIPv4, clientIPv6, events)
			server := instance(t, network, "server", serverPool, serverIPv4, serverIPv6)
			s := newStaller(t, server)

			long := strings.Repeat("0123456789abcdef\r\n", 20000) // more than windows and buffers hold
			for _, row := range []struct {
				silent string // the command that is not answered, or a verb of the staller
				phase  smtp.State
				auth   smtp.AuthType
				config smtp.Config
			}{
				{"connect", smtp.StateGreeting, smtp.AuthNone, smtp.Config{}},
				{"", smtp.StateGreeting, smtp.AuthNone, smtp.Config{}},
				{"EHLO", smtp.StateEHLO, smtp.AuthNone, smtp.Config{}},
				{"AUTH", smtp.StateAuth, smtp.AuthPlain, smtp.Config{}},
				{"AG15", smtp.StateAuthChallenge, smtp.AuthPlain, smtp.Config{}},
				{"MAIL", smtp.StateMail, smtp.AuthNone, smtp.Config{}},
				{"RCPT", smtp.StateRcpt, smtp.AuthNone, smtp.Config{}},
				{"DATA", smtp.StateData, smtp.AuthNone, smtp.Config{}},
				{"body", smtp.StateMessage, smtp.AuthNone, smtp.Config{}},
				{".", smtp.StateMessage, smtp.AuthNone, smtp.Config{}},
				{"STARTTLS", smtp.StateStartTLS, smtp.AuthNone, smtp.Config{TLS: smtp.StartTLS}},
				{"TLS", smtp.StateStartTLS, smtp.AuthNone, smtp.Config{TLS: smtp.StartTLS}},
				{"", smtp.StateGreeting, smtp.AuthNone, smtp.Config{TLS: smtp.ImplicitTLS}},
				{"pool", smtp.StateEHLO, smtp.AuthNone, smtp.Config{PacketTimeout: nx.WaitForever}},
			} {
				t.Run(fmt.Sprint(row.silent, " ", row.phase), func(t *testing.T) {
					address := family.server
					if row.silent == "connect" {
						address = family.absent
					}
					c := &smtp.Client{Config: &row.config}
					require.NoError(t, smtp.ClientCreate(c, client, pool, "myusername", "mypassword", "my@mycompany.com", "mycompany.com", row.auth, address, 25))
					body := "Hello"
					if row.silent == "body" {
						body = long
					}
					var taken []packetpool.Packet
					if row.silent == "pool" {
						for range 9 {
							p, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
							require.NoError(t, err)
							taken = append(taken, p)
						}
					}
					ctx, cancel := context.WithCancelCause(t.Context())
					why := errors.New("enough")
					ended := make(chan error, 1)
					before := suspensions(t, pool)
					s.silentAt(row.silent)
					go func() {
						ended <- smtp.MailSendContext(ctx, c, "your@yourcompany.com", smtp.PriorityNormal, "S", []byte(body))
					}()
					switch row.silent {
					case "connect":
						nxtest.Await(t, events, func(e nx.SegmentEvent) bool { return e.Remote.Addr() == address })
					case "pool", "body": // the client waits for a packet
						within(t, func() bool { return suspensions(t, pool) > before })
					default:
						select {
						case <-s.reached:
						case <-time.After(10 * time.Second):
							t.Fatal("the client did not come so far")
						}
					}
					cancel(why)
					var err error
					select {
					case err = <-ended:
					case <-time.After(10 * time.Second):
						t.Fatal("MailSendContext goes on")
					}
					require.ErrorIs(t, err, nx.WaitAborted)
					require.ErrorIs(t, err, why)
					var where *smtp.PhaseError
					require.ErrorAs(t, err, &where)
					assert.Equal(t, row.phase, where.Phase)
					assert.Equal(t, row.silent == ".", where.Undecided)
					if row.silent == "body" {
						s.goOn <- struct{}{}
					}
					for _, p := range taken {
						require.NoError(t, packetpool.Release(p))
					}
					s.away(t)
					info, err := packetpool.PoolInfoGet(pool)
					require.NoError(t, err)
					assert.Equal(t, info.TotalPackets, info.FreePackets, "%v", pool.Holders())

					if row.silent != "connect" && row.config.TLS == smtp.NoTLS {
						s.silentAt("nothing")
						require.NoError(t, smtp.MailSend(c, "your@yourcompany.com", smtp.PriorityNormal, "S", []byte("Hello")), "the next mail")
						s.away(t)
					}
					require.NoError(t, smtp.ClientDelete(c))
				})
			}
		})
	}
}

func suspensions(t *testing.T, pool *packetpool.Pool) uint32 {
	info, err := packetpool.PoolInfoGet(pool)
	require.NoError(t, err)
	return info.EmptyPoolSuspensions
}

// within waits until something is so.
func within(t *testing.T, so func() bool) {
	t.Helper()
	limit := time.Now().Add(10 * time.Second)
	for !so() {
		require.True(t, time.Now().Before(limit), "it does not come to that")
		runtime.Gosched()
	}
}

// staller is a mail server that falls silent at one command.
type staller struct {
	mu      sync.Mutex // guards silent
	silent  string
	reached chan struct{} // it has fallen silent
	gone    chan struct{} // a connection has ended
	goOn    chan struct{} // ends the wait in the body
}

func newStaller(t *testing.T, inst *ip.Instance) *staller {
	s := &staller{reached: make(chan struct{}, 1), gone: make(chan struct{}, 1), goOn: make(chan struct{})}
	l, err := tcp.Listen(inst, 25, nil)
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(c)
			_ = c.Close()
			s.gone <- struct{}{}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return s
}

func (s *staller) silentAt(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = command
}

// away waits until the server has seen the end of a connection. None was made
// to a server that is not there.
func (s *staller) away(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	silent := s.silent
	s.mu.Unlock()
	if silent == "connect" {
		return
	}
	select {
	case <-s.gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the connection does not end")
	}
}

func (s *staller) serve(c net.Conn) {
	s.mu.Lock()
	silent := s.silent
	s.mu.Unlock()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	stall := func() {
		s.reached <- struct{}{}
		_, _ = io.Copy(io.Discard, r)
	}
	if silent == "" {
		stall()
		return
	}
	_, _ = io.WriteString(c, "220 ready\r\n")
	for mail := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case mail && line != ".":
			continue
		case strings.HasPrefix(line, silent):
			stall()
			return
		case line == "DATA" && silent == "body":
			_, _ = io.WriteString(c, "354 go\r\n")
			<-s.goOn // nothing is taken until then
			_, _ = io.Copy(io.Discard, r)
			return
		}
		mail = line == "DATA"
		answer := friendlyReply(line)
		if strings.HasPrefix(line, "EHLO") {
			answer = "250-srv\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"
		}
		if line == "STARTTLS" {
			answer = "220 go\r\n"
		}
		if _, err := io.WriteString(c, answer); err != nil || line == "QUIT" {
			return
		}
		if line == "STARTTLS" {
			stall()
			return
		}
	}
}
