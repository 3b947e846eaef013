package smtp_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

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

// Two instances on a network in memory: the client on one, a mail server made
// of tcp's services on the other.

var (
	clientIPv4 = ip.IPAddress(1, 2, 3, 5)
	serverIPv4 = ip.IPAddress(1, 2, 3, 4)
	clientIPv6 = netip.MustParseAddr("2001:db8:1::5")
	serverIPv6 = netip.MustParseAddr("2001:db8:1::4")
)

func instance(t testing.TB, network *ram.Network, name string, pool *packetpool.Pool, v4, v6 netip.Addr) *ip.Instance {
	return watched(t, network, name, pool, v4, v6, nil)
}

// watched is an instance with a recorder.
func watched(t testing.TB, network *ram.Network, name string, pool *packetpool.Pool, v4, v6 netip.Addr, recorder nx.Recorder) *ip.Instance {
	t.Helper()
	inst := &ip.Instance{Config: &ip.Config{NoDAD: true, Recorder: recorder}}
	require.NoError(t, ip.Create(inst, name, v4, ip.IPAddress(255, 255, 255, 0), pool, network.Driver(), 2048, 1))
	t.Cleanup(func() {
		if inst.Created() {
			require.NoError(t, ip.Delete(inst))
		}
	})
	require.NoError(t, ip.IPv6Enable(inst))
	_, err := ip.IPv6AddressSet(inst, 0, v6, 64)
	require.NoError(t, err)
	require.NoError(t, tcp.Enable(inst))
	return inst
}

// mailServer answers one connection after the other. reply is called with each
// line, and with the whole message after DATA; what it answers is sent, "" is
// nothing, and a reply that begins with 221 ends the connection.
type mailServer struct {
	inst    *ip.Instance
	pool    *packetpool.Pool
	socket  tcp.Socket
	asked   chan struct{} // somebody wants a connection
	stopped sync.Once
	over    chan struct{} // nobody else is served
	ended   chan struct{}
	lines   []string // of all connections
	mails   []string
	reply   func(line string) string
}

func serve(t testing.TB, inst *ip.Instance, pool *packetpool.Pool, reply func(line string) string) *mailServer {
	t.Helper()
	s, err := startServer(inst, pool, reply)
	require.NoError(t, err)
	t.Cleanup(func() { s.stop(t) })
	return s
}

func startServer(inst *ip.Instance, pool *packetpool.Pool, reply func(line string) string) (*mailServer, error) {
	s := &mailServer{
		inst: inst, pool: pool, reply: reply,
		asked: make(chan struct{}, 1), over: make(chan struct{}), ended: make(chan struct{}),
	}
	ask := func(*tcp.Socket, uint) { s.asked <- struct{}{} }
	err := tcp.SocketCreate(inst, &s.socket, "server", tcp.IPNormal, tcp.FragmentOkay, tcp.IPTimeToLive, 8192, nil, nil)
	if err == nil {
		err = tcp.ServerSocketListen(inst, smtp.DefaultPort, &s.socket, 5, ask)
	}
	if err == nil {
		go s.run()
	}
	return s, err
}

// stop ends the server; what it has seen may be read after it.
func (s *mailServer) stop(t testing.TB) {
	t.Helper()
	require.NoError(t, s.end())
}

func (s *mailServer) end() (err error) {
	s.stopped.Do(func() {
		close(s.over)
		<-s.ended
		_ = tcp.SocketDisconnect(&s.socket, nx.NoWait)
		_ = tcp.ServerSocketUnaccept(&s.socket)
		_ = tcp.ServerSocketUnlisten(s.inst, smtp.DefaultPort)
		err = tcp.SocketDelete(&s.socket)
	})
	return err
}

// run serves connections until it is stopped. It accepts one that is asked for, and
// waits for its handshake as long as that takes.
func (s *mailServer) run() {
	defer close(s.ended)
	for {
		select {
		case <-s.over:
			return
		case <-s.asked:
		}
		if tcp.ServerSocketAccept(&s.socket, nx.WaitForever) == nil {
			s.session()
			_ = tcp.SocketDisconnect(&s.socket, 500)
		}
		_ = tcp.ServerSocketUnaccept(&s.socket)
		_ = tcp.ServerSocketRelisten(s.inst, smtp.DefaultPort, &s.socket)
	}
}

