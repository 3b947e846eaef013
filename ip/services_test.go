package ip

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"gonetx/ip/link/ram"
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noErr drops what a service answers beside its error.
func noErr[T any](_ T, err error) error { return err }

// everyService calls each service with arguments that would succeed, or fail
// later than with NX_PTR_ERROR.
func everyService(packet packetpool.Packet, pool *packetpool.Pool) map[string]func(*Instance) error {
	driver := ram.NewNetwork(ram.Config{}).Driver()
	group, group6 := IPAddress(224, 1, 1, 1), netip.MustParseAddr("ff02::77")
	router := netip.MustParseAddr("fe80::1")
	return map[string]func(*Instance) error{
		"Delete":              Delete,
		"AddressSet":          func(i *Instance) error { return AddressSet(i, addressA, mask24) },
		"AddressGet":          func(i *Instance) error { _, _, err := AddressGet(i); return err },
		"AddressChangeNotify": func(i *Instance) error { return AddressChangeNotify(i, nil, nil) },
		"InterfaceAddressSet": func(i *Instance) error { return InterfaceAddressSet(i, 0, addressA, mask24) },
		"InterfaceAddressGet": func(i *Instance) error { _, _, err := InterfaceAddressGet(i, 0); return err },

		"GatewayAddressSet":   func(i *Instance) error { return GatewayAddressSet(i, IPAddress(1, 2, 3, 1)) },
		"GatewayAddressGet":   func(i *Instance) error { return noErr(GatewayAddressGet(i)) },
		"GatewayAddressClear": GatewayAddressClear,
		"StaticRouteAdd":      func(i *Instance) error { return StaticRouteAdd(i, offLink, mask24, addressB) },
		"StaticRouteDelete":   func(i *Instance) error { return StaticRouteDelete(i, offLink, mask24) },

		"InterfaceAttach":                  func(i *Instance) error { return InterfaceAttach(i, "SEC", offLink, mask24, driver) },
		"InterfaceDetach":                  func(i *Instance) error { return InterfaceDetach(i, 0) },
		"InterfaceInfoGet":                 func(i *Instance) error { return noErr(InterfaceInfoGet(i, 0)) },
		"InterfaceMTUSet":                  func(i *Instance) error { return InterfaceMTUSet(i, 0, 1500) },
		"InterfacePhysicalAddressGet":      func(i *Instance) error { _, _, err := InterfacePhysicalAddressGet(i, 0); return err },
		"InterfacePhysicalAddressSet":      func(i *Instance) error { return InterfacePhysicalAddressSet(i, 0, 1, 2, true) },
		"InterfaceAddressMappingConfigure": func(i *Instance) error { return InterfaceAddressMappingConfigure(i, 0, true) },
		"InterfaceCapabilityGet":           func(i *Instance) error { return noErr(InterfaceCapabilityGet(i, 0)) },
		"InterfaceCapabilitySet":           func(i *Instance) error { return InterfaceCapabilitySet(i, 0, 0) },
		"MaxPayloadSizeFind": func(i *Instance) error {
			_, _, err := MaxPayloadSizeFind(i, addressB, 0, 1, 2, protocolTCP)
			return err
		},

		"StatusCheck":                  func(i *Instance) error { return noErr(StatusCheck(i, 0, nx.NoWait)) },
		"InterfaceStatusCheck":         func(i *Instance) error { return noErr(InterfaceStatusCheck(i, 0, 0, nx.NoWait)) },
		"LinkStatusChangeNotifySet":    func(i *Instance) error { return LinkStatusChangeNotifySet(i, func(*Instance, uint, bool) {}) },
		"DriverDirectCommand":          func(i *Instance) error { return noErr(DriverDirectCommand(i, LinkGetStatus)) },
		"DriverInterfaceDirectCommand": func(i *Instance) error { return noErr(DriverInterfaceDirectCommand(i, LinkGetStatus, 0)) },
		"InfoGet":                      func(i *Instance) error { return noErr(InfoGet(i)) },

		"FragmentEnable":          FragmentEnable,
		"FragmentDisable":         FragmentDisable,
		"ForwardingEnable":        ForwardingEnable,
		"ForwardingDisable":       ForwardingDisable,
		"AuxiliaryPacketPoolSet":  func(i *Instance) error { return AuxiliaryPacketPoolSet(i, pool) },
		"ICMPv6RAFlagCallbackSet": func(i *Instance) error { return ICMPv6RAFlagCallbackSet(i, nil) },

		"ICMPEnable":     ICMPEnable,
		"ICMPv4Enable":   ICMPv4Enable,
		"ICMPEcho":       func(i *Instance) error { return noErr(ICMPEcho(i, EchoRequest{Address: addressB}, nx.NoWait)) },
		"ICMPPing":       func(i *Instance) error { return noErr(ICMPPing(i, addressB, nil, nx.NoWait)) },
		"ICMPSourcePing": func(i *Instance) error { return noErr(ICMPSourcePing(i, addressB, 0, nil, nx.NoWait)) },
		"ICMPInfoGet":    func(i *Instance) error { return noErr(ICMPInfoGet(i)) },

		"IPv6Enable":              IPv6Enable,
		"IPv6Disable":             IPv6Disable,
		"IPv6AddressSet":          func(i *Instance) error { return noErr(IPv6AddressSet(i, 0, address6A, 64)) },
		"IPv6GlobalAddressSet":    func(i *Instance) error { return IPv6GlobalAddressSet(i, address6B, 64) },
		"IPv6LinklocalAddressSet": func(i *Instance) error { return IPv6LinklocalAddressSet(i, netip.Addr{}) },
		"IPv6AddressGet":          func(i *Instance) error { _, _, _, err := IPv6AddressGet(i, 0); return err },
		"IPv6AddressStateGet":     func(i *Instance) error { return noErr(IPv6AddressStateGet(i, 0)) },
		"IPv6AddressDelete":       func(i *Instance) error { return IPv6AddressDelete(i, 0) },
		"IPv6AddressChangeNotify": func(i *Instance) error { return IPv6AddressChangeNotify(i, nil) },
		"IPv6StatelessAddressAutoconfigEnable": func(i *Instance) error {
			return IPv6StatelessAddressAutoconfigEnable(i, 0)
		},
		"IPv6StatelessAddressAutoconfigDisable": func(i *Instance) error {
			return IPv6StatelessAddressAutoconfigDisable(i, 0)
		},
		"IPv6MulticastInterfaceJoin":  func(i *Instance) error { return IPv6MulticastInterfaceJoin(i, group6, 0) },
		"IPv6MulticastInterfaceLeave": func(i *Instance) error { return IPv6MulticastInterfaceLeave(i, group6, 0) },
		"IPv6DefaultRouterAdd":        func(i *Instance) error { return IPv6DefaultRouterAdd(i, router, 0xFFFF, 0) },
		"IPv6DefaultRouterDelete":     func(i *Instance) error { return IPv6DefaultRouterDelete(i, router) },
		"IPv6DefaultRouterGet":        func(i *Instance) error { return noErr(IPv6DefaultRouterGet(i, 0)) },
		"IPv6DefaultRouterEntryGet":   func(i *Instance) error { return noErr(IPv6DefaultRouterEntryGet(i, 0, 0)) },
		"IPv6DefaultRouterNumberOfEntriesGet": func(i *Instance) error {
			return noErr(IPv6DefaultRouterNumberOfEntriesGet(i, 0))
		},

		"RawPacketEnable":         RawPacketEnable,
		"RawPacketDisable":        RawPacketDisable,
		"RawReceiveQueueMaxSet":   func(i *Instance) error { return RawReceiveQueueMaxSet(i, 5) },
		"RawPacketFilterSet":      func(i *Instance) error { return RawPacketFilterSet(i, nil) },
		"RawPacketReceive":        func(i *Instance) error { return noErr(RawPacketReceive(i, nx.NoWait)) },
		"RawIPv4PacketSend":       func(i *Instance) error { return RawIPv4PacketSend(i, packet, addressB, 0) },
		"RawIPv4PacketSourceSend": func(i *Instance) error { return RawIPv4PacketSourceSend(i, packet, addressB, 0, 0) },
		"RawPacketSend":           func(i *Instance) error { return RawPacketSend(i, packet, addressB, 253, 128, 0) },
		"RawPacketSourceSend":     func(i *Instance) error { return RawPacketSourceSend(i, packet, addressB, 0, 253, 128, 0) },

		"ARPEnable":                   func(i *Instance) error { return ARPEnable(i, 1024) },
		"ARPInfoGet":                  func(i *Instance) error { return noErr(ARPInfoGet(i)) },
		"ARPStaticEntryCreate":        func(i *Instance) error { return ARPStaticEntryCreate(i, addressB, 1, 2) },
		"ARPStaticEntryDelete":        func(i *Instance) error { return ARPStaticEntryDelete(i, addressB, 1, 2) },
		"ARPStaticEntriesDelete":      ARPStaticEntriesDelete,
		"ARPDynamicEntrySet":          func(i *Instance) error { return ARPDynamicEntrySet(i, addressB, 1, 2) },
		"ARPDynamicEntriesInvalidate": ARPDynamicEntriesInvalidate,
		"ARPEntryDelete":              func(i *Instance) error { return ARPEntryDelete(i, addressB) },
		"ARPHardwareAddressFind":      func(i *Instance) error { _, _, err := ARPHardwareAddressFind(i, addressB); return err },
		"ARPIPAddressFind":            func(i *Instance) error { return noErr(ARPIPAddressFind(i, 1, 2)) },
		"ARPGratuitousSend":           func(i *Instance) error { return ARPGratuitousSend(i, nil) },
		"RARPEnable":                  RARPEnable,
		"RARPDisable":                 RARPDisable,
		"RARPInfoGet":                 func(i *Instance) error { return noErr(RARPInfoGet(i)) },

		"IGMPEnable":                  IGMPEnable,
		"IGMPInfoGet":                 func(i *Instance) error { return noErr(IGMPInfoGet(i)) },
		"IGMPLoopbackEnable":          IGMPLoopbackEnable,
		"IGMPLoopbackDisable":         IGMPLoopbackDisable,
		"IGMPMulticastJoin":           func(i *Instance) error { return IGMPMulticastJoin(i, group) },
		"IGMPMulticastLeave":          func(i *Instance) error { return IGMPMulticastLeave(i, group) },
		"IGMPMulticastInterfaceJoin":  func(i *Instance) error { return IGMPMulticastInterfaceJoin(i, group, 0) },
		"IGMPMulticastInterfaceLeave": func(i *Instance) error { return IGMPMulticastInterfaceLeave(i, group, 0) },
		"IPv4MulticastInterfaceJoin":  func(i *Instance) error { return IPv4MulticastInterfaceJoin(i, group, 0) },
		"IPv4MulticastInterfaceLeave": func(i *Instance) error { return IPv4MulticastInterfaceLeave(i, group, 0) },

		"NDCacheEntrySet":            func(i *Instance) error { return NDCacheEntrySet(i, address6B, 0, [6]byte{2}) },
		"NDCacheEntryDelete":         func(i *Instance) error { return NDCacheEntryDelete(i, address6B) },
		"NDCacheHardwareAddressFind": func(i *Instance) error { _, _, _, err := NDCacheHardwareAddressFind(i, address6B); return err },
		"NDCacheIPAddressFind":       func(i *Instance) error { _, _, err := NDCacheIPAddressFind(i, 1, 2); return err },
		"NDCacheInvalidate":          NDCacheInvalidate,
	}
}

