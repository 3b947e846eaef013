package ip

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"gonetx/ip/link"
	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// broken is a driver whose device is not there.
type broken struct{ err error }

func (b broken) Open(link.Attachment) (link.Endpoint, error) { return nil, b.err }

// TestCreateChecks: each error, with everything wrong that is looked at later.
func TestCreateChecks(t *testing.T) {
	pool := nxtest.NewPool(t, 128, 4)
	driver := ram.NewNetwork(ram.Config{}).Driver()
	created := oneHost(t, nil)
	noDevice := errors.New("no such device")
	classE := IPAddress(240, 0, 0, 1)
	for _, c := range []struct {
		name     string
		inst     *Instance
		address  netip.Addr
		mask     netip.Addr
		pool     *packetpool.Pool
		driver   link.Driver
		memory   uint32
		priority uint
		want     nx.Status
	}{
		{"no block", nil, classE, mask24, pool, driver, 0, 32, nx.PtrError},
		{"no pool", new(Instance), classE, mask24, nil, driver, 0, 32, nx.PtrError},
		{"pool not created", new(Instance), classE, mask24, new(packetpool.Pool), driver, 0, 32, nx.PtrError},
		{"no driver", new(Instance), classE, mask24, pool, nil, 0, 32, nx.PtrError},
		{"no memory", new(Instance), classE, mask24, pool, driver, 0, 32, nx.SizeError},
		{"little memory", new(Instance), classE, mask24, pool, driver, 199, 32, nx.SizeError},
		{"priority", created, classE, mask24, pool, driver, 200, 32, nx.OptionError},
		{"created already", created, classE, mask24, pool, driver, 200, 31, nx.PtrError},
		{"class E", new(Instance), classE, mask24, pool, driver, 200, 31, nx.IPAddressError},
		{"class D", new(Instance), IPAddress(224, 0, 0, 1), mask24, pool, driver, 200, 31, nx.IPAddressError},
		{"IPv6", new(Instance), address6A, mask24, pool, driver, 200, 31, nx.IPAddressError},
		{"IPv6 mask", new(Instance), addressA, address6A, pool, driver, 200, 31, nx.IPAddressError},
		{"no device", new(Instance), addressA, mask24, pool, broken{noDevice}, 200, 31, nx.NotSuccessful},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Create(c.inst, "x", c.address, c.mask, c.pool, c.driver, c.memory, c.priority)
			requireStatus(t, c.want, err)
			if c.want == nx.NotSuccessful {
				require.ErrorIs(t, err, noDevice)
			}
			if c.inst != created {
				assert.False(t, c.inst.Created())
			}
		})
	}
	inst := new(Instance)
	require.NoError(t, Create(inst, "x", netip.Addr{}, netip.Addr{}, pool, driver, 200, 31), "no address is an address")
	actual, err := StatusCheck(inst, InitializeDone|AddressResolved, nx.NoWait)
	requireStatus(t, nx.NotSuccessful, err)
	assert.Equal(t, InitializeDone, actual)
	requireStatus(t, nx.NotSuccessful, Create(new(Instance), "y", addressA, mask24, pool, driver, 200, 31)) // the driver is taken
	require.NoError(t, Delete(inst))
	require.NoError(t, Create(inst, "again", addressA, mask24, pool, driver, 200, 31), "block and driver are free again")
	require.NoError(t, Delete(inst))
}

