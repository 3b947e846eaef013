package trace

// Totals are the counts of a run over one family, taken from its events.
type Totals struct {
	Sent     Count          `json:"sent"`
	Received Count          `json:"received"`
	Drops    map[string]int `json:"drops,omitempty"`  // by reason
	Causes   map[Cause]int  `json:"causes,omitempty"` // of retransmissions, both directions
	Lowest   map[string]int `json:"lowest,omitempty"` // free packets of a pool, the least seen
	Empty    map[string]int `json:"empty,omitempty"`  // requests that found a pool empty
	Waited   float64        `json:"waited_ms"`        // of them, for packets, together
	Lost     int            `json:"events_lost"`      // events that are not in the trace
	Warnings int            `json:"warnings,omitempty"`

	Connections int `json:"connections"`
}

// Count is what went one way. What a fault or an empty pool took of what was
// to be received is not in Segments and Bytes, but counts as sent by the peer when
// it comes again.
type Count struct {
	Segments int   `json:"segments"` // on the wire
	Data     int   `json:"data"`     // of them with data
	Bytes    int64 `json:"bytes"`    // of data, each time that it went
	Again    int   `json:"retransmissions"`
	Late     int   `json:"out_of_order"`
	Dropped  int   `json:"dropped"` // segments
}

// Add takes in an event.
func (t *Totals) Add(e *Event) {
	switch d := e.Data.(type) {
	case *Connection:
		t.Connections++
	case *Segment:
		c := &t.Sent
		if e.Name == SegmentReceived {
			c = &t.Received
		}
		c.add(d)
		if d.Again {
			add(&t.Causes, d.Cause, d.Segments)
		}
	case *Dropped:
		add(&t.Drops, d.Reason, 1)
		if d.Segment != nil {
			if d.Direction == "received" {
				t.Received.Dropped++
			} else {
				t.Sent.Dropped++
			}
		}
	case *Occupancy:
		if least, seen := t.Lowest[d.Pool]; !seen || d.Lowest < least {
			if t.Lowest == nil {
				t.Lowest = make(map[string]int)
			}
			t.Lowest[d.Pool] = d.Lowest
		}
	case *Empty:
		add(&t.Empty, d.Pool, 1)
		t.Waited += d.Waited
	case *Lost:
		t.Lost += d.Events
	case *Warning:
		t.Warnings++
	}
}

func (c *Count) add(d *Segment) {
	c.Segments += d.Segments
	c.Bytes += int64(d.Length)
	if d.Length > 0 {
		c.Data += d.Segments
	}
	if d.Again {
		c.Again += d.Segments
	}
	if d.OutOfOrder {
		c.Late += d.Segments
	}
}

func add[K comparable](m *map[K]int, key K, n int) {
	if *m == nil {
		*m = make(map[K]int)
	}
	(*m)[key] += n
}
