package smtp_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gonetx/ip"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"
	"gonetx/smtp"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every error of ClientCreate in the order of the checks: each row has the
// faults of the rows below it, too.
func TestClientCreateChecks(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	ipPool, pool, tiny := nxtest.NewPool(t, 512, 32), nxtest.NewPool(t, 800, 9), nxtest.NewPool(t, 56, 4)
	inst := instance(t, network, "client", ipPool, clientIPv4, clientIPv6)
	var noTCP ip.Instance
	require.NoError(t, ip.Create(&noTCP, "no TCP", ip.IPAddress(1, 2, 3, 6), ip.IPAddress(255, 255, 255, 0), ipPool, network.Driver(), 2048, 1))
	t.Cleanup(func() { require.NoError(t, ip.Delete(&noTCP)) })

	var created smtp.Client
	require.NoError(t, smtp.ClientCreate(&created, inst, pool, "", "", "", "", smtp.AuthNone, serverIPv4, 25))
	defer func() { require.NoError(t, smtp.ClientDelete(&created)) }()

	long, cr := strings.Repeat("x", 41), "\r"
	for _, row := range []struct {
		name                             string
		client                           *smtp.Client
		inst                             *ip.Instance
		pool                             *packetpool.Pool
		username, password, from, domain string
		server                           netip.Addr
		port                             uint
		want                             nx.Coder
	}{
		{"no client", nil, &ip.Instance{}, pool, long, long, cr, long, netip.Addr{}, 0, nx.PtrError},
		{"no instance", &smtp.Client{}, nil, pool, long, long, cr, long, netip.Addr{}, 0, nx.PtrError},
		{"no pool", &smtp.Client{}, &ip.Instance{}, nil, long, long, cr, long, netip.Addr{}, 0, nx.PtrError},
		{"instance not created", &created, &ip.Instance{}, &packetpool.Pool{}, long, long, cr, long, netip.Addr{}, 0, smtp.InvalidParam},
		{"no address", &created, &noTCP, &packetpool.Pool{}, long, long, cr, long, netip.Addr{}, 0, nx.IPAddressError},
		{"client exists", &created, &noTCP, &packetpool.Pool{}, long, long, cr, long, serverIPv4, 0, nx.PtrError},
		{"pool not created", &smtp.Client{}, &noTCP, &packetpool.Pool{}, long, long, cr, long, serverIPv4, 0, nx.PtrError},
		{"username", &smtp.Client{}, &noTCP, tiny, long, long, cr, long, serverIPv4, 0, nx.SizeError},
		{"password", &smtp.Client{}, &noTCP, tiny, "\x00", strings.Repeat("x", 21), cr, long, serverIPv4, 0, nx.SizeError},
		{"domain", &smtp.Client{}, &noTCP, tiny, "\x00", "", cr, long, serverIPv4, 0, nx.SizeError},
		{"NUL in the username", &smtp.Client{}, &noTCP, tiny, "\x00", "", cr, cr, serverIPv4, 0, smtp.InvalidParam},
		{"line break in the domain", &smtp.Client{}, &noTCP, tiny, "", "", strings.Repeat("x", 498), cr, serverIPv4, 0, smtp.InvalidParam},
		{"line break in the from address", &smtp.Client{}, &noTCP, tiny, "", "", strings.Repeat("\r", 498), "", serverIPv4, 0, smtp.InvalidParam},
		{"long from address", &smtp.Client{}, &noTCP, tiny, "", "", strings.Repeat("x", 498), "", serverIPv4, 0, nx.SizeError},
		{"packets too small", &smtp.Client{}, &noTCP, tiny, "", "", "", "", serverIPv4, 0, smtp.InvalidParam},
		{"port 0", &smtp.Client{}, &noTCP, pool, "", "", "", "", serverIPv4, 0, nx.InvalidPort},
		{"port 65536", &smtp.Client{}, &noTCP, pool, "", "", "", "", serverIPv4, 65536, nx.InvalidPort},
		{"no TCP", &smtp.Client{}, &noTCP, pool, "", "", "", "", serverIPv4, 25, nx.NotEnabled},
	} {
		err := smtp.ClientCreate(row.client, row.inst, row.pool, row.username, row.password, row.from, row.domain, smtp.AuthPlain, row.server, row.port)
		require.ErrorIs(t, err, row.want, row.name)
		assert.Equal(t, row.want.StatusCode(), nx.Code(err), "%s: %v", row.name, err)
		assert.True(t, strings.HasPrefix(err.Error(), "smtp.ClientCreate: NX_"), "%v", err)
		assert.NotContains(t, err.Error(), long)
		if row.client != nil && row.client != &created {
			require.ErrorIs(t, smtp.MailSend(row.client, "a@b", smtp.PriorityNormal, "s", []byte("x")), smtp.ClientNotInitialized)
			require.ErrorIs(t, smtp.ClientDelete(row.client), nx.PtrError)
		}
	}
}

