package replay

import (
	"fmt"
	"reflect"
	"slices"

	"gonetx/packetpool/nxtest/golden"
	tcpreplay "gonetx/tcp/replay"
)

// Rules are the named differences of the SMTP client in release mode. Each is a
// predicate on the call and what it answered; none knows a scenario by its name.
func Rules() []golden.Rule {
	return []golden.Rule{
		{
			Name:   "TickTolerance",
			Why:    "two runs of the original differ by up to 3 ticks",
			Fields: []string{"ticks", "*/ticks"},
			When: func(d golden.Difference) bool {
				want, got, ok := d.Number()
				return ok && max(want-got, got-want) <= tcpreplay.Tolerance
			},
		},
		{
			Name:   "ZeroWindowProbe",
			Why:    "the probe of a closed window carries a byte that the peer has acknowledged, not the next one (tcp.ZeroWindowProbe)",
			Fields: []string{"*/seq"},
			When: func(d golden.Difference) bool {
				want, got, ok := d.Number()
				return ok && want == got+1 && isProbe(segmentAt(d.Case.Want, d)) && isProbe(segmentAt(d.Case.Got, d))
			},
		},
		{
			Name:   "ProbeAtTheEnd",
			Why:    "a call that ends within the tolerance of a probe sees one probe more or less before its reset",
			Fields: []string{"*", "*/*"},
			When:   probeAtTheEnd,
		},
		{
			Name:   "NobodyHears",
			Why:    "as NoAddressResolution: a SYN to a neighbour that does not exist crosses the link, where the original's waits for an address",
			Fields: []string{"*"},
			When: func(d golden.Difference) bool {
				syn, _ := d.Got.(map[string]any)
				return d.Case.Kind == KindUnheard && d.Case.Context.(Context).Scenario.config("target", 1) == 2 &&
					syn["side"] == "C" && syn["flags"] == "S" && syn["length"] == 0.
			},
		},
		{
			Name:   "TimerAtTheEnd",
			Why:    "a call that ends within the tolerance of a tenth of a second sees the pool before or after what the timer does then; it is the same once it has settled",
			Fields: []string{"server_ip/1"},
			When:   timerAtTheEnd,
		},
		{
			Name:   "RouterSolicitation",
			Why:    "with IPv6 the original looks for a router, each second while it finds no packet for that, and hears its neighbour do so (nxd_ipv6_router_solicitation_check.c); here nobody is asked (spec ip 10)",
			Fields: []string{"client_ip/2", "smtp/2"},
			When: func(d golden.Difference) bool {
				c := d.Case.Context.(Context)
				want, got, ok := d.Number()
				return ok && d.Case.Kind == KindPools && c.Scenario.AF == 6 && got > 0 &&
					want > got && want-got <= float64(c.Scenario.longestTicks()/100+1)
			},
		},
		{
			Name:   "NoAddressResolution",
			Why:    "up to four packets wait in the original for the link address of a neighbour that does not exist (NX_ARP_MAX_QUEUE_DEPTH, one with IPv6); a link here needs no addresses (spec ip 10)",
			Fields: []string{"client_ip/1"},
			When: func(d golden.Difference) bool {
				c := d.Case.Context.(Context)
				want, got, ok := d.Number()
				return ok && d.Case.Kind == KindPools && c.Scenario.config("target", 1) == 2 && want < got && got-want <= 4
			},
		},
		inexpressible("NullText", NullText, "design: pointer and length are one string"),
		inexpressible("NullAddress", NullAddress, "design: NXD_ADDRESS * is netip.Addr"),
		inexpressible("Unchecked", Unchecked, "design: each service does the checks of the error-checking front end"),
		{
			Name:   "UncheckedMail",
			Why:    "the mail that only the entry without argument checks sends is not sent here, and leaves no reply behind",
			Fields: []string{"", "reply_code", "*"},
			When: func(d golden.Difference) bool {
				c := d.Case.Context.(Context)
				want, got, ok := d.Number()
				unchecked := slices.ContainsFunc(c.Outcome.Ops, func(op map[string]any) bool { return op[Inexpressible] == Unchecked })
				if d.Case.Kind == KindWire {
					return unchecked && d.Got == golden.Missing{}
				}
				return ok && unchecked && got == 0 && (d.Case.Kind == KindConnections && want == 1 || c.Op >= 0 && d.Path == "reply_code")
			},
		},
		inexpressible("Initialization", Initialization, "no ThreadX underneath"),
		{
			Name:   "CrashEnds",
			Why:    "what crashes or spins in the original ends with an error here (design 8; ledger entries LongCodeCrashes, CreateUnchecked, HeaderFailureSwallowed)",
			Fields: []string{"returned", "status", Inexpressible, "*", "*/*"},
			When: func(d golden.Difference) bool {
				if d.Case.Kind == KindWire {
					return endsAfterCrash(d)
				}
				got, _ := d.Case.Got.(map[string]any)
				status, _ := got["status"].(float64)
				return d.Case.Kind == KindReturns && (status != 0 || got[Inexpressible] != nil)
			},
		},
		{
			Name:   "CrashCutsRecording",
			Why:    "what follows the call that crashed or span was never recorded: the end of its connection, what the server received and did then, a connection that came after",
			Fields: []string{"", "end", "segment_lengths/*", "segments/*", "unit_lengths/*", "server_calls", "server_calls/*", "*"},
			When: func(d golden.Difference) bool {
				if !d.Case.Context.(Context).Scenario.Stopped() {
					return false
				}
				if want, got, ok := d.Number(); ok {
					return d.Case.Kind == KindConnections && got > want
				}
				_, missing := d.Want.(golden.Missing)
				return (d.Case.Kind == KindConnection || d.Case.Kind == KindWire) && missing
			},
		},
	}
}

