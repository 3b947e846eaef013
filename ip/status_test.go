package ip

import (
	"testing"

	"gonetx/ip/link/ram"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatusCheck(t *testing.T) {
	inst := oneHost(t, nil)
	run(t,
		step{"unknown bit", noErr(StatusCheck(inst, 0x200, nx.NoWait)), nx.OptionError},
		step{"interface before bits", noErr(InterfaceStatusCheck(inst, 1, 0x200, nx.NoWait)), nx.InvalidInterface},
		step{"unknown bit", noErr(InterfaceStatusCheck(inst, 0, 0x400, nx.NoWait)), nx.OptionError},
		step{"nothing", noErr(StatusCheck(inst, 0, nx.NoWait)), nx.Success},
	)
	check := func(needed uint32) (uint32, error) { return StatusCheck(inst, needed, nx.NoWait) }
	there := InitializeDone | AddressResolved | RARPComplete | LinkEnabled | InterfaceLinkEnabled
	actual, err := check(there)
	require.NoError(t, err)
	assert.Equal(t, there, actual)
	actual, err = check(there | TCPEnabled | ARPEnabled | IGMPEnabled | UDPEnabled)
	requireStatus(t, nx.NotSuccessful, err)
	assert.Equal(t, there, actual, "those that are true, of those asked for")
	actual, err = check(InitializeDone | UDPEnabled)
	requireStatus(t, nx.NotSuccessful, err)
	assert.Equal(t, InitializeDone, actual)

	inst.SetTransport(new(passing))
	require.NoError(t, ARPEnable(inst, 1024))
	require.NoError(t, IGMPEnable(inst))
	actual, err = InterfaceStatusCheck(inst, 0, TCPEnabled|ARPEnabled|IGMPEnabled, nx.NoWait)
	require.NoError(t, err)
	assert.Equal(t, TCPEnabled|ARPEnabled|IGMPEnabled, actual)
	require.NoError(t, AddressSet(inst, IPAddress(0, 0, 0, 0), mask24))
	actual, err = check(AddressResolved | RARPComplete)
	requireStatus(t, nx.NotSuccessful, err)
	assert.Zero(t, actual)
	inst.SetTransport(nil)
}

// TestStatusCheckWaits: it looks every tick, and its last look is at the end of
// the wait.
func TestStatusCheckWaits(t *testing.T) {
	clock := new(nxtest.Clock)
	inst := host(t, ram.NewNetwork(ram.Config{Manual: true}).Driver(), addressA, &Config{Clock: clock})
	var served, late nx.Wait
	clock.Go(func() {
		_, err := StatusCheck(inst, ARPEnabled, nx.WaitForever)
		assert.NoError(t, err)
		served = clock.Ticks()
	})
	clock.Go(func() {
		_, err := StatusCheck(inst, UDPEnabled, 50)
		assert.ErrorIs(t, err, nx.NotSuccessful)
		late = clock.Ticks()
	})
	clock.Go(func() {
		clock.Sleep(20)
		assert.NoError(t, ARPEnable(inst, 1024))
	})
	clock.Wait(t)
	assert.Contains(t, []nx.Wait{20, 21}, served)
	assert.EqualValues(t, 50, late)
}

// TestStatusCheckInCallback: a callback does not wait.
func TestStatusCheckInCallback(t *testing.T) {
	inst := oneHost(t, nil)
	answer := make(chan error)
	inst.Post(func() { answer <- noErr(StatusCheck(inst, UDPEnabled, nx.WaitForever)) })
	requireStatus(t, nx.NotSuccessful, <-answer)
}

func TestLinkStatus(t *testing.T) {
	network := ram.NewNetwork(ram.Config{})
	driver := network.Driver()
	inst := host(t, driver, addressA, nil)
	require.NoError(t, ICMPEnable(inst))
	require.NoError(t, IPv6Enable(inst))
	_, err := IPv6AddressSet(inst, 0, address6A, 64)
	require.NoError(t, err)

	type change struct {
		index uint
		up    bool
	}
	seen := make(chan change)
	requireStatus(t, nx.PtrError, LinkStatusChangeNotifySet(inst, nil))
	require.NoError(t, LinkStatusChangeNotifySet(inst, func(i *Instance, index uint, up bool) {
		assert.True(t, i.InCallback())
		seen <- change{index, up}
	}))
	driver.Unplug()
	assert.Equal(t, change{0, false}, <-seen)
	actual, err := StatusCheck(inst, LinkEnabled|AddressResolved, nx.NoWait)
	requireStatus(t, nx.NotSuccessful, err)
	assert.Equal(t, AddressResolved, actual)
	up, err := DriverDirectCommand(inst, LinkGetStatus)
	require.NoError(t, err)
	assert.Zero(t, up)
	// With the link down a ping fails at once.
	_, err = ICMPPing(inst, addressB, nil, nx.WaitForever)
	requireStatus(t, nx.IPAddressError, err)
	require.ErrorIs(t, err, errLinkDown)
	_, err = ICMPPing(inst, address6B, nil, nx.WaitForever)
	requireStatus(t, nx.NoInterfaceAddress, err)

	driver.Plug()
	assert.Equal(t, change{0, true}, <-seen)
	_, err = StatusCheck(inst, LinkEnabled, nx.NoWait)
	require.NoError(t, err)
	up, err = DriverInterfaceDirectCommand(inst, LinkGetStatus, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, up)
}

// TestUnpluggedFromTheStart: the link was down when the instance was created.
func TestUnpluggedFromTheStart(t *testing.T) {
	driver := ram.NewNetwork(ram.Config{}).Driver()
	driver.Unplug()
	inst := host(t, driver, addressA, nil)
	_, err := StatusCheck(inst, LinkEnabled, nx.NoWait)
	requireStatus(t, nx.NotSuccessful, err)
	_, err = inst.RouteFind(addressB)
	require.ErrorIs(t, err, errLinkDown)
}

func TestDriverCommands(t *testing.T) {
	a, _, _ := pair(t)
	requirePing(t, a, addressB, 10)
	run(t,
		step{"no such command", noErr(DriverDirectCommand(a, 21)), nx.UnhandledCommand},
		step{"command of a program", noErr(DriverDirectCommand(a, LinkUserCommand)), nx.UnhandledCommand},
		step{"no such interface", noErr(DriverInterfaceDirectCommand(a, LinkGetStatus, 1)), nx.InvalidInterface},
	)
	for command, want := range map[uint]uint32{
		LinkGetSpeed: 0, LinkGetDuplexType: 0, LinkGetAllocError: 0, LinkGetErrorCount: 0, LinkGetRxCount: 1, LinkGetTxCount: 1,
	} {
		got, err := DriverDirectCommand(a, command)
		require.NoError(t, err)
		assert.Equal(t, want, got, "command %d", command)
	}
}

// TestThread: callbacks run one at a time, in order, and know where they are.
func TestThread(t *testing.T) {
	inst := oneHost(t, nil)
	const callbacks = 1000
	var order []int
	done := make(chan struct{})
	for n := range callbacks {
		inst.Post(func() {
			assert.True(t, inst.InCallback())
			assert.Equal(t, nx.NoWait, inst.WaitOption(nx.WaitForever))
			order = append(order, n)
			if n == callbacks-1 {
				close(done)
			}
		})
		assert.False(t, inst.InCallback(), "while a callback may run elsewhere")
		assert.Equal(t, nx.WaitForever, inst.WaitOption(nx.WaitForever))
	}
	<-done
	for n := range callbacks {
		require.Equal(t, n, order[n])
	}
}

// TestPostAfterDelete: what comes too late is not run and does no harm.
func TestPostAfterDelete(t *testing.T) {
	inst := oneHost(t, nil)
	require.NoError(t, Delete(inst))
	inst.Post(func() { t.Error("ran") })
}
