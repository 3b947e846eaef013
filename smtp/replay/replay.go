package replay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gonetx/ip"
	"gonetx/ip/driven"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/smtp"
	"gonetx/tcp"
	tcpreplay "gonetx/tcp/replay"
)

// Priorities of the recording's threads.
var (
	serverThread = driven.Thread{Priority: 3}
	clientThread = driven.Thread{Priority: 4}
)

// run is the replay of one scenario.
type run struct {
	scenario *Scenario
	world    *driven.World
	wire     driven.Segments

	a, b       side
	clientPool *packetpool.Pool // of the SMTP client: its own, or a's
	own        packetpool.Pool
	client     smtp.Client
	server     server
	serving    *driven.Call

	connections []*connection
	outcome     Outcome
}

// side is an IP instance with its pool.
type side struct {
	block ip.Instance
	pool  packetpool.Pool
}

// Run replays a scenario with a client of the given configuration. The error is
// one of the replay itself.
func Run(s *Scenario, config smtp.Config) (Outcome, error) {
	r := &run{scenario: s, outcome: Outcome{Pools: map[string]any{}}}
	if err := s.check(); err != nil {
		return r.outcome, err
	}
	r.world = driven.New(driven.Config{MTU: uint32(s.config("mtu", 1500)), Sent: r.wire.Sent, Verdict: r.wire.Verdict})
	defer r.world.Close()
	r.wire.Tick, r.wire.Sides, r.wire.Limit = r.world.Tick, map[string]string{"A": "C", "B": "S"}, 250
	r.wire.Somebody = func(a netip.Addr) bool {
		return a == tcpreplay.Host("A", s.AF) || a == tcpreplay.Host("B", s.AF)
	}
	r.client.Config = &config
	if err := r.setUp(); err != nil {
		return r.outcome, fmt.Errorf("set up: %w", err)
	}
	r.notePools("start")
	for i, op := range s.Ops {
		if err := r.op(i, op); err != nil {
			return r.outcome, fmt.Errorf("op %d: %w", i, err)
		}
	}
	r.world.Sleep(100)
	r.notePools("end")
	for _, c := range r.connections {
		result, stream := c.result()
		r.outcome.Connections = append(r.outcome.Connections, result)
		r.outcome.Raw = append(r.outcome.Raw, stream)
	}
	r.outcome.Wire, r.outcome.Unheard = slices.Clone(r.wire.List), slices.Clone(r.wire.Unheard)
	return r.outcome, r.tearDown()
}

func (r *run) setUp() error {
	s := r.scenario
	if err := r.makePool(&r.a.pool, "client ip", s.config("ip_pool_payload", 1536), s.packetsOf("client_ip", s.config("ip_pool_count", 64))); err != nil {
		return err
	}
	if err := r.makePool(&r.b.pool, "server", s.config("server_payload", 1536), s.packetsOf("server_ip", s.config("server_count", 128))); err != nil {
		return err
	}
	r.clientPool = &r.own
	if s.config("shared", 0) != 0 {
		r.clientPool = &r.a.pool
	} else if n := s.config("pool_count", 16); n > 0 {
		if err := r.makePool(&r.own, "smtp", s.config("pool_payload", 1536), n); err != nil {
			return err
		}
	}
	if err := r.makeInstance(&r.a, "A", r.world.Clock.Lowest(), s.config("tcp_on", 1) != 0); err != nil {
		return err
	}
	if err := r.makeInstance(&r.b, "B", r.world.Clock, true); err != nil {
		return err
	}
	if s.AF == 6 {
		r.world.Sleep(300)
	}
	r.wire.Lose = tcpreplay.Lose(s.config("drop_at_start", 0))
	if lost, ok := s.Config["drop_data"].([]any); ok && len(lost) == 2 {
		direction, _ := lost[0].(float64)
		index, _ := lost[1].(float64)
		r.wire.LoseData([...]string{"C", "S"}[int(direction)&1], int(index))
	}
	if s.config("server_on", 1) != 0 {
		r.server = server{r: r, port: uint(s.config("listen_port", 25))}
		if err := r.server.start(); err != nil {
			return err
		}
		r.serving = r.world.Go(serverThread, r.server.serve, nil)
	}
	r.world.Sleep(20)
	return nil
}

// makePool makes a pool of exactly count packets; 60 bytes are the packet
// header of the recording.
func (r *run) makePool(pool *packetpool.Pool, name string, payload, count int) error {
	pool.Config = &packetpool.Config{Clock: r.world.Clock.Late()}
	return packetpool.PoolCreate(pool, name, uint32(payload), uint32(count*(60+(payload+3)/4*4)))
}