// In the release a client without TCP is created and deleted, and works once
// TCP is enabled; only its mails fail, and do not crash.
func TestReleaseWithoutTCP(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	pool, serverPool := nxtest.NewPool(t, 800, 32), nxtest.NewPool(t, 1536, 64)
	var inst ip.Instance
	require.NoError(t, ip.Create(&inst, "client", clientIPv4, ip.IPAddress(255, 255, 255, 0), pool, network.Driver(), 2048, 1))
	t.Cleanup(func() { require.NoError(t, ip.Delete(&inst)) })
	c := &smtp.Client{Config: &smtp.Config{Release: true}}
	create := func() error {
		return smtp.ClientCreate(c, &inst, pool, "u", "p", "a@b", "dom", smtp.AuthNone, serverIPv4, 25)
	}
	require.NoError(t, create())
	require.NoError(t, smtp.ClientDelete(c))
	require.NoError(t, create())
	require.ErrorIs(t, smtp.MailSend(c, "a@b", smtp.PriorityNormal, "s", []byte("x")), nx.NotEnabled)

	serve(t, instance(t, network, "server", serverPool, serverIPv4, serverIPv6), serverPool, friendlyReply)
	require.NoError(t, tcp.Enable(&inst))
	require.NoError(t, smtp.MailSend(c, "a@b", smtp.PriorityNormal, "s", []byte("x")))
	require.NoError(t, smtp.ClientDelete(c))
}

// What goes wrong below a session, over the real stack: the error says so, the
// packets come back, and the next mail works.
func TestTroubleOverRAM(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	clientPool, ipPool, serverPool := nxtest.NewPool(t, 800, 9), nxtest.NewPool(t, 512, 32), nxtest.NewPool(t, 1536, 64)
	client := instance(t, network, "client", ipPool, clientIPv4, clientIPv6)
	server := instance(t, network, "server", serverPool, serverIPv4, serverIPv6)
	reply := make(chan func(string) string, 1)
	current := friendlyReply
	serve(t, server, serverPool, func(line string) string {
		select {
		case current = <-reply:
		default:
		}
		return current(line)
	})

	for _, address := range []netip.Addr{serverIPv4, serverIPv6} {
		c := &smtp.Client{Config: &smtp.Config{EnvelopeTimeout: 30, ConnectionTimeout: 50}}
		require.NoError(t, smtp.ClientCreate(c, client, clientPool, "u", "p", "a@b", "dom", smtp.AuthNone, address, 25))
		send := func(ctx context.Context) error {
			return smtp.MailSendContext(ctx, c, "a@b", smtp.PriorityNormal, "s", []byte("x"))
		}
		nextWorks := func() {
			t.Helper()
			reply <- friendlyReply
			require.NoError(t, send(context.Background()))
		}
		long := strings.Repeat("250-"+strings.Repeat("x", 70)+"\r\n", 40) // 3 kB
		reply <- func(line string) string {
			if strings.HasPrefix(line, "EHLO") {
				return long + "250 end\r\n"
			}
			return friendlyReply(line)
		}
		require.NoError(t, send(context.Background()), "a long reply")

		reply <- func(line string) string { return "" } // silence
		err := send(context.Background())
		require.ErrorIs(t, err, nx.NoPacket)
		require.ErrorContains(t, err, "EHLO: awaiting the reply")
		nextWorks()

		reply <- func(line string) string { return "" }
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		err = send(ctx)
		cancel()
		require.ErrorIs(t, err, nx.WaitAborted)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		nextWorks()

		reply <- func(line string) string {
			if strings.HasPrefix(line, "RCPT") {
				return "221 goodbye\r\n" // and closes
			}
			return friendlyReply(line)
		}
		require.ErrorIs(t, send(context.Background()), smtp.RcptReplyError)
		nextWorks()

		// A pool that somebody else has emptied.
		var held []packetpool.Packet
		for {
			packet, err := packetpool.Allocate(clientPool, packetpool.TCPPacket, nx.NoWait)
			if err != nil {
				break
			}
			held = append(held, packet)
		}
		err = send(context.Background())
		require.ErrorIs(t, err, nx.NoPacket)
		require.ErrorContains(t, err, "EHLO: sending: packetpool.")
		for _, packet := range held {
			require.NoError(t, packetpool.Release(packet))
		}
		nextWorks()

		info, err := packetpool.PoolInfoGet(clientPool)
		require.NoError(t, err)
		assert.Equal(t, info.TotalPackets, info.FreePackets)
		require.NoError(t, smtp.ClientDelete(c))
	}

	for address, want := range map[netip.Addr]nx.Status{
		serverIPv4:                             nx.NotConnected,   // nobody listens on that port
		ip.IPAddress(1, 2, 3, 99):              nx.NotConnected,   // nobody there
		ip.IPAddress(9, 9, 9, 9):               nx.IPAddressError, // no route
		netip.MustParseAddr("2001:db8:9::1"):   nx.NoInterfaceAddress,
		netip.MustParseAddr("2001:db8:1::4"):   nx.NotConnected,
		netip.MustParseAddr("::ffff:1.2.3.99"): nx.NotConnected,
	} {
		c := &smtp.Client{Config: &smtp.Config{ConnectionTimeout: 30}}
		require.NoError(t, smtp.ClientCreate(c, client, clientPool, "u", "p", "a@b", "dom", smtp.AuthNone, address, 26))
		err := smtp.MailSend(c, "a@b", smtp.PriorityNormal, "s", []byte("x"))
		require.ErrorIs(t, err, want, "%v", address)
		require.ErrorContains(t, err, "connecting")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		require.ErrorIs(t, smtp.MailSendContext(ctx, c, "a@b", smtp.PriorityNormal, "s", []byte("x")), nx.WaitAborted)
		require.NoError(t, smtp.ClientDelete(c))
	}
}

