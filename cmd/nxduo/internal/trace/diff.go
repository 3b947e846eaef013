package trace

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Difference is something that two traces do not agree on.
type Difference struct {
	Family string `json:"family,omitempty"`
	What   string `json:"what"`
	A      string `json:"a"`
	B      string `json:"b"`
}

// Parting is where the events of a family part.
type Parting struct {
	Family string  `json:"family"`
	Event  int     `json:"event"` // of those that are compared, from 1
	TimeA  float64 `json:"time_a_ms"`
	TimeB  float64 `json:"time_b_ms"`
	A      string  `json:"a"` // in words; empty: that trace has ended
	B      string  `json:"b"`
}

// Differences are what differs between two traces.
type Differences struct {
	Setup    []Difference `json:"setup"`    // of what was run
	Outcome  []Difference `json:"outcome"`  // of what came of it
	Partings []Parting    `json:"partings"` // the first event that differs, for each family
	Findings []string     `json:"findings"` // the same in words, the greatest first
}

// None tells that the traces agree but for times.
func (d *Differences) None() bool {
	return len(d.Setup) == 0 && len(d.Outcome) == 0 && len(d.Partings) == 0
}

// Diff compares two traces. Times alone are no difference of events: the first
// event that differs is one of another kind, or of other segments; segments of
// runs with another MSS cannot be the same, and are left out of that. What was
// received, and states of the sender, depend on the time, and are compared as
// counts only.
func Diff(a, b *Trace) Differences {
	var d Differences
	d.setup(a, b)
	sa, sb := Summaries(a), Summaries(b)
	for _, family := range inBoth(a, b) {
		ra, rb := sa[family], sb[family]
		d.outcome(family, ra, rb)
		if p, ok := parting(family, a, b, mssOf(a, family) == mssOf(b, family)); ok {
			d.Partings = append(d.Partings, p)
		}
		d.find(family, ra, rb)
	}
	return d
}

func (d *Differences) setup(a, b *Trace) {
	add := func(family, what string, va, vb any) {
		if sa, sb := fmt.Sprint(va), fmt.Sprint(vb); sa != sb {
			d.Setup = append(d.Setup, Difference{family, what, sa, sb})
		}
	}
	ha, hb := &a.Header, &b.Header
	add("", "workload", ha.Workload, hb.Workload)
	add("", "faults", ha.Faults, hb.Faults)
	add("", "families", names(ha), names(hb))
	for _, fa := range ha.Families {
		i := slices.IndexFunc(hb.Families, func(f Family) bool { return f.Family == fa.Family })
		if i < 0 {
			continue
		}
		fb := hb.Families[i]
		add(fa.Family, "link", fa.Link.Kind, fb.Link.Kind)
		add(fa.Family, "other end", fa.Link.Peer, fb.Link.Peer)
		add(fa.Family, "MTU", fa.Link.MTU, fb.Link.MTU)
		add(fa.Family, "MSS", fa.MSS, fb.MSS)
		for _, pa := range fa.Pools {
			for _, pb := range fb.Pools {
				if pa.Name == pb.Name {
					add(fa.Family, pa.Name, fmt.Sprintf("%d x %d", pa.Packets, pa.Payload), fmt.Sprintf("%d x %d", pb.Packets, pb.Payload))
				}
			}
		}
	}
}

func names(h *Header) (list []string) {
	for _, f := range h.Families {
		list = append(list, f.Family)
	}
	return list
}

// inBoth are the families that both traces have.
func inBoth(a, b *Trace) []string {
	other := names(&b.Header)
	return slices.DeleteFunc(names(&a.Header), func(f string) bool { return !slices.Contains(other, f) })
}

// Summary is what came of a run over one family.
type Summary struct {
	Totals
	Took    float64 // milliseconds, to the workload's end
	Bytes   int64   // of user data
	Failure string  // of the workload
	Ended   bool
}

// Rate is bytes a second.
func (s *Summary) Rate() float64 {
	if s.Took <= 0 {
		return 0
	}
	return float64(s.Bytes) / s.Took * 1000
}

