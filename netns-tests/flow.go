package parity

import "gvisor.dev/gvisor/pkg/tcpip/seqnum"

// flow is one direction of a connection: which of its sequence numbers have been
// seen. A way with several processors or losses brings them in any order, and
// two families of one scenario in two.
type flow struct {
	first   seqnum.Value // of the SYN
	next    seqnum.Value // behind all that was seen
	missing []gap        // before next, in their order
}

// gap is from first to before behind.
type gap struct{ first, behind seqnum.Value }

// see notes the numbers from first to before behind, and answers how many of
// them are new.
func (f *flow) see(first, behind seqnum.Value) int {
	if first == behind {
		return 0
	}
	fresh := 0
	var missing []gap
	for _, g := range f.missing {
		from, to := later(first, g.first), earlier(behind, g.behind)
		if !from.LessThan(to) {
			missing = append(missing, g)
			continue
		}
		fresh += int(from.Size(to))
		if g.first != from {
			missing = append(missing, gap{g.first, from})
		}
		if to != g.behind {
			missing = append(missing, gap{to, g.behind})
		}
	}
	f.missing = missing
	if f.next.LessThan(behind) {
		if f.next.LessThan(first) {
			f.missing = append(f.missing, gap{f.next, first})
		}
		fresh += int(later(first, f.next).Size(behind))
		f.next = behind
	}
	return fresh
}

func earlier(a, b seqnum.Value) seqnum.Value {
	if a.LessThan(b) {
		return a
	}
	return b
}

func later(a, b seqnum.Value) seqnum.Value {
	if a.LessThan(b) {
		return b
	}
	return a
}
