package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gonetx/cmd/nxduo/internal/trace"
)

// What the pools, the link, the services and the dialogue did.

// pools looks for requests that found no packet, and for how low each pool got.
type pools struct {
	header []trace.Pool
	seen   map[string]*poolRow
}

type poolRow struct {
	requests, denied int
	waited           float64
	longest, at      float64
	first            float64
	lowest           int
	lowestAt         float64
	known            bool
}

func (r *pools) row(name string) *poolRow {
	if r.seen == nil {
		r.seen = make(map[string]*poolRow)
	}
	p := r.seen[name]
	if p == nil {
		p = &poolRow{}
		r.seen[name] = p
	}
	return p
}

func (r *pools) see(e *trace.Event) {
	switch d := e.Data.(type) {
	case *trace.Empty:
		p := r.row(d.Pool)
		if p.requests++; p.requests == 1 {
			p.first = max(0, e.Time-d.Waited)
		}
		if !d.Served {
			p.denied++
		}
		p.waited += d.Waited
		if d.Waited >= p.longest {
			p.longest, p.at = d.Waited, max(0, e.Time-d.Waited)
		}
	case *trace.Occupancy:
		p := r.row(d.Pool)
		if !p.known || d.Lowest < p.lowest {
			p.known, p.lowest, p.lowestAt = true, d.Lowest, e.Time
		}
	}
}

func (r *pools) tell(found func(Finding)) {
	for _, h := range r.header {
		p := r.seen[h.Name]
		if p == nil {
			continue
		}
		switch {
		case p.requests > 0:
			f := Finding{Level: Notice, At: p.at, Until: p.at + p.longest,
				Reference: "NetX Duo: nx_packet_allocate suspends the caller for its wait option"}
			f.Text = fmt.Sprintf("The pool %q (%d packets) was empty for %s, the first time at %s; the callers waited %s together, the longest %s from %s on.",
				h.Name, h.Packets, count(p.requests, "request"), duration(p.first), duration(p.waited), duration(p.longest), duration(p.at))
			if p.denied > 0 {
				f.Level = Problem
				f.Text += fmt.Sprintf(" %s of them got none.", group(p.denied))
			}
			found(f)
		case p.known:
			f := Finding{Level: Fine, At: p.lowestAt, Text: fmt.Sprintf("The pool %q never had fewer than %d of its %d packets free.", h.Name, p.lowest, h.Packets)}
			if p.lowest == 0 {
				f.Text = fmt.Sprintf("The pool %q had no packet left at %s, and nobody had to wait for one.", h.Name, duration(p.lowestAt))
			}
			found(f)
		}
	}
}

// losses counts what was thrown away, by where and why.
type losses struct {
	kinds map[lossKind]*lossRow
}

type lossKind struct{ where, direction, reason string }

type lossRow struct {
	n     int
	first float64
}

func (r *losses) see(e *trace.Event) {
	d, ok := e.Data.(*trace.Dropped)
	if !ok {
		return
	}
	if r.kinds == nil {
		r.kinds = make(map[lossKind]*lossRow)
	}
	key := lossKind{d.Where, d.Direction, d.Reason}
	l := r.kinds[key]
	if l == nil {
		l = &lossRow{first: e.Time}
		r.kinds[key] = l
	}
	l.n++
}

func (r *losses) tell(found func(Finding)) {
	var keys []lossKind
	for key := range r.kinds {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b lossKind) int {
		return cmp.Or(cmp.Compare(r.kinds[a].first, r.kinds[b].first), cmp.Compare(a.reason, b.reason))
	})
	for _, key := range keys {
		l := r.kinds[key]
		way := map[string]string{"sent": " on the way out", "received": " on the way in"}[key.direction]
		f := Finding{Level: Notice, At: l.first,
			Text: fmt.Sprintf("%s dropped%s, the first at %s: %s.", plural(l.n, "datagram was", "datagrams were"), way, duration(l.first), key.reason)}
		if slices.Contains(usual, key.reason) {
			f.Level = Fine
		}
		if strings.Contains(key.reason, "pool") {
			f.Level = Problem
			f.Reference = "NetX Duo: a driver without a packet loses the frame; TCP repairs it"
		}
		found(f)
	}
}

// usual are the reasons that are no losses: the host's multicast, and what
// belongs to the end of a connection or a run.
var usual = []string{"addressed to somebody else", "dropped by TCP", "the endpoint is stopped"}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return group(n) + " " + many
}

// calls looks for services that failed.
type calls struct {
	failed map[string]*lossRow
}

// fineStatus are the answers that are no failures, of all services and of some:
// nothing has come yet, and the peer was the first to close.
var fineStatus = map[string][]string{
	"":                     {"", "NX_SUCCESS", "NX_IN_PROGRESS", "NX_CONNECTION_PENDING"},
	"tcp.SocketReceive":    {"NX_NO_PACKET", "NX_NOT_CONNECTED"},
	"tcp.SocketDisconnect": {"NX_NOT_CONNECTED"},
}