func (r *run) makeInstance(side *side, name string, clock nx.Clock, withTCP bool) error {
	v4, v6 := tcpreplay.Host(name, 4), tcpreplay.Host(name, 6)
	side.block.Config = &ip.Config{Clock: clock, Release: true, NoWindowRule: true}
	const memory, priority = 4096, 1
	if err := ip.Create(&side.block, name, v4, ip.IPAddress(255, 255, 255, 0), &side.pool, r.world.Network.Driver(), memory, priority); err != nil {
		return err
	}
	if withTCP {
		if err := tcp.Enable(&side.block); err != nil {
			return err
		}
	}
	if r.scenario.AF == 4 {
		return nil
	}
	if err := ip.ICMPEnable(&side.block); err != nil {
		return err
	}
	if err := ip.IPv6Enable(&side.block); err != nil {
		return err
	}
	_, err := ip.IPv6AddressSet(&side.block, 0, v6, 64)
	return err
}

// op makes one call of the client program.
func (r *run) op(i int, op map[string]any) error {
	name, _ := op["op"].(string)
	result := map[string]any{"op": name}
	call := map[string]func(map[string]any, map[string]any){
		"create": r.create, "send": r.send, "delete": r.delete, "tcp_enable": r.tcpEnable, "sleep": nil,
	}[name]
	switch {
	case unchecked(op):
		result[Inexpressible], result["ticks"] = Unchecked, 0.
	case call == nil:
		ticks := number(op, "ticks", 0)
		r.world.Sleep(uint32(ticks))
		result["status"], result["ticks"] = 0., float64(ticks)
	default:
		c := r.world.Go(clientThread, func() { call(op, result) }, nil)
		if !r.world.Wait(c, callLimit) {
			return errors.New("does not return")
		}
		result["ticks"] = float64(c.Finished - c.Started)
	}
	result["state"] = r.state()
	r.outcome.Ops = append(r.outcome.Ops, result)
	r.notePools(fmt.Sprintf("after_op%d", i))
	if name == "send" && op["at_init"] == nil { // no time goes by before the scheduler runs
		r.world.Sleep(200)
		r.notePools(fmt.Sprintf("settled_op%d", i))
	}
	return nil
}

// unchecked tells of a call whose wrong argument only the entry without argument
// checks would take.
func unchecked(op map[string]any) bool {
	n, short := op["len"].(float64)
	return op["raw"] != nil && (len(nulls(op)) > 0 || op["badip"] != nil || op["ipv"] != nil || short && n == 0)
}

// callLimit is more ticks than any mail takes, with the longest time-outs too.
const callLimit = 10_000_000

// state is the client's fields, as far as ClientInfoGet shows them.
func (r *run) state() map[string]any {
	info, _ := smtp.ClientInfoGet(&r.client)
	return map[string]any{
		"reply_code": float64(info.ReplyCode), "mail_status": float64(info.MailStatus),
		"auth_type": float64(info.AuthType), "auth_state": float64(info.AuthState),
	}
}

// Inexpressible is the field of a result that says why a recorded call cannot
// be made in Go; its value is one of the reasons below.
const Inexpressible = "inexpressible"

// Reasons why a call cannot be made in Go.
const (
	NullText       = "a string has no pointer that could be NULL"
	NullAddress    = "no address and an address without a version are the same netip.Addr"
	Unchecked      = "there is no entry without argument checks"
	Initialization = "a program has no phase before the scheduler runs"
)

func (r *run) create(op, out map[string]any) {
	s := r.scenario
	client, inst, pool := &r.client, &r.a.block, r.clientPool
	for _, null := range nulls(op) {
		switch null {
		case "client":
			client = nil
		case "ip":
			inst = nil
		case "pool":
			pool = nil
		case "addr", "server_address":
			out[Inexpressible] = NullAddress
			return
		default:
			out[Inexpressible] = NullText
			return
		}
	}
	if op["badip"] != nil {
		inst = &ip.Instance{}
	}
	out["status"] = float64(nx.Code(smtp.ClientCreate(client, inst, pool,
		s.text(op, "username"), s.text(op, "password"), s.text(op, "from"), s.text(op, "domain"),
		authType(s.argument(op, "auth")), r.target(op), uint(number(op, "port", s.config("port", 25))))))
}

