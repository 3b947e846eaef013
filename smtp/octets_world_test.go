package smtp_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A client and a scripted server on two stacks, in driven time, and a wire on
// which a connection goes wrong at a given octet.

// trouble is what goes wrong when a number of octets has got through to one
// side.
type trouble struct {
	kind string // cut, reset, stall, lose; "" is nothing
	to   string // "client" or "server"
	at   int
}

// wire lets octets through until the trouble begins. The world stands still
// when its hook is called.
type wire struct {
	network *ram.Network
	trouble trouble
	dark    bool // nothing gets through
	lost    bool
	first   map[string]uint32 // sequence number of the SYN to each side
	passed  map[string]int    // octets that got through to each side
}

// begin prepares for a connection.
func (w *wire) begin(t trouble) {
	w.trouble, w.dark, w.lost = t, false, false
	w.first, w.passed = map[string]uint32{}, map[string]int{}
}

func (w *wire) verdict(f ram.Frame) ram.Verdict {
	if f.From == "" {
		return ram.Pass // what is left of a segment that was cut short
	}
	h, ok := segmentOf(f.Data)
	if !ok {
		return ram.Pass
	}
	to := map[string]string{"client": "server", "server": "client"}[f.From]
	if w.dark {
		return ram.Drop
	}
	if h.Flags().Contains(header.TCPFlagSyn) {
		w.first[to] = h.SequenceNumber()
		return ram.Pass
	}
	length := len(h.Payload())
	start := int(int32(h.SequenceNumber() - w.first[to] - 1))
	end := start + length
	if length == 0 {
		return ram.Pass
	}
	t := w.trouble
	if t.kind == "stall" && t.at == 0 {
		w.dark = true
		return ram.Drop
	}
	if t.to != to || t.kind == "" || end <= t.at && !(t.kind == "stall" && end == t.at) || t.kind == "lose" && w.lost {
		w.pass(to, start, end)
		return ram.Pass
	}
	w.dark = t.kind == "stall"
	w.lost = true
	if end == t.at {
		w.pass(to, start, end)
		return ram.Pass
	}
	if start < t.at {
		w.pass(to, start, t.at)
		w.network.Inject(shortened(f.Data, t.at-start))
	}
	return ram.Drop
}

func (w *wire) pass(to string, start, end int) {
	if start <= w.passed[to] {
		w.passed[to] = max(w.passed[to], end)
	}
}

func segmentOf(datagram []byte) (header.TCP, bool) {
	switch header.IPVersion(datagram) {
	case header.IPv4Version:
		h := header.IPv4(datagram)
		return header.TCP(h.Payload()), h.TransportProtocol() == header.TCPProtocolNumber
	case header.IPv6Version:
		h := header.IPv6(datagram)
		return header.TCP(h.Payload()), h.NextHeader() == uint8(header.TCPProtocolNumber)
	}
	return nil, false
}

// shortened is a segment with its first octets only.
func shortened(datagram []byte, octets int) []byte {
	h, _ := segmentOf(datagram)
	size := len(datagram) - len(h) + int(h.DataOffset()) + octets
	short := slices.Clone(datagram[:size])
	var sum uint16
	if header.IPVersion(short) == header.IPv4Version {
		h4 := header.IPv4(short)
		h4.SetTotalLength(uint16(size))
		h4.SetChecksum(0)
		h4.SetChecksum(^h4.CalculateChecksum())
		sum = header.PseudoHeaderChecksum(header.TCPProtocolNumber, h4.SourceAddress(), h4.DestinationAddress(), uint16(size)-uint16(h4.HeaderLength()))
	} else {
		h6 := header.IPv6(short)
		h6.SetPayloadLength(uint16(size - header.IPv6MinimumSize))
		sum = header.PseudoHeaderChecksum(header.TCPProtocolNumber, h6.SourceAddress(), h6.DestinationAddress(), uint16(size-header.IPv6MinimumSize))
	}
	segment, _ := segmentOf(short)
	segment.SetFlags(uint8(segment.Flags() &^ header.TCPFlagFin))
	binary.BigEndian.PutUint16(segment[header.TCPChecksumOffset:], 0)
	segment.SetChecksum(^checksum.Combine(sum, checksum.Checksum(segment, 0)))
	return short
}

// turn is what the server waits for, a line or a message, and what it answers.
// The first turn waits for nothing.
type turn struct {
	phase smtp.State // that the reply belongs to
	until string     // what ends the unit
	reply string
}

