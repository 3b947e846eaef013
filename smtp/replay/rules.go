package replay

import (
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
			Fields: []string{"ticks"},
			When: func(d golden.Difference) bool {
				want, got, ok := d.Number()
				return ok && max(want-got, got-want) <= tcpreplay.Tolerance
			},
		},
		inexpressible("NullText", NullText, "design: pointer and length are one string"),
		inexpressible("NullAddress", NullAddress, "design: NXD_ADDRESS * is netip.Addr"),
		inexpressible("Unchecked", Unchecked, "design: each service does the checks of the error-checking front end"),
		inexpressible("Initialization", Initialization, "no ThreadX underneath"),
		{
			Name:   "CrashEnds",
			Why:    "what crashes or spins in the original ends with an error here (design 8; ledger entries LongCodeCrashes, CreateUnchecked, HeaderFailureSwallowed)",
			Fields: []string{"returned", "status"},
			When: func(d golden.Difference) bool {
				got, _ := d.Case.Got.(map[string]any)
				status, _ := got["status"].(float64)
				return d.Case.Kind == KindReturns && status != 0
			},
		},
	}
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
