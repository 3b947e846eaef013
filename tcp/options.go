package tcp

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// The options of SYN and SYN-ACK. gVisor always offers window scaling,
// timestamps and selective acknowledgements; NetX Duo's default build offers
// the MSS only. What the socket does not want is overwritten with NOPs, in both
// directions, so that both ends agree that it is off.

// eachOption calls f with the kind and the whole of each option that is well
// formed; NOPs are skipped.
func eachOption(h header.TCP, f func(kind byte, option []byte)) {
	options := h[header.TCPMinimumSize:]
	for len(options) > 0 {
		switch kind := options[0]; kind {
		case header.TCPOptionEOL:
			return
		case header.TCPOptionNOP:
			options = options[1:]
		default:
			if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
				return
			}
			f(kind, options[:options[1]])
			options = options[options[1]:]
		}
	}
}

func blank(option []byte) {
	for i := range option {
		option[i] = header.TCPOptionNOP
	}
}

// mssOf is the MSS that a SYN tells; 0 when it tells none.
func mssOf(h header.TCP) uint32 {
	mss := uint32(0)
	eachOption(h, func(kind byte, option []byte) {
		if kind == header.TCPOptionMSS && len(option) == header.TCPOptionMSSLength {
			mss = uint32(binary.BigEndian.Uint16(option[2:]))
		}
	})
	return mss
}

// selectiveOptions is what gVisor takes off the MSS when selective
// acknowledgements are agreed (endpoint.go, maxOptionSize): the MSS that it is
// shown is larger by that, so that a segment is what mss_get says.
const selectiveOptions = 2 + 2 + 8*header.TCPMaxSACKBlocks

// ownOptions makes the options of our SYN or SYN-ACK.
func (c *connection) ownOptions(h header.TCP) {
	eachOption(h, func(kind byte, option []byte) {
		switch kind {
		case header.TCPOptionMSS:
			binary.BigEndian.PutUint16(option[2:], uint16(c.receiver.mss))
		case header.TCPOptionWS:
			if c.receiver.shift < 0 {
				blank(option)
			} else {
				option[2] = byte(c.receiver.shift)
			}
		case header.TCPOptionTS:
			// Twelve bytes of every segment: what mss_get tells would not fit.
			blank(option)
		}
	})
}

// peerOptions reads the options of the peer's SYN or SYN-ACK, and takes away
// what the socket does not want.
func (c *connection) peerOptions(h header.TCP) {
	told, scaled, selective := uint32(0), false, false
	assumed := uint32(defaultMSSIPv4)
	if c.flow.remote.Addr().Is6() {
		assumed = defaultMSSIPv6
	}
	eachOption(h, func(kind byte, option []byte) {
		switch kind {
		case header.TCPOptionMSS:
			if len(option) == header.TCPOptionMSSLength {
				told = uint32(binary.BigEndian.Uint16(option[2:]))
			}
		case header.TCPOptionWS:
			if c.receiver.shift < 0 || len(option) != header.TCPOptionWSLength {
				blank(option)
			} else {
				scaled = true
				c.sender.shift = min(option[2], header.MaxWndScale)
			}
		case header.TCPOptionTS:
			blank(option)
		case header.TCPOptionSACKPermitted:
			selective = !c.p.inst.Release()
		}
	})
	if !scaled {
		c.receiver.shift = min(c.receiver.shift, 0) // neither direction (RFC 7323 section 2.2)
		c.receiver.size = min(c.receiver.size, maxWindow)
		c.receiver.share = min(c.receiver.share, maxWindow)
	}
	if told == 0 {
		told = assumed
	}
	if s := c.socket; s != nil {
		s.peerMSS = told
	}
	c.sender.mss = min(told, c.limit)
	shown := c.sender.mss
	if selective {
		shown += selectiveOptions
	}
	eachOption(h, func(kind byte, option []byte) {
		if kind == header.TCPOptionMSS && len(option) == header.TCPOptionMSSLength {
			binary.BigEndian.PutUint16(option[2:], uint16(min(shown, maxWindow)))
		}
	})
}