// rig is the whole of it.
type rig struct {
	t       *testing.T
	world   *driven.World
	wire    wire
	device  *ram.Driver // the client's
	pools   [3]*packetpool.Pool
	insts   [2]ip.Instance
	client  smtp.Client
	socket  tcp.Socket // the server's
	serving *driven.Call

	turns  []turn
	before func(turn int) // what happens before the server answers; nil: nothing
	heard  []int          // where each turn's unit ended, counted from the first octet to the server
	said   []int          // the same of its replies
	last   string         // the message heard last

	talking  bool // the server has a connection
	stopping bool
}

// The pools of a rig.
const (
	poolOfClient = iota
	poolOfInstance
	poolOfServer
)

func newRig(t *testing.T, ipv6 bool, auth smtp.AuthType, turns []turn) *rig {
	r := &rig{t: t, turns: turns}
	r.world = driven.New(driven.Config{Latency: nx.Tick, Verdict: r.wire.verdict})
	t.Cleanup(func() {
		if !r.stopping {
			r.close()
		}
	})
	r.wire.network = r.world.Network
	r.wire.begin(trouble{})
	for i, size := range [][2]uint32{{800, 9}, {1536, 32}, {1536, 64}} {
		r.pools[i] = &packetpool.Pool{Config: &packetpool.Config{Clock: r.world.Clock}}
		require.NoError(t, packetpool.PoolCreate(r.pools[i], "pool", size[0], size[1]*(60+size[0])))
	}
	r.device = r.world.Network.Driver()
	for i, host := range []struct {
		name   string
		device *ram.Driver
		pool   int
		v4, v6 netip.Addr
	}{
		{"client", r.device, poolOfInstance, clientIPv4, clientIPv6},
		{"server", r.world.Network.Driver(), poolOfServer, serverIPv4, serverIPv6},
	} {
		inst := &r.insts[i]
		inst.Config = &ip.Config{Clock: r.world.Clock, NoDAD: true}
		require.NoError(t, ip.Create(inst, host.name, host.v4, ip.IPAddress(255, 255, 255, 0), r.pools[host.pool], host.device, 2048, 1))
		require.NoError(t, ip.IPv6Enable(inst))
		_, err := ip.IPv6AddressSet(inst, 0, host.v6, 64)
		require.NoError(t, err)
		require.NoError(t, tcp.Enable(inst))
	}
	require.NoError(t, tcp.SocketCreate(&r.insts[1], &r.socket, "server", tcp.IPNormal, tcp.FragmentOkay, 128, 8192, nil, nil))
	require.NoError(t, tcp.ServerSocketListen(&r.insts[1], 25, &r.socket, 5, nil))
	r.serving = r.world.Go(driven.Thread{Priority: 3}, r.serve, nil)
	server := serverIPv4
	if ipv6 {
		server = serverIPv6
	}
	require.NoError(t, smtp.ClientCreate(&r.client, &r.insts[0], r.pools[poolOfClient], "myusername", "mypassword",
		"my@mycompany.com", "mycompany.com", auth, server, smtp.DefaultPort))
	return r
}

// mail sends one mail, with a trouble, and answers the ticks that it took, and
// its outcome.
func (r *rig) mail(t trouble, body string) (ticks uint32, err error) {
	r.wire.begin(t)
	r.heard, r.said, r.last = r.heard[:0], r.said[:0], ""
	call := r.world.Go(driven.Thread{Priority: 4}, func() {
		err = smtp.MailSend(&r.client, "your@yourcompany.com", smtp.PriorityNormal, "Subject", []byte(body))
	}, nil)
	require.True(r.t, r.world.Wait(call, 1_000_000), "%v: does not return", t)
	return call.Finished - call.Started, err
}

// repair ends whatever the server still has, on a wire that works, and waits
// until everything is settled.
func (r *rig) repair() {
	r.wire.trouble, r.wire.dark = trouble{}, false
	if r.talking {
		r.world.Go(driven.Thread{Priority: 3}, func() { _ = tcp.SocketDisconnect(&r.socket, nx.NoWait) }, nil)
	}
	r.world.Sleep(400)
}

// full tells that all packets are back.
func (r *rig) full() bool {
	return !slices.ContainsFunc(r.pools[:], func(pool *packetpool.Pool) bool {
		info, err := packetpool.PoolInfoGet(pool)
		return err != nil || info.FreePackets != info.TotalPackets
	})
}

// drain takes all free packets of a pool and those that come back, until what it
// answers gives them back.
func drain(pool *packetpool.Pool) (giveBack func()) {
	var taken []packetpool.Packet
	for {
		packet, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.NoWait)
		if err != nil {
			break
		}
		taken = append(taken, packet)
	}
	var enough atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for !enough.Load() {
			packet, err := packetpool.Allocate(pool, packetpool.ReceivePacket, nx.WaitForever)
			if err != nil {
				return
			}
			defer func() { _ = packetpool.Release(packet) }()
		}
	}()
	return func() {
		enough.Store(true)
		for _, packet := range taken {
			_ = packetpool.Release(packet)
		}
		<-ended
	}
}

