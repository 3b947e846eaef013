package replay

import (
	"bytes"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"
	tcpreplay "gonetx/tcp/replay"
)

// server is the scripted mail server of a scenario: one thread that serves one
// connection after the other.
type server struct {
	r        *run
	socket   tcp.Socket
	port     uint
	stopping bool // set while the world stands still
}

// connection is what the server notes of one connection.
type connection struct {
	segments [][]byte
	units    []int
	calls    []any
	end      map[string]any
}

func (s *server) start() error {
	window := uint32(s.r.scenario.config("server_window", 8192))
	if err := tcp.SocketCreate(&s.r.b.block, &s.socket, "server", tcp.IPNormal, tcp.FragmentOkay, 128, window, nil, nil); err != nil {
		return err
	}
	return tcp.ServerSocketListen(&s.r.b.block, s.port, &s.socket, 5, nil)
}

// serve runs the scripts, and listens again after each connection.
func (s *server) serve() {
	for n := 0; ; n++ {
		if err := tcp.ServerSocketAccept(&s.socket, nx.WaitForever); err != nil || s.stopping {
			return
		}
		var script []ServerStep
		if n < len(s.r.scenario.Server) {
			script = s.r.scenario.Server[n]
		}
		c := &connection{}
		s.r.connections = append(s.r.connections, c)
		if !s.converse(c, script) || s.stopping {
			return
		}
		_ = tcp.SocketDisconnect(&s.socket, closeWait)
		_ = tcp.ServerSocketUnaccept(&s.socket)
		err := tcp.ServerSocketRelisten(&s.r.b.block, s.port, &s.socket)
		if err != nil && nx.Code(err) != uint(nx.ConnectionPending) {
			return
		}
	}
}

// closeWait is how long the server waits for the other side's end.
const closeWait = 300

// converse runs one script: its first step at once, each further one when the
// next unit is complete. After the last step it reads on, line by line. False:
// the script says to stop.
func (s *server) converse(c *connection, script []ServerStep) bool {
	used := 0
	step := func() bool {
		i := used
		used++
		return i >= len(script) || s.do(c, i, script[i].Do)
	}
	if !step() {
		return false
	}
	var pending []byte
	for {
		segment, err := s.receive()
		if err != nil {
			info, _ := tcp.SocketInfoGet(&s.socket)
			c.end = map[string]any{
				"status": float64(nx.Code(err)), "state": float64(info.State),
				"unconsumed": float64(len(pending)), "steps_used": float64(used),
			}
			return true
		}
		c.segments = append(c.segments, segment)
		pending = append(pending, segment...)
		for {
			on := "line"
			if used < len(script) {
				on = script[used].On
			}
			n := unit(on, pending, segment)
			if n == 0 {
				break
			}
			c.units = append(c.units, n)
			pending = pending[n:]
			if !step() {
				return false
			}
		}
	}
}

// unit is how many of the pending bytes are the next unit; 0 when it is not
// complete.
func unit(on string, pending, segment []byte) int {
	end := func(mark string) int {
		i := bytes.Index(pending, []byte(mark))
		if i < 0 {
			return 0
		}
		return i + len(mark)
	}
	switch on {
	case "message":
		return end("\r\n.\r\n")
	case "eomseg":
		if string(segment) == "\r\n.\r\n" {
			return len(pending)
		}
		return 0
	case "any":
		return len(pending)
	}
	return end("\r\n")
}

// do makes the actions of a step. False: stop.
func (s *server) do(c *connection, i int, actions [][]any) bool {
	note := func(what string, err error) {
		c.calls = append(c.calls, map[string]any{"step": float64(i), what: float64(nx.Code(err))})
	}
	for _, action := range actions {
		word, _ := action[0].(string)
		switch word {
		case "send":
			text, _ := action[1].(string)
			if err := s.send(Bytes(text)); err != nil {
				note("send_status", err)
			}
		case "wait":
			ticks, _ := action[1].(float64)
			nx.NewSuspension(s.r.world.Clock).Await(nx.Wait(ticks))
		case "close":
			note("close_status", tcp.SocketDisconnect(&s.socket, closeWait))
		case "reset":
			note("reset_status", tcp.SocketDisconnect(&s.socket, nx.NoWait))
		case "drop":
			mask, _ := action[1].(float64)
			s.r.wire.Lose = tcpreplay.Lose(int(mask))
		case "stop":
			return false
		}
	}
	return true
}

func (s *server) send(data []byte) error {
	packetType := packetpool.IPv4TCPPacket
	if s.r.scenario.AF == 6 {
		packetType = packetpool.IPv6TCPPacket
	}
	packet, err := packetpool.Allocate(&s.r.b.pool, packetType, nx.TicksPerSecond)
	if err != nil {
		return err
	}
	err = packetpool.DataAppend(packet, data, &s.r.b.pool, nx.TicksPerSecond)
	if err == nil {
		err = tcp.SocketSend(&s.socket, packet, 5*nx.TicksPerSecond)
	}
	if err != nil {
		_ = packetpool.Release(packet)
	}
	return err
}

func (s *server) receive() ([]byte, error) {
	packet, err := tcp.SocketReceive(&s.socket, nx.WaitForever)
	if err != nil {
		return nil, err
	}
	s.r.world.Clock.GiveWay()
	var data []byte
	for piece := range packetpool.Pieces(packet) {
		data = append(data, piece...)
	}
	return data, packetpool.Release(packet)
}

// stop ends the thread, and with it whatever connection there is.
func (s *server) stop() {
	s.stopping = true
	_ = tcp.SocketDisconnect(&s.socket, nx.NoWait)
}

// remove takes the socket away after the thread has ended.
func (s *server) remove() error {
	_ = tcp.SocketDisconnect(&s.socket, nx.NoWait)
	_ = tcp.ServerSocketUnaccept(&s.socket)
	_ = tcp.ServerSocketUnlisten(&s.r.b.block, s.port)
	_ = tcp.ServerSocketUnaccept(&s.socket)
	return tcp.SocketDelete(&s.socket)
}

// result shows a connection as the recording does: long ones without their
// segments.
func (c *connection) result() (map[string]any, []byte) {
	lengths := make([]any, len(c.segments))
	texts := make([]any, len(c.segments))
	var stream []byte
	for i, s := range c.segments {
		lengths[i], texts[i] = float64(len(s)), Text(s)
		stream = append(stream, s...)
	}
	units := make([]any, len(c.units))
	for i, n := range c.units {
		units[i] = float64(n)
	}
	out := map[string]any{"segment_lengths": lengths, "segments": texts, "unit_lengths": units}
	if c.end != nil {
		out["end"] = c.end
	}
	if len(c.calls) > 0 {
		out["server_calls"] = c.calls
	}
	return out, stream
}
