package smtp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/mail"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nxtest"
	"gonetx/smtp"
	"gonetx/tcp"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A server that was not written for this test: emersion/go-smtp, over sockets
// of the other instance.

type backend struct {
	mu    sync.Mutex // guards mails
	mails []string   // envelope and text
}

func (b *backend) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &goSession{b: b}, nil }

type goSession struct {
	b              *backend
	user, from, to string
}

func (s *goSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *goSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(identity, username, password string) error {
		if username != "myusername" || password != "mypassword" || identity != "" {
			return errors.New("invalid credentials")
		}
		s.user = username
		return nil
	}), nil
}

func (s *goSession) Mail(from string, _ *gosmtp.MailOptions) error { s.from = from; return nil }

func (s *goSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.to = to
	return nil
}

func (s *goSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.mails = append(s.b.mails, fmt.Sprintf("%s <%s> <%s>\n%s", s.user, s.from, s.to, text))
	return nil
}

func (s *goSession) Reset()        {}
func (s *goSession) Logout() error { return nil }

// selfSigned is a certificate for an address that is its own authority.
func selfSigned(t *testing.T, addresses ...netip.Addr) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, a := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(a.AsSlice()))
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// Mails with and without TLS, over both families, through the guide's pools.
func TestRealServer(t *testing.T) {
	certificate, roots := selfSigned(t, serverIPv4, serverIPv6)
	network := ram.NewNetwork(ram.Config{})
	clientPool, ipPool, serverPool := nxtest.NewPool(t, 800, 9), nxtest.NewPool(t, 128, 10), nxtest.NewPool(t, 1536, 128)
	client := instance(t, network, "client", ipPool, clientIPv4, clientIPv6)
	server := instance(t, network, "server", serverPool, serverIPv4, serverIPv6)

	b := &backend{}
	s := gosmtp.NewServer(b)
	s.Domain, s.AllowInsecureAuth = "mail.example.com", true
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	plain, err := tcp.Listen(server, 25, nil)
	require.NoError(t, err)
	implicit, err := tcp.Listen(server, 465, nil)
	require.NoError(t, err)
	var serving sync.WaitGroup
	for _, l := range []net.Listener{plain, tls.NewListener(implicit, s.TLSConfig)} {
		serving.Go(func() { _ = s.Serve(l) })
	}
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
	})

	body := strings.Repeat("A line with a dot.\r\n.\r\n..and more\r\n", 300)
	for _, address := range []netip.Addr{serverIPv4, serverIPv6} {
		for name, row := range map[string]struct {
			port   uint
			config smtp.Config
			auth   smtp.AuthType
		}{
			"open":     {25, smtp.Config{}, smtp.AuthPlain},
			"none":     {25, smtp.Config{}, smtp.AuthNone},
			"STARTTLS": {25, smtp.Config{TLS: smtp.StartTLS, RequireTLS: true, RootCAs: roots}, smtp.AuthPlain},
			"implicit": {465, smtp.Config{TLS: smtp.ImplicitTLS, RootCAs: roots}, smtp.AuthPlain},
		} {
			t.Run(fmt.Sprint(address, " ", name), func(t *testing.T) {
				b.mails = nil
				c := &smtp.Client{Config: &row.config}
				require.NoError(t, smtp.ClientCreate(c, client, clientPool, "myusername", "mypassword", "my@mycompany.com", "mycompany.com", row.auth, address, row.port))
				require.NoError(t, smtp.MailSend(c, "your@yourcompany.com", smtp.PriorityNormal, "Grüße", []byte(body)))
				err := smtp.MailSend(c, "nobody@yourcompany.com", smtp.PriorityNormal, "Subject", []byte(body))
				var said *smtp.ReplyError
				require.ErrorAs(t, err, &said)
				assert.Equal(t, "5.1.1", said.Enhanced)
				info, err := smtp.ClientInfoGet(c)
				require.NoError(t, err)
				assert.Equal(t, row.config.TLS != smtp.NoTLS, info.Secured)
				require.NoError(t, smtp.ClientDelete(c))

				b.mu.Lock()
				defer b.mu.Unlock()
				require.Len(t, b.mails, 1)
				envelope, text, _ := strings.Cut(b.mails[0], "\n")
				assert.Equal(t, "myusername <my@mycompany.com> <your@yourcompany.com>", envelope)
				parsed, err := mail.ReadMessage(strings.NewReader(text))
				require.NoError(t, err)
				got, err := io.ReadAll(parsed.Body)
				require.NoError(t, err)
				assert.Equal(t, strings.ReplaceAll(body, "\r\n", "\n"), strings.ReplaceAll(string(got), "\r\n", "\n"))
			})
		}
	}
}

// 10 MB through a pool of 16 packets: as it was sent, on both families, with and
// without TLS, and at no time is more out than the pool has.
func TestLargeMailSmallPool(t *testing.T) {
	certificate, roots := selfSigned(t, serverIPv4, serverIPv6)
	network := ram.NewNetwork(ram.Config{})
	clientPool, serverPool := nxtest.NewPool(t, 1536, 16), nxtest.NewPool(t, 1536, 256)
	client := instance(t, network, "client", nxtest.NewPool(t, 1536, 64), clientIPv4, clientIPv6)
	server := instance(t, network, "server", serverPool, serverIPv4, serverIPv6)
	b := &backend{}
	s := gosmtp.NewServer(b)
	s.Domain, s.TLSConfig = "mail.example.com", &tls.Config{Certificates: []tls.Certificate{certificate}}
	l, err := tcp.Listen(server, 25, nil)
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		serving.Wait()
	})

	size := 10 << 20
	if testing.Short() {
		size = 1 << 20
	}
	random := rand.New(rand.NewPCG(3, 4))
	body := make([]byte, 0, size+80)
	for len(body) < size {
		for range random.IntN(78) {
			body = append(body, ". abcdefghijklmnopqrstuvwxyz"[random.IntN(28)])
		}
		body = append(body, "\r\n"...)
	}
	for _, address := range []netip.Addr{serverIPv4, serverIPv6} {
		for _, config := range []smtp.Config{{}, {TLS: smtp.StartTLS, RequireTLS: true, RootCAs: roots}} {
			t.Run(fmt.Sprint(address, " TLS ", config.RequireTLS), func(t *testing.T) {
				b.mails = nil
				c := &smtp.Client{Config: &config}
				require.NoError(t, smtp.ClientCreate(c, client, clientPool, "", "", "my@mycompany.com", "mycompany.com", smtp.AuthNone, address, 25))
				require.NoError(t, smtp.MailSend(c, "your@yourcompany.com", smtp.PriorityNormal, "large", body))
				require.NoError(t, smtp.ClientDelete(c))
				require.Len(t, b.mails, 1)
				_, got, _ := strings.Cut(b.mails[0], "\r\n\r\n")
				require.True(t, got == string(body), "%d bytes were sent and %d arrived", len(body), len(got))
				info, err := packetpool.PoolInfoGet(clientPool)
				require.NoError(t, err)
				assert.Equal(t, info.TotalPackets, info.FreePackets)
				assert.NotZero(t, info.EmptyPoolRequests, "the pool was in use to its last packet")
			})
		}
	}
}
