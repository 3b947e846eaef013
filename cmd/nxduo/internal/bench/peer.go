package bench

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// The ports of the peer. Those that have one are in the list of well-known
// ports.
const (
	portEcho    = 7
	portDiscard = 9
	portClose   = 11 // accepts and closes
	portSource  = 19
	portCue     = 21 // the same, once it has heard something
	portMail    = 25
	portHold    = 27 // accepts and keeps
)

func (k Kind) port() uint16 {
	switch k {
	case BulkOut:
		return portDiscard
	case BulkIn:
		return portCue
	case RoundTrip:
		return portEcho
	case Connect:
		return portClose
	default:
		return portMail
	}
}

// peer is the other end of every connection.
type peer struct {
	started   time.Time
	discarded atomic.Uint64 // bytes
}

// play serves until its standard input ends, which it does with the process
// that started it. Each of the inherited sockets is a client's way to ask what
// has arrived.
func playPeer(meters int) error {
	p := &peer{started: time.Now()}
	for port, serve := range map[int]func(net.Conn){
		portEcho: echo, portDiscard: p.discard, portClose: func(net.Conn) {}, portSource: source, portCue: sourceOnCue,
		portMail: takeMail, portHold: hold,
	} {
		l, err := kernelListen(port)
		if err != nil {
			return err
		}
		go accept(l, serve)
	}
	for i := range meters {
		c, err := inherited(firstInherited + i)
		if err != nil {
			return err
		}
		go p.meter(c)
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// firstInherited is the descriptor of the first of exec.Cmd.ExtraFiles.
const firstInherited = 3

func inherited(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "meter")
	defer f.Close()
	return net.FileConn(f)
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "peer:", err)
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

func (p *peer) discard(c net.Conn) {
	b := make([]byte, streamBlock)
	for {
		n, err := c.Read(b)
		p.discarded.Add(uint64(n))
		if err != nil {
			return
		}
	}
}

func source(c net.Conn) {
	b := make([]byte, streamBlock)
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// cue is how many bytes sourceOnCue wants to hear.
const cue = 1

func sourceOnCue(c net.Conn) {
	if _, err := c.Read(make([]byte, cue)); err == nil {
		source(c)
	}
}

func echo(c net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

func hold(c net.Conn) {
	b := make([]byte, 1)
	_, _ = c.Read(b) // until the client goes away
}

// takeMail is a mail server that thinks as little as possible. What it says is
// RFC 5321's; the mail is forgotten.
func takeMail(c net.Conn) {
	r := bufio.NewReader(c)
	say := func(reply string) bool {
		_, err := io.WriteString(c, reply+"\r\n")
		return err == nil
	}
	for ok := say("220 peer ESMTP"); ok; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		switch verb := string(bytes.ToUpper(line[:min(4, len(line))])); verb {
		case "EHLO", "HELO", "MAIL", "RCPT", "RSET", "NOOP":
			ok = say("250 ok")
		case "DATA":
			if ok = say("354 go on"); ok {
				ok = skipMessage(r) && say("250 taken")
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			ok = say("500 what?")
		}
	}
}

// skipMessage reads up to the line with a single dot.
func skipMessage(r *bufio.Reader) bool {
	for {
		line, err := r.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			continue // a long line, or a part of one
		}
		if err != nil {
			return false
		}
		if string(line) == ".\r\n" {
			return true
		}
	}
}

// meter answers each byte with what has arrived so far and when that was, by
// the peer's clock: how much a client has sent only its peer knows, because
// what is under way is in somebody's buffers.
func (p *peer) meter(c net.Conn) {
	defer c.Close()
	var b [16]byte
	for {
		if _, err := io.ReadFull(c, b[:1]); err != nil {
			return
		}
		binary.LittleEndian.PutUint64(b[:], p.discarded.Load())
		binary.LittleEndian.PutUint64(b[8:], uint64(time.Since(p.started)))
		if _, err := c.Write(b[:]); err != nil {
			return
		}
	}
}
