package trace

import (
	"fmt"
	"strings"
	"unicode"
)

// Words is the event in one line for people, without time and family.
func (e *Event) Words() string { return printable(e.words()) }

func (e *Event) words() string {
	switch d := e.Data.(type) {
	case *Connection:
		return fmt.Sprintf("connection %d: %s to %s (%s)", d.Connection, d.Local, d.Remote, d.Role)
	case *Segment:
		verb := "-->"
		if e.Name == SegmentReceived {
			verb = "<--"
		}
		return fmt.Sprintf("%d %s %s", d.Connection, verb, d.words())
	case *Congestion:
		s := fmt.Sprintf("%d cwnd %d segments, %d bytes in flight, rto %s", d.Connection, d.Window, d.InFlight, Milliseconds(d.RTO))
		if d.SRTT != nil {
			s += ", srtt " + Milliseconds(*d.SRTT)
		}
		if d.State != "open" {
			s += ", " + d.State
		}
		return s
	case *Occupancy:
		s := fmt.Sprintf("%s: %d free, %d at the lowest", d.Pool, d.Free, d.Lowest)
		for _, h := range d.Holders {
			s += fmt.Sprintf(", %d with %s", h.Packets, strings.TrimSuffix(h.Kind+" of "+h.Name, " of "))
		}
		return s
	case *Empty:
		if !d.Served {
			return fmt.Sprintf("%s is empty: no packet after %s", d.Pool, Milliseconds(d.Waited))
		}
		return fmt.Sprintf("%s was empty: a packet came after %s", d.Pool, Milliseconds(d.Waited))
	case *Socket:
		return fmt.Sprintf("socket %s: %s to %s%s", d.Socket, d.From, d.To, because(d.Cause))
	case *Call:
		s := fmt.Sprintf("%s(%s): %s after %s", d.Service, d.Object, d.Status, Milliseconds(d.Took))
		if d.Bytes > 0 {
			s += fmt.Sprintf(", %d bytes", d.Bytes)
		}
		return s
	case *Dialogue:
		text := d.Text
		switch {
		case e.Name == SMTPReply:
			return fmt.Sprintf("<-- %d %s", d.Code, text)
		case text == "":
			text = fmt.Sprintf("(the mail, %d bytes)", d.Bytes)
		}
		return "--> " + text
	case *Dropped:
		return fmt.Sprintf("dropped%s: %s (%s, %d bytes)", d.Segment.words(d.Direction), d.Reason, d.Where, d.Bytes)
	case *Changed:
		return fmt.Sprintf("fault%s: %s", d.Segment.words(d.Direction), d.Done)
	case *Warning:
		return fmt.Sprintf("warning of %s: %s", d.Where, d.Text)
	case *Mark:
		s := d.Text
		if d.Bytes > 0 {
			s += fmt.Sprintf(" (%d bytes)", d.Bytes)
		}
		if d.Failed {
			s = "failed: " + s
		}
		return strings.TrimPrefix(e.Name, "workload:") + ": " + s
	case *Lost:
		return fmt.Sprintf("%d events are missing here", d.Events)
	case *End:
		if d.Interrupted {
			return "interrupted: " + d.Why
		}
		return "end"
	}
	return ""
}

func because(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + cause
}

func (d *Segment) words() string {
	s := fmt.Sprintf("[%s] seq %d", d.Flags, d.Seq)
	if strings.Contains(d.Flags, "A") {
		s += fmt.Sprintf(" ack %d", d.Ack)
	}
	s += fmt.Sprintf(" len %d win %d", d.Length, d.Window)
	for _, b := range d.SACK {
		s += fmt.Sprintf(" sack %d-%d", b[0], b[1])
	}
	if d.OutOfOrder {
		s += ", out of order"
	}
	if d.Again {
		s += ", again: " + string(d.Cause)
		if d.Waited != nil {
			s += " after " + Milliseconds(*d.Waited)
		}
		if d.Earlier != "" {
			s += "; the earlier one: " + d.Earlier
		}
	}
	return s
}

func (n *SegmentName) words(direction string) string {
	s := ""
	if direction != "" {
		s = " " + direction
	}
	if n == nil {
		return s
	}
	return fmt.Sprintf("%s: %d [%s] seq %d len %d", s, n.Connection, n.Flags, n.Seq, n.Length)
}

// Milliseconds is a time for people.
func Milliseconds(ms float64) string {
	switch {
	case ms >= 10000:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 1:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f µs", ms*1000)
}

// Notable tells that somebody who only wants to know what is out of the
// ordinary, and how the workload gets on, wants to see the event.
func (e *Event) Notable() bool {
	switch d := e.Data.(type) {
	case *Segment:
		return d.Again || d.OutOfOrder || strings.ContainsAny(d.Flags, "SFR")
	case *Congestion, *Occupancy, *Changed:
		return false
	case *Call:
		polled := d.Status == "NX_NO_PACKET" && d.Took < 1 // it did not wait: somebody looks whether there is something
		return d.Status != "NX_SUCCESS" && !polled
	}
	return true
}

// printable replaces what a terminal would act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
