package trace

import (
	"bufio"
	"encoding/json"
	"io"
)

// Write writes a whole trace.
func (t *Trace) Write(to io.Writer) error {
	b := bufio.NewWriter(to)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(t.Header); err != nil {
		return err
	}
	for i := range t.Events {
		if err := e.Encode(&t.Events[i]); err != nil {
			return err
		}
	}
	end := t.End
	end.Events = len(t.Events)
	if err := e.Encode(&Event{Name: TraceEnd, Data: &end}); err != nil {
		return err
	}
	return b.Flush()
}
