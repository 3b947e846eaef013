package tcp_test

import (
	"testing"

	"gonetx/tcp/replay"
)

// floor is how many traces in a thousand agree at least. It is only ever raised.
const floor = 1000

func TestGolden(t *testing.T) { replay.Golden(t, "tcp", floor) }
