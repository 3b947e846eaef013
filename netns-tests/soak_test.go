package parity

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSoak runs the table NETNS_TESTS_ROUNDS times: an answer that depends on
// the weather is no answer.
//
//	NETNS_TESTS_ROUNDS=20 go test -run TestSoak -timeout 30m ./netns-tests
func TestSoak(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("NETNS_TESTS_ROUNDS"))
	if err != nil {
		t.Skip("set NETNS_TESTS_ROUNDS to run the table so many times")
	}
	for n := range rounds {
		report := Run(t.Context(), Options{})
		for i := range report.Results {
			if x := &report.Results[i]; x.Verdict != Same && x.Verdict != NotRun {
				t.Errorf("round %d: %s at %s: %s\n%s", n, x.Scenario, x.Place, x.Verdict, x.Difference())
			}
		}
		assert.NotEmpty(t, report.Results)
		t.Logf("round %d: %d results in %v", n, len(report.Results), report.Took.Round(1e6))
	}
}
