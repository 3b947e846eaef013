package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parityRun runs the command in this process: the place in memory needs no
// namespaces.
func parityRun(args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = run(append([]string{"parity"}, args...), streams{nil, &stdout, &stderr})
	return code, stdout.String(), stderr.String()
}

func TestParityAgrees(t *testing.T) {
	page := filepath.Join(t.TempDir(), "p.html")
	code, out, progress := parityRun("--only", "ram", "--scenario", "mail-plain", "--scenario", "con*", "--html", page)
	assert.Equal(t, exitOK, code, out)
	assert.Contains(t, out, "are the same")
	assert.Regexp(t, `(?m)^mail-plain +ok +ok +yes +ram$`, out)
	assert.Contains(t, out, "HeaderBytes")
	assert.Equal(t, "at ram\n", progress)
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(html), "mail-plain")
	assert.NotRegexp(t, `(?i)(src|href)\s*=|https?://|@import|url\(`, string(html), "nothing is loaded")
}

func TestParityJSON(t *testing.T) {
	code, out, _ := parityRun("--only", "ram", "--scenario", "refuse", "--json", "--quiet")
	require.Equal(t, exitOK, code)
	var got struct {
		Agrees  bool
		Results []struct {
			Scenario, Place, Verdict string
			Rules                    map[string]int
			IPv4                     struct{ Events []any }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	assert.True(t, got.Agrees)
	require.Len(t, got.Results, 1)
	assert.Equal(t, "same", got.Results[0].Verdict)
	assert.Equal(t, 1, got.Results[0].Rules["HeaderBytes"])
	assert.Empty(t, got.Results[0].IPv4.Events)
	_, out, _ = parityRun("--only", "ram", "--scenario", "refuse", "--json", "--traces", "--quiet")
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	assert.NotEmpty(t, got.Results[0].IPv4.Events)
}

func TestParityOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.parity")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("scenario mine\nshows That nobody listens.\nstack connect 9 -> ok\n")
	code, out, err := parityRun("--only", "ram", "--file", file)
	assert.Equal(t, exitOther, code)
	assert.Contains(t, out, "mine.parity:3: stack connect 9 -> refused NX_NOT_CONNECTED, expected ok")
	assert.Contains(t, err, "0 of 1 are the same")

	write("scenario mine\nshows x\nstack conect 9\n")
	code, _, err = parityRun("--only", "ram", "--file", file)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, err, `mine.parity:3: stack cannot "conect": accept`)
}

func TestParityUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--only", "moon"}, {"--only", "ram", "--scenario", "nothing-like-it"}, {"--only", "ram", "--scenario", "["},
		{"--file", "/nothing/there"}, {"--only", "ram", "--html", "/nothing/there/x.html"}, {"--only", "tun", "--scenario", "keepalive"},
	} {
		code, out, _ := parityRun(args...)
		assert.Equal(t, exitUsage, code, "%v", args)
		assert.Empty(t, out)
	}
	code, out, _ := parityRun("--list")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "half-close-by-peer")
	assert.Contains(t, out, "at kernel")
	code, out, _ = parityRun("--matrix")
	assert.Equal(t, exitOK, code)
	assert.Regexp(t, `(?m)^10 x 128 +0% +4 intact`, out)
	code, out, _ = parityRun("--format")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "serve-mail")
}
