package smtp

import (
	"crypto/x509"
	"time"

	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// Config holds what NetX Duo fixes with a #define, and what this client adds.
// It is hung on the control block before create, which copies it; nil and zero
// mean the values named here. Times are ticks.
type Config struct {
	// Release acts as release 6.4.2 of NetX Duo, defects included, as long as
	// they end: it turns on every [Difference].
	Release bool
	// Differences turns on single ones.
	Differences []Difference

	WindowSize     uint32 // NX_SMTP_CLIENT_TCP_WINDOW_SIZE, bytes; 0: 1460
	MaxUsername    uint   // NX_SMTP_CLIENT_MAX_USERNAME, bytes, of the domain too; 0: 40
	MaxPassword    uint   // NX_SMTP_CLIENT_MAX_PASSWORD, bytes; 0: 20
	ServerMaxReply uint   // bytes of one reply, all lines; 0: 16384. Longer ones are NX_SMTP_OVERSIZE_SERVER_REPLY

	PacketTimeout     nx.Wait // NX_SMTP_CLIENT_PACKET_TIMEOUT; 0: 2 s
	ConnectionTimeout nx.Wait // NX_SMTP_CLIENT_CONNECTION_TIMEOUT; 0: 10 s
	DisconnectTimeout nx.Wait // NX_SMTP_CLIENT_DISCONNECT_TIMEOUT; 0: 5 s
	GreetingTimeout   nx.Wait // NX_SMTP_GREETING_TIMEOUT; 0: 5 min, with ShortTimeouts 10 s
	EnvelopeTimeout   nx.Wait // NX_SMTP_ENVELOPE_TIMEOUT, each reply but the greeting and those below; 0: 5 min, with ShortTimeouts 10 s
	MessageTimeout    nx.Wait // NX_SMTP_MESSAGE_TIMEOUT, the reply to the end mark; 0: 10 min, with ShortTimeouts 30 s
	SendTimeout       nx.Wait // NX_SMTP_CLIENT_SEND_TIMEOUT, one packet; 0: 3 min, with ShortTimeouts 5 s
	QuitTimeout       nx.Wait // the reply to QUIT; 0: 10 s; with QuitOverridesOutcome it is EnvelopeTimeout

	// Socket is the Config of the client's TCP socket; nil: tcp's defaults.
	Socket *tcp.Config

	// TLS says how the connection is protected; 0: not at all, as in NetX Duo.
	TLS TLSMode
	// RequireTLS ends a session before anything but EHLO crosses a connection
	// that TLS does not protect. With TLS 0 it asks for STARTTLS. Release does
	// not weaken it.
	RequireTLS bool
	// ServerName is the name that the server's certificate must have; "": its
	// address must be in it.
	ServerName string
	// RootCAs are the authorities to believe; nil: the system's.
	RootCAs *x509.CertPool

	// Now is the time for the Date field; nil: time.Now.
	Now func() time.Time
}

// TLSMode says how a connection is protected.
type TLSMode uint8

const (
	NoTLS       TLSMode = iota
	StartTLS            // STARTTLS (RFC 3207) when the server offers it; see [Config.RequireTLS]
	ImplicitTLS         // TLS from the first byte (RFC 8314), port 465
)

// settings is a Config with every value filled in.
type settings struct {
	Config
	as differences
}

func (c *Config) settings() settings {
	var s settings
	if c != nil {
		s.Config = *c
	}
	if s.Release {
		s.as = 1<<(differenceCount+1) - 2
	}
	for _, d := range s.Differences {
		s.as |= 1 << d
	}
	s.Differences = nil

	or(&s.WindowSize, 1460)
	or(&s.MaxUsername, 40)
	or(&s.MaxPassword, 20)
	or(&s.ServerMaxReply, 16384)
	or(&s.PacketTimeout, 2*nx.TicksPerSecond)
	or(&s.ConnectionTimeout, 10*nx.TicksPerSecond)
	or(&s.DisconnectTimeout, 5*nx.TicksPerSecond)
	if s.as.has(ShortTimeouts) {
		or(&s.GreetingTimeout, 10*nx.TicksPerSecond)
		or(&s.EnvelopeTimeout, 10*nx.TicksPerSecond)
		or(&s.MessageTimeout, 30*nx.TicksPerSecond)
		or(&s.SendTimeout, 5*nx.TicksPerSecond)
	}
	or(&s.GreetingTimeout, 300*nx.TicksPerSecond)
	or(&s.EnvelopeTimeout, 300*nx.TicksPerSecond)
	or(&s.MessageTimeout, 600*nx.TicksPerSecond)
	or(&s.SendTimeout, 180*nx.TicksPerSecond)
	or(&s.QuitTimeout, 10*nx.TicksPerSecond)
	if s.as.has(QuitOverridesOutcome) {
		s.QuitTimeout = s.EnvelopeTimeout
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	return s
}

// or gives *value its default.
func or[T ~uint | ~uint32](value *T, standard T) {
	if *value == 0 {
		*value = standard
	}
}