func TestCreateAccepts(t *testing.T) {
	for name, c := range map[string]struct{ address, mask netip.Addr }{
		"loopback":       {IPAddress(127, 0, 0, 1), mask24},
		"no mask":        {IPAddress(1, 2, 3, 10), IPAddress(0, 0, 0, 0)},
		"host mask":      {IPAddress(1, 2, 3, 10), IPAddress(255, 255, 255, 255)},
		"mask with gaps": {IPAddress(1, 2, 3, 10), IPAddress(255, 0, 255, 0)},
		"nothing":        {IPAddress(0, 0, 0, 0), mask24},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := new(nxtest.Recorder)
			inst := &Instance{Config: &Config{Recorder: recorder}}
			driver := ram.NewNetwork(ram.Config{}).Driver()
			require.NoError(t, Create(inst, "x", c.address, c.mask, nxtest.NewPool(t, 16, 4), driver, 2048, 1))
			address, mask, err := AddressGet(inst)
			require.NoError(t, err)
			assert.Equal(t, c.address, address)
			assert.Equal(t, c.mask, mask)
			assert.Empty(t, nxtest.Of[nx.WarningEvent](recorder))
			require.NoError(t, Delete(inst))
		})
	}
}

// TestCreateIsQuick: the device apart, an instance is up in under 2 ms. The
// best of some is taken, because other programs share the processors.
func TestCreateIsQuick(t *testing.T) {
	best := time.Hour
	for range 10 {
		pool := nxtest.NewPool(t, 1536, 16)
		driver := ram.NewNetwork(ram.Config{}).Driver()
		var inst Instance
		start := time.Now()
		require.NoError(t, Create(&inst, "x", addressA, mask24, pool, driver, 2048, 1))
		best = min(best, time.Since(start))
		require.NoError(t, Delete(&inst))
	}
	require.Less(t, best, 2*time.Millisecond)
}

func TestDeleteWithSockets(t *testing.T) {
	inst := oneHost(t, nil)
	inst.SocketsChanged(2)
	requireStatus(t, nx.SocketsBound, Delete(inst))
	assert.True(t, inst.Created(), "nothing has changed")
	inst.SocketsChanged(-1)
	requireStatus(t, nx.SocketsBound, Delete(inst))
	inst.SocketsChanged(-1)
	require.NoError(t, Delete(inst))
	requireStatus(t, nx.PtrError, Delete(inst))
}

// TestDeleteEndsWaits: callers suspended on the instance go on, with the
// statuses of nx_ip_delete.
func TestDeleteEndsWaits(t *testing.T) {
	clock := new(nxtest.Clock)
	inst := host(t, ram.NewNetwork(ram.Config{Manual: true}).Driver(), addressA, &Config{Clock: clock})
	require.NoError(t, ICMPEnable(inst))
	require.NoError(t, RawPacketEnable(inst))
	var pinged, received error
	clock.Go(func() { _, pinged = ICMPPing(inst, absent, nil, nx.WaitForever) })
	clock.Go(func() { _, received = RawPacketReceive(inst, nx.WaitForever) })
	clock.Go(func() {
		clock.Sleep(10) // the others wait by then
		assert.NoError(t, Delete(inst))
	})
	clock.Wait(t)
	requireStatus(t, nx.NoResponse, pinged)
	requireStatus(t, nx.NoPacket, received)
}

// TestDeleteInCallback: the callback goroutine cannot wait for its own end.
func TestDeleteInCallback(t *testing.T) {
	inst := oneHost(t, nil)
	answer := make(chan error)
	inst.Post(func() { answer <- Delete(inst) })
	requireStatus(t, nx.CallerError, <-answer)
	assert.True(t, inst.Created())
}

// closing is a transport that notes what it sees of the end.
type closing struct {
	passing
	inst *Instance
	log  []string
}

func (c *closing) Close() {
	c.log = append(c.log, "close")
	c.inst.Post(func() { c.log = append(c.log, "callback") })
}

// TestDeleteOrder: the transport is closed first, while callbacks can still be
// posted, and they run before Delete returns.
func TestDeleteOrder(t *testing.T) {
	inst := oneHost(t, nil)
	transport := &closing{inst: inst}
	inst.SetTransport(transport)
	require.NoError(t, Delete(inst))
	assert.Equal(t, []string{"close", "callback"}, transport.log)
	assert.Nil(t, inst.Transport())
}
