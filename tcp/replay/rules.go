package replay

import (
	"slices"
	"strconv"
	"strings"

	"gonetx/packetpool/nx"
	"gonetx/packetpool/nxtest/golden"
)

// Tolerance is by how many ticks the recording's own two runs differed.
const Tolerance = 3

// Rules are the named differences of TCP and IP services. Each is a predicate
// on the call and what it answered; none knows a trace by its name.
func Rules() []golden.Rule {
	return []golden.Rule{
		{
			Name:   "TickTolerance",
			Why:    "two runs of the original differ by up to 3 ticks",
			Fields: []string{"ticks"},
			When: func(d golden.Difference) bool {
				want, got, ok := d.Number()
				return ok && max(want-got, got-want) <= Tolerance
			},
		},
		inexpressible("NullOutput", NullOutput, "design: output pointers become results", nx.PtrError),
		inexpressible("BlockSize", BlockSize, "design: control blocks belong to the program, Go knows their size", nx.PtrError),
		inexpressible("MemoryArea", MemoryArea, "design: a memory area becomes its size", nx.PtrError),
		inexpressible("ShiftedCall", ShiftedCall, "recorded with its arguments one place off (spec tcp 3)", nx.OptionError, nx.Success),
		{
			Name:   "NeverReturns",
			Why:    "accept on a socket whose connection has ended, and a second accept that waits, never return and block the instance; here NX_NOT_LISTEN_STATE (spec tcp 6)",
			Fields: []string{"returned", "status"},
			When: func(d golden.Difference) bool {
				got, _ := d.Case.Got.(map[string]any)
				return d.Case.Kind == KindReturns && Call(d).Op() == "accept" && got["status"] == float64(nx.NotListenState)
			},
		},
		{
			Name:   "NoCrash",
			Why:    "a call in which the original dies ends with an error here: memory is not reached through pointers",
			Fields: []string{"returned", "status"},
			When: func(d golden.Difference) bool {
				got, _ := d.Case.Got.(map[string]any)
				status, _ := got["status"].(float64)
				return d.Case.Kind == KindReturns && d.Case.Context.(Context).Trace.Crash != nil && status > 0
			},
		},
		{
			Name:   "NoAddressResolution",
			Why:    "a link here carries datagrams without link addresses (spec ip 10): what is sent to a neighbour that does not exist leaves at once and waits in no ARP queue",
			Fields: []string{"pools/0/1"},
			When: func(d golden.Difference) bool {
				want, got, ok := d.Number()
				// NX_ARP_MAX_QUEUE_DEPTH is 4.
				return ok && got > want && got-want <= 4 && sentToNobody(d)
			},
		},
		{
			Name:   "NobodyHears",
			Why:    "as NoAddressResolution: a SYN to a neighbour that does not exist crosses the link, where the original's waits for an address",
			Fields: []string{"*"},
			When: func(d golden.Difference) bool {
				text, _ := d.Got.(string)
				_, syn, _ := strings.Cut(text, " ")
				return d.Case.Kind == KindUnheard && strings.HasPrefix(syn, "S 0 ") && sentToNobody(d)
			},
		},
		{
			Name:   "ZeroWindowProbe",
			Why:    "the probe of a closed window carries a byte that the peer has acknowledged, not the next one (tcp.ZeroWindowProbe)",
			Fields: []string{"*"},
			When: func(d golden.Difference) bool {
				want, _ := d.Want.(string)
				got, _ := d.Got.(string)
				w, g := strings.Fields(want), strings.Fields(got)
				if d.Case.Kind != KindWire || len(w) != 6 || len(g) != 6 || w[1] != "A" || w[5] != "1" {
					return false
				}
				next, err := strconv.Atoi(w[2])
				before, errBefore := strconv.Atoi(g[2])
				w[2] = g[2]
				return err == nil && errBefore == nil && next == before+1 && slices.Equal(w, g)
			},
		},
		{
			Name:   "RefusedConnectRoutes",
			Why:    "a connect that is refused with NX_NOT_CLOSED has found a route before and left it with the socket (nx_tcp_client_socket_connect.c): the SYN that is under way to a neighbour that does not exist goes to another one when it is sent again, which drops it",
			Fields: []string{"*"},
			When: func(d golden.Difference) bool {
				_, missing := d.Got.(golden.Missing)
				text, _ := d.Want.(string)
				_, syn, _ := strings.Cut(text, " ")
				return d.Case.Kind == KindWire && missing && strings.HasPrefix(syn, "S 0 ") && sentToNobody(d) &&
					slices.ContainsFunc(d.Case.Context.(Context).Trace.Steps, func(s Step) bool {
						return s.Op() == "connect" && s.Result()["status"] == float64(nx.NotClosed) && s.text("host") != "absent neighbour"
					})
			},
		},
		{
			Name:   "OnePacket",
			Why:    "with one packet in the pool the original cannot connect: the SYN holds it while it waits for an address, and the request for that address finds none; here nothing is resolved (spec ip 10)",
			Fields: []string{"pools/0/1", "*"},
			When: func(d golden.Difference) bool {
				t := d.Case.Context.(Context).Trace
				if t.config("count", 64) != 1 {
					return false
				}
				if d.Case.Kind == KindWire {
					text, _ := d.Got.(string)
					return len(t.Wire) == 0 && strings.HasPrefix(text, "C S 0 ")
				}
				want, got, ok := d.Number()
				return d.Case.Kind == "pools" && ok && want == 0 && got == 1
			},
		},
		{
			Name:   "SeenInMidCall",
			Why:    "a NX_NO_WAIT disconnect sends its RST before it changes the state of its socket (nx_tcp_socket_disconnect.c), and a thread that the RST resumes sees the old state; here a service is not interrupted",
			Fields: []string{"states/*"},
			When: func(d golden.Difference) bool {
				c := d.Case.Context.(Context)
				if c.Step < 0 {
					return false
				}
				if _, async := Call(d).Worker(); !async {
					return false
				}
				at := slices.Index(c.Trace.CompletionOrder, c.Step)
				next := Step{}
				if at >= 0 && at+1 < len(c.Trace.CompletionOrder) {
					next = c.Trace.Steps[c.Trace.CompletionOrder[at+1]]
				} else if at < 0 && c.Trace.CompletionOrder == nil && c.Step+1 < len(c.Trace.Steps) {
					next = c.Trace.Steps[c.Step+1]
				}
				return next.Op() == "disconnect" && next.wait() == nx.NoWait && d.Path == "states."+next.text("socket") &&
					(d.Want == "ESTABLISHED" || d.Want == "CLOSE_WAIT") && (d.Got == "CLOSED" || d.Got == "LISTEN")
			},
		},
		{
			Name:   "NoNeighborDiscovery",
			Why:    "no link addresses, so no neighbor solicitation (32 bytes) before the first datagram to a neighbour, and none answered (spec ip 10)",
			Fields: []string{"ip_info/packets_sent", "ip_info/bytes_sent", "ip_info/packets_received", "ip_info/bytes_received"},
			When: func(d golden.Difference) bool {
				want, got, ok := d.Number()
				per := 1.
				if strings.Contains(d.Path, "bytes") {
					per = 32
				}
				return ok && d.Case.Context.(Context).Trace.AF == 6 && (want-got == per || want-got == 2*per)
			},
		},
		{
			Name:   "FailedResult",
			Why:    "a service that fails has no results; the original has written *index before two of its checks (spec ip 12)",
			Fields: []string{"index"},
			When: func(d golden.Difference) bool {
				want, got, ok := d.Number()
				result, _ := d.Case.Got.(map[string]any)
				return ok && got == untouched && want < 4 && result["status"] != 0.
			},
		},
	}
}

// inexpressible is the rule for calls that have no form in Go, and what the
// original answers to them.
func inexpressible(name, reason, why string, answers ...nx.Status) golden.Rule {
	return golden.Rule{
		Name: name, Why: reason + " (" + why + ")", Fields: []string{"status"},
		When: func(d golden.Difference) bool {
			c := d.Case.Context.(Context)
			_, missing := d.Got.(golden.Missing)
			status, _ := d.Want.(float64)
			return missing && c.Step >= 0 && c.Outcome.Steps[c.Step][Inexpressible] == reason &&
				slices.Contains(answers, nx.Status(status))
		},
	}
}

// sentToNobody tells that the trace has sent something, before the step in
// question, to a neighbour that does not exist.
func sentToNobody(d golden.Difference) bool {
	c := d.Case.Context.(Context)
	steps := c.Trace.Steps
	if c.Step >= 0 {
		steps = steps[:c.Step]
	}
	gateway := false
	return slices.ContainsFunc(steps, func(s Step) bool {
		gateway = gateway || s.Op() == "gw_set"
		return s.text("host") == "absent neighbour" || gateway && s.text("host") == "off-link"
	})
}
