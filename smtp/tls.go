package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// TLS over the client's socket (RFC 3207, RFC 8314): at least version 1.2, the
// server's name verified. NetX Duo's client has none of it.

// protect decides after EHLO whether STARTTLS comes next; StateIdle means that
// the session goes on as it is.
func (s *session) protect() State {
	wanted := s.config.TLS == StartTLS || s.config.RequireTLS
	switch {
	case s.info.Secured || !wanted:
		return StateIdle
	case s.offered.startTLS && !s.noTLS:
		return StateStartTLS
	case s.config.RequireTLS:
		return s.giveUp(AuthenticationError, ErrTLSRequired)
	}
	s.warn("the server does not offer STARTTLS: the mail crosses an unprotected connection")
	return StateIdle
}

func (s *session) sendStartTLS() error { return s.command("STARTTLS") }

// repliedStartTLS makes the connection a protected one. What the server sent
// behind its reply came over the open connection, from whomever: it is
// dropped, and EHLO asked again (RFC 3207 4.2, 6).
func (s *session) repliedStartTLS(r reply) State {
	if !s.positive(r, 220) {
		if s.config.RequireTLS || r.flaw != "" || r.code == 421 {
			return s.refuse(r, "")
		}
		s.noTLS = true
		return s.greetedBack()
	}
	s.reader.reset()
	if err := s.handshake(); err != nil {
		s.broken("TLS handshake", err)
		return StateError
	}
	return StateEHLO
}

// handshake puts TLS on the connection.
func (s *session) handshake() error {
	w := &wire{s: s, below: s.t, deadline: s.clock.Now() + s.config.EnvelopeTimeout.Duration()}
	name := s.config.ServerName
	if name == "" {
		name = s.server.WithZone("").String()
	}
	conn := tls.Client(w, &tls.Config{
		ServerName: name,
		RootCAs:    s.config.RootCAs,
		MinVersion: tls.VersionTLS12,
	})
	if err := conn.Handshake(); err != nil {
		var status nx.Coder
		if errors.As(err, &status) {
			return err
		}
		return fail("", AuthenticationError, err)
	}
	s.t = &tlsTransport{transport: s.t, s: s, conn: conn, wire: w}
	s.info.Secured = true
	return nil
}

// tlsTransport is a transport through TLS. Connecting and ending are those of
// the connection below it.
type tlsTransport struct {
	transport
	s      *session
	conn   *tls.Conn
	wire   *wire
	buffer []byte // the bytes of one packet
}

// send gives the packet back to its pool before its bytes, enciphered, take
// others.
func (t *tlsTransport) send(packet packetpool.Packet, wait nx.Wait) error {
	t.buffer = t.buffer[:0]
	for piece := range packetpool.Pieces(packet) {
		t.buffer = append(t.buffer, piece...)
	}
	if err := packetpool.Release(packet); err != nil {
		return err
	}
	_, err := t.conn.Write(t.buffer)
	return t.ended(err)
}

func (t *tlsTransport) receive(wait nx.Wait) (packetpool.Packet, error) {
	t.wire.deadline = t.s.clock.Now() + wait.Duration()
	text := make([]byte, min(t.s.chunk, 2048))
	n, err := t.conn.Read(text)
	if n == 0 {
		return packetpool.Packet{}, t.ended(err)
	}
	packet, err := packetpool.Allocate(t.s.pool, packetpool.ReceivePacket, t.s.config.PacketTimeout)
	if err != nil {
		return packet, err
	}
	if err := packetpool.DataAppend(packet, text[:n], t.s.pool, t.s.config.PacketTimeout); err != nil {
		_ = packetpool.Release(packet)
		return packetpool.Packet{}, err
	}
	return packet, nil
}

// disconnect says goodbye in TLS first, when there is time for it.
func (t *tlsTransport) disconnect(wait nx.Wait) {
	if wait != nx.NoWait {
		_ = t.conn.CloseWrite()
	}
	t.transport.disconnect(wait)
}

// ended gives errors of TLS itself the status of an ended connection.
func (t *tlsTransport) ended(err error) error {
	var status nx.Coder
	if err == nil || errors.As(err, &status) {
		return err
	}
	return fail("", nx.NotConnected, fmt.Errorf("tls: %w", err))
}

// wire is the connection below TLS as a net.Conn.
type wire struct {
	s        *session
	below    transport
	deadline time.Duration // of reads, on the client's clock
	unread   []byte        // of the packet received last
	buffer   []byte
}

// Read reads from one packet.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.unread) == 0 {
		packet, err := w.below.receive(nx.Ticks(w.deadline - w.s.clock.Now()))
		if errors.Is(err, nx.NoPacket) {
			return 0, wireTimeout{err}
		}
		if err != nil {
			return 0, err
		}
		w.buffer = w.buffer[:0]
		for piece := range packetpool.Pieces(packet) {
			w.buffer = append(w.buffer, piece...)
		}
		w.unread = w.buffer
		if err := packetpool.Release(packet); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.unread)
	w.unread = w.unread[n:]
	return n, nil
}

// Write sends packets of the client's pool.
func (w *wire) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		n := min(len(p)-sent, w.s.chunk)
		packet, err := w.s.allocate()
		if err != nil {
			return sent, err
		}
		if err := w.s.append(packet, p[sent:sent+n]); err != nil {
			_ = packetpool.Release(packet)
			return sent, err
		}
		if err := w.below.send(packet, w.s.config.SendTimeout); err != nil {
			return sent, err
		}
		sent += n
	}
	return len(p), nil
}

// Close does nothing: the session ends the connection.
func (w *wire) Close() error { return nil }

// The session counts in ticks and sets the deadline itself.
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (w *wire) LocalAddr() net.Addr  { return wireAddr{} }
func (w *wire) RemoteAddr() net.Addr { return wireAddr{} }

type wireAddr struct{}

func (wireAddr) Network() string { return "tcp" }
func (wireAddr) String() string  { return "smtp" }

// wireTimeout is a time-out that TLS does not take for the end of the
// connection.
type wireTimeout struct{ error }

func (wireTimeout) Timeout() bool   { return true }
func (wireTimeout) Temporary() bool { return true }
func (t wireTimeout) Unwrap() error { return t.error }

var _ io.ReadWriteCloser = (*wire)(nil)
