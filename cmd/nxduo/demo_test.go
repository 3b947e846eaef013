package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gonetx/packetpool"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDemo(t *testing.T) {
	device(t)
	r := nxduo(t, "demo")
	require.Equal(t, exitOK, r.code, r.both())
	assert.Empty(t, r.err)
	assert.Less(t, r.took, 10*time.Second)
	assert.Contains(t, r.out, "The link is a TUN device in namespaces of its own")
	assert.Equal(t, 2, strings.Count(r.out, "The server stored what was sent, byte for byte."))
	assert.Contains(t, r.out, "Both mails arrived as they were sent, and both pools are full again.")
	for _, line := range []string{
		`Mail 1 of 2: IPv4, AUTH PLAIN`, `Mail 2 of 2: IPv6, AUTH LOGIN`,
		`EHLO mycompany.com +--> +20 +1\b`, `AUTH LOGIN +--> +12 +1\b`, `334 VXNlcm5hbWU6 +18 +1\b`,
		`RCPT TO:<your@yourcompany.com> +-->`, `IP packet pool +10 +\d+ +10 +10`, `SMTP client packet pool +9 +\d+ +9 +9`,
	} {
		assert.Regexp(t, line, r.out)
	}
	assert.NotContains(t, r.out, "\x1b", "no terminal, no escape sequences")
}

// TestDemoSaysTheSameToPrograms looks at the result as a program would, in both
// worlds.
func TestDemoSaysTheSameToPrograms(t *testing.T) {
	for _, link := range []string{"tun", "ram"} {
		t.Run(link, func(t *testing.T) {
			if link == "tun" {
				device(t)
			}
			r := nxduo(t, "demo", "--json", "--verbose", "--link", link)
			require.Equal(t, exitOK, r.code, r.both())
			var report demoReport
			require.NoError(t, json.Unmarshal([]byte(r.out), &report))
			assert.True(t, report.OK)
			assert.Equal(t, strings.ToUpper(link), report.Link)
			require.Len(t, report.Mails, 2)
			for i, m := range report.Mails {
				assert.Equal(t, demoMails[i].family, m.Family)
				assert.Empty(t, m.Differences)
				assert.NotZero(t, m.Summary.Sent.Data)
				sum := 0
				for _, row := range m.Rows {
					if row.From == "client" && !row.Detail {
						assert.NotZero(t, row.Segments, "%v took no segment", row.Lines)
						sum += row.Segments
					}
				}
				assert.Equal(t, m.Summary.Sent.Data, sum, "every segment with data belongs to a message")
			}
			require.Len(t, report.Pools, 2)
			for i, want := range []struct{ payload, packets uint32 }{{128, 10}, {800, 9}} {
				p := report.Pools[i]
				assert.Equal(t, want.payload, p.Payload)
				assert.Equal(t, want.packets, p.Packets)
				assert.Equal(t, want.packets, p.Before)
				assert.Equal(t, want.packets, p.After)
				assert.Less(t, p.Lowest, p.Before, "the mail went through the pool")
				assert.Zero(t, p.Invalid)
			}
		})
	}
}

// Header room is all that may differ between the families, 20 bytes a packet;
// header, body and end mark fill packets, and each is a segment.
func TestDemoMailSegments(t *testing.T) {
	r := nxduo(t, "demo", "--json", "--link", "ram")
	require.Equal(t, exitOK, r.code, r.both())
	var report demoReport
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	for i, m := range report.Mails {
		room := 800 - []int{int(packetpool.IPv4TCPPacket), int(packetpool.IPv6TCPPacket)}[i]
		for _, row := range m.Rows {
			if row.From == "client" && row.Bytes > 1000 {
				assert.Equal(t, (row.Bytes+room-1)/room, row.Segments, m.Family)
			}
		}
	}
}

// Where there is no TUN device the demonstration says so, and why, and runs
// in memory.
func TestDemoWithoutDevice(t *testing.T) {
	namespaces(t)
	path, err := program()
	require.NoError(t, err)
	hidden := func(args string) invocation {
		return invocation{args: []string{"-m", "sh", "-c", "mount -t tmpfs none /dev/net && exec " + path + " demo " + args}}
	}
	r := hidden("").runAs(t, "unshare")
	require.Equal(t, exitOK, r.code, r.both())
	assert.Contains(t, r.out, "There is no TUN device here: open /dev/net/tun: /dev/net/tun is missing")
	assert.Contains(t, r.out, "The link is a network in memory")
	assert.Contains(t, r.out, "Both mails arrived as they were sent")

	r = hidden("--link tun").runAs(t, "unshare")
	assert.Equal(t, exitNoTUN, r.code, r.both())
	assert.Contains(t, r.err, "no TUN device: open /dev/net/tun: /dev/net/tun is missing")
}
