package screen

import (
	"os"
	"strings"
	"testing"

	"gonetx/cmd/nxduo/internal/trace"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func saved(t *testing.T, name string) *trace.Trace {
	f, err := os.Open("../trace/testdata/" + name + ".jsonl")
	require.NoError(t, err)
	defer f.Close()
	tr, err := trace.Read(f)
	require.NoError(t, err)
	return tr
}

// press sends keys to a model.
func press(m *Model, keys ...string) (last tea.Cmd) {
	named := map[string]rune{
		"tab": tea.KeyTab, "space": tea.KeySpace, "left": tea.KeyLeft, "right": tea.KeyRight, "up": tea.KeyUp, "down": tea.KeyDown,
		"home": tea.KeyHome, "end": tea.KeyEnd, "esc": tea.KeyEscape,
	}
	for _, k := range keys {
		key := tea.Key{Code: named[k]}
		if key.Code == 0 {
			key = tea.Key{Code: rune(k[0]), Text: k}
		}
		_, last = m.Update(tea.KeyPressMsg(key))
	}
	return last
}

func resize(m *Model, width, height int) { m.Update(tea.WindowSizeMsg{Width: width, Height: height}) }

// screen is what is seen, without colours, line by line.
func screen(m *Model) []string { return strings.Split(ansi.Strip(m.View().Content), "\n") }

// The screen fits the terminal, whatever its size, in every state.
func TestFits(t *testing.T) {
	for _, name := range []string{"mail", "in", "out"} {
		m := New(saved(t, name))
		for _, size := range [][2]int{{leastWidth, leastHeight}, {80, 24}, {200, 60}, {133, 31}} {
			resize(m, size[0], size[1])
			for _, keys := range [][]string{{"end"}, {"home"}, {"right", "right"}, {"l"}, {"z"}, {"up", "up"}, {"tab"}, {"l", "l"}} {
				press(m, keys...)
				lines := screen(m)
				assert.Len(t, lines, size[1], "%s %v %v", name, size, keys)
				for _, l := range lines {
					assert.LessOrEqual(t, ansi.StringWidth(l), size[0], l)
				}
			}
		}
	}
}

func TestTooSmall(t *testing.T) {
	m := New(saved(t, "mail"))
	assert.Empty(t, m.View().Content, "its size is not known")
	resize(m, 40, 30)
	assert.Contains(t, m.View().Content, "40 columns")
	resize(m, 100, 10)
	assert.Contains(t, m.View().Content, "10 lines")
}

func TestTravel(t *testing.T) {
	m := New(saved(t, "mail"))
	resize(m, 100, 30)
	text := func() string { return strings.Join(screen(m), "\n") }
	assert.Contains(t, text(), "[IPv4]")
	assert.Contains(t, text(), "dialogue")
	assert.Contains(t, text(), "done")
	assert.Contains(t, text(), "221", "the last reply")

	press(m, "home")
	assert.Contains(t, text(), "no connection yet")
	f := m.current()
	press(m, ".", ".", ".")
	assert.Equal(t, 3, f.next)
	press(m, ",")
	assert.Equal(t, 2, f.next)
	press(m, "end")
	whole := f.state.totals
	press(m, "left")
	assert.Less(t, f.at, f.end())
	press(m, "end")
	assert.Equal(t, whole, f.state.totals, "back and forth comes to the same")

	press(m, "space", "+") // from the begin, twice as fast
	assert.False(t, f.held)
	for range int(f.end()/100) + 2 {
		m.Update(tick{})
	}
	assert.True(t, f.held, "it ends by itself")
	assert.Equal(t, whole, f.state.totals)

	press(m, "tab")
	assert.Contains(t, text(), "[IPv6]")
	assert.Contains(t, text(), "2001:db8::1")
	press(m, "tab")
	assert.Contains(t, text(), "[IPv4]")
	require.NotNil(t, press(m, "q"))
	assert.Empty(t, m.View().Content)
}

// Pools, retransmissions and windows are those of the trace.
func TestNumbers(t *testing.T) {
	tr := saved(t, "out")
	m := New(tr)
	resize(m, 140, 40)
	s := trace.Summaries(tr)["IPv4"]
	state := m.families[0].state
	assert.Equal(t, s.Totals, state.totals)
	assert.Equal(t, s.Lowest["send pool"], state.pool("send pool").lowest)
	c := state.busiest()
	assert.EqualValues(t, 60_000, c.main().next-1)
	assert.Equal(t, s.Sent.Again, c.out.again)
	text := strings.Join(screen(m), "\n")
	assert.Contains(t, text, "sent 60000 bytes")
	assert.Contains(t, text, "lowest 0")
}

// A run that goes on: events come, time can be stopped, and the run ended.
func TestLive(t *testing.T) {
	tr := saved(t, "out")
	feed := &Feed{}
	stopped := 0
	m := Live(feed, func() { stopped++ })
	resize(m, 100, 30)
	assert.Contains(t, m.View().Content, "comes up")
	feed.Header(tr.Header)
	m.Update(tick{})
	assert.Contains(t, strings.Join(screen(m), "\n"), "waits for its turn")

	half := len(tr.Events) / 4
	for _, e := range tr.Events[:half] {
		feed.Push(e)
	}
	m.Update(tick{})
	assert.Contains(t, strings.Join(screen(m), "\n"), "live")
	seen := m.current().next
	assert.NotZero(t, seen)

	press(m, "space")
	for _, e := range tr.Events[half:] {
		feed.Push(e)
	}
	m.Update(tick{})
	assert.Equal(t, seen, m.current().next, "time stands still")
	assert.Contains(t, strings.Join(screen(m), "\n"), "stopped")
	press(m, "space")
	assert.Greater(t, m.current().next, seen)

	assert.Nil(t, press(m, "q"), "the run is asked to end first")
	assert.Equal(t, 1, stopped)
	assert.Contains(t, strings.Join(screen(m), "\n"), "ending")
	feed.Done("all is in a folder")
	_, cmd := m.Update(tick{})
	require.NotNil(t, cmd)
	assert.True(t, m.leaving)
}
