//go:build !linux

package tun

import (
	"gonetx/ip/link"
	"gonetx/ip/link/tun/netns"
)

// open answers that there is no TUN driver here. A network in memory
// (ip/link/ram) works everywhere.
func (d *Driver) open(link.Attachment) (link.Endpoint, error) {
	return nil, &netns.Error{Step: "open a TUN device", Cause: NotOnPlatform, Hint: "ip/link/ram works everywhere"}
}
