package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A cost that grows is not linear, unless bare gVisor's does so, too, or is the same; one
// that falls is.
func TestJudge(t *testing.T) {
	n, b := Client{Design: NXDuo, MTU: small}, Client{Design: Bare, MTU: small}
	list := []Measured{
		{Kind: BulkIn, Client: b, Number: 1, Cost: 100}, {Kind: BulkIn, Client: n, Number: 1, Cost: 120},
		{Kind: BulkIn, Client: b, Number: 10, Cost: 100}, {Kind: BulkIn, Client: n, Number: 10, Cost: 140},
		{Kind: BulkIn, Client: b, Number: 100, Cost: 200}, {Kind: BulkIn, Client: n, Number: 100, Cost: 280},
		{Kind: BulkIn, Client: b, Number: 1000, Cost: 210}, {Kind: BulkIn, Client: n, Number: 1000, Cost: 400, Frame: 1460},
		{Kind: BulkOut, Client: n, Number: 1, Cost: 100}, {Kind: BulkOut, Client: n, Number: 10, Failure: "broken"},
		{Kind: BulkOut, Client: n, Number: 100, Cost: 50}, {Kind: BulkOut, Client: n, Number: 1000, Cost: 90},
		{Kind: RoundTrip, Client: b, Number: 1, Cost: 20}, {Kind: RoundTrip, Client: n, Number: 1, Cost: 10},
		{Kind: RoundTrip, Client: b, Number: 10, Cost: 20}, {Kind: RoundTrip, Client: n, Number: 10, Cost: 24},
	}
	judge(list)
	var verdicts []Verdict
	for _, m := range list {
		if m.Design == NXDuo {
			verdicts = append(verdicts, m.Verdict)
		}
	}
	assert.Equal(t, []Verdict{"", Linear, AsBare, NotLinear, "", "", Linear, NotLinear, "", AsBare}, verdicts)
	assert.InDelta(t, 1.2, *list[1].ToBare, 1e-9)
	assert.InDelta(t, 2.0, *list[5].Growth, 1e-9)
	assert.InDelta(t, 0.5, *list[10].Growth, 1e-9, "to the one before that could be measured")

	r := ScaleReport{Connections: list, Transfers: []Measured{
		{Kind: BulkIn, Client: Client{Design: NXDuo, MTU: small, Pool: 512 << 10}, Number: 1000, Cost: 5},
		{Kind: BulkIn, Client: Client{Design: NXDuo, MTU: small, Pool: 512 << 10}, Number: 10000, Cost: 50},
	}}
	judge(r.Transfers)
	assert.True(t, r.Failed())
	assert.Equal(t, 3, r.Steps())
	table := r.Table()
	t.Log("\n" + table)
	for _, want := range []string{"NOT LINEAR !", "as bare", "nxduo: broken", "pools of 512 KiB", "50.0        !", "3 not linear"} {
		assert.Contains(t, table, want)
	}
}

// A report says nothing of what was not measured.
func TestScaleSaysWhatItMeasured(t *testing.T) {
	stack := Client{Design: NXDuo, MTU: small}
	r := &ScaleReport{Connections: []Measured{{Kind: Connect, Client: stack, Number: 1, Cost: 10}, {Kind: Connect, Client: stack, Number: 10, Cost: 10}}}
	judge(r.Connections)
	assert.Contains(t, r.Table(), "\neverything is linear")
	r.Connections[1] = Measured{Kind: Connect, Client: stack, Number: 10, Failure: "it does not start"}
	assert.NotContains(t, r.Table(), "everything is linear")
	assert.Contains(t, r.Table(), "not everything was")
	r.Connections[0] = Measured{Kind: Connect, Client: stack, Number: 1, Failure: "it does not start"}
	assert.Contains(t, r.Table(), "\nnothing could be measured")
}
