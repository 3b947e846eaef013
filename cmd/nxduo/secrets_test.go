package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gonetx/cmd/nxduo/internal/ladder"
	"gonetx/cmd/nxduo/internal/trace"
	"gonetx/ip/link/capture"
	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/smtp"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// authFlows are all ways that an AUTH exchange goes, by what the server says
// to AUTH and to each line after it. "%s" is what the client has just sent; the
// exchange is over with the last one.
var authFlows = map[string][]string{
	"accepted":                  {"334 ", "235 ok"},
	"accepted, LOGIN":           {"334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok"},
	"password first":            {"334 UGFzc3dvcmQ6", "334 VXNlcm5hbWU6", "235 ok"},
	"prompts nobody knows":      {"334 VXNlciBOYW1lAA==", "334 UGFzc3dvcmQA", "235 ok"},
	"at once":                   {"235 ok"},
	"just a word":               {"250 what is %s?"},
	"refused":                   {"334 ", "535 5.7.8 no"},
	"refused, repeating":        {"334 ", "535-5.7.8 %s\r\n535 5.7.8 is not the password"},
	"refused, decoding":         {"334 ", "535 5.7.8 %d is wrong"},
	"LOGIN, repeating":          {"334 %s", "334 %s", "535 %s"},
	"a part is repeated":        {"334 ", "500 unrecognized command \"%.12s...\""},
	"not now":                   {"334 ", "454 4.7.0 %s: temporary failure"},
	"closing":                   {"334 ", "421 4.3.2 %s"},
	"no reply code":             {"334 ", "%s"},
	"another code":              {"334 ", "354 %s"},
	"prompts for ever":          {"334 VXNlcm5hbWU6", "334 VXNlcm5hbWU6", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "334 %s", "501 %s"},
	"away":                      {"334 ", ""},
	"away in the midst of it":   {"334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", ""},
	"told in the reply to MAIL": {"334 ", "235 welcome %s", "550 %d"},
}

// No password, and nothing that AUTH makes of it, is in what anybody is shown:
// errors, events, traces, ladders, comments of a capture, the client printed;
// only the wire has it.
func TestNoSecretIsShown(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	server := &stack{}
	require.NoError(t, server.up(stackConfig{name: "server", ipPool: packets(64, 1536), clientPool: packets(64, 1536), addresses: []netip.Prefix{server4, server6}, driver: network.Driver()}))
	t.Cleanup(func() { require.NoError(t, server.down()) })

	rows, traced := ladder.New(true), new(bytes.Buffer)
	writer := trace.NewWriter(traced, nil, nil)
	require.NoError(t, writer.Start(trace.Header{}))
	events := new(nxtest.Recorder)
	path := filepath.Join(t.TempDir(), "secrets.pcapng")
	to, err := os.Create(path)
	require.NoError(t, err)
	file := capture.NewFile(to)
	driver := file.Wrap(network.Driver())
	recorder := recorders{rows, writer.Side("IPv4", nil), events}
	client := &stack{}
	require.NoError(t, client.up(stackConfig{name: "client", ipPool: packets(64, 1536), clientPool: packets(16, 800), addresses: []netip.Prefix{client4, client6}, driver: driver, recorder: driver.Recorder(recorder)}))

	s := &parrot{}
	s.serve(t, server)
	var shown strings.Builder
	for name, replies := range authFlows {
		for _, auth := range []smtp.AuthType{smtp.AuthPlain, smtp.AuthLogin, smtp.AuthNone} {
			for _, release := range []bool{false, true} {
				s.say(replies)
				c := &smtp.Client{Config: &smtp.Config{Release: release, EnvelopeTimeout: 50}} // some flows end in silence
				require.NoError(t, smtp.ClientCreate(c, &client.inst, &client.clientPool, testUser, testPassword,
					"my@mycompany.com", "mycompany.com", auth, server4.Addr(), smtp.DefaultPort))
				for range 2 { // the second begins where the first has left off
					err := smtp.MailSend(c, "your@yourcompany.com", smtp.PriorityNormal, "Subject", []byte("Hello\r\n"))
					fmt.Fprintf(&shown, "%s %v %v: %v %+v %#v\n", name, auth, release, err, err, err)
					for err := err; err != nil; err = errors.Unwrap(err) {
						fmt.Fprintf(&shown, "\t%+v %#v\n", err, err)
					}
				}
				info, err := smtp.ClientInfoGet(c)
				require.NoError(t, err)
				fmt.Fprintf(&shown, "%+v %v %+v %s\n", info, c, c, c.Config.ServerName)
				require.NoError(t, smtp.ClientDelete(c))
			}
		}
	}
	require.NoError(t, client.down())
	require.NoError(t, writer.Close(false, ""))
	require.NoError(t, file.Close())
	require.NoError(t, to.Close())

	printed := new(strings.Builder)
	ladder.NewPrinter(printed, 500).Print(rows.Rows(), 0)
	inJSON, err := json.Marshal([]any{rows.Rows(), rows.Summary()})
	require.NoError(t, err)
	var raw strings.Builder
	for _, e := range events.Events() {
		fmt.Fprintf(&raw, "%+v\n", e)
	}
	comments, frames := captured(t, path)
	wire := string(bytes.Join(frames, nil))

	var forms []string
	for _, secret := range secrets() {
		forms = append(forms, secret, secret[:min(len(secret), 10)])
	}
	for _, form := range forms {
		assert.Contains(t, wire, form, "the test would find it")
		for where, text := range map[string]string{
			"errors and clients": shown.String(), "ladder": printed.String(), "ladder in JSON": string(inJSON),
			"events": raw.String(), "trace": traced.String(), "comments": comments,
		} {
			if i := strings.Index(text, form); i >= 0 {
				t.Errorf("%q is in %s: %q", form, where, text[max(0, i-200):min(len(text), i+100)])
			}
		}
	}
	for where, text := range map[string]string{"ladder": printed.String() + string(inJSON), "trace": traced.String(), "comments": comments} {
		assert.Contains(t, text, "[redacted]", where)
		assert.Contains(t, text, "MAIL FROM", where)
		assert.Contains(t, text, "unprotected connection", where)
	}
}

