package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonetx/netns-tests/mailserver"

	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// captured reads a capture: its comments, and all frames.
func captured(t *testing.T, path string) (comments string, frames [][]byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{})
	require.NoError(t, err)
	for {
		data, _, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return comments, frames
		}
		require.NoError(t, err)
		comments += strings.Join(options.Comments, "\n") + "\n"
		frames = append(frames, bytes.Clone(data))
	}
}

// The frames of a capture hold the password as the wire does; the comments
// do not.
func TestCapture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.pcapng")
	for _, link := range []string{"ram", "tun"} {
		t.Run("demo "+link, func(t *testing.T) {
			if link == "tun" {
				device(t)
			}
			r := nxduo(t, "demo", "--link", link, "--pcap", file)
			require.Equal(t, exitOK, r.code, r.both())
			comments, frames := captured(t, file)
			assert.Greater(t, len(frames), 60)
			assert.Contains(t, comments, "MAIL FROM:<my@mycompany.com>")
			assert.NotContains(t, comments, password)
		})
	}
	t.Run("send", func(t *testing.T) {
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
	})
}
