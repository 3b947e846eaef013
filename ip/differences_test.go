package ip

import (
	"testing"

	"gonetx/packetpool/nxtest"
)

func TestDifferencesAreShown(t *testing.T) { nxtest.Differences(t, Differences) }