// at is the segment of a wire that a difference is about, or lies in.
func at(d golden.Difference) int {
	i := -1
	_, _ = fmt.Sscanf(d.Path, "[%d]", &i)
	return i
}

func segmentAt(wire any, d golden.Difference) map[string]any {
	list, _ := wire.([]any)
	if i := at(d); d.Case.Kind == KindWire && i >= 0 && i < len(list) {
		segment, _ := list[i].(map[string]any)
		return segment
	}
	return nil
}

// isProbe tells of a probe of a closed window: one byte, which is not pushed.
func isProbe(segment map[string]any) bool { return segment["flags"] == "A" && segment["length"] == 1. }

// isReset tells of the client's RST.
func isReset(segment map[string]any) bool { return segment["side"] == "C" && segment["flags"] == "R" }

// probeAtTheEnd tells that both wires end with probes, the answer to each, and
// the RST of a call that has ended, and that one has a probe more than the other.
// Where the shorter one has its RST the longer one has an answer; behind that, one
// more probe and the RST.
func probeAtTheEnd(d golden.Difference) bool {
	want, _ := d.Case.Want.([]any)
	got, _ := d.Case.Got.([]any)
	long, short := want, got
	if len(want) < len(got) {
		long, short = got, want
	}
	n := len(short)
	if d.Case.Kind != KindWire || n < 2 || len(long) != n+2 || at(d) < n-1 {
		return false
	}
	segment := func(wire []any, i int) map[string]any { s, _ := wire[i].(map[string]any); return s }
	answer := segment(long, n-1)
	return isReset(segment(short, n-1)) && isReset(segment(long, n+1)) && isProbe(segment(long, n)) &&
		isProbe(segment(short, n-2)) && answer["side"] == "C" && answer["flags"] == "A" && answer["length"] == 0.
}

// endsAfterCrash tells that a difference of the wires begins where the call that
// crashed or span has ended here: before anything was sent, or with a RST.
func endsAfterCrash(d golden.Difference) bool {
	c := d.Case.Context.(Context)
	got, _ := d.Case.Got.([]any)
	if !c.Scenario.Stopped() || segmentAt(d.Case.Want, d) == nil {
		return false
	}
	if len(got) == 0 {
		recorded, _ := c.Scenario.Result["ops"].([]any)
		return len(recorded) < len(c.Outcome.Ops) && c.Outcome.Ops[len(recorded)]["status"] != 0.
	}
	last, _ := got[len(got)-1].(map[string]any)
	return isReset(last) && at(d) >= len(got)-1
}

// timerAtTheEnd tells that a pool was looked at right after a call whose length
// differs by no more than ticks do.
func timerAtTheEnd(d golden.Difference) bool {
	c := d.Case.Context.(Context)
	recorded, _ := c.Scenario.Result["ops"].([]any)
	for i, op := range c.Outcome.Ops {
		at := fmt.Sprintf("after_op%d", i)
		if d.Case.Where != "pools "+at || i >= len(recorded) {
			continue
		}
		want, _ := recorded[i].(map[string]any)
		apart := number(want, "ticks", 0) - number(op, "ticks", 0)
		pools, _ := c.Scenario.Result["pools"].(map[string]any)
		settled := fmt.Sprintf("settled_op%d", i)
		return apart != 0 && max(apart, -apart) <= tcpreplay.Tolerance && reflect.DeepEqual(pools[settled], c.Outcome.Pools[settled])
	}
	return false
}

// inexpressible is the rule for calls that have no form in Go.
func inexpressible(name, reason, why string) golden.Rule {
	return golden.Rule{
		Name: name, Why: reason + " (" + why + ")", Fields: []string{"status"},
		When: func(d golden.Difference) bool {
			c := d.Case.Context.(Context)
			return d.Got == nil && c.Op >= 0 && c.Op < len(c.Outcome.Ops) && c.Outcome.Ops[c.Op][Inexpressible] == reason
		},
	}
}
