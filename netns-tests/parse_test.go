package parity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each error names the file and the line, and says what would be right.
func TestParseErrors(t *testing.T) {
	const head = "scenario a\nshows b\n"
	for _, c := range []struct{ text, want string }{
		{"", `f:1: no scenario`},
		{"# nothing\n", `f:1: no scenario`},
		{"stack connect 7\n", `f:1: "stack" before the first "scenario NAME"`},
		{"scenario Big\n", `f:1: a scenario's name is small letters`},
		{"scenario a\nshows b\n", `f:2: scenario a has no steps`},
		{"scenario a\nstack connect 7\n", `f:2: scenario a does not say what it shows`},
		{head + "peer listen 7\nscenario a\nshows c\npeer listen 7\n", `f:4: there is a scenario a already, f:1`},
		{head + "colour blue\n", `f:3: colour: no such setting`},
		{head + "mtu 900\n", `f:3: mtu: a number from 1280 to 1500, not "900"`},
		{head + "mtu 1400\nmtu 1400\n", `f:4: mtu is said twice`},
		{head + "pool 12\n", `f:3: pool: PACKETS x PAYLOAD, such as 16 x 256, not "12"`},
		{head + "pool 0 x 256\n", `f:3: pool: PACKETS x PAYLOAD`},
		{head + "on moon\n", `f:3: on: no place "moon": ram, tun`},
		{head + "faults loss=lots\n", `f:3: faults: fault "loss=lots"`},
		{head + "window 70000\n", `f:3: window: a window is a number up to 65535`},
		{head + "control yes\n", `f:3: control: "no: REASON"`},
		{head + "peer listen 7\nmtu 1400\n", `f:4: "mtu" is no step`},
		{head + "stack fly\n", `f:3: stack cannot "fly": accept, address, connect`},
		{head + "peer mail 5\n", `f:3: peer cannot "mail"`},
		{head + "stack connect\n", `f:3: stack connect: which port? not ""`},
		{head + "stack connect 99999\n", `f:3: stack connect: which port? not "99999"`},
		{head + "stack connect 7 fast\n", `f:3: stack connect: "fast" is not NAME=VALUE`},
		{head + "stack connect 7 speed=1\n", `f:3: stack connect: no option "speed": to, from, wait, at`},
		{head + "stack connect 7 wait=soon\n", `f:3: stack connect: a time such as 500ms or 10s`},
		{head + "stack connect 7 wait=1s wait=1s\n", `f:3: stack connect: wait= twice`},
		{head + "stack connect 7 to=mars\n", `f:3: stack connect: no destination "mars": absent`},
		{head + "stack send many\n", `f:3: stack send: a size is a number`},
		{head + "stack send 9999mss\n", `f:3: stack send: 9999mss is more than a conversation needs`},
		{head + "stack connect 7 -> happy\n", `f:3: no outcome "happy": a status of NetX Duo, a state, or any, bad-address`},
		{head + "stack connect 7 ->\n", `f:3: nothing behind ->`},
		{head + "stack connect 7 | nobody cares\n", `f:3: nobody cannot "cares"`},
		{head + "wire faults\n", `f:3: wire faults: which? or "none"`},
		{head + "time sleep 1m\n", `f:3: scenario a sleeps 1m0s, more than 5s: say "on ram"`},
		{head + "peer serve-mail refuse=never\n", `f:3: peer serve-mail: no phase "never": greeting`},
		{head + "peer serve-mail refuse=mail close=data\n", `f:3: peer serve-mail: one misdeed at a time`},
		{strings.Repeat("x", maxFile+1), `f: longer than`},
	} {
		list, err := Parse("f", c.text)
		if assert.Error(t, err, c.text) {
			assert.Contains(t, err.Error(), c.want)
			assert.Nil(t, list)
		}
	}
}

