package screen

import (
	"fmt"
	"strings"

	"gonetx/cmd/nxduo/internal/trace"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// The least that the view needs.
const (
	leastWidth  = 64
	leastHeight = 18
)

// The colours are the terminal's own, so that they fit its background.
var (
	plain  = lipgloss.NewStyle()
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Faint(true)
	bar    = lipgloss.NewStyle().Reverse(true)
	green  = lipgloss.NewStyle().Foreground(lipgloss.ANSIColor(2))
	yellow = lipgloss.NewStyle().Foreground(lipgloss.ANSIColor(3))
	blue   = lipgloss.NewStyle().Foreground(lipgloss.ANSIColor(4))
	red    = lipgloss.NewStyle().Foreground(lipgloss.ANSIColor(1)).Bold(true)
	purple = lipgloss.NewStyle().Foreground(lipgloss.ANSIColor(5))
)

func styleOf(k kind) lipgloss.Style {
	return map[kind]lipgloss.Style{acked: green, sent: blue, lost: yellow, again: red}[k]
}

// View implements tea.Model.
func (m *Model) View() tea.View {
	v := tea.NewView(m.content())
	v.AltScreen = !m.leaving
	v.WindowTitle = "nxduo"
	return v
}

func (m *Model) content() string {
	switch f := m.current(); {
	case m.leaving:
		return ""
	case m.width == 0:
		return "" // its size is not told yet
	case m.width < leastWidth || m.height < leastHeight:
		return fmt.Sprintf("This terminal has %d columns\nand %d lines; the view needs\n%d by %d. Make it larger,\nor leave with q and use --plain.", m.width, m.height, leastWidth, leastHeight)
	case f == nil:
		return "The stack comes up ..."
	default:
		lines := m.draw(f)
		for i, l := range lines {
			lines[i] = ansi.Truncate(l, m.width, "…")
		}
		return strings.Join(lines, "\n")
	}
}

// draw is the screen, line by line.
func (m *Model) draw(f *family) []string {
	lines := []string{m.top(), m.status(f)}
	c := f.state.busiest()
	rest := m.height - 2 - 1 - 2 - 2 - len(f.state.pools) - 1 // top, help, connection, curves, list head
	chart := max(rest/2, 4)
	from, to := m.span(f)
	lines = append(lines, m.connection(f, c)...)
	lines = append(lines, m.graph(c, from, to, chart)...)
	lines = append(lines, m.curves(c, from, to)...)
	for _, p := range f.state.pools {
		lines = append(lines, m.gauge(p))
	}
	lines = append(lines, m.rows(f, m.height-len(lines)-1)...)
	return append(lines, m.help())
}

func (m *Model) top() string {
	var tabs []string
	for i, f := range m.families {
		if i == m.shown {
			tabs = append(tabs, "["+f.Family.Family+"]")
		} else {
			tabs = append(tabs, " "+f.Family.Family+" ")
		}
	}
	right := strings.Join(tabs, "") + " "
	left := ansi.Truncate(" "+m.header.Title, m.width-len(right)-1, "…")
	return bar.Render(left + strings.Repeat(" ", max(m.width-ansi.StringWidth(left)-len(right), 0)) + right)
}

func (m *Model) status(f *family) string {
	at := trace.Milliseconds(f.at)
	how := ""
	switch {
	case m.asked && !m.done:
		how = yellow.Render("ending ...")
	case !m.done && f.held:
		how = yellow.Render("stopped") + " while the run goes on"
	case !m.done && f.state.ending == nil && len(f.events) > 0:
		how = green.Render("live")
	case !m.done && len(f.events) == 0:
		how = "waits for its turn"
	case f.held && f.at < f.end():
		how = yellow.Render("stopped")
	case !f.held && m.done:
		how = green.Render(fmt.Sprintf("plays at %gx", m.speed))
	}
	if e := f.state.ending; e != nil && how == "" {
		if how = green.Render("done"); e.Failed {
			how = red.Render("failed: " + ansi.Strip(e.Text))
		}
	}
	s := fmt.Sprintf(" %s of %s  %s", bold.Render(at), trace.Milliseconds(f.end()), how)
	if m.done && m.words != "" {
		s += "  " + m.words
	}
	if zoom := zooms[m.zoom]; zoom > 0 {
		s += faint.Render("  graphs: the last " + trace.Milliseconds(zoom))
	}
	return s
}

// span is the time that the graphs show.
func (m *Model) span(f *family) (from, to float64) {
	to = max(f.at, 1)
	if zoom := zooms[m.zoom]; zoom > 0 {
		from = max(to-zoom, 0)
	}
	return from, to
}

func (m *Model) connection(f *family, c *conn) []string {
	if c == nil {
		return []string{faint.Render(" no connection yet"), ""}
	}
	s := fmt.Sprintf(" %d  %s to %s  %s", c.Connection.Connection, c.Local, c.Remote, bold.Render(c.state))
	if n := len(f.state.conns); n > 1 {
		s += faint.Render(fmt.Sprintf("  the busiest of %d", n))
	}
	w, verb := c.main(), "sent"
	if w == &c.in {
		verb = "received"
	}
	t := &f.state.totals
	numbers := fmt.Sprintf(" %s %d bytes, acknowledged %d, in flight %d of window %d; again %d, dropped %d",
		verb, max(w.next-1, 0), max(min(w.acked, w.next)-1, 0), max(w.next-max(w.acked, 1), 0), c.window, t.Sent.Again+t.Received.Again, t.Sent.Dropped+t.Received.Dropped)
	if w == &c.in {
		numbers = fmt.Sprintf(" %s %d bytes, acknowledged %d; again %d, out of order %d, dropped %d",
			verb, max(w.next-1, 0), max(min(w.acked, w.next)-1, 0), t.Received.Again, t.Received.Late, t.Received.Dropped)
	}
	return []string{s, numbers}
}

// graph is the time-sequence graph of the main direction.
func (m *Model) graph(c *conn, from, to float64, height int) []string {
	const label = 10
	g := newCanvas(m.width-label, height)
	var low, high int64
	if c != nil {
		w := c.main()
		low, high = int64(1<<62), 0
		for _, p := range w.points {
			if p.at >= from && p.at <= to {
				low, high = min(low, p.seq), max(high, p.seq)
			}
		}
		low = min(low, high)
		for _, p := range w.points {
			g.dot((p.at-from)/(to-from), float64(p.seq-low)/max(float64(high-low), 1), p.kind)
		}
	}
	lines := g.lines(styleOf)
	for i := range lines {
		text := ""
		switch i {
		case 0:
			text = fmt.Sprint(high)
		case height - 1:
			text = fmt.Sprint(low)
		case height / 2:
			text = "sequence"
		}
		lines[i] = faint.Render(fmt.Sprintf("%*s ", label-1, text)) + lines[i]
	}
	return lines
}

// curves are the congestion window and the round trip.
func (m *Model) curves(c *conn, from, to float64) []string {
	const label, values = 10, 38
	width := m.width - label - values
	line := func(name string, samples []sample, style lipgloss.Style, text string) string {
		return faint.Render(fmt.Sprintf("%*s ", label-1, name)) + style.Render(spark(samples, from, to, width)) + " " + text
	}
	if c == nil || c.cong == nil {
		return []string{line("cwnd", nil, plain, ""), line("rtt", nil, plain, "")}
	}
	d := c.cong
	threshold := "ssthresh none"
	if d.Threshold != nil {
		threshold = fmt.Sprintf("ssthresh %d", *d.Threshold)
	}
	state := ""
	if d.State != "open" {
		state = " " + yellow.Render(d.State)
	}
	rtt := "rto " + trace.Milliseconds(d.RTO)
	if d.SRTT != nil {
		rtt = fmt.Sprintf("%s ± %s, %s", trace.Milliseconds(*d.SRTT), trace.Milliseconds(*d.RTTVar), rtt)
	}
	return []string{
		line("cwnd", c.cwnd, purple, fmt.Sprintf("%d, %s%s", d.WindowBytes, threshold, state)),
		line("rtt", c.rtt, blue, rtt),
	}
}

// gauge is a pool: who has its packets, and how few were free.
func (m *Model) gauge(p *pool) string {
	const label, values = 10, 38
	width := m.width - label - values
	cell := func(packets int) int { return packets * width / max(p.Packets, 1) }
	styles := map[string]lipgloss.Style{"transmit queue": blue, "receive queue": green, "application": yellow, "driver": purple}
	var b strings.Builder
	used, at := 0, 0
	for _, h := range p.holders {
		used += h.Packets
		if to := cell(used); to > at {
			b.WriteString(styles[h.Kind].Render(strings.Repeat("█", to-at)))
			at = to
		}
	}
	mark := min(cell(p.Packets-p.lowest), width-1) // the most that were out
	free := []rune(strings.Repeat("░", width-at))
	if mark >= at && mark-at < len(free) {
		free[mark-at] = '┃'
	}
	b.WriteString(faint.Render(string(free)))
	text := fmt.Sprintf(" %d of %d free, lowest %d", p.free, p.Packets, p.lowest)
	if p.empty > 0 {
		text += red.Render(fmt.Sprintf(", empty %dx", p.empty))
	}
	return faint.Render(fmt.Sprintf("%*s ", label-1, ansi.Truncate(p.Name, label-1, "…"))) + b.String() + text
}

// rows are the list, the newest event at its end.
func (m *Model) rows(f *family, height int) []string {
	lines := []string{faint.Render(ansi.Truncate("── "+listNames[m.list]+" "+strings.Repeat("─", m.width), m.width, ""))}
	height--
	var shown []row
	skip := m.scroll
	all := f.state.rows
	for i := len(all) - 1; i >= 0 && len(shown) < height; i-- {
		r := all[i]
		if m.list == dialogueList && !r.smtp || m.list == notableList && !r.notable {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		shown = append(shown, r)
	}
	for i := len(shown) - 1; i >= 0; i-- {
		lines = append(lines, m.row(shown[i]))
	}
	for len(lines) < height+1 {
		lines = append(lines, "")
	}
	return lines
}

func (m *Model) row(r row) string {
	at := faint.Render(fmt.Sprintf("%10.3f ", r.event.Time))
	words := r.event.Words()
	if m.list == dialogueList {
		half := (m.width - 12) / 2
		if r.event.Name == trace.SMTPReply {
			return at + strings.Repeat(" ", half) + green.Render(words)
		}
		return at + blue.Render(ansi.Truncate(words, half, "…"))
	}
	switch d := r.event.Data.(type) {
	case *trace.Segment:
		if d.Again {
			return at + red.Render(words)
		}
	case *trace.Dropped, *trace.Empty, *trace.Warning, *trace.Lost:
		return at + yellow.Render(words)
	case *trace.Mark:
		return at + bold.Render(words)
	}
	return at + words
}

func (m *Model) help() string {
	keys := "space stop/go  ←→ time  ,. event  +- speed  l list  ↑↓  z zoom  q end"
	if len(m.families) > 1 {
		keys = "tab family " + keys
	}
	return faint.Render(" " + keys)
}
