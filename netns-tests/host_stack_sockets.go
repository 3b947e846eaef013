package parity

import (
	"fmt"
	"time"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
)

// What a stack does with its sockets.

// create makes a socket, in the place of one that is done with.
func (h *stackHost) create(name string) (*socket, error) {
	if old := h.socket(name); old != nil {
		if err := h.remove(old); err != nil {
			return nil, err
		}
	}
	s := &socket{}
	s.Config = &tcp.Config{TransmitQueue: uint32(h.settings.Queue), MaximumRetries: uint32(h.settings.Retries)}
	if k := h.settings.Keepalive; k > 0 {
		s.Config.Keepalive, s.Config.KeepaliveInitial, s.Config.KeepaliveInterval, s.Config.KeepaliveRetries = true, k, k/4, 3
	}
	fragment := uint32(tcp.FragmentOkay)
	if h.settings.NoFragments {
		fragment = tcp.DontFragment
	}
	err := tcp.SocketCreate(&h.inst, &s.Socket, name, tcp.IPNormal, fragment, tcp.IPTimeToLive, uint32(h.window), nil, nil)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sockets[name] = s
	return s, nil
}

func (h *stackHost) listen(a *Action) Outcome {
	s, err := h.create(a.At)
	if err != nil {
		return failed(err)
	}
	s.port = a.Port
	return failed(tcp.ServerSocketListen(&h.inst, a.Port, &s.Socket, a.Queue, nil))
}

func (h *stackHost) connect(a *Action, wait nx.Wait) Outcome {
	to := h.way.to(a.To)
	if !to.IsValid() {
		return Outcome{Word: "failed", Detail: "this place has no address that is " + a.To}
	}
	s, err := h.create(a.At)
	if err == nil {
		err = tcp.ClientSocketBind(&s.Socket, a.From, nx.NoWait)
	}
	if err == nil {
		h.use(s)
		err = tcp.ClientSocketConnect(&s.Socket, to, a.Port, wait)
	}
	return failed(err)
}

func (h *stackHost) send(s *socket, n, piece int, wait nx.Wait) Outcome {
	for sent := 0; sent < n; {
		size := min(piece, n-sent)
		took, err := h.message(s, patterned(s.sent, size), wait)
		s.sent += took
		sent += took
		if err != nil {
			o := failed(err)
			o.Detail = fmt.Sprintf("after %d messages", sent/piece)
			return o
		}
	}
	return done("")
}

// message sends bytes as one message, and answers how many of them the stack
// has taken.
func (h *stackHost) message(s *socket, data []byte, wait nx.Wait) (int, error) {
	if s.conn != nil {
		return s.conn.Write(data)
	}
	packet, err := packetpool.Allocate(&h.sendPool, h.room, wait)
	if err != nil {
		return 0, err
	}
	if err = packetpool.DataAppend(packet, data, &h.sendPool, wait); err == nil {
		if err = tcp.SocketSend(&s.Socket, packet, wait); err == nil {
			return len(data), nil
		}
	}
	left, lengthErr := packetpool.LengthGet(packet)
	_ = packetpool.Release(packet) // it is ours after a failure
	if lengthErr != nil {
		return 0, err
	}
	return len(data) - int(left), err
}

// next is what comes next on a socket.
func (h *stackHost) next(s *socket, wait nx.Wait) ([]byte, error) {
	if early := s.early; len(early) > 0 {
		s.early = nil
		return early, nil
	}
	if s.conn != nil {
		buf := make([]byte, 4096)
		n, err := s.conn.Read(buf)
		return buf[:n], err
	}
	packet, err := tcp.SocketReceive(&s.Socket, wait)
	if err != nil {
		return nil, err
	}
	defer func() { _ = packetpool.Release(packet) }()
	length, err := packetpool.LengthGet(packet)
	if err != nil {
		return nil, err
	}
	data := make([]byte, length)
	_, err = packetpool.DataRetrieve(packet, data)
	return data, err
}

func (h *stackHost) receive(s *socket, a *Action, u units, wait nx.Wait) Outcome {
	return receiving(a, u, &s.got, &s.early, func() ([]byte, error) { return h.next(s, wait) })
}

// receiving is a receive action of any host: next answers what comes next, at
// is how far the stream has come, and early what was not asked for.
func receiving(a *Action, u units, at *int, early *[]byte, next func() ([]byte, error)) Outcome {
	want, got := a.Size.bytes(u), 0
	for !a.Sized || got < want {
		data, err := next()
		if err != nil {
			o := failed(err)
			if a.End && o.Word == "closed" {
				return Outcome{Word: "ok", Bytes: got}
			}
			if got > 0 {
				o.Detail = "after a part"
			}
			return o
		}
		if a.Sized && got+len(data) > want {
			*early = data[want-got:]
			data = data[:want-got]
		}
		if !intact(*at, data) {
			return Outcome{Word: "corrupt", Detail: fmt.Sprintf("behind byte %d", *at)}
		}
		*at += len(data)
		got += len(data)
		if !a.Sized && !a.End {
			break
		}
	}
	return done("")
}

// shutdown ends one direction. The services have no half-close; the bridge
// has.
func (h *stackHost) shutdown(s *socket) Outcome {
	if s.conn == nil {
		c, err := tcp.NewConn(&s.Socket, &h.sendPool)
		if err != nil {
			return failed(err)
		}
		s.conn = c
	}
	return failed(s.conn.CloseWrite())
}

// closeConn waits for the end of the other direction.
func (h *stackHost) closeConn(s *socket, _ time.Duration) Outcome {
	for {
		if _, err := h.next(s, nx.NoWait); err != nil {
			if o := failed(err); o.Word != "closed" {
				return o
			}
			return failed(s.conn.Close())
		}
	}
}

func (h *stackHost) state(s *socket, a *Action, wait nx.Wait) Outcome {
	if len(a.Want) == 1 {
		for st := tcp.Closed; st <= tcp.LastAck; st++ {
			if st.String() == a.Want[0] {
				_ = tcp.SocketStateWait(&s.Socket, st, wait) // the state below tells
			}
		}
	}
	info, err := tcp.SocketInfoGet(&s.Socket)
	if err != nil {
		return failed(err)
	}
	return Outcome{Word: "ok", State: info.State.String()}
}

func (h *stackHost) ping(a *Action, u units, wait nx.Wait) Outcome {
	to := h.way.to(a.To)
	data := patterned(0, a.Size.bytes(u))
	reply, err := ip.ICMPPing(&h.inst, to, data, wait)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = packetpool.Release(reply) }()
	got := make([]byte, len(data))
	n, err := packetpool.DataRetrieve(reply, got)
	if err != nil || int(n) != len(data) || !intact(0, got) {
		return Outcome{Word: "corrupt"}
	}
	return done("")
}
