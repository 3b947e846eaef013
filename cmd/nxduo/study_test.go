package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gonetx/cmd/nxduo/internal/study"
	"gonetx/cmd/nxduo/internal/trace"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A study of both families leaves a folder in which all is whole, over both
// kinds of link.
func TestStudy(t *testing.T) {
	for _, link := range []string{"ram", "tun"} {
		t.Run(link, func(t *testing.T) {
			if link == "tun" {
				device(t)
			}
			dir := filepath.Join(t.TempDir(), "new", "folder")
			args := []string{"study", "mail", "--both", "--drop", "3", "--delay", "2ms", "--seed", "5", "--fault", "drop(server data 2)", "--link", link, "--out", dir}
			r := nxduo(t, args...)
			require.Equal(t, exitOK, r.code, r.both())
			for _, says := range []string{
				"nxduo " + strings.Join(args[:10], " "), "--> MAIL FROM:<my@mycompany.com>", "[redacted]", "dropped received", "again: lost", "trace.jsonl",
			} {
				assert.Contains(t, r.out, says)
			}
			c := nxduo(t, "trace", "check", dir)
			assert.Equal(t, exitOK, c.code, c.both())
			assert.Contains(t, c.out, "complete")

			tr, err := readFolder(dir)
			require.NoError(t, err)
			assert.Equal(t, append([]string{"nxduo"}, args...), tr.Header.Command)
			for family, s := range trace.Summaries(tr) {
				assert.True(t, s.Ended && s.Failure == "", family)
				assert.NotZero(t, s.Drops["fault: by a rule"], family)
			}
			comments, frames := captured(t, filepath.Join(dir, captureFile))
			assert.Greater(t, len(frames), 60)
			for _, says := range []string{
				"client study over IPv6: MAIL FROM:<my@mycompany.com>", "server: 250 2.0.0 OK: queued", "dropped: fault: by a rule", "retransmission: the earlier one did not arrive",
			} {
				assert.Contains(t, comments, says)
			}
			written, err := os.ReadFile(filepath.Join(dir, traceFile))
			require.NoError(t, err)
			assert.NotContains(t, comments+string(written), "mypassword")
			page, err := os.ReadFile(filepath.Join(dir, reportFile))
			require.NoError(t, err)
			assert.Contains(t, string(page), "</html>")

			again := nxduo(t, args...)
			assert.Equal(t, exitUsage, again.code)
			assert.Contains(t, again.err, "is not empty")
		})
	}
}

func TestStudyJSON(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	r := nxduo(t, "study", "in", "--link", "ram", "--size", "50k", "--ip-pool", "128x10", "--json", "--out", dir)
	require.Equal(t, exitOK, r.code, r.both())
	var result study.Result
	require.NoError(t, json.Unmarshal([]byte(r.out), &result))
	assert.True(t, result.OK)
	assert.Equal(t, dir, result.Folder)
	require.Len(t, result.Runs, 1)
	assert.EqualValues(t, 50<<10, result.Runs[0].Bytes)
	assert.Zero(t, result.Runs[0].Missing)
	assert.Contains(t, r.err, "IP pool of 10 x 128", "the lines go elsewhere")
}

// Where there is no TUN device a study says so, and runs in memory.
func TestStudyWithoutDevice(t *testing.T) {
	namespaces(t)
	path, err := program()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "s")
	hidden := func(args string) invocation {
		return invocation{args: []string{"-m", "sh", "-c", "mount -t tmpfs none /dev/net && exec " + path + " " + args}}
	}
	r := hidden("study request --times 3 --both --out "+dir).runAs(t, "unshare")
	require.Equal(t, exitOK, r.code, r.both())
	assert.Contains(t, r.out, "There is no TUN device here: open /dev/net/tun: /dev/net/tun is missing")
	assert.Contains(t, r.out, "The network in memory takes its place.")
	tr, err := readFolder(dir)
	require.NoError(t, err)
	assert.Equal(t, "ram", tr.Header.Families[0].Link.Kind)
	assert.NotEmpty(t, tr.Header.Notes)

	other := filepath.Join(t.TempDir(), "s")
	r = hidden("study --link tun --out "+other).runAs(t, "unshare")
	assert.Equal(t, exitNoTUN, r.code, r.both())
	assert.NoDirExists(t, other, "nothing is left of a run that did not begin")

	r = hidden("sweep out --drops 0 --packets 8 --size 10k").runAs(t, "unshare")
	assert.Equal(t, exitOK, r.code, r.both())
	assert.Contains(t, r.out, "The network in memory takes its place")
}

