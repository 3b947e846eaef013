package interop

import (
	"bytes"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/tun"
	"gonetx/ip/link/tun/netns"
	"gonetx/netns-tests/mailserver"
	"gonetx/netns-tests/topology"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/smtp"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// entered is what netns.Enter answered: nil in namespaces of our own.
var entered error

func TestMain(m *testing.M) {
	entered = netns.Enter()
	if os.Getenv(role) != "" {
		waitToBeKilled()
	}
	nxtest.Main(m)
}

// skip is loud, and in CI a failure.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf("SKIP: "+format, args...)
}

// families are the mail server's addresses.
var families = []struct {
	name   string
	server netip.Addr
}{{"IPv4", topology.Gateway4.Addr()}, {"IPv6", topology.Gateway6.Addr()}}

// world is a stack on a TUN device, and at its other end the kernel of a
// namespace in which mail servers run.
type world struct {
	host    *topology.Local
	inst    ip.Instance
	pool    *packetpool.Pool // of the SMTP clients
	events  nxtest.Recorder
	arrived chan mailserver.Mail // at the server behind the servers
}

// sinkAddress is where a server under test hands its mails on to, inside its
// namespace.
const sinkAddress = "127.0.0.1:2525"

func newWorld(t *testing.T) *world {
	t.Helper()
	if entered != nil {
		skip(t, "namespaces: %v", entered)
	}
	host, err := topology.NewLocal()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, host.Close()) })
	w := &world{host: host, pool: nxtest.NewPool(t, 800, 16), arrived: make(chan mailserver.Mail, 16)}

	l, err := host.Listen(sinkAddress)
	require.NoError(t, err)
	sink := mailserver.Start(l, mailserver.Config{Taken: func(m mailserver.Mail) { w.arrived <- m }})
	t.Cleanup(func() { assert.NoError(t, sink.Close()) })

	w.inst.Config = &ip.Config{NoDAD: true, Recorder: &w.events}
	require.NoError(t, ip.Create(&w.inst, "stack", topology.Stack4.Addr(), ip.IPAddress(255, 255, 255, 0),
		nxtest.NewPool(t, 1536, 64), tun.New(host.Device()), 2048, 1))
	t.Cleanup(func() { assert.NoError(t, ip.Delete(&w.inst)) })
	require.NoError(t, ip.IPv6Enable(&w.inst))
	_, err = ip.IPv6AddressSet(&w.inst, 0, topology.Stack6.Addr(), uint32(topology.Stack6.Bits()))
	require.NoError(t, err)
	require.NoError(t, tcp.Enable(&w.inst))
	return w
}

// letter is a mail and how it is sent.
type letter struct {
	user, password string
	auth           smtp.AuthType // zero: none
	from, to       string        // empty: addresses that the servers know
	domain         string        // empty: client.example.test
	subject, body  string
	port           uint // zero: 25
	config         smtp.Config
}

// send sends a letter. Whatever comes of it, the client can be deleted and has
// left no packet out; the end of the test looks at the pools.
func (w *world) send(t *testing.T, server netip.Addr, l letter) (smtp.ClientInfo, error) {
	t.Helper()
	or := func(value *string, otherwise string) {
		if *value == "" {
			*value = otherwise
		}
	}
	or(&l.from, "sender@client.example.test")
	or(&l.to, "user@example.test")
	or(&l.domain, "client.example.test")
	or(&l.subject, "Subject")
	or(&l.body, "Hello\r\n")
	if l.auth == 0 {
		l.auth = smtp.AuthNone
	}
	if l.port == 0 {
		l.port = smtp.DefaultPort
	}
	for _, timeout := range []*nx.Wait{&l.config.GreetingTimeout, &l.config.EnvelopeTimeout, &l.config.MessageTimeout} {
		if *timeout == 0 {
			*timeout = 20 * nx.TicksPerSecond // not minutes, should a server be silent
		}
	}
	client := &smtp.Client{Config: &l.config}
	require.NoError(t, smtp.ClientCreate(client, &w.inst, w.pool, l.user, l.password, l.from, l.domain, l.auth, server, l.port))
	err := smtp.MailSend(client, l.to, smtp.PriorityNormal, l.subject, []byte(l.body))
	info, infoErr := smtp.ClientInfoGet(client)
	require.NoError(t, infoErr)
	require.NoError(t, smtp.ClientDelete(client))
	return info, err
}

// receipt is a mail as it arrived.
type receipt struct {
	mailserver.Mail
	header mail.Header
	body   string // decoded
	raw    string
}

// receive waits for the next mail behind the server.
func (w *world) receive(t *testing.T) receipt {
	t.Helper()
	select {
	case m := <-w.arrived:
		return parse(t, m)
	case <-time.After(20 * time.Second):
		t.Fatal("the server has taken a mail and handed nothing on")
	}
	return receipt{}
}

func parse(t *testing.T, m mailserver.Mail) receipt {
	t.Helper()
	_, raw, _ := bytes.Cut(m.Data, []byte("\r\n\r\n"))
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Data))
	require.NoError(t, err)
	body := parsed.Body
	if parsed.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	return receipt{m, parsed.Header, string(text), string(raw)}
}

// nothingElse checks that no mail arrived that nobody asked for.
func (w *world) nothingElse(t *testing.T) {
	t.Helper()
	select {
	case m := <-w.arrived:
		t.Errorf("a mail to %s arrived that was reported as refused", m.To)
	default:
	}
}

// secretless looks for texts in all that the stack has told.
func (w *world) secretless(t *testing.T, secrets ...string) {
	t.Helper()
	var seen strings.Builder
	for _, e := range w.events.Events() {
		fmt.Fprintf(&seen, "%+v\n", e)
	}
	for _, secret := range secrets {
		assert.NotContains(t, seen.String(), secret)
	}
}
