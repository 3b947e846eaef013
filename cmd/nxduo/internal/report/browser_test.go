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

// The page works in a browser: it draws, tells what is under the mouse, zooms
// all graphs together with mouse, wheel and keys, fills its tables, and changes
// its colours. testdata/drive.js does it.
func TestPageInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser is started")
	}
	program := browser(t)
	drive, err := os.ReadFile(filepath.Join("testdata", "drive.js"))
	require.NoError(t, err)
	page := written(t, sample(t, "out"), Options{Command: "nxduo study out"})
	dom := visited(t, program, strings.Replace(page, "</body>", "<script>"+string(drive)+"</script></body>", 1))
	found := regexp.MustCompile(`(?s)<pre id="seen">(.*?)</pre>`).FindStringSubmatch(dom)
	require.NotNil(t, found, "the page or its test stopped:\n%.2000s", dom)
	var seen struct {
		Errors                                          []string
		Canvases                                        int
		Drawn, Scales, Together, Dark                   bool
		Whole, Hover, Dragged, WheelAlone, Wheel, Moved string
		Reset, First, Second, Back, Shown               string
		Values                                          []string
		Tables                                          [][2]any
		OtherWay                                        int
	}
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(found[1])), &seen))
	assert.Empty(t, seen.Errors)
	assert.Equal(t, 10, seen.Canvases, "five graphs of two families")
	assert.True(t, seen.Drawn)
	assert.True(t, seen.Scales, "both families have the same scales")
	hover := plainSpaces(seen.Hover)
	assert.Contains(t, hover, "Sent at 93.097 ms: PSH ACK")
	assert.Contains(t, hover, "seq 10 221 to 11 681, 1 460 bytes")
	assert.Contains(t, hover, "sent again (fast) after 47.5 ms")
	assert.Contains(t, plainSpaces(strings.Join(seen.Values, "|")), "in flight", "the other graphs tell what they have at this time")
	assert.NotEqual(t, seen.Whole, seen.Dragged)
	assert.True(t, seen.Together)
	assert.Equal(t, seen.Dragged, seen.WheelAlone, "the wheel alone scrolls the page")
	assert.NotEqual(t, seen.Dragged, seen.Wheel)
	assert.NotEqual(t, seen.Wheel, seen.Moved)
	assert.Equal(t, seen.Whole, seen.Reset)
	assert.Contains(t, seen.First, "SYN")
	assert.NotEqual(t, seen.First, seen.Second)
	assert.Equal(t, seen.First, seen.Back)
	require.Len(t, seen.Tables, 10)
	for _, table := range seen.Tables {
		assert.NotZero(t, table[1], table[0])
	}
	assert.NotEqual(t, seen.Whole, seen.Shown)
	assert.True(t, seen.Dark)
	assert.NotZero(t, seen.OtherWay, "the peer's SYN and FIN at least")
}
