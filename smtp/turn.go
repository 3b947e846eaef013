package smtp

import (
	"context"
	"slices"
	"sync"

	"gonetx/packetpool/nx"
)

// turn serialises the sessions of a client, first come, first served. It is a
// lock whose waiters wait as in all services, so that a driven clock knows of
// them, and leave when their context ends.
type turn struct {
	mu      sync.Mutex // guards the fields below, and those of the waiters
	taken   bool
	waiting []*waiter
}

type waiter struct {
	*nx.Suspension
	served bool
}

// take waits for the turn; it answers the error of a context that ended first.
func (t *turn) take(ctx context.Context, clock nx.Clock) error {
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return nil
	}
	w := &waiter{Suspension: nx.NewSuspension(clock)}
	t.waiting = append(t.waiting, w)
	t.mu.Unlock()

	stop := context.AfterFunc(ctx, func() { t.leave(w) })
	defer stop()
	w.Await(nx.WaitForever)

	t.mu.Lock()
	defer t.mu.Unlock()
	if !w.served {
		return ctx.Err()
	}
	return nil
}

// give hands the turn to the oldest waiter, or leaves it to whoever comes.
func (t *turn) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.taken = false
		return
	}
	w := t.waiting[0]
	t.waiting = slices.Delete(t.waiting, 0, 1)
	w.served = true
	w.Resume()
}

// leave ends the wait of one whose context has ended.
func (t *turn) leave(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiting, w); i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
		w.Resume()
	}
}
