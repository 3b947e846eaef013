package trace

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (2020-12) of a line of a trace.
func Schema() []byte { return bytes.Clone(schema) }

// compiled are the schemas of the header ("header") and of each event, by name.
var compiled = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", document); err != nil {
		return nil, err
	}
	all := make(map[string]*jsonschema.Schema)
	names := []string{"header"}
	for name := range dataOf {
		names = append(names, name)
	}
	for _, name := range names {
		if all[name], err = c.Compile("schema.json#/$defs/" + name); err != nil {
			return nil, err
		}
	}
	return all, nil
})

// Checked is what Check has seen.
type Checked struct {
	Events      int
	Interrupted bool
	Problems    []error // *LineError, in the order of the lines
}

// Check holds a trace against the schema and the order of events. It goes on
// behind a line that is wrong, up to a number of problems; what is not a trace
// at all is one. The error is one of the reader.
func Check(from io.Reader, most int) (Checked, error) {
	var c Checked
	schemas, err := compiled()
	if err != nil {
		return c, err
	}
	var p progress
	enough := errors.New("enough")
	err = lines(from, func(n int, line []byte) error {
		err := check(schemas, &p, n, line)
		if errors.Is(err, ErrForeign) || errors.Is(err, ErrVersion) {
			return err
		}
		if err != nil {
			c.Problems = append(c.Problems, &LineError{n, err})
		}
		if len(c.Problems) >= most {
			return enough
		}
		return nil
	})
	c.Events = p.events
	if p.end != nil {
		c.Interrupted = p.end.Interrupted
	}
	var line *LineError
	switch {
	case errors.Is(err, enough):
		err = nil
	case errors.As(err, &line):
		c.Problems = append(c.Problems, err)
		err = nil
	case err == nil && p.end == nil:
		c.Problems = append(c.Problems, p.complete())
	}
	return c, err
}

// check holds one line against the schema, and against the lines before.
func check(schemas map[string]*jsonschema.Schema, p *progress, n int, line []byte) error {
	if n == 1 {
		h, err := header(line)
		if errors.Is(err, ErrForeign) || errors.Is(err, ErrVersion) {
			return err
		}
		p.families = make(map[string]bool)
		for _, f := range h.Families {
			p.families[f.Family] = true
		}
		return conform(schemas["header"], line)
	}
	var name struct {
		Name string `json:"name"`
	}
	if err := lenient(line, &name); err != nil {
		p.events++
		return err
	}
	s := schemas[name.Name]
	if s == nil || name.Name == "header" {
		p.events++
		return fmt.Errorf("%w event %q", ErrUnknown, name.Name)
	}
	if err := conform(s, line); err != nil {
		p.events++
		return err
	}
	e, err := event(line)
	if err != nil {
		p.events++
		return err
	}
	if e.Family != "" && !p.families[e.Family] {
		p.events++
		return fmt.Errorf("%w family %q: the header does not name it", ErrUnknown, e.Family)
	}
	return p.next(&e)
}

// conform tells where a line departs from a schema.
func conform(s *jsonschema.Schema, line []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		return err
	}
	err = s.Validate(v)
	var wrong *jsonschema.ValidationError
	if !errors.As(err, &wrong) {
		return err
	}
	for len(wrong.Causes) > 0 { // the innermost says most
		wrong = wrong.Causes[0]
	}
	where := ""
	for _, w := range wrong.InstanceLocation {
		where += "/" + w
	}
	if where == "" {
		where = "/"
	}
	return fmt.Errorf("%s: %s", where, wrong.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
}
