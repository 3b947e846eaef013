package bench

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func names(cells []Cell) (s []string) {
	for _, c := range cells {
		s = append(s, c.String())
	}
	return s
}

func TestSelection(t *testing.T) {
	everything := Selection{}.cells()
	assert.Len(t, everything, 5*2*2*3+2*2*2, "all by all, and bulk with the large MTU")
	assert.Len(t, all(everything), 4)
	assert.Equal(t, []string{
		"bulk-in IPv6 kernel 1500", "bulk-in IPv6 naive 1500", "bulk-in IPv6 nxduo 1500", "bulk-in IPv6 nxduo 65535",
		"mails IPv6 kernel 1500", "mails IPv6 naive 1500", "mails IPv6 nxduo 1500",
	}, names(Selection{Kinds: []Kind{BulkIn, Mails}, Lanes: []int{1}, Families: []int{6}}.cells()))
	assert.Equal(t, []string{"connect x3 IPv4 nxduo 1400", "connect x3 IPv4 nxduo 9000"},
		names(Selection{Kinds: []Kind{Connect}, Lanes: []int{3}, Families: []int{4}, Designs: []Name{NXDuo}, MTUs: []int{1400, 9000}}.cells()))
	assert.Less(t, Options{}.Estimate(), 170*time.Second, "a run takes less than three minutes")

	_, err := parse("workload", []string{"bulk-out", "bulk"}, kinds)
	assert.EqualError(t, err, `there is no workload "bulk": bulk-out, bulk-in, roundtrip, connect, mails`)
}

// fakeLab answers what it is told and remembers what it was asked.
type fakeLab struct {
	asked  []string
	answer func(c Client, o order, n int) (answer, error)
}

type fakeClient struct {
	lab    *fakeLab
	client Client
}

func (l *fakeLab) client(c Client) (asker, About, error) {
	if c.Design == Naive {
		return nil, About{}, errors.New("no device")
	}
	return fakeClient{l, c}, About{Client: c, Text: "fake"}, nil
}

func (l *fakeLab) peer(c Client, family int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, 0, byte(family)})
}

func (c fakeClient) ask(_ context.Context, o order) (answer, error) {
	what := "extras"
	if o.Measure != nil {
		what = string(o.Measure.Kind) + " " + o.Measure.To.String()
	}
	c.lab.asked = append(c.lab.asked, string(c.client.Design)+" "+what)
	return c.lab.answer(c.client, o, len(c.lab.asked))
}

func TestRunGoesRoundByRoundAndNotesFailures(t *testing.T) {
	l := &fakeLab{answer: func(c Client, o order, n int) (answer, error) {
		if n == 2 {
			return answer{}, errors.New("broken pipe")
		}
		return answer{Units: float64(100 * n), Seconds: 2, CPU: 1}, nil
	}}
	var steps []int
	o := Options{
		Selection: Selection{Kinds: []Kind{Connect}, Lanes: []int{1}, Families: []int{4}},
		Rounds:    2,
		Progress:  func(_ string, done, of int) { steps = append(steps, done, of) },
	}
	r, err := run(t.Context(), l, o)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"kernel connect 10.0.0.4:11", "nxduo connect 10.0.0.4:11", // the naive design is not there
		"nxduo connect 10.0.0.4:11", "kernel connect 10.0.0.4:11",
		"nxduo extras", "nxduo extras",
	}, l.asked)
	assert.Equal(t, []int{1, 6, 2, 6, 3, 6, 4, 6, 5, 6, 6, 6}, steps)
	require.Len(t, r.Results, 3)
	rates := func(samples []Sample) (of [][3]float64) {
		for _, s := range samples {
			of = append(of, [3]float64{float64(s.Round), s.Rate, s.Cost})
		}
		return of
	}
	assert.Equal(t, [][3]float64{{0, 50, 1e4}, {1, 200, 2500}}, rates(r.Results[0].Samples))
	assert.Equal(t, []string{"round 1: no device", "round 2: no device"}, r.Results[1].Failures)
	assert.Equal(t, []string{"round 1: broken pipe"}, r.Results[2].Failures)
	require.Len(t, r.Results[2].Samples, 1)
	assert.InDelta(t, 0.75, *r.Results[2].ToKernel, 1e-9, "the round that both have")
	assert.True(t, r.Failed())
	assert.Equal(t, "no device", r.Memory[0].Failure)
	assert.Equal(t, map[string]About{"kernel 1500": {Client{Design: Kernel, MTU: 1500}, "fake"}, "nxduo 1500": {Client{Design: NXDuo, MTU: 1500}, "fake"}}, r.Clients)
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	l := &fakeLab{answer: func(Client, order, int) (answer, error) {
		cancel(enough)
		return answer{Units: 1, Seconds: 1}, nil
	}}
	_, err := run(ctx, l, Options{})
	assert.ErrorIs(t, err, enough)
	assert.Len(t, l.asked, 1)
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := &progress{w: &b, left: 10 * time.Second}
	p.step("bulk-out", 1, 10)
	p.end()
	assert.Equal(t, "1/10, 9s left: bulk-out\n", b.String())

	b.Reset()
	p = &progress{w: &b, overwrite: true, left: 10 * time.Second}
	p.step("bulk-out", 10, 10)
	p.end()
	assert.Equal(t, "\r10/10, 0s left: bulk-out\x1b[K\r\x1b[K", b.String())
}

func TestFlags(t *testing.T) {
	good := flags{Rounds: 1, Duration: time.Second, MTU: []int{1280, 65535}, AtOnce: []int{1, 64}}
	require.NoError(t, good.check())
	for _, bad := range []flags{
		{Rounds: 0, Duration: time.Second},
		{Rounds: 1, Duration: time.Millisecond},
		{Rounds: 1, Duration: time.Second, MTU: []int{1279}},
		{Rounds: 1, Duration: time.Second, MTU: []int{65536}},
		{Rounds: 1, Duration: time.Second, AtOnce: []int{0}},
	} {
		assert.Error(t, bad.check(), "%+v", bad)
	}
}
