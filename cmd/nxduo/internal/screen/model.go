package screen

import (
	"sort"
	"time"

	"gonetx/cmd/nxduo/internal/trace"

	tea "charm.land/bubbletea/v2"
)

// Model shows a trace. It implements tea.Model.
type Model struct {
	header   trace.Header
	families []*family
	shown    int // of families

	feed   *Feed  // nil: the trace is whole
	done   bool   // nothing comes any more
	words  string // of the end
	stop   func() // asks the run to end; nil: there is none
	asked  bool   // it was
	chosen bool   // the list: by the user, or because there is a dialogue

	width, height int
	list          int // which list is shown
	scroll        int // lines from its end
	zoom          int
	speed         float64
	leaving       bool
}

// family is the events of one family, and how far they are shown.
type family struct {
	trace.Family
	events []trace.Event
	next   int // the first that is not shown
	state  *state
	at     float64 // the time that is shown
	held   bool    // time stands still
}

// The lists.
const (
	dialogueList = iota
	notableList
	allList
	lists
)

var listNames = [lists]string{"dialogue", "what is out of the ordinary", "all events"}

// zooms are how much of the run the graphs show, milliseconds; 0: all.
var zooms = []float64{0, 5000, 1000, 200}

// pace is the time between two frames.
const pace = 100 * time.Millisecond

// New makes a view of a whole trace, which is shown at its end.
func New(t *trace.Trace) *Model {
	m := &Model{speed: 1, done: true}
	m.begin(t.Header)
	m.take(t.Events)
	for _, f := range m.families {
		f.show(len(f.events))
		f.held = true
	}
	m.chooseList()
	return m
}

// Live makes a view of a run that goes on. stop asks it to end.
func Live(feed *Feed, stop func()) *Model { return &Model{speed: 1, feed: feed, stop: stop} }

func (m *Model) begin(h trace.Header) {
	m.header = h
	for _, f := range h.Families {
		m.families = append(m.families, &family{Family: f, state: newState(&f)})
	}
}

// take sorts events by family.
func (m *Model) take(events []trace.Event) {
	for _, e := range events {
		for _, f := range m.families {
			if f.Family.Family == e.Family {
				f.events = append(f.events, e)
			}
		}
	}
}

// show shows the first n events.
func (f *family) show(n int) {
	if n < f.next {
		f.state, f.next = newState(&f.Family), 0
	}
	for ; f.next < n; f.next++ {
		f.state.add(&f.events[f.next])
	}
	f.at = f.state.now
}

// until shows the events up to a time.
func (f *family) until(at float64) {
	f.show(sort.Search(len(f.events), func(i int) bool { return f.events[i].Time > at }))
	f.at = at
}

// end is the time of the last event.
func (f *family) end() float64 {
	if len(f.events) == 0 {
		return 0
	}
	return f.events[len(f.events)-1].Time
}

// chooseList shows the dialogue when there is one.
func (m *Model) chooseList() {
	m.list = notableList
	for _, f := range m.families {
		for i := range f.events {
			if f.events[i].Name == trace.SMTPReply {
				m.list = dialogueList
				return
			}
		}
	}
}

type tick struct{}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd { return wait() }

func wait() tea.Cmd { return tea.Tick(pace, func(time.Time) tea.Msg { return tick{} }) }

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tick:
		m.step()
		if m.asked && m.done {
			m.leaving = true
			return m, tea.Quit
		}
		return m, wait()
	case tea.KeyPressMsg:
		return m, m.key(msg.String())
	}
	return m, nil
}

// step goes on in time.
func (m *Model) step() {
	if m.feed != nil && !m.done {
		h, events, done, words := m.feed.take()
		if h != nil {
			m.begin(*h)
		}
		before := m.current()
		m.take(events)
		for i, f := range m.families {
			if f.held {
				continue
			}
			began := len(f.state.rows) == 0
			f.show(len(f.events))
			if began && len(f.events) > 0 && before != nil && before.state.ending != nil && !before.held {
				m.shown = i // the run has gone on to the next family
			}
		}
		if !m.chosen && len(events) > 0 {
			m.chooseList()
			m.chosen = m.list == dialogueList
		}
		if m.done, m.words = done, words; done {
			for _, f := range m.families {
				f.held = true
			}
		}
		return
	}
	if f := m.current(); f != nil && !f.held {
		f.until(f.at + float64(pace)/float64(time.Millisecond)*m.speed)
		if f.at >= f.end() {
			f.show(len(f.events))
			f.held = true
		}
	}
}

func (m *Model) current() *family {
	if len(m.families) == 0 {
		return nil
	}
	return m.families[m.shown]
}

// key does what a key asks for.
func (m *Model) key(key string) tea.Cmd {
	switch key {
	case "q", "esc", "ctrl+c":
		if m.done || m.stop == nil || m.asked {
			m.leaving = true
			return tea.Quit
		}
		m.asked = true
		m.stop()
	case "tab", "shift+tab":
		if n := len(m.families); n > 0 {
			m.shown, m.scroll = (m.shown+1)%n, 0
		}
	case "+", "=":
		m.speed = min(m.speed*2, 64)
	case "-":
		m.speed = max(m.speed/2, 1.0/64)
	case "l":
		m.list, m.scroll, m.chosen = (m.list+1)%lists, 0, true
	case "z":
		m.zoom = (m.zoom + 1) % len(zooms)
	case "up", "k":
		m.scroll++
	case "down", "j":
		m.scroll = max(m.scroll-1, 0)
	case "pgup":
		m.scroll += 10
	case "pgdown":
		m.scroll = max(m.scroll-10, 0)
	default:
		if f := m.current(); f != nil {
			m.travel(f, key)
		}
	}
	return nil
}

// travel moves in time.
func (m *Model) travel(f *family, key string) {
	step := max(f.end(), 1) / 50
	switch key {
	case "space":
		m.pause(f)
		return
	case "end":
		f.show(len(f.events))
		f.held = m.done
		return
	case "left":
		f.until(max(f.at-step, 0))
	case "right":
		f.until(min(f.at+step, f.end()))
	case "home":
		f.show(0)
	case ",":
		f.show(max(f.next-1, 0))
	case ".":
		f.show(min(f.next+1, len(f.events)))
	default:
		return
	}
	f.held = true
}

// pause stops time or lets it go on; from its end it begins anew.
func (m *Model) pause(f *family) {
	if f.held && m.done && f.at >= f.end() {
		f.show(0)
	}
	f.held = !f.held
	if !f.held && !m.done {
		f.show(len(f.events))
	}
}
