package smtp

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipe is a transport to a server in a goroutine, for what a script cannot do:
// the other side of TLS.
type pipe struct {
	script
	conn net.Conn
}

func (p *pipe) connect(context.Context, netip.AddrPort, nx.Wait) error { return nil }

func (p *pipe) send(packet packetpool.Packet, wait nx.Wait) error {
	var data []byte
	for piece := range packetpool.Pieces(packet) {
		data = append(data, piece...)
	}
	if err := packetpool.Release(packet); err != nil {
		return err
	}
	if _, err := p.conn.Write(data); err != nil {
		return nx.Fail("tcp.SocketSend", nx.NotConnected, err)
	}
	return nil
}

func (p *pipe) receive(wait nx.Wait) (packetpool.Packet, error) {
	data := make([]byte, 1400)
	_ = p.conn.SetReadDeadline(time.Now().Add(min(wait.Duration(), 10*time.Second)))
	n, err := p.conn.Read(data)
	if os.IsTimeout(err) {
		return packetpool.Packet{}, nx.Fail("tcp.SocketReceive", nx.NoPacket, nil)
	}
	if err != nil {
		return packetpool.Packet{}, nx.Fail("tcp.SocketReceive", nx.NotConnected, err)
	}
	packet, err := packetpool.Allocate(p.pool, packetpool.ReceivePacket, nx.NoWait)
	if err == nil {
		err = packetpool.DataAppend(packet, data[:n], p.pool, nx.NoWait)
	}
	return packet, err
}

func (p *pipe) disconnect(wait nx.Wait) {
	p.ends = append(p.ends, fmt.Sprintf("disconnect %d", wait))
	_ = p.conn.Close()
}

// authority makes certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	a := &authority{key: key, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.pool.AddCert(a.cert)
	return a
}

// certificate makes one for a name and an address.
func (a *authority) certificate(t *testing.T, name, address string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// lineServer serves one side of a pipe: it says and expects lines.
type lineServer struct {
	conn net.Conn
	r    *bufio.Reader
	log  []string // lines of the client
	done chan struct{}
}

func (s *lineServer) say(text string) { _, _ = s.conn.Write([]byte(text)) }

func (s *lineServer) expect() string {
	line, err := s.r.ReadString('\n')
	if err != nil {
		return ""
	}
	s.log = append(s.log, strings.TrimSpace(line))
	return strings.TrimSpace(line)
}

func (s *lineServer) tls(config *tls.Config) error {
	conn := tls.Server(s.conn, config)
	if err := conn.Handshake(); err != nil {
		return err
	}
	s.conn, s.r = conn, bufio.NewReader(conn)
	return nil
}

// mail takes the rest of a session from EHLO on.
func (s *lineServer) mail(ehlo string) {
	for {
		line := s.expect()
		switch {
		case line == "":
			return
		case strings.HasPrefix(line, "EHLO"):
			s.say(ehlo)
		case line == "AUTH PLAIN":
			s.say("334 \r\n")
		case line == "AHVzZXIAc2VjcmV0":
			s.say("235 ok\r\n")
		case line == "DATA":
			s.say("354 go\r\n")
			for s.expect() != "." {
			}
			s.say("250 taken\r\n")
		case line == "QUIT":
			s.say("221 bye\r\n")
			return
		default:
			s.say("250 ok\r\n")
		}
	}
}

// overPipe sends a mail to a server in a goroutine.
func overPipe(t *testing.T, config *Config, auth AuthType, packets uint32, serve func(*lineServer)) (*lineServer, *bench, error) {
	t.Helper()
	near, far := net.Pipe()
	recorder := new(nxtest.Recorder)
	p := &pipe{conn: near, script: script{pool: nxtest.NewPool(t, 512, 64), from: netip.MustParseAddr("1.2.3.5")}}
	b := &bench{script: &p.script, client: &Client{Config: config}, sendPool: nxtest.NewPool(t, 800, packets), events: recorder}
	require.NoError(t, b.client.create(creation{
		pool: b.sendPool, clock: nx.RealClock, recorder: recorder, name: "test", username: "user", password: "secret",
		from: "my@mycompany.com", domain: "mycompany.com", authType: auth, server: netip.MustParseAddr("1.2.3.4"), port: 25, t: p,
	}, noSocket))
	s := &lineServer{conn: far, r: bufio.NewReader(far), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer far.Close()
		serve(s)
	}()
	err := b.sendMail("Hello")
	<-s.done
	b.balanced(t)
	require.Len(t, b.ends, 1, "closed once")
	return s, b, err
}

func TestStartTLS(t *testing.T) {
	ca := newAuthority(t)
	for _, name := range []string{"mail.example.com", ""} { // by name, and by address
		config := &Config{TLS: StartTLS, RootCAs: ca.pool, ServerName: name, RequireTLS: true}
		s, b, err := overPipe(t, config, AuthPlain, 2, func(s *lineServer) {
			s.say("220 hi\r\n")
			s.expect()
			s.say("250-hi\r\n250 STARTTLS\r\n")
			s.expect()
			// Whoever sits on the open connection offers something of his own.
			s.say("220 go\r\n250-hi\r\n250 AUTH LOGIN\r\n")
			assert.NoError(t, s.tls(&tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "mail.example.com", "1.2.3.4")}}))
			s.mail("250-hi\r\n250 AUTH PLAIN\r\n")
		})
		require.NoError(t, err)
		assert.Equal(t, []string{"EHLO mycompany.com", "STARTTLS", "EHLO mycompany.com", "AUTH PLAIN", "AHVzZXIAc2VjcmV0", "MAIL FROM:<my@mycompany.com>"}, s.log[:6])
		assert.Equal(t, "QUIT", s.log[len(s.log)-1])
		info, _ := ClientInfoGet(b.client)
		assert.True(t, info.Secured)
		assert.Equal(t, AuthenticationSucceeded, info.AuthState)
		assert.NotContains(t, b.text(), "Where:smtp", "no warning")
		assertNoSecret(t, b, err)
	}
}

