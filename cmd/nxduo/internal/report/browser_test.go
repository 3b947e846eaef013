package report

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gonetx/cmd/nxduo/internal/trace"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browser is a Chromium; without one a test is skipped, loudly, and in CI that
// is a failure.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("no chromium")
	}
	t.Skip("SKIP: no chromium to look at the page with")
	return ""
}

// visited is the page after its programs have run.
func visited(t *testing.T, program, page string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "report") // its processes may write to it when the test has ended
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "page.html")
	require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--window-size=1400,1000", "--dump-dom", "file://"+path)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	c.WaitDelay = 10 * time.Second
	require.NoError(t, c.Run(), "%s", errs.String())
	return out.String()
}

// transfer is a stream over both families, of which the fifth segment is lost.
func transfer() *trace.Trace {
	t := &trace.Trace{}
	for i, family := range []string{"IPv4", "IPv6"} {
		s := newScript()
		s.Header.Families[0].Family = family
		s.Events = nil
		n := i + 1
		s.at(0, trace.ConnectionStarted, &trace.Connection{Connection: n, Local: "local", Remote: "remote", Role: "client"})
		rtt, ssthresh := 10.0, int64(7300)
		s.sent(0, 0, 0, flagged("S"))
		s.got(10, 0, 0, flagged("SA"))
		s.answer(10.1, 1)
		for k := range 10 {
			at, seq := 11+float64(20*k), int64(1+1460*k)
			s.at(at, trace.PoolOccupancy, &trace.Occupancy{Pool: "send pool", Free: 7 - k%5, Lowest: 7 - k%5, Holders: []trace.Holder{{Kind: "transmit queue", Packets: 1 + k%5}}})
			s.sent(at, seq, 1460)
			if k == 4 {
				s.at(at, trace.PacketDropped, &trace.Dropped{Where: "fault", Direction: "sent", Reason: "fault: by chance", Segment: &trace.SegmentName{Connection: n, Flags: "PA", Seq: seq, Length: 1460}})
				s.sent(at+15, seq, 1460, again(trace.CauseFast, 15), func(d *trace.Segment) { d.Earlier = "fault: by chance" })
			}
			s.ack(at+18+float64(i), seq+1460)
			s.at(at+18+float64(i), trace.CongestionState, &trace.Congestion{Connection: n, Window: 10, WindowBytes: int64(14600 + 100*k), Threshold: &ssthresh, SRTT: &rtt, RTTVar: &rtt, RTO: 200, State: "open"})
		}
		s.at(220, trace.PoolEmpty, &trace.Empty{Pool: "send pool", Waited: 4, Served: true})
		for j := range s.Events {
			s.Events[j].Family = family
			if d, ok := s.Events[j].Data.(*trace.Segment); ok {
				d.Connection = n
			}
		}
		t.Header.Families = append(t.Header.Families, s.Header.Families...)
		t.Events = append(t.Events, s.Events...)
	}
	return t
}

// The page works in a browser: it draws, tells what is under the mouse, zooms
// all graphs together with mouse, wheel and keys, fills its tables, and changes
// its colours. testdata/drive.js does it.
func TestPageInBrowser(t *testing.T) {
	program := browser(t)
	drive, err := os.ReadFile(filepath.Join("testdata", "drive.js"))
	require.NoError(t, err)
	page := written(t, transfer(), Options{Command: "nxduo study out"})
	dom := visited(t, program, strings.Replace(page, "</body>", "<script>"+string(drive)+"</script></body>", 1))
	found := regexp.MustCompile(`(?s)<pre id="seen">(.*?)</pre>`).FindStringSubmatch(dom)
	require.NotNil(t, found, "the page or its test stopped:\n%.2000s", dom)
	var seen struct {
		Errors                                          []string
		Canvases                                        int
		Drawn, Scales, Together, Dark                   bool
		Whole, Hover, Dragged, WheelAlone, Wheel, Moved string
		Reset, First, Second, Back, Shown, Flag         string
		Values                                          []string
		Tables                                          [][2]any
		OtherWay                                        int
	}
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(found[1])), &seen))
	assert.Empty(t, seen.Errors)
	assert.Equal(t, 8, seen.Canvases, "four graphs of two families")
	assert.True(t, seen.Drawn)
	assert.True(t, seen.Scales, "both families have the same scales")
	hover := plainSpaces(seen.Hover)
	assert.Contains(t, hover, "Sent at 106.000 ms: PSH ACK")
	assert.Contains(t, hover, "seq 5 841 to 7 301, 1 460 bytes")
	assert.Contains(t, hover, "sent again (fast) after 15.0 ms; before: fault: by chance")
	assert.Contains(t, plainSpaces(strings.Join(seen.Values, "|")), "in flight", "the other graphs tell what they have at this time")
	assert.Contains(t, plainSpaces(seen.Flag), "Found at 29.000 msSlow start ended at 29.0 ms", "a finding has a flag above the graph")
	assert.NotEqual(t, seen.Whole, seen.Dragged)
	assert.True(t, seen.Together)
	assert.Equal(t, seen.Dragged, seen.WheelAlone, "the wheel alone scrolls the page")
	assert.NotEqual(t, seen.Dragged, seen.Wheel)
	assert.NotEqual(t, seen.Wheel, seen.Moved)
	assert.Equal(t, seen.Whole, seen.Reset)
	assert.Contains(t, seen.First, "SYN")
	assert.NotEqual(t, seen.First, seen.Second)
	assert.Equal(t, seen.First, seen.Back)
	require.Len(t, seen.Tables, 8)
	for _, table := range seen.Tables {
		assert.NotZero(t, table[1], table[0])
	}
	assert.NotEqual(t, seen.Whole, seen.Shown)
	assert.True(t, seen.Dark)
	assert.NotZero(t, seen.OtherWay, "the peer's SYN and FIN at least")
}