// Summaries are what came of a trace, by family.
func Summaries(t *Trace) map[string]*Summary {
	all := make(map[string]*Summary)
	for _, f := range t.Header.Families {
		all[f.Family] = &Summary{}
	}
	for i := range t.Events {
		e := &t.Events[i]
		s := all[e.Family]
		if s == nil {
			continue
		}
		s.Add(e)
		if !s.Ended {
			s.Took = e.Time
		}
		if m, ok := e.Data.(*Mark); ok && e.Name == WorkloadEnd {
			s.Ended, s.Bytes = true, m.Bytes
			if m.Failed {
				s.Failure = m.Text
			}
		}
	}
	return all
}

// figure is a number of a summary, with its name.
type figure struct {
	what  string
	value func(*Summary) float64
	show  func(float64) string
	time  bool // depends on the time
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }

// figures are what is compared.
var figures = []figure{
	{"took", func(s *Summary) float64 { return s.Took }, Milliseconds, true},
	{"bytes a second", (*Summary).Rate, whole, true},
	{"bytes of user data", func(s *Summary) float64 { return float64(s.Bytes) }, whole, false},
	{"connections", func(s *Summary) float64 { return float64(s.Connections) }, whole, false},
	{"segments sent", func(s *Summary) float64 { return float64(s.Sent.Segments) }, whole, false},
	{"with data", func(s *Summary) float64 { return float64(s.Sent.Data) }, whole, false},
	{"bytes in them", func(s *Summary) float64 { return float64(s.Sent.Bytes) }, whole, false},
	{"sent again", func(s *Summary) float64 { return float64(s.Sent.Again) }, whole, false},
	{"segments received", func(s *Summary) float64 { return float64(s.Received.Segments) }, whole, false},
	{"received again", func(s *Summary) float64 { return float64(s.Received.Again) }, whole, false},
	{"received out of order", func(s *Summary) float64 { return float64(s.Received.Late) }, whole, false},
	{"waited for packets", func(s *Summary) float64 { return s.Waited }, Milliseconds, true},
}

func (d *Differences) outcome(family string, a, b *Summary) {
	add := func(what, va, vb string) {
		if va != vb {
			d.Outcome = append(d.Outcome, Difference{family, what, va, vb})
		}
	}
	success := func(s *Summary) string {
		switch {
		case s.Failure != "":
			return "failed: " + s.Failure
		case !s.Ended:
			return "not ended"
		}
		return "done"
	}
	add("workload", success(a), success(b))
	for _, f := range figures {
		va, vb := f.value(a), f.value(b)
		if f.time && alike(va, vb) {
			continue
		}
		add(f.what, f.show(va), f.show(vb))
	}
	each(a.Causes, b.Causes, func(c Cause, na, nb int) { add("again: "+string(c), fmt.Sprint(na), fmt.Sprint(nb)) })
	each(a.Drops, b.Drops, func(r string, na, nb int) { add("dropped: "+r, fmt.Sprint(na), fmt.Sprint(nb)) })
	each(a.Lowest, b.Lowest, func(p string, na, nb int) { add("lowest in the "+p, fmt.Sprint(na), fmt.Sprint(nb)) })
	each(a.Empty, b.Empty, func(p string, na, nb int) { add("found empty: "+p, fmt.Sprint(na), fmt.Sprint(nb)) })
}

// alike tells that two times are the same but for chance: a tenth, or a few
// milliseconds.
func alike(a, b float64) bool {
	const few = 5
	return max(a, b)-min(a, b) <= max(few, max(a, b)/10)
}

// each calls f with the values of both maps, in the order of the keys.
func each[K cmp.Ordered](a, b map[K]int, f func(key K, a, b int)) {
	all := make(map[K]bool)
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		f(k, a[k], b[k])
	}
}