// target is the server's address. The version field may be a wrong one: then
// the words of the address are read as the other family's.
func (r *run) target(op map[string]any) netip.Addr {
	name := "B"
	if r.scenario.config("target", 1) == 2 {
		name = "absent neighbour"
	}
	address := tcpreplay.Host(name, r.scenario.AF)
	switch version := number(op, "ipv", r.scenario.AF); {
	case version == r.scenario.AF:
		return address
	case version == 6:
		b := address.As4()
		return netip.AddrFrom16([16]byte{b[0], b[1], b[2], b[3]})
	case version == 4:
		b := address.As16()
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.Addr{}
}

func authType(v any) smtp.AuthType {
	switch v {
	case "NONE":
		return smtp.AuthNone
	case "LOGIN":
		return smtp.AuthLogin
	case "CRAM_MD5":
		return smtp.AuthCRAMMD5
	case "PLAIN":
		return smtp.AuthPlain
	}
	switch v := v.(type) {
	case float64:
		return smtp.AuthType(v)
	case string:
		var n uint
		_, _ = fmt.Sscan(v, &n)
		return smtp.AuthType(n)
	}
	return 0
}

func (r *run) send(op, out map[string]any) {
	client, body := &r.client, r.scenario.body(op)
	for _, null := range nulls(op) {
		switch null {
		case "client":
			client = nil
		case "body", "mail_body":
			body = nil
		default:
			out[Inexpressible] = NullText
			return
		}
	}
	if op["at_init"] != nil {
		out[Inexpressible] = Initialization
		return
	}
	if n, ok := op["len"].(float64); ok {
		body = body[:min(int(n), len(body))]
	}
	out["status"] = float64(nx.Code(smtp.MailSend(client, r.scenario.text(op, "rcpt"),
		smtp.Priority(number(op, "priority", number(r.scenario.Client, "priority", 2))), r.scenario.text(op, "subject"), body)))
}

func (r *run) delete(op, out map[string]any) {
	client := &r.client
	if slices.Contains(nulls(op), "client") {
		client = nil
	}
	out["status"] = float64(nx.Code(smtp.ClientDelete(client)))
}

func (r *run) tcpEnable(_, out map[string]any) {
	out["status"] = float64(nx.Code(tcp.Enable(&r.a.block)))
}

func nulls(op map[string]any) []string {
	list, _ := op["null"].([]any)
	var names []string
	for _, v := range list {
		if name, ok := v.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// notePools notes the pools at a moment: packets, free ones, requests that
// found none, releases that were refused.
func (r *run) notePools(at string) {
	counts := func(pool *packetpool.Pool, n int) []any {
		info, _ := packetpool.PoolInfoGet(pool)
		return []any{float64(info.TotalPackets), float64(info.FreePackets), float64(info.EmptyPoolRequests),
			float64(info.InvalidPacketReleases)}[:n]
	}
	r.outcome.Pools[at] = map[string]any{
		"smtp": counts(r.clientPool, 4), "client_ip": counts(&r.a.pool, 4), "server_ip": counts(&r.b.pool, 2),
	}
}

// tearDown ends the program as a tidy one would. A packet that has not come
// back is an error of the replay.
func (r *run) tearDown() error {
	var left []error
	do := func(what string, f func() error) {
		var err error
		c := r.world.Go(clientThread, func() { err = f() }, nil)
		if !r.world.Wait(c, callLimit) {
			err = errors.New("does not return")
		}
		if err != nil && nx.Code(err) != uint(nx.PtrError) {
			left = append(left, fmt.Errorf("%s: %w", what, err))
		}
	}
	r.wire.Lose = nil
	do("client", func() error { return smtp.ClientDelete(&r.client) })
	if r.serving != nil {
		do("server", func() error { r.server.stop(); return nil })
		if !r.world.Wait(r.serving, callLimit) {
			left = append(left, errors.New("the server does not end"))
		}
		do("server socket", r.server.remove)
	}
	do("instance A", func() error { return ip.Delete(&r.a.block) })
	do("instance B", func() error { return ip.Delete(&r.b.block) })
	for _, pool := range []*packetpool.Pool{&r.own, &r.a.pool, &r.b.pool} {
		info, err := packetpool.PoolInfoGet(pool)
		if err != nil {
			continue
		}
		if info.FreePackets != info.TotalPackets {
			left = append(left, fmt.Errorf("pool %s: %d of %d packets are back", pool.Name(), info.FreePackets, info.TotalPackets))
		}
		do("pool", func() error { return packetpool.PoolDelete(pool) })
	}
	return errors.Join(left...)
}
