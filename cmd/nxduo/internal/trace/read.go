package trace

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Trace is a whole trace.
type Trace struct {
	Header Header
	Events []Event // without the last one
	End    End
}

// What is wrong with a file.
var (
	ErrForeign   = errors.New("this is no trace of nxduo")
	ErrVersion   = errors.New("this program does not know the version of the trace")
	ErrTruncated = errors.New("the trace is cut off")
	ErrOrder     = errors.New("the trace is out of order")
	ErrUnknown   = errors.New("unknown")
)

// LineError is an error in a line of a trace, counted from 1.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }

// longest is the longest line that is read.
const longest = 1 << 24

// Read reads a trace. Of one that is cut off it answers what there is, besides
// an error that wraps ErrTruncated. Every error but one of the reader is a
// *LineError.
func Read(from io.Reader) (*Trace, error) {
	t := &Trace{}
	var p progress
	err := lines(from, func(n int, line []byte) error {
		if n == 1 {
			h, err := header(line)
			t.Header = h
			return err
		}
		e, err := event(line)
		if err == nil {
			err = p.next(&e)
		}
		if err != nil {
			return err
		}
		if end, ok := e.Data.(*End); ok {
			t.End = *end
			return nil
		}
		t.Events = append(t.Events, e)
		return nil
	})
	if err == nil {
		err = p.complete()
	}
	if err != nil && t.Header.Format == "" {
		return nil, err
	}
	return t, err
}

// lines calls f with each line. It adds the number to an error, and ends with
// the first.
func lines(from io.Reader, f func(n int, line []byte) error) error {
	r := bufio.NewReaderSize(from, 1<<16)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		switch {
		case len(line) > longest:
			return &LineError{n, fmt.Errorf("%w: a line of %d bytes", ErrForeign, len(line))}
		case errors.Is(err, io.EOF) && len(line) == 0 && n == 1:
			return &LineError{n, fmt.Errorf("%w: it is empty", ErrForeign)}
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case errors.Is(err, io.EOF) && n > 1:
			return &LineError{n, fmt.Errorf("%w in the middle of this line", ErrTruncated)}
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		if err := f(n, bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return &LineError{n, err}
		}
		if err != nil {
			return nil
		}
	}
}

// header reads the first line.
func header(line []byte) (h Header, err error) {
	var what struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if json.Unmarshal(line, &what) != nil || what.Format != Format {
		return h, ErrForeign
	}
	if what.Version != Version {
		return h, fmt.Errorf("%w: %d, it knows %d", ErrVersion, what.Version, Version)
	}
	return h, strict(line, &h)
}

// event reads a further line.
func event(line []byte) (e Event, err error) {
	var raw struct {
		Time   *float64        `json:"time"`
		Family string          `json:"family"`
		Name   string          `json:"name"`
		Data   json.RawMessage `json:"data"`
	}
	if err := strict(line, &raw); err != nil {
		return e, err
	}
	data, known := dataOf[raw.Name]
	switch {
	case !known:
		return e, fmt.Errorf("%w event %q", ErrUnknown, raw.Name)
	case raw.Time == nil:
		return e, fmt.Errorf("event %s has no time", raw.Name)
	}
	e = Event{Time: *raw.Time, Family: raw.Family, Name: raw.Name, Data: data()}
	if err := strict(raw.Data, e.Data); err != nil {
		return e, fmt.Errorf("data of %s: %w", raw.Name, err)
	}
	return e, nil
}

// lenient reads what there is of the fields.
func lenient(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return nil
}

// strict refuses fields that are not known.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more than one JSON value")
	}
	return nil
}

// progress sees that the events are in order.
type progress struct {
	events   int
	times    map[string]float64 // the last of each family
	started  map[int]string     // connections, with their family
	families map[string]bool    // of the header; only Check looks
	end      *End
}

// next takes in an event.
func (p *progress) next(e *Event) error {
	if p.end != nil {
		return fmt.Errorf("%w: there are lines behind %s", ErrOrder, TraceEnd)
	}
	if end, ok := e.Data.(*End); ok {
		p.end = end
		if end.Events != p.events {
			return fmt.Errorf("%w: %s counts %d events, there are %d", ErrOrder, TraceEnd, end.Events, p.events)
		}
		return nil
	}
	p.events++
	if p.times == nil {
		p.times, p.started = make(map[string]float64), make(map[int]string)
	}
	if last := p.times[e.Family]; e.Time < last {
		return fmt.Errorf("%w: time %.3f ms after %.3f ms", ErrOrder, e.Time, last)
	}
	p.times[e.Family] = e.Time
	if c, ok := e.Data.(*Connection); ok {
		if _, again := p.started[c.Connection]; again {
			return fmt.Errorf("%w: connection %d starts twice", ErrOrder, c.Connection)
		}
		p.started[c.Connection] = e.Family
		return nil
	}
	if n := e.Connection(); n != 0 {
		if family, ok := p.started[n]; !ok || family != e.Family {
			return fmt.Errorf("%w: connection %d has not started in this family", ErrOrder, n)
		}
	}
	return nil
}

// complete tells whether there was an end.
func (p *progress) complete() error {
	if p.end == nil {
		return &LineError{p.events + 1, fmt.Errorf("%w after this line: there is no %s", ErrTruncated, TraceEnd)}
	}
	return nil
}

// Connection is the number of the connection that an event is about; 0: none.
func (e *Event) Connection() int {
	name := func(s *SegmentName) int {
		if s == nil {
			return 0
		}
		return s.Connection
	}
	switch d := e.Data.(type) {
	case *Connection:
		return d.Connection
	case *Segment:
		return d.Connection
	case *Congestion:
		return d.Connection
	case *Dropped:
		return name(d.Segment)
	case *Changed:
		return name(d.Segment)
	}
	return 0
}