func TestImplicitTLS(t *testing.T) {
	ca := newAuthority(t)
	s, b, err := overPipe(t, &Config{TLS: ImplicitTLS, RootCAs: ca.pool}, AuthNone, 3, func(s *lineServer) {
		assert.NoError(t, s.tls(&tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "x", "1.2.3.4")}, MaxVersion: tls.VersionTLS12}))
		s.say("220 hi\r\n")
		s.mail("250 hi\r\n")
	})
	require.NoError(t, err)
	assert.Equal(t, "EHLO mycompany.com", s.log[0])
	info, _ := ClientInfoGet(b.client)
	assert.True(t, info.Secured)
}

// Who cannot be trusted gets nothing.
func TestTLSRefuses(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	for name, row := range map[string]*struct {
		config   Config
		server   *tls.Config
		contains string
	}{
		"wrong name":        {Config{RootCAs: ca.pool, ServerName: "other.example.com"}, &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "mail.example.com", "1.2.3.4")}}, "other.example.com"},
		"wrong address":     {Config{RootCAs: ca.pool}, &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "mail.example.com", "1.2.3.9")}}, "1.2.3.4"},
		"unknown authority": {Config{RootCAs: other.pool}, &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "x", "1.2.3.4")}}, "unknown authority"},
		"old version":       {Config{RootCAs: ca.pool}, &tls.Config{Certificates: []tls.Certificate{ca.certificate(t, "x", "1.2.3.4")}, MaxVersion: tls.VersionTLS11}, "protocol version"},
	} {
		row.config.TLS = StartTLS
		s, b, err := overPipe(t, &row.config, AuthPlain, 4, func(s *lineServer) {
			s.say("220 hi\r\n")
			s.expect()
			s.say("250-hi\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
			s.expect()
			s.say("220 go\r\n")
			assert.Error(t, s.tls(row.server), name)
			s.expect()
		})
		require.ErrorIs(t, err, AuthenticationError, name)
		require.ErrorContains(t, err, row.contains, name)
		var broken *PhaseError
		require.ErrorAs(t, err, &broken, name)
		assert.Equal(t, StateStartTLS, broken.Phase)
		assert.Equal(t, []string{"EHLO mycompany.com", "STARTTLS"}, s.log, name)
		assert.Equal(t, []string{"disconnect 0"}, b.ends, name)
	}
}

// A server that goes away or is silent in the handshake.
func TestTLSHandshakeBreaks(t *testing.T) {
	greet := func(s *lineServer) {
		s.say("220 hi\r\n")
		s.expect()
		s.say("250-hi\r\n250 STARTTLS\r\n")
		s.expect()
		s.say("220 go\r\n")
	}
	_, _, err := overPipe(t, &Config{TLS: StartTLS}, AuthNone, 4, greet)
	require.ErrorIs(t, err, nx.NotConnected)
	require.ErrorContains(t, err, "STARTTLS: TLS handshake")

	_, _, err = overPipe(t, &Config{TLS: StartTLS, EnvelopeTimeout: 20}, AuthNone, 4, func(s *lineServer) {
		greet(s)
		_, _ = io.Copy(io.Discard, s.r) // takes the hello and says nothing
	})
	require.ErrorIs(t, err, nx.NoPacket)
}

// RequireTLS lets nothing out on an open connection, the guide's switch from
// NONE to PLAIN included.
func TestRequireTLS(t *testing.T) {
	for _, auth := range []AuthType{AuthNone, AuthPlain} {
		for _, release := range []bool{false, true} {
			b := newBench(t, options{config: &Config{RequireTLS: true, Release: release}, who: someone.with(auth)},
				turnsOf("S: 220 hi\nC: EHLO\nS: 250-hi\nS: 250 AUTH PLAIN\nC: QUIT\nS: 221 bye\n")...)
			err := b.sendMail("x")
			require.ErrorIs(t, err, ErrTLSRequired)
			require.ErrorIs(t, err, AuthenticationError)
			assert.Equal(t, "EHLO mycompany.com\r\nQUIT\r\n", b.heard.String())
			b.balanced(t)

			b = newBench(t, options{config: &Config{RequireTLS: true, Release: release}, who: someone.with(auth)},
				turnsOf("S: 220 hi\nC: EHLO\nS: 250-hi\nS: 250-AUTH PLAIN\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now\nC: QUIT\nS: 221 bye\n")...)
			err = b.sendMail("x")
			require.ErrorIs(t, err, AuthenticationError)
			require.ErrorContains(t, err, "STARTTLS: 454 4.7.0 not now")
			assert.Equal(t, "EHLO mycompany.com\r\nSTARTTLS\r\nQUIT\r\n", b.heard.String())
			b.balanced(t)
		}
	}
}

// Without RequireTLS a server may do without, and one is told.
func TestStartTLSIsOptional(t *testing.T) {
	for _, row := range []string{
		toMail + andEnd,
		"S: 220 srv\nC: EHLO mycompany.com\nS: 250-srv\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now\n" + andEnd,
	} {
		b, err := dialogue(t, options{config: &Config{TLS: StartTLS}}, row, func(b *bench) error { return b.sendMail("x") })
		require.NoError(t, err)
		assert.Contains(t, b.text(), "unprotected connection")
	}
}
