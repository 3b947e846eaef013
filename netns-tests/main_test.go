package parity

import (
	"os"
	"testing"

	"gonetx/ip/link/tun/netns"
	"gonetx/packetpool/nxtest"
)

// entered is what netns.Enter answered: nil in namespaces of our own.
var entered error

func TestMain(m *testing.M) {
	entered = netns.Enter()
	os.Exit(nxtest.Run(m))
}