// When the user interrupts, the folder is complete.
func TestStudyInterrupted(t *testing.T) {
	for _, with := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(with.String(), func(t *testing.T) { interrupt(t, with) })
	}
}

func interrupt(t *testing.T, with os.Signal) {
	path, err := program()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "s")
	c := exec.Command(path, "study", "out", "--size", "1g", "--rate", "1mbit", "--link", "ram", "--out", dir)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	defer time.AfterFunc(30*time.Second, func() { _ = c.Process.Kill() }).Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ESTABLISHED") {
			require.NoError(t, c.Process.Signal(with))
			break
		}
	}
	for lines.Scan() {
	}
	_ = c.Wait()
	assert.Equal(t, exitInterrupted, c.ProcessState.ExitCode())
	checked := nxduo(t, "trace", "check", dir, "--json")
	assert.Equal(t, exitOK, checked.code, checked.both())
	assert.Contains(t, checked.out, `"interrupted": true`)
	_, frames := captured(t, filepath.Join(dir, captureFile))
	assert.NotEmpty(t, frames)
	assert.FileExists(t, filepath.Join(dir, reportFile))
}

// A run that does not end by itself ends at its limit, and says so.
func TestStudyLimit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	r := nxduo(t, "study", "out", "--fault", "drop(out data 1+)", "--link", "ram", "--limit", "300ms", "--out", dir)
	assert.NotEqual(t, exitOK, r.code)
	assert.Contains(t, r.err, "limit of 300ms")
	assert.Equal(t, exitOK, nxduo(t, "trace", "check", dir).code)
}

func TestStudyBadFlags(t *testing.T) {
	dir := t.TempDir()
	full := filepath.Join(dir, "x")
	require.NoError(t, os.WriteFile(full, []byte("x"), 0o600))
	for _, c := range []struct {
		says string
		args []string
	}{
		{"mail", []string{"study", "dance"}},
		{"from 0 to 100", []string{"study", "--drop", "101"}},
		{"from 0 to 100", []string{"study", "--corrupt", "much"}},
		{"no fault of that name", []string{"study", "--fault", "rain=5%"}},
		{"a rate is", []string{"study", "--rate", "10"}},
		{"is not a number of packets", []string{"study", "--pool", "16x"}},
		{"at least 76", []string{"study", "--pool", "10x10"}},
		{"above zero, such as 256k", []string{"study", "--size", "0"}},
		{"above zero", []string{"study", "--limit", "0s"}},
		{"is not empty", []string{"study", "--out", dir}},
		{"the folder", []string{"study", "--out", full}},
		{"--drops instead", []string{"sweep", "--drop", "3"}},
		{"at least once", []string{"sweep", "--repeat", "0"}},
		{"no trace", []string{"view", "/nowhere"}},
		{"no trace", []string{"trace", "check", "/nowhere"}},
		{"cannot compare", []string{"diff", "/nowhere", "/nowhere"}},
	} {
		r := nxduo(t, append(c.args, "--link=ram")...)
		if c.args[0] == "view" || c.args[0] == "trace" || c.args[0] == "diff" {
			r = nxduo(t, c.args...)
		}
		assert.Equal(t, exitUsage, r.code, "%v: %s", c.args, r.both())
		assert.Contains(t, r.err, c.says, "%v", c.args)
	}
}

func TestFlagForms(t *testing.T) {
	for text, want := range map[string]poolSizes{"16x1536": {16, 1536}, "800x10": {10, 800}, "9x800": {9, 800}, "76x76": {76, 76}} {
		var p poolSizes
		require.NoError(t, p.UnmarshalText([]byte(text)))
		assert.Equal(t, want, p, text)
	}
	for text, want := range map[string]byteSize{"1": 1, "256k": 256 << 10, "3M": 3 << 20} {
		var b byteSize
		require.NoError(t, b.UnmarshalText([]byte(text)))
		assert.Equal(t, want, b, text)
	}
	assert.Equal(t, `nxduo study --fault 'drop(server data 3)' ''`, repeat([]string{"nxduo", "study", "--fault", "drop(server data 3)", ""}))
}