// TestPtrError: nil, a block that was never created, and one that was deleted
// answer NX_PTR_ERROR to everything, before anything else is looked at.
func TestPtrError(t *testing.T) {
	deleted := oneHost(t, nil)
	require.NoError(t, Delete(deleted))
	pool := nxtest.NewPool(t, 128, 4)
	packet, err := packetpool.Allocate(pool, packetpool.IPPacket, nx.NoWait)
	require.NoError(t, err)
	for name, call := range everyService(packet, pool) {
		for what, inst := range map[string]*Instance{"nil": nil, "zero": new(Instance), "deleted": deleted} {
			err := call(inst)
			assert.ErrorIs(t, err, nx.PtrError, "%s of %s", name, what)
			if err != nil {
				assert.Contains(t, err.Error(), "ip."+name+": ", "the error names the service")
			}
		}
	}
	require.NoError(t, packetpool.Release(packet))
}

// TestEveryServiceIsTested: the table above holds all exported functions that
// take an instance.
func TestEveryServiceIsTested(t *testing.T) {
	tested := everyService(packetpool.Packet{}, nil)
	for _, name := range exportedServices(t) {
		if name != "Create" {
			assert.Contains(t, tested, name)
		}
	}
}

// exportedServices answers the exported functions whose first argument is an
// instance.
func exportedServices(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && takesInstance(f) {
				names = append(names, f.Name.Name)
			}
		}
	}
	require.NotEmpty(t, names)
	return names
}

// takesInstance tells an exported function whose first argument is an instance.
func takesInstance(f *ast.FuncDecl) bool {
	if f.Recv != nil || !f.Name.IsExported() || len(f.Type.Params.List) == 0 {
		return false
	}
	star, ok := f.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	id, ok := star.X.(*ast.Ident)
	return ok && id.Name == "Instance"
}