// compared are the events of a family whose order does not depend on the time:
// what each connection sends that is new, the dialogue, and the states of
// sockets. Their words have no times.
func compared(t *Trace, family string, segments bool) (list []*Event, words []string) {
	for i := range t.Events {
		e := &t.Events[i]
		if e.Family != family {
			continue
		}
		text := ""
		switch d := e.Data.(type) {
		case *Segment:
			if segments && e.Name == SegmentSent && (d.Length > 0 || d.Flags != "A") {
				text = fmt.Sprintf("%d sent [%s] seq %d len %d", d.Connection, d.Flags, d.Seq, d.Length)
				if d.Again {
					text += ", again: " + string(d.Cause)
				}
			}
		case *Dialogue, *Socket:
			text = e.Words()
		}
		if text != "" {
			list, words = append(list, e), append(words, text)
		}
	}
	return list, words
}

// parting finds the first event that differs.
func parting(family string, a, b *Trace, segments bool) (Parting, bool) {
	ea, wa := compared(a, family, segments)
	eb, wb := compared(b, family, segments)
	for i := range max(len(wa), len(wb)) {
		if i < len(wa) && i < len(wb) && wa[i] == wb[i] {
			continue
		}
		p := Parting{Family: family, Event: i + 1}
		if i < len(wa) {
			p.A, p.TimeA = wa[i], ea[i].Time
		}
		if i < len(wb) {
			p.B, p.TimeB = wb[i], eb[i].Time
		}
		return p, true
	}
	return Parting{}, false
}

func mssOf(t *Trace, family string) int {
	for _, f := range t.Header.Families {
		if f.Family == family {
			return f.MSS
		}
	}
	return 0
}

// Between makes two traces of the families of one, as if both were runs over a
// family of the name "both", so that Diff compares them. False: it has not two.
func Between(t *Trace) (a, b *Trace, ok bool) {
	if len(t.Header.Families) != 2 {
		return nil, nil, false
	}
	return t.only(0), t.only(1), true
}

// only is the part of a family, with its connections numbered from 1.
func (t *Trace) only(i int) *Trace {
	const both = "both"
	f := t.Header.Families[i]
	part := &Trace{Header: t.Header, End: t.End}
	family := f.Family
	f.Family = both
	part.Header.Families = []Family{f}
	numbers := make(map[int]int)
	number := func(n *int) {
		if numbers[*n] == 0 {
			numbers[*n] = len(numbers) + 1
		}
		*n = numbers[*n]
	}
	for _, e := range t.Events {
		if e.Family != family {
			continue
		}
		e.Family = both
		switch d := e.Data.(type) {
		case *Connection:
			c := *d
			number(&c.Connection)
			e.Data = &c
		case *Segment:
			c := *d
			number(&c.Connection)
			e.Data = &c
		}
		part.Events = append(part.Events, e)
	}
	return part
}

// find says what stands out.
func (d *Differences) find(family string, a, b *Summary) {
	say := func(format string, values ...any) {
		d.Findings = append(d.Findings, family+": "+fmt.Sprintf(format, values...))
	}
	if (a.Failure == "") != (b.Failure == "") {
		which, why := "A", a.Failure
		if b.Failure != "" {
			which, why = "B", b.Failure
		}
		say("only %s failed: %s", which, why)
	}
	if a.Ended && b.Ended && !alike(a.Took, b.Took) && min(a.Took, b.Took) > 0 {
		which, ratio := "A", b.Took/a.Took
		if a.Took > b.Took {
			which, ratio = "B", a.Took/b.Took
		}
		say("%s is %.1f times as fast (%s and %s)", which, ratio, Milliseconds(a.Took), Milliseconds(b.Took))
	}
	if na, nb := a.Causes[CauseTimeout], b.Causes[CauseTimeout]; na != nb {
		say("the retransmission timer went off %d times in A, %d times in B; each time the sender waits and begins again with one segment (RFC 6298 section 5, RFC 5681 section 3.1)", na, nb)
	}
	if na, nb := a.Sent.Again+a.Received.Again, b.Sent.Again+b.Received.Again; na != nb {
		say("segments that came again: %d in A, %d in B", na, nb)
	}
	if !alike(a.Waited, b.Waited) {
		say("calls waited for packets %s in A, %s in B", Milliseconds(a.Waited), Milliseconds(b.Waited))
	}
}
