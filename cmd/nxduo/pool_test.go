package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPool(t *testing.T) {
	var out, errs bytes.Buffer
	args := []string{"pool", "--payload", "800", "--memory", "8000", "--body", "2000", "--ipv6"}
	assert.Equal(t, exitOK, run(args, streams{out: &out, err: &errs}))
	assert.Empty(t, errs.String())
	for _, want := range []string{
		"packets in the pool           9 ", "16 physical + 40 IPv6 + 20 TCP", "2 x 740 and 520 bytes", "| link | IPv6 | TCP  |", "works without waiting",
	} {
		assert.Contains(t, out.String(), want)
	}

	out.Reset()
	assert.NotEqual(t, exitOK, run([]string{"pool", "--payload", "60", "--ipv6"}, streams{out: &out, err: &errs}))
	assert.Contains(t, errs.String(), "76 bytes of headers do not fit a packet of 60")
	assert.Empty(t, out.String())
}