func (s *mailServer) session() {
	if !s.say("220 ready\r\n") {
		return
	}
	var data []byte
	inMail := false
	for {
		packet, err := tcp.SocketReceive(&s.socket, nx.WaitForever)
		if err != nil {
			return
		}
		for piece := range packetpool.Pieces(packet) {
			data = append(data, piece...)
		}
		_ = packetpool.Release(packet)
		for {
			if inMail {
				mail, rest, found := bytes.Cut(data, []byte("\r\n.\r\n"))
				if !found {
					break
				}
				s.mails = append(s.mails, string(mail)+"\r\n")
				data, inMail = rest, false
				if !s.say(s.reply(".")) {
					return
				}
				continue
			}
			line, rest, found := bytes.Cut(data, []byte("\r\n"))
			if !found {
				break
			}
			data = rest
			s.lines = append(s.lines, string(line))
			answer := s.reply(string(line))
			inMail = strings.HasPrefix(answer, "354")
			if !s.say(answer) || strings.HasPrefix(answer, "221") {
				return
			}
		}
	}
}

func (s *mailServer) say(text string) bool {
	for text != "" {
		n := min(len(text), 1000)
		packet, err := packetpool.Allocate(s.pool, packetpool.TCPPacket, 200)
		if err == nil {
			err = packetpool.DataAppend(packet, []byte(text[:n]), s.pool, 200)
		}
		if err == nil {
			err = tcp.SocketSend(&s.socket, packet, 500)
		}
		if err != nil {
			_ = packetpool.Release(packet)
			return false
		}
		text = text[n:]
	}
	return true
}

// friendlyReply is a server that takes everything and offers both mechanisms.
func friendlyReply(line string) string {
	switch {
	case strings.HasPrefix(line, "EHLO"):
		return "250-srv\r\n250-AUTH PLAIN LOGIN\r\n250 HELP\r\n"
	case line == "AUTH PLAIN":
		return "334 \r\n"
	case line == "AUTH LOGIN":
		return "334 VXNlcm5hbWU6\r\n"
	case line == "bXl1c2VybmFtZQ==":
		return "334 UGFzc3dvcmQ6\r\n"
	case line == "bXlwYXNzd29yZA==" || line == "AG15dXNlcm5hbWUAbXlwYXNzd29yZA==":
		return "235 ok\r\n"
	case line == "DATA":
		return "354 go\r\n"
	case line == "QUIT":
		return "221 bye\r\n"
	}
	return "250 ok\r\n"
}

// The guide's program, over both families and with each authentication: the
// mails arrive as they were sent and the pools are full again.
func TestMailOverRAM(t *testing.T) {
	for _, family := range []struct {
		name   string
		server netip.Addr
	}{{"IPv4", serverIPv4}, {"IPv6", serverIPv6}} {
		for _, auth := range []smtp.AuthType{smtp.AuthNone, smtp.AuthPlain, smtp.AuthLogin} {
			t.Run(fmt.Sprint(family.name, " ", auth), func(t *testing.T) {
				network := ram.NewNetwork(ram.Config{})
				clientPool := nxtest.NewPool(t, 800, 9) // the guide's
				ipPool := nxtest.NewPool(t, 128, 10)    // the guide's
				serverPool := nxtest.NewPool(t, 1536, 64)
				client := instance(t, network, "client", ipPool, clientIPv4, clientIPv6)
				server := instance(t, network, "server", serverPool, serverIPv4, serverIPv6)
				s := serve(t, server, serverPool, friendlyReply)

				var c smtp.Client
				require.NoError(t, smtp.ClientCreate(&c, client, clientPool, "myusername", "mypassword",
					"my@mycompany.com", "mycompany.com", auth, family.server, smtp.DefaultPort))
				for _, body := range []string{"Hello\r\n.\r\n", strings.Repeat("0123456789abcdef\r\n", 100<<10/18)} {
					require.NoError(t, smtp.MailSend(&c, "your@yourcompany.com", smtp.PriorityNormal, "Subject", []byte(body)))
				}
				require.NoError(t, smtp.ClientDelete(&c))
				s.stop(t)
				require.Len(t, s.mails, 2)
				assert.Contains(t, s.mails[0], "\r\n\r\nHello\r\n..\r\n")
				_, body, _ := strings.Cut(s.mails[1], "\r\n\r\n")
				assert.Equal(t, strings.Repeat("0123456789abcdef\r\n", 100<<10/18), body)
			})
		}
	}
}
