package tcp_test

import (
	"net/netip"
	"testing"

	"gonetx/ip"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/tcp"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func noErr[T any](_ T, err error) error { return err }

// socketServices calls each service of a socket with arguments that pass the
// checks after the one for the socket.
var socketServices = map[string]func(*tcp.Socket) error{
	"SocketDelete":        tcp.SocketDelete,
	"ClientSocketBind":    func(s *tcp.Socket) error { return tcp.ClientSocketBind(s, tcp.AnyPort, nx.NoWait) },
	"ClientSocketUnbind":  tcp.ClientSocketUnbind,
	"ClientSocketPortGet": func(s *tcp.Socket) error { return noErr(tcp.ClientSocketPortGet(s)) },
	"ClientSocketConnect": func(s *tcp.Socket) error {
		return tcp.ClientSocketConnect(s, addressB, port, nx.NoWait)
	},
	"ServerSocketAccept":   func(s *tcp.Socket) error { return tcp.ServerSocketAccept(s, nx.NoWait) },
	"ServerSocketUnaccept": tcp.ServerSocketUnaccept,
	"SocketSend":           func(s *tcp.Socket) error { return tcp.SocketSend(s, packetpool.Packet{}, nx.NoWait) },
	"SocketReceive":        func(s *tcp.Socket) error { return noErr(tcp.SocketReceive(s, nx.NoWait)) },
	"SocketReceiveNotify":  func(s *tcp.Socket) error { return tcp.SocketReceiveNotify(s, nil) },
	"SocketDisconnect":     func(s *tcp.Socket) error { return tcp.SocketDisconnect(s, nx.NoWait) },
	"SocketWindowUpdateNotifySet": func(s *tcp.Socket) error {
		return tcp.SocketWindowUpdateNotifySet(s, func(*tcp.Socket) {})
	},
	"SocketInfoGet":           func(s *tcp.Socket) error { return noErr(tcp.SocketInfoGet(s)) },
	"SocketMSSGet":            func(s *tcp.Socket) error { return noErr(tcp.SocketMSSGet(s)) },
	"SocketMSSPeerGet":        func(s *tcp.Socket) error { return noErr(tcp.SocketMSSPeerGet(s)) },
	"SocketMSSSet":            func(s *tcp.Socket) error { return tcp.SocketMSSSet(s, 0) },
	"SocketPeerInfoGet":       func(s *tcp.Socket) error { _, _, err := tcp.SocketPeerInfoGet(s); return err },
	"SocketBytesAvailable":    func(s *tcp.Socket) error { return noErr(tcp.SocketBytesAvailable(s)) },
	"SocketStatsGet":          func(s *tcp.Socket) error { return noErr(tcp.SocketStatsGet(s)) },
	"SocketStateWait":         func(s *tcp.Socket) error { return tcp.SocketStateWait(s, 0, nx.NoWait) },
	"SocketTransmitConfigure": func(s *tcp.Socket) error { return tcp.SocketTransmitConfigure(s, 0, 1, 1, 1) },
	"NewConn":                 func(s *tcp.Socket) error { return noErr(tcp.NewConn(s, nil)) },
}

// Before anything else, services look whether the socket exists.
func TestServicesWithoutSocket(t *testing.T) {
	a, _ := pair(t)
	deleted := a.socket(t, 100, nil)
	require.NoError(t, tcp.SocketDelete(deleted))
	for name, call := range socketServices {
		for kind, s := range map[string]*tcp.Socket{"nil": nil, "zero": {}, "deleted": deleted} {
			assert.ErrorIs(t, call(s), nx.PtrError, "%s of a %s socket", name, kind)
		}
	}
}

// The services that the default build does not have answer so without a look
// at the socket; with their switch they look first.
func TestOptionalServices(t *testing.T) {
	a, _ := pair(t)
	done := func(*tcp.Socket) {}
	for name, row := range map[string]struct {
		call   func(s *tcp.Socket, callback func(*tcp.Socket)) error
		config tcp.Config
	}{
		"establish":           {tcp.SocketEstablishNotify, tcp.Config{ExtendedNotify: true}},
		"disconnect complete": {tcp.SocketDisconnectCompleteNotify, tcp.Config{ExtendedNotify: true}},
		"timed wait":          {tcp.SocketTimedWaitCallback, tcp.Config{ExtendedNotify: true}},
		"queue depth":         {tcp.SocketQueueDepthNotifySet, tcp.Config{QueueDepthNotify: true}},
		"receive queue": {func(s *tcp.Socket, _ func(*tcp.Socket)) error {
			return tcp.SocketReceiveQueueMaxSet(s, 5)
		}, tcp.Config{LowWatermark: true}},
		"VLAN": {func(s *tcp.Socket, _ func(*tcp.Socket)) error {
			return tcp.SocketVLANPrioritySet(s, 5)
		}, tcp.Config{VLAN: true}},
	} {
		requireStatus(t, nx.NotSupported, row.call(nil, nil))
		requireStatus(t, nx.NotSupported, row.call(a.socket(t, 100, nil), done))
		assert.NoError(t, row.call(a.socket(t, 100, &row.config), done), name)
	}
	requireStatus(t, nx.PtrError, tcp.SocketEstablishNotify(a.socket(t, 100, &tcp.Config{ExtendedNotify: true}), nil))
	requireStatus(t, nx.InvalidParameters, tcp.SocketVLANPrioritySet(a.socket(t, 100, &tcp.Config{VLAN: true}), 8))
}

func TestInstanceServices(t *testing.T) {
	a, _ := pair(t)
	var plain ip.Instance // without TCP
	s := a.socket(t, 100, nil)
	for name, call := range map[string]func(*ip.Instance, uint) error{
		"FreePortFind": func(i *ip.Instance, port uint) error { return noErr(tcp.FreePortFind(i, port)) },
		"Unlisten":     tcp.ServerSocketUnlisten,
		"Listen":       func(i *ip.Instance, port uint) error { return tcp.ServerSocketListen(i, port, s, 5, nil) },
		"Relisten":     func(i *ip.Instance, port uint) error { return tcp.ServerSocketRelisten(i, port, s) },
	} {
		assert.ErrorIs(t, call(nil, port), nx.PtrError, name)
		assert.ErrorIs(t, call(&plain, port), nx.PtrError, name)
		assert.ErrorIs(t, call(&a.inst, 65536), nx.InvalidPort, name)
	}
	for _, err := range []error{tcp.Enable(nil), tcp.Enable(&plain), noErr(tcp.InfoGet(nil))} {
		requireStatus(t, nx.PtrError, err)
	}
	requireStatus(t, nx.AlreadyEnabled, tcp.Enable(&a.inst))
	requireStatus(t, nx.InvalidPort, tcp.ServerSocketListen(&a.inst, 0, s, 5, nil))
	requireStatus(t, nx.PtrError, tcp.ServerSocketListen(&a.inst, port, nil, 5, nil))
	requireStatus(t, nx.EntryNotFound, tcp.ServerSocketUnlisten(&a.inst, port))
	requireStatus(t, nx.InvalidRelisten, tcp.ServerSocketRelisten(&a.inst, port, s))
	free, err := tcp.FreePortFind(&a.inst, 0)
	require.NoError(t, err)
	assert.Zero(t, free, "0 is taken literally")
}

func TestSocketCreate(t *testing.T) {
	a, _ := pair(t)
	existing := a.socket(t, 100, nil)
	for _, row := range []struct {
		name          string
		inst          *ip.Instance
		socket        *tcp.Socket
		tos, fragment uint32
		ttl           uint
		window        uint32
		want          nx.Status
	}{
		{"no instance", nil, new(tcp.Socket), 0, 0, 128, 100, nx.PtrError},
		{"no socket", &a.inst, nil, 0, 0, 128, 100, nx.PtrError},
		{"created", &a.inst, existing, 0, 0, 128, 100, nx.PtrError},
		{"type of service", &a.inst, new(tcp.Socket), 0x01000000, 0, 128, 100, nx.OptionError},
		{"fragment", &a.inst, new(tcp.Socket), 0, 1, 128, 100, nx.OptionError},
		{"time to live", &a.inst, new(tcp.Socket), 0, 0, 0xFF000001, 100, nx.OptionError},
		{"no window", &a.inst, new(tcp.Socket), 0, 0, 128, 0, nx.OptionError},
		{"window", &a.inst, new(tcp.Socket), 0, 0, 128, 65536, nx.OptionError},
		{"all well", &a.inst, new(tcp.Socket), tcp.IPMinDelay, tcp.DontFragment, 1, 65535, nx.Success},
		{"scaled", &a.inst, &tcp.Socket{Config: &tcp.Config{WindowScaling: true}}, 0, 0, 1, 65536, nx.Success},
	} {
		err := tcp.SocketCreate(row.inst, row.socket, row.name, row.tos, row.fragment, row.ttl, row.window, nil, nil)
		requireStatus(t, row.want, err)
		if err == nil {
			requireStatus(t, nx.SocketsBound, ip.Delete(&a.inst))
			require.NoError(t, tcp.SocketDelete(row.socket))
		}
	}
}

func TestBind(t *testing.T) {
	a, _ := pair(t)
	first, second := a.socket(t, 100, nil), a.socket(t, 100, nil)
	requireStatus(t, nx.InvalidPort, tcp.ClientSocketBind(first, 65536, nx.NoWait))
	requireStatus(t, nx.NotBound, noErr(tcp.ClientSocketPortGet(first)))
	require.NoError(t, tcp.ClientSocketBind(first, 5000, nx.NoWait))
	requireStatus(t, nx.AlreadyBound, tcp.ClientSocketBind(first, 5001, nx.NoWait))
	requireStatus(t, nx.StillBound, tcp.SocketDelete(first))
	requireStatus(t, nx.PortUnavailable, tcp.ClientSocketBind(second, 5000, nx.NoWait))
	requireStatus(t, nx.PortUnavailable, tcp.ClientSocketBind(second, 5000, 2))
	requireStatus(t, nx.NotBound, tcp.ClientSocketUnbind(second))

	// A listening port is not in the table.
	listening := a.socket(t, 100, nil)
	require.NoError(t, tcp.ServerSocketListen(&a.inst, 5000, listening, 5, nil))
	requireStatus(t, nx.StillBound, tcp.SocketDelete(listening))
	requireStatus(t, nx.NotClosed, tcp.ServerSocketListen(&a.inst, 5001, listening, 5, nil))
	requireStatus(t, nx.AlreadyBound, tcp.ServerSocketListen(&a.inst, 5001, first, 5, nil))
	requireStatus(t, nx.DuplicateListen, tcp.ServerSocketListen(&a.inst, 5000, second, 5, nil))
	require.NoError(t, tcp.ServerSocketUnlisten(&a.inst, 5000))

	// A waiter inherits the port.
	got := make(chan error)
	go func() { got <- tcp.ClientSocketBind(second, 5000, nx.WaitForever) }()
	require.NoError(t, tcp.ClientSocketUnbind(first))
	require.NoError(t, <-got)
	bound, err := tcp.ClientSocketPortGet(second)
	require.NoError(t, err)
	assert.EqualValues(t, 5000, bound)
}

func TestMaxListen(t *testing.T) {
	a, _ := pair(t)
	for i := range uint(tcp.MaxListenRequests) {
		require.NoError(t, tcp.ServerSocketListen(&a.inst, 100+i, a.socket(t, 100, nil), 5, nil))
	}
	requireStatus(t, nx.MaxListen, tcp.ServerSocketListen(&a.inst, 200, a.socket(t, 100, nil), 5, nil))
}

func TestConnectChecks(t *testing.T) {
	a, b := pair(t)
	s := a.socket(t, 100, nil)
	for _, row := range []struct {
		server netip.Addr
		port   uint
		want   nx.Status
	}{
		{netip.Addr{}, port, nx.IPAddressError},
		{ip.IPAddress(224, 1, 1, 1), port, nx.IPAddressError},
		{ip.IPAddress(255, 255, 255, 255), port, nx.IPAddressError},
		{addressB, 65536, nx.InvalidPort},
		{ip.IPAddress(9, 9, 9, 9), port, nx.IPAddressError}, // no gateway
		{netip.MustParseAddr("2001:db8:9::9"), port, nx.NoInterfaceAddress},
		{netip.MustParseAddr("ff02::1"), port, nx.NoInterfaceAddress},
		{addressB, port, nx.NotBound},
	} {
		requireStatus(t, row.want, tcp.ClientSocketConnect(s, row.server, row.port, nx.NoWait))
	}
	require.NoError(t, tcp.ClientSocketBind(s, tcp.AnyPort, nx.NoWait))
	families(t, func(t *testing.T, family string) {
		err := tcp.ClientSocketConnect(s, b.addr[family], port, 500)
		requireStatus(t, nx.NotConnected, err)
		assert.ErrorIs(t, err, tcp.ErrRefused)
		_, err = tcp.ClientSocketPortGet(s)
		assert.NoError(t, err, "it stays bound")
	})
	err := tcp.ClientSocketConnect(s, ip.IPAddress(1, 2, 3, 99), port, 5)
	requireStatus(t, nx.NotConnected, err)
	assert.ErrorIs(t, err, tcp.ErrTimedOut)
	requireStatus(t, nx.InProgress, tcp.ClientSocketConnect(s, ip.IPAddress(1, 2, 3, 99), port, nx.NoWait))
	requireStatus(t, nx.NotClosed, tcp.ClientSocketConnect(s, addressB, port, nx.NoWait))
	requireStatus(t, nx.NotClosed, tcp.ClientSocketUnbind(s))
	require.NoError(t, tcp.SocketDisconnect(s, nx.NoWait), "given up")
	requireStatus(t, nx.NotConnected, tcp.SocketDisconnect(s, nx.NoWait))
}
