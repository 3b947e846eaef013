package parity

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Lane is a kind of event. Within a lane the order is kept and compared; how
// two lanes lie to each other is not, where time is real.
type Lane string

const (
	Steps  Lane = "steps"  // what became of each action
	States Lane = "states" // of the stack's sockets
	Wire   Lane = "wire"   // datagrams, as the stack sends and gets them
	Drops  Lane = "drops"  // what was dropped, damaged or delayed, and why
	Mail   Lane = "mail"   // the dialogue of the SMTP client
	Pools  Lane = "pools"  // packets of the stack's pools
	Counts Lane = "counts" // counters of TCP, at the end
)

var lanes = []Lane{Steps, States, Wire, Drops, Mail, Pools, Counts}

// Event is one thing that happened. Addresses, ports, header lengths and
// sequence numbers are not in it.
type Event struct {
	Lane    Lane     `json:"lane"`
	Step    int      `json:"step"` // index of the step in which it happened; -1: not kept
	Tick    int      `json:"tick"` // since the begin of that step, in driven time; -1: not kept
	What    string   `json:"what"` // "sent SYN", "ESTABLISHED to CLOSE_WAIT"
	Numbers []Number `json:"numbers,omitempty"`
	segment *segment
}

// Number is a number of an event, by its name.
type Number struct {
	Name  string `json:"name"`
	Value int    `json:"value"`
}

// String is the event in a line.
func (e Event) String() string {
	var b strings.Builder
	b.WriteString(e.What)
	for _, n := range e.Numbers {
		fmt.Fprintf(&b, " %s=%d", n.Name, n.Value)
	}
	return b.String()
}

// number is a number of the event; false when it has none of that name.
func (e Event) number(name string) (int, bool) {
	for _, n := range e.Numbers {
		if n.Name == name {
			return n.Value, true
		}
	}
	return 0, false
}

// Trace is what one run of a scenario showed.
type Trace struct {
	Family int     `json:"family"` // 4 or 6
	Events []Event `json:"events,omitempty"`

	// MTU and MSS are those of the run: what a rule explains a size by.
	MTU int `json:"mtu"`
	MSS int `json:"mss"`

	// Failures are steps that ended otherwise than the scenario says, and what
	// was lost. A trace with failures agrees with none.
	Failures []string `json:"failures,omitempty"`

	driven bool
	units  units
	pool   int // payload of the instance's pool
}

// lane answers the events of a lane.
func (t *Trace) lane(l Lane) []Event {
	var list []Event
	for _, e := range t.Events {
		if e.Lane == l {
			list = append(list, e)
		}
	}
	return list
}

// log takes the events of a run, from any goroutine.
type log struct {
	now func() time.Duration

	mu     sync.Mutex // guards the fields below
	on     bool
	step   int
	began  time.Duration // of the step
	events []Event
	lowest map[string]int // free packets of a pool that were seen least, since the step began
	names  *strings.Replacer
}

const tick = 10 * time.Millisecond

// add appends an event, at this moment.
func (l *log) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.on {
		return
	}
	e.Step, e.Tick = l.step, int((l.now()-l.began)/tick)
	l.events = append(l.events, e)
}

// begin tells that a step begins.
func (l *log) begin(step int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on, l.step, l.began = true, step, l.now()
	l.lowest = map[string]int{}
}

// end stops the log and answers its events.
func (l *log) end() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = false
	return slices.Clone(l.events)
}

// free notes how many packets of a pool are free.
func (l *log) free(pool string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if least, seen := l.lowest[pool]; l.lowest != nil && (!seen || n < least) {
		l.lowest[pool] = n
	}
}

// least is the smallest number of free packets since the step began.
func (l *log) least(pool string, now int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if least, seen := l.lowest[pool]; seen {
		return min(least, now)
	}
	return now
}

// nameless takes addresses out of a text.
func (l *log) nameless(text string) string {
	if l.names == nil {
		return text
	}
	return l.names.Replace(text)
}
