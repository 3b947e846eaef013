package smtp

import (
	"testing"

	"gonetx/packetpool/nxtest"
)

func TestMain(m *testing.M) { nxtest.Main(m) }
