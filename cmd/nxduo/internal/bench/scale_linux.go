package bench

import (
	"context"
	"errors"
	"slices"
)

// Scale measures how cost grows. The process must be in a network of its own,
// and its program must call [Play], as for [Run].
func Scale(ctx context.Context, o ScaleOptions) (*ScaleReport, error) {
	o = o.withDefaults()
	slices.Sort(o.Connections)
	slices.Sort(o.Sizes)
	r := &ScaleReport{Machine: thisMachine()}
	selection := Selection{
		Kinds: []Kind{BulkOut, BulkIn, RoundTrip}, Lanes: o.Connections, Families: []int{4},
		Designs: []Name{Kernel, Bare, NXDuo}, MTUs: []int{small},
	}
	clients := []Client{{Design: Kernel, MTU: veth}, {Design: Bare, MTU: small}}
	for _, pool := range o.Pools {
		clients = append(clients, Client{Design: NXDuo, MTU: small, Pool: uint32(pool)})
	}
	of := o.Rounds*len(selection.cells()) + 2*transferRounds*len(o.Sizes)*len(clients)
	done := 0
	step := func(what string) {
		done++
		o.Progress(what, done, of)
	}
	l, err := newNamespaces(all(selection.cells()), reno)
	if err != nil {
		return nil, err
	}
	// Two packets for each sender: the message, and one for a part of it. With
	// fewer all of them may hold one and wait for the other, for ever.
	l.pool = max(poolMemory, uint32(2*slices.Max(o.Connections)*(outPayload+60)))
	many, err := run(ctx, l, Options{
		Selection: selection, Rounds: o.Rounds, Duration: o.Duration, NoExtras: true,
		Progress: func(what string, _, _ int) { step(what) },
	})
	if err = errors.Join(err, l.close()); err != nil {
		return nil, err
	}
	r.Connections = atOnce(many)
	if l, err = newNamespaces(clients, reno); err != nil {
		return nil, err
	}
	scale(ctx, l, o, clients, r, step)
	if err := errors.Join(l.close(), context.Cause(ctx)); err != nil {
		return nil, err
	}
	judge(r.Connections)
	judge(r.Transfers)
	return r, nil
}
