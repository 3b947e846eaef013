package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// savedTrace is the folder of a study, with a trace and nothing else.
func savedTrace(t *testing.T, change func(string) string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("internal", "trace", "testdata", "mail.jsonl"))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, traceFile), []byte(change(string(b))), 0o600))
	return dir
}

func whole(s string) string { return s }

func TestReport(t *testing.T) {
	dir := savedTrace(t, whole)
	for _, path := range []string{dir, filepath.Join(dir, traceFile)} {
		r := nxduo(t, "report", path)
		require.Equal(t, exitOK, r.code, r.both())
		assert.Equal(t, filepath.Join(dir, reportFile)+"\n", r.out)
		page, err := os.ReadFile(filepath.Join(dir, reportFile))
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(page), "<!DOCTYPE html>"))
		assert.Contains(t, string(page), "<code id=\"command\">nxduo study mail</code>", "the command that repeats it")
		require.NoError(t, os.Remove(filepath.Join(dir, reportFile)))
	}
	r := nxduo(t, "report", dir, "-o", "-")
	require.Equal(t, exitOK, r.code)
	assert.True(t, strings.HasSuffix(r.out, "</html>\n"))
	other := filepath.Join(t.TempDir(), "x.html")
	assert.Equal(t, other+"\n", nxduo(t, "report", dir, "-o", other).out)
}

// What is no trace, or a damaged one, is named with its line, and no report
// is left that looks as if it were one.
func TestReportOfBadTraces(t *testing.T) {
	for name, c := range map[string]struct {
		change func(string) string
		says   string
	}{
		"empty":          {func(string) string { return "" }, "line 1: this is no trace of nxduo: it is empty"},
		"foreign":        {func(string) string { return "{\"qlog_version\":\"0.3\"}\n" }, "line 1: this is no trace of nxduo"},
		"another one":    {func(s string) string { return strings.Replace(s, `"version":1`, `"version":2`, 1) }, "line 1: this program does not know the version of the trace: 2"},
		"cut in a line":  {func(s string) string { return s[:len(s)/2] }, "the trace is cut off in the middle of this line"},
		"without an end": {func(s string) string { return s[:strings.LastIndex(strings.TrimSuffix(s, "\n"), "\n")+1] }, "the trace is cut off after this line"},
		"an odd event":   {func(s string) string { return strings.Replace(s, `"name":"segment:sent"`, `"name":"segment:eaten"`, 1) }, `unknown event "segment:eaten"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := savedTrace(t, c.change)
			r := nxduo(t, "report", dir)
			assert.Equal(t, exitOther, r.code, r.both())
			assert.Contains(t, r.err, c.says)
			assert.Regexp(t, `line \d+: `, r.err)
			assert.NoFileExists(t, filepath.Join(dir, reportFile))
			partial := nxduo(t, "report", dir, "--partial")
			if !strings.Contains(c.says, "cut off") {
				assert.Equal(t, exitOther, partial.code, "only what is cut off can be taken in part")
				return
			}
			require.Equal(t, exitOK, partial.code, partial.both())
			page, err := os.ReadFile(filepath.Join(dir, reportFile))
			require.NoError(t, err)
			assert.Contains(t, string(page), "<b>The trace is cut off.</b>")
			assert.Contains(t, string(page), c.says)
		})
	}
	assert.Equal(t, exitUsage, nxduo(t, "report", "/nowhere").code)
	assert.Equal(t, exitUsage, nxduo(t, "report", savedTrace(t, whole), "-o", "/nowhere/x.html").code)
}
