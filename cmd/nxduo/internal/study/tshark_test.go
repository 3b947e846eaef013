package study

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gonetx/cmd/nxduo/internal/trace"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reading is what somebody reads out of a run, of one connection and direction.
type reading struct {
	segments, data int
	bytes          int64
	again          int // sent another time, or out of order
}

// The trace and tshark read the same of a run: segments and bytes of each
// connection and direction, and what was sent another time.
func TestTsharkAgrees(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("SKIP: tshark is not installed: nobody else reads the capture")
	}
	cases := []struct{ workload, faults string }{
		{"mail", ""},
		{"out", "seed=2,loss=4%,delay=5ms"},
		{"in", "seed=3,loss=4%,delay=5ms"},
		{"request", "seed=4,loss=5%,delay=5ms"},
		{"many", "seed=5,loss=3%,delay=5ms"},
		{"in", "seed=6,loss=2%,delay=5ms,duplicate=3%,reorder=3%"},
		{"out", "seed=7,loss=2%,delay=5ms,corrupt=2%"},
	}
	if testing.Short() {
		cases = cases[1:3]
	}
	for _, c := range cases {
		t.Run(c.workload+" "+c.faults, func(t *testing.T) {
			o := options(t, c.workload, c.faults)
			o.AtOnce = true
			path := filepath.Join(t.TempDir(), "capture.pcapng")
			pcap, err := os.Create(path)
			require.NoError(t, err)
			var file bytes.Buffer
			run(t, o, Outputs{Trace: &file, Capture: pcap})
			require.NoError(t, pcap.Close())
			ours, theirs := ourReading(t, &file), theirReading(t, tshark, path)
			require.NotEmpty(t, ours)
			for flow, our := range ours {
				assert.Equal(t, our, theirs[flow], flow)
			}
			assert.Len(t, theirs, len(ours))
		})
	}
}

// ourReading is that of the trace. A segment that was dropped before it came to
// the instance is in the capture, too, as far as the drop shows it.
func ourReading(t *testing.T, file *bytes.Buffer) map[string]reading {
	tr, err := trace.Read(file)
	require.NoError(t, err)
	flows := make(map[int][2]string)
	readings := make(map[string]reading)
	note := func(connection int, received bool, length int, again bool) {
		flow := flows[connection][0]
		if received {
			flow = flows[connection][1]
		}
		r := readings[flow]
		r.segments++
		r.bytes += int64(length)
		if length > 0 {
			r.data++
		}
		if again {
			r.again++
		}
		readings[flow] = r
	}
	for _, e := range tr.Events {
		switch d := e.Data.(type) {
		case *trace.Connection:
			flows[d.Connection] = [2]string{d.Local + " " + d.Remote, d.Remote + " " + d.Local}
		case *trace.Segment:
			note(d.Connection, e.Name == trace.SegmentReceived, d.Length, (d.Again || d.OutOfOrder) && d.Length > 0)
		case *trace.Dropped:
			if d.Unseen {
				note(d.Segment.Connection, true, d.Segment.Length, d.Again && d.Segment.Length > 0)
			}
		}
	}
	return readings
}

// theirReading is that of tshark, of segments with data: it has no word for a SYN that
// is repeated.
func theirReading(t *testing.T, tshark, path string) map[string]reading {
	fields := []string{"ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport", "tcp.len",
		"frame.comment",
		"tcp.analysis.retransmission", "tcp.analysis.out_of_order", "tcp.analysis.spurious_retransmission",
		"tcp.analysis.keep_alive"} // what it calls the last byte alone, sent another time
	const again = 8
	args := []string{"-r", path, "-Y", "tcp", "-T", "fields", "-o", "tcp.desegment_tcp_streams:FALSE"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command(tshark, args...).Output()
	require.NoError(t, err)
	readings := make(map[string]reading)
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(t, f, len(fields), line)
		inbound := f[0]+f[1] == addresses[IPv4].peer.Addr().String() || f[0]+f[1] == addresses[IPv6].peer.Addr().String()
		if strings.Contains(f[7], "dropped by TCP") || inbound && strings.Contains(f[7], "fault: corrupted") {
			continue // never left TCP, or came damaged
		}
		from, to := fmt.Sprintf("%s:%s", f[0], f[2]), fmt.Sprintf("%s:%s", f[3], f[5])
		if f[0] == "" {
			from, to = fmt.Sprintf("[%s]:%s", f[1], f[2]), fmt.Sprintf("[%s]:%s", f[4], f[5])
		}
		length, err := strconv.Atoi(f[6])
		require.NoError(t, err)
		r := readings[from+" "+to]
		r.segments++
		r.bytes += int64(length)
		if length > 0 {
			r.data++
			if strings.Join(f[again:], "") != "" {
				r.again++
			}
		}
		readings[from+" "+to] = r
	}
	return readings
}
