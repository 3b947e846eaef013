package tcp

import "gonetx/packetpool/nx"

// suspended is a caller that is suspended on a socket. status and cause are
// written by whoever takes it off its list, under the protocol's lock.
type suspended struct {
	*nx.Suspension
	socket *Socket // that asked; the owner of the list may be another one
	left   uint32  // bytes of the message of a sender
	stream bool    // which is a piece of a stream
	status nx.Status
	cause  error
}

// suspensions is a suspension list, first come, first served. It is guarded by the
// protocol's lock.
type suspensions []*suspended

func (l *suspensions) remove(w *suspended) bool {
	for i, other := range *l {
		if other == w {
			*l = append((*l)[:i], (*l)[i+1:]...)
			return true
		}
	}
	return false
}

// resume ends the wait of the oldest waiter; false when nobody waits.
func (l *suspensions) resume(status nx.Status, cause error) bool {
	if len(*l) == 0 {
		return false
	}
	w := (*l)[0]
	(*l)[0] = nil
	*l = (*l)[1:]
	if len(*l) == 0 {
		*l = nil
	}
	w.status, w.cause = status, cause
	w.Resume()
	return true
}

// flush ends the wait of all.
func (l *suspensions) flush(status nx.Status, cause error) {
	for l.resume(status, cause) {
	}
}

// suspend puts the caller on a list until somebody resumes it or its wait runs
// out; expired tells the status then. It is called and returns with the
// protocol's lock held, and gives it up while it waits, as NetX Duo does with
// the mutex of the instance. An interrupt, which may be nil, ends the wait too.
func (p *protocol) suspend(l *suspensions, s *Socket, wait nx.Wait, in *interrupt, expired func() (nx.Status, error)) (nx.Status, error) {
	return p.suspendAs(&suspended{socket: s}, l, wait, in, expired)
}

func (p *protocol) suspendAs(w *suspended, l *suspensions, wait nx.Wait, in *interrupt, expired func() (nx.Status, error)) (nx.Status, error) {
	if in != nil && in.why != nil {
		return nx.WaitAborted, in.why
	}
	w.Suspension = p.spare.get(p.clock)
	*l = append(*l, w)
	if in != nil {
		in.waiting = append(in.waiting, interruptible{l, w})
	}
	p.mu.Unlock()
	served := w.Await(wait)
	if served {
		p.yield() // whoever has resumed it is more urgent, and goes on first
	}
	if !served && timerFirst(wait) {
		p.fastPeriodic()
	}
	p.mu.Lock()
	if in != nil {
		in.remove(w)
	}
	if !served && l.remove(w) {
		w.status, w.cause = expired()
	}
	p.spare.put(w.Suspension) // off all lists
	return w.status, w.cause
}

// stock is suspensions for the next callers: each wait needs a channel and a timer,
// and a dialogue waits for every answer. It is guarded by the protocol's lock.
type stock []*nx.Suspension

// stockSize bounds what is kept.
const stockSize = 64

func (k *stock) get(clock nx.Clock) *nx.Suspension {
	last := len(*k) - 1
	if last < 0 {
		return nx.NewSuspension(clock)
	}
	s := (*k)[last]
	(*k)[last] = nil
	*k = (*k)[:last]
	return s
}

func (k *stock) put(s *nx.Suspension) {
	if len(*k) < stockSize && s.Again() {
		*k = append(*k, s)
	}
}

// interrupt ends waits for another reason than time: what tx_thread_wait_abort
// is in ThreadX. The bridge to net.Conn needs it for deadlines and Close. It is
// guarded by the protocol's lock.
type interrupt struct {
	why     error // nil: nothing is interrupted
	waiting []interruptible
}

type interruptible struct {
	list *suspensions
	w    *suspended
}

func (in *interrupt) remove(w *suspended) {
	for i := range in.waiting {
		if in.waiting[i].w == w {
			in.waiting = append(in.waiting[:i], in.waiting[i+1:]...)
			return
		}
	}
}

// set interrupts the waits that are and those to come; nil ends that.
func (in *interrupt) set(why error) {
	in.why = why
	if why == nil {
		return
	}
	for _, i := range in.waiting {
		if i.list.remove(i.w) {
			i.w.status, i.w.cause = nx.WaitAborted, why
			i.w.Resume()
		}
	}
}
