package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Some seconds of what runs for ten minutes: both instances move bytes both
// ways, the faulty one drops some, and nothing is left.
func TestSoak(t *testing.T) {
	inNamespaces(t)
	o := SoakOptions{Duration: 3 * time.Second, Lanes: 4, Faults: "loss=0.5%,reorder=1%,duplicate=0.5%,corrupt=0.2%", Stall: time.Minute, Seed: 1}
	if testing.Short() {
		o.Duration = time.Second
	}
	r, err := Soak(t.Context(), o)
	require.NoError(t, err)
	t.Log("\n" + r.Text())
	assert.Empty(t, r.Failures)
	require.Len(t, r.Instances, 2)
	for _, i := range r.Instances {
		assert.Positive(t, i.Connections)
		assert.Positive(t, i.BytesIn)
		assert.Positive(t, i.BytesOut)
	}
	assert.True(t, r.Instances[0].Offload)
	assert.Empty(t, r.Instances[0].Drops["fault: by chance"])
	assert.NotEmpty(t, r.Instances[1].Drops["fault: by chance"])
}
