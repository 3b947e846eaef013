package parity

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSoak runs the table NETNS_TESTS_ROUNDS times, or once: an answer that
// depends on the weather is no answer.
//
//	NETNS_TESTS_ROUNDS=20 go test -run TestSoak -timeout 30m ./netns-tests
func TestSoak(t *testing.T) {
	rounds, options := 1, Options{}
	if text := os.Getenv("NETNS_TESTS_ROUNDS"); text != "" {
		var err error
		rounds, err = strconv.Atoi(text)
		require.NoError(t, err, "NETNS_TESTS_ROUNDS")
	} else if testing.Short() {
		options.Places = []string{"ram"}
	}
	for n := range rounds {
		report := Run(t.Context(), options)
		for i := range report.Results {
			if x := &report.Results[i]; x.Verdict != Same && x.Verdict != NotRun {
				t.Errorf("round %d: %s at %s: %s\n%s", n, x.Scenario, x.Place, x.Verdict, x.Difference())
			}
		}
		assert.NotEmpty(t, report.Results)
		t.Logf("round %d: %d results in %v", n, len(report.Results), report.Took.Round(1e6))
	}
}