// recorders hands an event to each.
type recorders []nx.Recorder

func (r recorders) Record(e nx.Event) {
	for _, to := range r {
		to.Record(e)
	}
}

// parrot is a mail server that says what it is told to when somebody
// authenticates, and repeats what it heard.
type parrot struct {
	mu      sync.Mutex // guards replies
	replies []string
}

func (s *parrot) say(replies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies = replies
}

func (s *parrot) serve(t *testing.T, on *stack) {
	l, err := tcp.Listen(&on.inst, smtp.DefaultPort, &tcp.ConnOptions{Pool: &on.clientPool})
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.session(c)
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
}

func (s *parrot) session(c net.Conn) {
	s.mu.Lock()
	replies := s.replies
	s.mu.Unlock()
	r := bufio.NewReader(c)
	say := func(text string) { _, _ = io.WriteString(c, text+"\r\n") }
	heard := "" // the last line of an AUTH exchange
	next := func() bool {
		reply := replies[0]
		replies = replies[1:]
		if reply == "" {
			return false
		}
		decoded, _ := base64.StdEncoding.DecodeString(heard)
		reply = strings.ReplaceAll(reply, "%s", heard)
		reply = strings.ReplaceAll(reply, "%.12s", heard[:min(len(heard), 12)])
		say(strings.ReplaceAll(reply, "%d", string(decoded)))
		return true
	}
	say("220 parrot")
	for exchange, mail := false, false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case mail:
			if mail = line != "."; !mail {
				say("250 taken")
			}
		case strings.HasPrefix(line, "EHLO"):
			say("250-parrot\r\n250 AUTH PLAIN LOGIN")
		case line == "QUIT":
			say("221 bye " + heard)
			return
		case strings.HasPrefix(line, "AUTH"), exchange && len(replies) > 0 && !strings.HasPrefix(line, "MAIL"):
			if exchange = true; !strings.HasPrefix(line, "AUTH") {
				heard = line
			}
			if len(replies) > 0 && !next() {
				return
			}
		case strings.HasPrefix(line, "MAIL") && exchange && len(replies) > 0:
			if !next() {
				return
			}
		case line == "DATA":
			mail = true
			say("354 go")
		default:
			say("250 ok")
		}
	}
}