func TestTraceCommand(t *testing.T) {
	schema := nxduo(t, "trace", "schema")
	assert.Equal(t, exitOK, schema.code)
	assert.Equal(t, string(trace.Schema()), schema.out)

	dir := savedTrace(t, func(s string) string { return s[:len(s)/2] })
	r := nxduo(t, "trace", "check", dir)
	assert.Equal(t, exitOther, r.code)
	assert.Regexp(t, `trace\.jsonl: line \d+: the trace is cut off in the middle of this line`, r.out)
	r = nxduo(t, "trace", "check", dir, "--json")
	assert.Equal(t, exitOther, r.code)
	assert.Contains(t, r.out, `"ok": false`)
}

// Without a terminal a saved trace is lines; of one that is cut off there is
// what there is, and the error.
func TestView(t *testing.T) {
	dir := savedTrace(t, whole)
	r := nxduo(t, "view", dir)
	require.Equal(t, exitOK, r.code, r.both())
	assert.Contains(t, r.out, "--> QUIT")
	assert.NotContains(t, r.out, "cwnd")
	all := nxduo(t, "view", dir, "--all")
	assert.Contains(t, all.out, "cwnd")

	cut := savedTrace(t, func(s string) string { return s[:len(s)/2] })
	r = nxduo(t, "view", cut)
	assert.Equal(t, exitOther, r.code)
	assert.Contains(t, r.out, "--> EHLO")
	assert.Contains(t, r.err, "cut off")
	foreign := savedTrace(t, func(string) string { return "what?\n" })
	r = nxduo(t, "view", foreign)
	assert.Equal(t, exitOther, r.code)
	assert.Contains(t, r.err, "line 1: this is no trace of nxduo")
}

func TestDiffCommand(t *testing.T) {
	a := savedTrace(t, whole)
	r := nxduo(t, "diff", a, a)
	assert.Equal(t, exitOK, r.code, r.both())
	assert.Contains(t, r.out, "The runs agree.")
	b := savedTrace(t, func(s string) string { return strings.ReplaceAll(s, "RCPT TO:<your@", "RCPT TO:<his@") })
	r = nxduo(t, "diff", a, b)
	assert.Equal(t, exitOther, r.code)
	assert.Contains(t, r.out, "is the first that differs")
	assert.Contains(t, r.out, "RCPT TO:<his@")
	r = nxduo(t, "diff", a, b, "--json")
	var d trace.Differences
	require.NoError(t, json.Unmarshal([]byte(r.out), &d))
	assert.Len(t, d.Partings, 2)

	r = nxduo(t, "diff", a)
	assert.Contains(t, r.out, "A is IPv4, B is IPv6")
	assert.Equal(t, exitUsage, nxduo(t, "diff", a, "/nowhere").code)
}

func TestSweep(t *testing.T) {
	page := filepath.Join(t.TempDir(), "sweep.html")
	r := nxduo(t, "sweep", "out", "--link", "ram", "--drops", "0,3", "--packets", "2,8", "--size", "40k", "--delay", "1ms", "--html", page)
	require.Equal(t, exitOK, r.code, r.both())
	assert.Contains(t, r.out, "packets reach nine tenths of the best")
	assert.Contains(t, r.err, "4 of 4: 3 % loss, 8 packets")
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(html), "class=\"enough\"")
	assert.NotContains(t, string(html), "http")

	r = nxduo(t, "sweep", "in", "--link", "ram", "--drops", "0", "--packets", "16,64", "--size", "40k", "--delay", "1ms", "--both", "--json")
	require.Equal(t, exitOK, r.code, r.both())
	var result study.SweepResult
	require.NoError(t, json.Unmarshal([]byte(r.out), &result))
	require.Len(t, result.Families, 2)
	for _, f := range result.Families {
		require.Len(t, f.Cells, 2)
		assert.NotZero(t, f.Enough[0].Packets)
		for _, c := range f.Cells {
			assert.NotZero(t, c.Rate)
			assert.Empty(t, c.Error)
		}
	}
}