// In a callback of the instance nothing can be waited for.
func TestMailSendInACallback(t *testing.T) {
	pool := nxtest.NewPool(t, 800, 16)
	inst := instance(t, ram.NewNetwork(ram.Config{}), "client", pool, clientIPv4, clientIPv6)
	var c smtp.Client
	require.NoError(t, smtp.ClientCreate(&c, inst, pool, "u", "p", "a@b", "dom", smtp.AuthNone, serverIPv4, 25))
	done := make(chan error)
	inst.Post(func() { done <- smtp.MailSend(&c, "a@b", smtp.PriorityNormal, "s", []byte("x")) })
	require.ErrorIs(t, <-done, nx.CallerError)
	require.NoError(t, smtp.ClientDelete(&c))
}

// A connect under way ends with its context.
func TestContextEndsAConnect(t *testing.T) {
	pool := nxtest.NewPool(t, 800, 16)
	inst := instance(t, ram.NewNetwork(ram.Config{}), "client", pool, clientIPv4, clientIPv6)
	var c smtp.Client
	require.NoError(t, smtp.ClientCreate(&c, inst, pool, "u", "p", "a@b", "dom", smtp.AuthNone, ip.IPAddress(1, 2, 3, 99), 25))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	started := time.Now()
	err := smtp.MailSendContext(ctx, &c, "a@b", smtp.PriorityNormal, "s", []byte("x"))
	require.ErrorIs(t, err, nx.WaitAborted)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(started), 5*time.Second, "not the ten seconds of a connect")
	require.NoError(t, smtp.ClientDelete(&c))
}

// A reply of 3 kB goes through ten packets of 128 bytes, the guide's own pool
// of the instance.
func TestLongReplyThroughTheGuidesPool(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	clientPool, ipPool, serverPool := nxtest.NewPool(t, 800, 9), nxtest.NewPool(t, 128, 10), nxtest.NewPool(t, 1536, 64)
	client := instance(t, network, "client", ipPool, clientIPv4, clientIPv6)
	server := instance(t, network, "server", serverPool, serverIPv4, serverIPv6)
	serve(t, server, serverPool, func(line string) string {
		if strings.HasPrefix(line, "EHLO") {
			return strings.Repeat("250-"+strings.Repeat("x", 70)+"\r\n", 40) + "250 end\r\n"
		}
		return friendlyReply(line)
	})
	for _, address := range []netip.Addr{serverIPv4, serverIPv6} {
		c := &smtp.Client{Config: &smtp.Config{EnvelopeTimeout: 300}}
		require.NoError(t, smtp.ClientCreate(c, client, clientPool, "u", "p", "a@b", "dom", smtp.AuthNone, address, 25))
		err := smtp.MailSend(c, "a@b", smtp.PriorityNormal, "s", []byte("x"))
		require.NoError(t, smtp.ClientDelete(c))
		require.NoError(t, err)
	}
}
