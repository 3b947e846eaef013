package smtp

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"gonetx/packetpool"
	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hungry is a transport to a server that takes any mail and keeps nothing, so
// that what a mail allocates is the client's.
type hungry struct {
	script
	line  []byte  // the unfinished one
	tail  [5]byte // of the mail
	mail  bool    // after DATA
	reply string
	ehlo  string
}

func (h *hungry) connect(context.Context, netip.AddrPort, nx.Wait) error {
	h.mail, h.reply, h.line = false, "220 hi\r\n", h.line[:0]
	return nil
}

func (h *hungry) send(packet packetpool.Packet, wait nx.Wait) error {
	for piece := range packetpool.Pieces(packet) {
		h.take(piece)
	}
	return packetpool.Release(packet)
}

func (h *hungry) take(data []byte) {
	if h.mail {
		for _, b := range data[max(0, len(data)-len(h.tail)):] {
			copy(h.tail[:], h.tail[1:])
			h.tail[4] = b
		}
		if string(h.tail[:]) == "\r\n.\r\n" {
			h.mail, h.reply = false, "250 ok\r\n"
		}
		return
	}
	h.line = append(h.line, data...)
	if !bytes.HasSuffix(h.line, []byte("\r\n")) {
		return
	}
	switch {
	case bytes.HasPrefix(h.line, []byte("EHLO")):
		h.reply = h.ehlo
	case bytes.HasPrefix(h.line, []byte("DATA")):
		h.mail, h.tail, h.reply = true, [5]byte{}, "354 go\r\n"
	default:
		h.reply = "250 ok\r\n"
	}
	h.line = h.line[:0]
}

func (h *hungry) receive(wait nx.Wait) (packetpool.Packet, error) {
	if h.reply == "" {
		return packetpool.Packet{}, nx.NoPacket
	}
	packet, err := packetpool.Allocate(h.pool, packetpool.ReceivePacket, nx.NoWait)
	if err == nil {
		err = packetpool.DataAppend(packet, []byte(h.reply), h.pool, nx.NoWait)
	}
	h.reply = ""
	return packet, err
}

func (h *hungry) disconnect(nx.Wait) {}

// The pool's packets are all that grows with a mail: one of 1 MB allocates what
// one of 4 kB does, whatever is done to its text on the way.
func TestMemoryIsThePool(t *testing.T) {
	for name, row := range map[string]struct{ line, ehlo string }{
		"CRLF":                {strings.Repeat("0123456789", 7) + "\r\n", "250 hi\r\n"},
		"LF":                  {strings.Repeat("0123456789", 7) + "\n", "250 hi\r\n"},
		"dots":                {".\r\n", "250 hi\r\n"},
		"8 bit":               {"Grüße\r\n", "250-hi\r\n250 8BITMIME\r\n"},
		"8 bit, encoded":      {"Grüße\r\n", "250 hi\r\n"},
		"long lines, encoded": {strings.Repeat("x", 5000) + "\r\n", "250 hi\r\n"},
	} {
		for _, ipv6 := range []bool{false, true} {
			for _, release := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s IPv6 %v release %v", name, ipv6, release), func(t *testing.T) {
					unnamed := func(c *packetpool.Config) { c.Sites = false } // no account of who has packets
					pool := nxtest.NewPool(t, 800, 9, unnamed)
					h := &hungry{ehlo: row.ehlo, script: script{pool: nxtest.NewPool(t, 512, 4, unnamed)}}
					server := netip.MustParseAddr("1.2.3.4")
					if ipv6 {
						server = netip.MustParseAddr("2001::4")
					}
					c := &Client{Config: &Config{Release: release}}
					require.NoError(t, c.create(creation{pool: pool, clock: nx.RealClock, from: someone.from, domain: someone.domain,
						authType: AuthNone, server: server, port: 25, t: h}, noSocket))
					allocated := func(size int) (count, bytes float64) {
						body := []byte(strings.Repeat(row.line, size/len(row.line)+1))
						const runs = 4
						var before, after runtime.MemStats
						mail := func() { require.NoError(t, MailSend(c, "a@b", PriorityNormal, "s", body)) }
						mail()
						runtime.ReadMemStats(&before)
						for range runs {
							mail()
						}
						runtime.ReadMemStats(&after)
						return float64(after.Mallocs-before.Mallocs) / runs, float64(after.TotalAlloc-before.TotalAlloc) / runs
					}
					large := 1 << 20
					if testing.Short() {
						large = 200 << 10
					}
					count, bytes := allocated(4 << 10)
					countLarge, bytesLarge := allocated(large)
					t.Logf("%.0f objects, %.0f bytes for 4 kB; %.0f objects, %.0f bytes for %d kB", count, bytes, countLarge, bytesLarge, large>>10)
					assert.InDelta(t, count, countLarge, 20, "objects")
					assert.InDelta(t, bytes, bytesLarge, 4096, "bytes")
				})
			}
		}
	}
}