func (r *calls) see(e *trace.Event) {
	d, ok := e.Data.(*trace.Call)
	if !ok {
		return
	}
	status, _, _ := strings.Cut(d.Status, " ")
	if slices.Contains(fineStatus[""], status) || slices.Contains(fineStatus[d.Service], status) {
		return
	}
	if r.failed == nil {
		r.failed = make(map[string]*lossRow)
	}
	key := d.Service + " answered " + d.Status
	l := r.failed[key]
	if l == nil {
		l = &lossRow{first: e.Time}
		r.failed[key] = l
	}
	l.n++
}

func (r *calls) tell(found func(Finding)) {
	for text, l := range r.failed {
		found(Finding{Level: Problem, At: l.first, Text: fmt.Sprintf("%s, %s, the first time at %s.", text, times(l.n), duration(l.first))})
	}
}

// sockets looks for connections that did not end by a FIN, and for resets.
type sockets struct {
	ended  []Finding
	resets [2]int // sent, received
	at     [2]float64
}

func (r *sockets) see(e *trace.Event) {
	switch d := e.Data.(type) {
	case *trace.Socket:
		bad := strings.Contains(d.Cause, "reset") || strings.Contains(d.Cause, "no answer") ||
			strings.Contains(d.Cause, "refused") || strings.Contains(d.Cause, "unreachable") || strings.Contains(d.Cause, "detached")
		if bad && len(r.ended) < 5 {
			r.ended = append(r.ended, Finding{Level: Problem, At: e.Time,
				Text:      fmt.Sprintf("The connection of %q ended at %s in the state %s: %s.", d.Socket, duration(e.Time), d.From, d.Cause),
				Reference: "RFC 9293 section 3.10"})
		}
	case *trace.Segment:
		if !has(d, "R") {
			return
		}
		i := 0
		if e.Name == trace.SegmentReceived {
			i = 1
		}
		if r.resets[i]++; r.resets[i] == 1 {
			r.at[i] = e.Time
		}
	}
}

func (r *sockets) tell(found func(Finding)) {
	for _, f := range r.ended {
		found(f)
	}
	for i, who := range []string{"The instance", "The peer"} {
		if n := r.resets[i]; n > 0 {
			found(Finding{Level: Notice, At: r.at[i], Text: fmt.Sprintf("%s sent %s, the first at %s.", who, count(n, "reset"), duration(r.at[i])), Reference: "RFC 9293 section 3.5.2"})
		}
	}
}

// dialogue looks at an SMTP dialogue: refusals, and the reply that took
// longest.
type dialogue struct {
	asked   string
	at      float64
	open    bool
	slowest Finding
	took    float64
	replies int
	refused []Finding
}

func (r *dialogue) see(e *trace.Event) {
	d, ok := e.Data.(*trace.Dialogue)
	if !ok {
		return
	}
	if e.Name == trace.SMTPCommand {
		r.asked, r.at, r.open = d.Phase, e.Time, true
		return
	}
	if d.Code >= 400 && len(r.refused) < 5 {
		r.refused = append(r.refused, Finding{Level: Problem, At: e.Time,
			Text:      fmt.Sprintf("The server refused at %s, in the phase %s: %d %s", duration(e.Time), d.Phase, d.Code, d.Text),
			Reference: "RFC 5321 section 4.2"})
	}
	if !r.open {
		return
	}
	r.open = false
	r.replies++
	if took := e.Time - r.at; took > r.took {
		r.took = took
		r.slowest = Finding{Level: Fine, At: r.at, Until: e.Time,
			Text:      fmt.Sprintf("%s: %s, from %s on.", r.asked, duration(took), duration(r.at)),
			Reference: "RFC 5321 section 4.5.3.2: minutes are allowed"}
	}
}

func (r *dialogue) tell(found func(Finding)) {
	for _, f := range r.refused {
		found(f)
	}
	if r.took > 0 {
		f := r.slowest
		f.Text = fmt.Sprintf("The slowest of %s was that to %s", plural(r.replies, "reply", "replies"), f.Text)
		found(f)
	}
}

// run is what the workload and the recorder themselves have to say.
type run struct {
	all      []Finding
	warnings map[string]int // how often each came
}

func (r *run) see(e *trace.Event) {
	switch d := e.Data.(type) {
	case *trace.Mark:
		if d.Failed {
			r.all = append(r.all, Finding{Level: Problem, At: e.Time, Text: fmt.Sprintf("The workload failed at %s: %s.", duration(e.Time), d.Text)})
		}
	case *trace.Warning:
		text := fmt.Sprintf("Warning of %s: %s", d.Where, strings.TrimSuffix(d.Text, "."))
		if r.warnings == nil {
			r.warnings = make(map[string]int)
		}
		if r.warnings[text]++; r.warnings[text] == 1 {
			r.all = append(r.all, Finding{Level: Notice, At: e.Time, Text: text})
		}
	case *trace.Lost:
		r.all = append(r.all, Finding{Level: Problem, At: e.Time,
			Text: fmt.Sprintf("The trace is not complete: %s are missing at %s, because more came than could be written. Numbers are too low.", count(d.Events, "event"), duration(e.Time))})
	}
}

func (r *run) tell(found func(Finding)) {
	for _, f := range r.all {
		if n := r.warnings[f.Text]; n > 1 {
			f.Text += fmt.Sprintf(" (%s)", times(n))
		}
		if !strings.HasSuffix(f.Text, ".") {
			f.Text += "."
		}
		found(f)
	}
}
