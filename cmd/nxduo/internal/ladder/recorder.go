// Package ladder shows an SMTP session as a ladder: what the client said on the
// left, what the server said on the right, with times, sizes, and the TCP
// segments that carried it. It is made from the events of the stack and the
// client, which hold no credentials.
package ladder

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gonetx/packetpool/nx"
)

// Row is one message of the dialogue: a command, a reply with all its lines,
// or the mail itself.
type Row struct {
	At       time.Duration `json:"at_ns"`          // since the recorder was made
	From     string        `json:"from"`           // "client" or "server"
	Code     int           `json:"code,omitempty"` // of a reply
	Lines    []string      `json:"lines"`          // of a reply without its code
	Bytes    int           `json:"bytes"`
	Segments int           `json:"segments"`         // with data, as on the wire
	Again    int           `json:"again"`            // of them sent for another time
	Detail   bool          `json:"detail,omitempty"` // a single segment or change of state, in a recorder that shows them
}

// The two sides of a ladder.
const (
	Client = "client"
	Server = "server"
)

// Totals counts what crossed the link in one direction.
type Totals struct {
	Segments int `json:"segments"` // on the wire, acknowledgements included
	Data     int `json:"data"`     // of them with data
	Bytes    int `json:"bytes"`    // of data
	Again    int `json:"again"`    // with data that had been sent before
}

// Summary is what a session did besides talking.
type Summary struct {
	Sent     Totals         `json:"sent"`
	Received Totals         `json:"received"`
	Drops    map[string]int `json:"drops,omitempty"`    // by reason
	Warnings []string       `json:"warnings,omitempty"` // each once
	Lowest   map[string]int `json:"-"`                  // free packets of a pool, the least seen
}

// Recorder makes rows of events. It implements nx.Recorder.
type Recorder struct {
	detail bool
	start  time.Time

	mu      sync.Mutex // guards the fields below
	rows    []Row
	open    int // the client's row whose segments are still counted; -1: none
	reply   int // the server's row that further lines belong to; -1: none
	sent    direction
	arrived direction
	drops   map[string]int
	lowest  map[string]int
	warned  []string
	changed chan struct{} // has room for one
}

// direction is the data of one connection in one direction.
type direction struct {
	Totals
	next    uint32 // sequence number behind the last byte seen
	known   bool   // next means something
	pending Totals // since the last row of this side
}

// New makes a recorder. With detail every segment and every state of a socket
// is a row as well.
func New(detail bool) *Recorder {
	return &Recorder{detail: detail, start: time.Now(), open: -1, reply: -1, changed: make(chan struct{}, 1)}
}

