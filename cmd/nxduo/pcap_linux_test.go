package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"gonetx/netns-tests/mailserver"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The same of a mail that was sent.
func TestCaptureOfASend(t *testing.T) {
	file := filepath.Join(t.TempDir(), "send.pcapng")
	l := local(t)
	listener := listen(t, l.Host)
	server := mailserver.Start(listener, mailserver.Config{Users: map[string]string{testUser: testPassword}})
	defer server.Close()
	for _, auth := range []string{"plain", "login"} {
		r := invocation{args: toward(gateways[1], portOf(listener), "--auth", auth, "--pcap", file), stdin: "Hello.\n", on: l.Host}.run(t)
		require.Equal(t, exitOK, r.code, r.both())
		assert.Contains(t, r.err, "will hold the password")
		comments, frames := captured(t, file)
		require.NotEmpty(t, comments)
		wire := string(bytes.Join(frames, nil))
		found := 0
		for _, secret := range secrets() {
			assert.NotContains(t, comments, secret)
			if strings.Contains(wire, secret) {
				found++
			}
		}
		assert.NotZero(t, found, "the test would find the password where it is")
	}
}
