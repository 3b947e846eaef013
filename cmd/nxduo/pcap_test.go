package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
}