// serve is the server's thread.
func (r *rig) serve() {
	for {
		if err := tcp.ServerSocketAccept(&r.socket, nx.WaitForever); err != nil || r.stopping {
			return
		}
		r.talking = true
		r.converse()
		r.talking = false
		if r.stopping {
			return
		}
		_ = tcp.SocketDisconnect(&r.socket, nx.NoWait)
		_ = tcp.ServerSocketUnaccept(&r.socket)
		_ = tcp.ServerSocketRelisten(&r.insts[1], 25, &r.socket)
	}
}

// converse serves a connection until it has ended.
func (r *rig) converse() {
	trouble := r.wire.trouble
	breaks := trouble.kind == "cut" || trouble.kind == "reset"
	sent, received := 0, 0
	broken := func() bool {
		wait := nx.Wait(nx.NoWait)
		if trouble.kind == "cut" {
			wait = 300
		}
		_ = tcp.SocketDisconnect(&r.socket, wait)
		return false
	}
	say := func(text string) bool {
		if breaks && trouble.to == "client" && sent+len(text) >= trouble.at {
			if n := trouble.at - sent; n > 0 {
				r.send(text[:n])
			}
			return broken()
		}
		sent += len(text)
		r.said = append(r.said, sent)
		return r.send(text)
	}
	if breaks && trouble.to == "server" && trouble.at == 0 {
		broken()
		return
	}
	var pending []byte
	for i, turn := range r.turns {
		looked := 0 // what has been looked through without a find
		for turn.until != "" && !bytes.Contains(pending[looked:], []byte(turn.until)) {
			looked = max(0, len(pending)-len(turn.until))
			data, ok := r.receive()
			if !ok {
				return
			}
			pending = append(pending, data...)
			if breaks && trouble.to == "server" && received+len(pending) >= trouble.at {
				broken()
				return
			}
		}
		n := looked + bytes.Index(pending[looked:], []byte(turn.until)) + len(turn.until)
		received += n
		r.heard = append(r.heard, received)
		if turn.until == endOfMail {
			r.last = string(pending[:n])
		}
		pending = pending[n:]
		if r.before != nil {
			r.before(i)
		}
		if !say(turn.reply) {
			return
		}
	}
	for {
		if _, ok := r.receive(); !ok {
			return
		}
	}
}

const endOfMail = "\r\n.\r\n"

func (r *rig) send(text string) bool {
	packet, err := packetpool.Allocate(r.pools[poolOfServer], packetpool.TCPPacket, 100)
	if err != nil {
		return false
	}
	if err = packetpool.DataAppend(packet, []byte(text), r.pools[poolOfServer], 100); err == nil {
		err = tcp.SocketSend(&r.socket, packet, 500)
	}
	if err != nil {
		_ = packetpool.Release(packet)
	}
	return err == nil
}

func (r *rig) receive() ([]byte, bool) {
	packet, err := tcp.SocketReceive(&r.socket, nx.WaitForever)
	if err != nil {
		return nil, false
	}
	var data []byte
	for piece := range packetpool.Pieces(packet) {
		data = append(data, piece...)
	}
	return data, packetpool.Release(packet) == nil
}

// close takes everything down.
func (r *rig) close() {
	r.stopping = true
	do := func(f func() error) {
		var err error
		call := r.world.Go(driven.Thread{Priority: 4}, func() { err = f() }, nil)
		require.True(r.t, r.world.Wait(call, 1_000_000))
		require.NoError(r.t, err)
	}
	do(func() error { return smtp.ClientDelete(&r.client) })
	do(func() error {
		_ = tcp.SocketDisconnect(&r.socket, nx.NoWait)
		_ = tcp.ServerSocketUnaccept(&r.socket)
		_ = tcp.ServerSocketUnlisten(&r.insts[1], 25)
		_ = tcp.ServerSocketUnaccept(&r.socket)
		return tcp.SocketDelete(&r.socket)
	})
	require.True(r.t, r.world.Wait(r.serving, 1000))
	for i := range r.insts {
		do(func() error { return ip.Delete(&r.insts[i]) })
	}
	for _, pool := range r.pools {
		do(func() error { return packetpool.PoolDelete(pool) })
	}
	r.world.Close()
}

func poolState(pool *packetpool.Pool) string {
	info, err := packetpool.PoolInfoGet(pool)
	return fmt.Sprintf("%d of %d %v", info.FreePackets, info.TotalPackets, err)
}
