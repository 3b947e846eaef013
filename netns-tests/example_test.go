package parity_test

import (
	"context"
	"fmt"

	parity "gonetx/netns-tests"
)

// A conversation of one's own, in memory.
func Example() {
	scenarios, err := parity.Parse("mine", `
scenario two-segments
shows    Two segments and a byte, and a peer that ends first.
peer  listen 7
stack connect 7 | peer accept
stack send 2mss+1 | peer receive 2mss+1
peer  shutdown
stack state -> CLOSE_WAIT
stack disconnect | peer receive end
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	report := parity.Run(context.Background(), parity.Options{Scenarios: scenarios, Places: []string{"ram"}})
	for _, r := range report.Results {
		fmt.Println(r.Scenario, "at", r.Place, "is the", r.Verdict)
		fmt.Println("explained by HeaderBytes:", r.Rules["HeaderBytes"] > 0)
	}
	// Output:
	// two-segments at ram is the same
	// explained by HeaderBytes: true
}

// What is wrong is told with its place.
func ExampleParse_errors() {
	_, err := parity.Parse("mine.parity", "scenario a\nshows x\nstack conect 7\n")
	fmt.Println(err.Error()[:44])
	// Output:
	// mine.parity:3: stack cannot "conect": accept
}