// Record implements nx.Recorder.
func (r *Recorder) Record(e nx.Event) {
	at := time.Since(r.start)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e := e.(type) {
	case nx.DialogueEvent:
		r.dialogue(at, e)
	case nx.SegmentEvent:
		r.segment(at, e)
	case nx.SocketEvent:
		if r.detail {
			r.add(Row{At: at, From: Client, Lines: []string{"(" + e.From + " to " + e.To + because(e.Cause) + ")"}, Detail: true})
		}
	case nx.PacketEvent:
		r.low(e.Pool, e.Free)
	case nx.PoolEmptyEvent:
		r.low(e.Pool, 0)
	case nx.DropEvent:
		if r.drops == nil {
			r.drops = make(map[string]int)
		}
		r.drops[e.Reason]++
	case nx.WarningEvent:
		if !slices.Contains(r.warned, e.Text) {
			r.warned = append(r.warned, e.Text)
		}
	default:
		return
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func because(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + cause
}

func (r *Recorder) low(pool string, free int) {
	if r.lowest == nil {
		r.lowest = make(map[string]int)
	}
	if least, seen := r.lowest[pool]; !seen || free < least {
		r.lowest[pool] = free
	}
}

// dialogue adds a row, or a line to the last one. The two sides take turns, so
// that the data sent between two replies belongs to the command between them,
// whether its event came before or after its segments.
func (r *Recorder) dialogue(at time.Duration, e nx.DialogueEvent) {
	if e.Direction == nx.Sent {
		text := e.Text
		if text == "" {
			text = "(the mail)"
		}
		r.settle()
		r.add(Row{At: at, From: Client, Lines: []string{text}, Bytes: e.Bytes})
		r.open, r.reply = len(r.rows)-1, -1
		return
	}
	if e.Bytes == 0 && r.reply >= 0 {
		r.rows[r.reply].Lines = append(r.rows[r.reply].Lines, e.Text)
		return
	}
	r.settle()
	r.open, r.reply = -1, len(r.rows)
	r.add(Row{
		At: at, From: Server, Code: e.Code, Lines: []string{e.Text}, Bytes: e.Bytes,
		Segments: r.arrived.pending.Data, Again: r.arrived.pending.Again,
	})
	r.arrived.pending = Totals{}
}

// settle gives the client's open row what was sent since the row before it.
func (r *Recorder) settle() {
	r.update()
	if r.open >= 0 {
		r.sent.pending = Totals{}
	}
}

// update shows in the open row what was sent so far.
func (r *Recorder) update() {
	if r.open >= 0 {
		row := &r.rows[r.open]
		row.Segments, row.Again = r.sent.pending.Data, r.sent.pending.Again
	}
}

func (r *Recorder) add(row Row) { r.rows = append(r.rows, row) }

func (r *Recorder) segment(at time.Duration, e nx.SegmentEvent) {
	d, from := &r.sent, Client
	if e.Direction == nx.Received {
		d, from = &r.arrived, Server
	}
	d.count(e)
	if r.detail {
		r.add(Row{At: at, From: from, Lines: []string{describe(e)}, Bytes: e.Length, Segments: onWire(e), Detail: true})
	}
}

// TCP flags.
const (
	fin = 1
	syn = 2
	rst = 4
	psh = 8
	ack = 16
)

func (d *direction) count(e nx.SegmentEvent) {
	d.Segments += onWire(e)
	if e.Flags&syn != 0 {
		d.next, d.known = e.Sequence+1, true
	}
	if e.Length == 0 {
		return
	}
	again := d.known && int32(e.Sequence-d.next) < 0
	if end := e.Sequence + uint32(e.Length); !d.known || int32(end-d.next) > 0 {
		d.next, d.known = end, true
	}
	for _, t := range []*Totals{&d.Totals, &d.pending} {
		t.Data += onWire(e)
		t.Bytes += e.Length
		if again {
			t.Again += onWire(e)
		}
	}
}

// onWire is how many segments a super-segment makes.
func onWire(e nx.SegmentEvent) int {
	if e.GSOSize <= 0 || e.Length <= e.GSOSize {
		return 1
	}
	return (e.Length + e.GSOSize - 1) / e.GSOSize
}

// describe answers "[SYN,ACK]".
func describe(e nx.SegmentEvent) string {
	var names []string
	for _, f := range []struct {
		bit  uint8
		name string
	}{{syn, "SYN"}, {fin, "FIN"}, {rst, "RST"}, {psh, "PSH"}, {ack, "ACK"}} {
		if e.Flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return "[" + strings.Join(names, ",") + "]"
}

// Rows are the messages so far. The last ones of a session that goes on may
// still grow.
func (r *Recorder) Rows() []Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.update()
	rows := slices.Clone(r.rows)
	for i := range rows {
		rows[i].Lines = slices.Clone(rows[i].Lines)
	}
	return rows
}

// Summary is what the session did so far.
func (r *Recorder) Summary() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Summary{
		Sent: r.sent.Totals, Received: r.arrived.Totals,
		Drops: maps.Clone(r.drops), Warnings: slices.Clone(r.warned), Lowest: maps.Clone(r.lowest),
	}
}

// Changed tells that there is something new. One reader at a time may wait on
// it.
func (r *Recorder) Changed() <-chan struct{} { return r.changed }
