package ip

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// IPAddress makes an IPv4 address of its four bytes (IP_ADDRESS).
func IPAddress(a, b, c, d byte) netip.Addr { return netip.AddrFrom4([4]byte{a, b, c, d}) }

// AddressFromWords makes an address of the words that a ported program holds,
// in host order: one for IPv4 (a ULONG, or nxd_ip_address.v4), four for IPv6
// (nxd_ip_address.v6, the first most significant). Any other number of words
// makes the zero Addr, which services refuse as they refuse a bad
// nxd_ip_version.
func AddressFromWords(words ...uint32) netip.Addr {
	switch len(words) {
	case 1:
		return addrOf(words[0])
	case 4:
		var b [16]byte
		for i, w := range words {
			binary.BigEndian.PutUint32(b[4*i:], w)
		}
		return netip.AddrFrom16(b)
	}
	return netip.Addr{}
}

// addrOf is a host-order IPv4 word as an address.
func addrOf(word uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], word)
	return netip.AddrFrom4(b)
}

// wordOf is an IPv4 address as NetX Duo's host-order word. The zero Addr is
// 0.0.0.0; an address of another family answers false.
func wordOf(a netip.Addr) (uint32, bool) {
	if !a.IsValid() {
		return 0, true
	}
	if a = a.Unmap(); !a.Is4() {
		return 0, false
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:]), true
}

// isClassABC is the test of NetX Duo's wrappers on addresses: top bit 0, top
// bits 10, or 110. So 0.0.0.0 passes, multicast and 240.0.0.0 up do not.
func isClassABC(word uint32) bool { return word>>29 != 0b111 }

// isIPv6 tells an IPv6 address. An IPv4 address in IPv6 clothes is not one.
func isIPv6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }

// toStack is an address as gVisor has it.
func toStack(a netip.Addr) tcpip.Address {
	if a = a.Unmap(); a.Is4() {
		return tcpip.AddrFrom4(a.As4())
	}
	return tcpip.AddrFrom16(a.As16())
}