// All errors of a file are told at once, up to ten.
func TestParseTellsAll(t *testing.T) {
	_, err := Parse("f", "scenario a\nshows b\nstack fly\nstack swim\n")
	require.Error(t, err)
	assert.Contains(t, err.Error(), "f:3:")
	assert.Contains(t, err.Error(), "f:4:")
	_, err = Parse("f", "scenario a\nshows b\n"+strings.Repeat("stack fly\n", 100))
	assert.Equal(t, 9, strings.Count(err.Error(), "\n"))
}

func TestParse(t *testing.T) {
	list, err := Parse("dir/f.parity", `
# a comment
scenario one
shows    What it is.
pool 8 x 256
window   2mss+1
  peer listen 7 queue=2 at=door &
stack connect 7 wait=5s from=99 | peer accept at=door -> timed-out
stack send 3mss-1 in=chunk
wire faults drop(synack 1), loss=5%
`)
	require.NoError(t, err)
	require.Len(t, list, 1)
	s := list[0]
	assert.Equal(t, "dir/f.parity:3", s.Origin)
	assert.Equal(t, PoolSize{8, 256}, s.Settings.Pool)
	assert.Equal(t, Amount{2, "mss", 1}, s.Settings.Window)
	assert.Equal(t, DefaultSettings.SendPool, s.Settings.SendPool)
	require.Len(t, s.Steps, 4)
	assert.True(t, s.Steps[0].Background)
	assert.Equal(t, "door", s.Steps[0].Actions[0].At)
	assert.Equal(t, []string{"timed-out"}, s.Steps[1].Actions[1].Want)
	assert.Equal(t, uint(99), s.Steps[1].Actions[0].From)
	send := s.Steps[2].Actions[0]
	assert.Equal(t, 3*1460-1, send.Size.bytes(units{MSS: 1460}))
	assert.Equal(t, 3*1440-1, send.Size.bytes(units{MSS: 1440}))
	assert.Equal(t, "3mss-1", send.Size.String())
	assert.Equal(t, 9, send.Line)
	assert.Equal(t, "drop(synack 1), loss=5%", s.Steps[3].Actions[0].Faults)
	assert.NotEmpty(t, s.NoControl, "the kernel's link has no faults")
}

// The examples are what the documentation says of them.
func TestExamples(t *testing.T) {
	names, err := filepath.Glob("examples/*.parity")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(names), 2)
	for _, name := range names {
		list, err := ParseFile(name)
		require.NoError(t, err)
		report := Run(t.Context(), Options{Scenarios: list, Places: []string{"ram"}})
		assert.Len(t, report.Results, len(list))
		for i := range report.Results {
			assert.Equal(t, Same, report.Results[i].Verdict, report.Results[i].Difference())
		}
	}
}

// Every word of the format is described, and used by the table.
func TestFormatIsWhole(t *testing.T) {
	text := Format()
	used := map[string]bool{}
	for _, s := range Table() {
		for _, step := range s.Steps {
			for _, a := range step.Actions {
				used[a.Verb] = true
			}
		}
	}
	for name := range verbs {
		assert.Contains(t, text, name)
		assert.True(t, used[name], "no scenario of the table uses %s", name)
	}
	for name := range words {
		assert.Contains(t, text, name)
	}
}

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"scenarios", "examples"} {
		names, err := filepath.Glob(dir + "/*.parity")
		require.NoError(f, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			require.NoError(f, err)
			f.Add(string(text))
		}
	}
	f.Add("scenario a\nshows b\nstack send 3mss+1 in=1 -> NX_NOT_CONNECTED reset &\n")
	f.Add("scenario a\nshows b\nfaults loss=1e-9,drop(from 1 any 2-3)\npeer listen 1|stack x\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse("f", text)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f:") {
					t.Fatalf("an error without its line: %q", line)
				}
			}
			return
		}
		for _, s := range list {
			if s.Name == "" || s.Shows == "" || len(s.Steps) == 0 {
				t.Fatalf("half a scenario: %+v", s)
			}
		}
	})
}
