package study

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

	// By sequence number and length. tshark cannot tell the first two apart.
	again, late []string // sent another time; came behind later bytes
	first       []string // not sent before, late or not
	lost        bool     // the trace has segments that were dropped before they came
}

// without are those of a that are not in b, as often as they are there.
func without(a, b []string) (rest []string) {
	b = slices.Clone(b)
	for _, key := range a {
		if i := slices.Index(b, key); i >= 0 {
			b = slices.Delete(b, i, i+1)
		} else {
			rest = append(rest, key)
		}
	}
	return rest
}

// The trace and tshark read the same of a run: segments and bytes of each
// connection and direction, and what was sent another time or came late. Where
// segments were dropped on the way in, the drop and what comes at that moment have
// no order between them, and the capture may have another one than the trace: what
// came late differs then.
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
				their := theirs[flow]
				assert.Equal(t, []int64{int64(our.segments), int64(our.data), our.bytes}, []int64{int64(their.segments), int64(their.data), their.bytes}, flow)
				assert.Len(t, slices.Compact(slices.Sorted(slices.Values(our.first))), len(our.first), "%s: nothing is new twice", flow)
				if our.lost {
					assert.Empty(t, without(our.again, their.again), flow)
					assert.Empty(t, without(their.again, slices.Concat(our.again, our.first)), flow)
				} else {
					assert.ElementsMatch(t, slices.Concat(our.again, our.late), their.again, flow)
				}
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
	note := func(s *trace.Segment, received, lost bool) {
		flow := flows[s.Connection][0]
		if received {
			flow = flows[s.Connection][1]
		}
		r := readings[flow]
		r.segments++
		r.bytes += int64(s.Length)
		r.lost = r.lost || lost
		if s.Length > 0 {
			r.data++
			key := fmt.Sprintf("%d+%d", s.Seq, s.Length)
			if s.Again {
				r.again = append(r.again, key)
			} else {
				r.first = append(r.first, key)
				if s.OutOfOrder {
					r.late = append(r.late, key)
				}
			}
		}
		readings[flow] = r
	}
	for _, e := range tr.Events {
		switch d := e.Data.(type) {
		case *trace.Connection:
			flows[d.Connection] = [2]string{d.Local + " " + d.Remote, d.Remote + " " + d.Local}
		case *trace.Segment:
			note(d, e.Name == trace.SegmentReceived, false)
		case *trace.Dropped:
			if d.Unseen {
				note(&trace.Segment{Connection: d.Segment.Connection, Seq: d.Segment.Seq, Length: d.Segment.Length, Again: d.Again}, true, true)
			}
		}
	}
	return readings
}

// theirReading is that of tshark, of segments with data: it has no word for a SYN that
// is repeated.
func theirReading(t *testing.T, tshark, path string) map[string]reading {
	fields := []string{"ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport", "tcp.len",
		"frame.comment", "tcp.seq",
		"tcp.analysis.retransmission", "tcp.analysis.out_of_order", "tcp.analysis.spurious_retransmission",
		"tcp.analysis.keep_alive"} // what it calls the last byte alone, sent another time
	const again = 9
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
		if !inbound && strings.Contains(f[7], "dropped by TCP") || inbound && strings.Contains(f[7], "fault: corrupted") {
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
				r.again = append(r.again, fmt.Sprintf("%s+%d", f[8], length))
			}
		}
		readings[from+" "+to] = r
	}
	return readings
}
