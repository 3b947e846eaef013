package ip

import (
	"gonetx/packetpool"
	"gonetx/packetpool/nx"
)

// This file is nx_system_initialize, nx_ip_auxiliary_packet_pool_set,
// nx_ip_forwarding_enable and _disable, nxd_icmpv6_ra_flag_callback_set and
// nx_http_proxy_client_enable: services that programs call and that have
// nothing to do here.

// SystemInitialize is nx_system_initialize. There is no global state to set up;
// programs call it first.
func SystemInitialize() {}

// AuxiliaryPacketPoolSet is nx_ip_auxiliary_packet_pool_set, which the default
// build leaves out (NX_ENABLE_DUAL_PACKET_POOL).
//
// Errors, in order: NX_PTR_ERROR (the pool not created too); NX_NOT_SUPPORTED,
// always.
func AuxiliaryPacketPoolSet(inst *Instance, auxiliaryPool *packetpool.Pool) error {
	const service = "ip.AuxiliaryPacketPoolSet"
	if !inst.isCreated() || auxiliaryPool == nil || !poolCreated(auxiliaryPool) {
		return nx.Fail(service, nx.PtrError, nil)
	}
	return nx.Fail(service, nx.NotSupported, nil)
}

// ForwardingEnable is nx_ip_forwarding_enable. With one interface there is
// nothing to forward to; the call is accepted.
//
// Errors: NX_PTR_ERROR.
func ForwardingEnable(inst *Instance) error {
	return nx.Fail("ip.ForwardingEnable", inst.accepted(), nil)
}

// ForwardingDisable is nx_ip_forwarding_disable. The call is accepted.
//
// Errors: NX_PTR_ERROR.
func ForwardingDisable(inst *Instance) error {
	return nx.Fail("ip.ForwardingDisable", inst.accepted(), nil)
}

// ICMPv6RAFlagCallbackSet is nxd_icmpv6_ra_flag_callback_set. Router
// advertisements are not processed, so that the callback is never called; the
// call is accepted.
//
// Errors: NX_PTR_ERROR.
func ICMPv6RAFlagCallbackSet(inst *Instance, callback func(inst *Instance, flag uint)) error {
	return nx.Fail("ip.ICMPv6RAFlagCallbackSet", inst.accepted(), nil)
}

func (inst *Instance) accepted() nx.Status {
	if !inst.isCreated() {
		return nx.PtrError
	}
	return nx.Success
}
