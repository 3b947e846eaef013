package parity

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonetx/ip/link/fault"
)

// Limits of a file: a scenario is a conversation, no load.
const (
	maxFile  = 1 << 20
	maxBytes = 1 << 20
	maxWait  = 3 * time.Hour
	maxSteps = 200

	// maxRealSleep is how long a scenario may sleep where time is real.
	maxRealSleep = 5 * time.Second
)

// ParseFile reads the scenarios of a file; see [Parse].
func ParseFile(name string) ([]Scenario, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	return Parse(name, string(text))
}

// Parse reads scenarios from text. Each error begins with "name:line:"; all of
// them are reported, joined, up to ten.
func Parse(name, text string) ([]Scenario, error) {
	p := parser{file: name}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: longer than %d bytes", name, maxFile)
	}
	for line := range strings.Lines(text) {
		p.line++
		p.take(strings.TrimSpace(strings.ToValidUTF8(line, "?")))
	}
	p.end()
	if len(p.scenarios) == 0 && len(p.errors) == 0 {
		p.line = 1
		p.fail("no scenario: a file has lines that begin with \"scenario NAME\"")
	}
	if len(p.errors) > 0 {
		return nil, errors.Join(p.errors...)
	}
	return p.scenarios, nil
}

type parser struct {
	file      string
	line      int
	scenarios []Scenario
	current   *Scenario
	said      map[string]bool // settings of the current scenario
	errors    []error
}

func (p *parser) fail(format string, values ...any) {
	if len(p.errors) < 10 {
		p.errors = append(p.errors, fmt.Errorf("%s:%d: %s", p.file, p.line, fmt.Sprintf(format, values...)))
	}
}

func (p *parser) take(line string) {
	if line == "" || strings.HasPrefix(line, "#") {
		return
	}
	word, rest := cut(line)
	switch {
	case word == "scenario":
		p.begin(rest)
	case p.current == nil:
		p.fail("%q before the first \"scenario NAME\"", word)
	case word == "stack" || word == "peer" || word == "wire" || word == "time":
		p.step(line)
	case len(p.current.Steps) > 0:
		p.fail("%q is no step (stack, peer, wire, time); settings come before the first step", word)
	default:
		if p.said[word] {
			p.fail("%s is said twice", word)
		}
		p.said[word] = true
		if err := p.setting(word, rest); err != nil {
			p.fail("%s: %v", word, err)
		}
	}
}

var scenarioName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,59}$`)

func (p *parser) begin(name string) {
	p.end()
	if !scenarioName.MatchString(name) {
		p.fail("a scenario's name is small letters, digits and hyphens, not %q", name)
	}
	for _, s := range p.scenarios {
		if s.Name == name {
			p.fail("there is a scenario %s already, %s", name, s.Origin)
		}
	}
	p.current = &Scenario{Name: name, Settings: DefaultSettings, Origin: fmt.Sprintf("%s:%d", p.file, p.line)}
	p.said = map[string]bool{}
}

// end completes the scenario under construction.
func (p *parser) end() {
	s := p.current
	if s == nil {
		return
	}
	p.current = nil
	switch {
	case len(s.Steps) == 0:
		p.fail("scenario %s has no steps", s.Name)
	case len(s.Steps) > maxSteps:
		p.fail("scenario %s has more than %d steps", s.Name, maxSteps)
	case s.Shows == "":
		p.fail("scenario %s does not say what it shows", s.Name)
	}
	if slept := s.sleeps(); slept > maxRealSleep && (len(s.Places) == 0 || slices.ContainsFunc(s.Places, isReal)) {
		p.fail("scenario %s sleeps %v, more than %v: say \"on ram\", where time is driven", s.Name, slept, maxRealSleep)
	}
	if s.touchesWire() && s.NoControl == "" {
		s.NoControl = "the faults are on the stack's link"
	}
	for _, step := range s.Steps {
		for _, a := range step.Actions {
			if why := verbs[a.Verb].nxOnly; why != "" && a.Who == "stack" && s.NoControl == "" {
				s.NoControl = why
			}
		}
	}
	p.scenarios = append(p.scenarios, *s)
}

func (s *Scenario) sleeps() (d time.Duration) {
	for _, step := range s.Steps {
		for _, a := range step.Actions {
			if a.Verb == "sleep" {
				d += a.For
			}
		}
	}
	return d
}

func (p *parser) setting(word, rest string) (err error) {
	s := &p.current.Settings
	number := func(to *int, least, most int) {
		if *to, err = strconv.Atoi(rest); err != nil || *to < least || *to > most {
			err = fmt.Errorf("a number from %d to %d, not %q", least, most, rest)
		}
	}
	switch word {
	case "shows":
		if p.current.Shows = rest; rest == "" {
			return errors.New("what?")
		}
	case "on":
		p.current.Places = strings.Fields(rest)
		for _, place := range p.current.Places {
			if !slices.Contains(placeNames, place) {
				return fmt.Errorf("no place %q: %s", place, strings.Join(placeNames, ", "))
			}
		}
	case "control":
		reason, ok := strings.CutPrefix(rest, "no:")
		if p.current.NoControl = strings.TrimSpace(reason); !ok || p.current.NoControl == "" {
			return errors.New("\"no: REASON\"")
		}
	case "pool":
		s.Pool, err = parsePool(rest)
	case "send-pool":
		s.SendPool, err = parsePool(rest)
	case "peer-pool":
		s.PeerPool, err = parsePool(rest)
	case "window":
		s.Window, err = parseWindow(rest)
	case "peer-window":
		s.PeerWindow, err = parseWindow(rest)
	case "mtu":
		number(&s.MTU, 1280, 1500)
	case "path-mtu":
		number(&s.PathMTU, 1280, 1500)
	case "queue":
		number(&s.Queue, 1, 1000)
	case "dont-fragment":
		if s.NoFragments = rest == "yes"; !s.NoFragments && rest != "no" {
			return fmt.Errorf("yes or no, not %q", rest)
		}
	case "retries":
		number(&s.Retries, 1, 20)
	case "keepalive":
		s.Keepalive, err = parseTime(rest)
	case "faults":
		s.Faults = rest
		_, err = fault.Parse(rest)
	default:
		return fmt.Errorf("no such setting, and no step: %s; or stack, peer, wire, time",
			"shows, on, control, pool, send-pool, peer-pool, window, peer-window, mtu, path-mtu, queue, dont-fragment, retries, keepalive, faults")
	}
	return err
}

func parsePool(text string) (PoolSize, error) {
	bad := fmt.Errorf("PACKETS x PAYLOAD, such as 16 x 256, not %q", text)
	packets, payload, ok := strings.Cut(text, "x")
	if !ok {
		return PoolSize{}, bad
	}
	n, err1 := strconv.Atoi(strings.TrimSpace(packets))
	size, err2 := strconv.Atoi(strings.TrimSpace(payload))
	if err1 != nil || err2 != nil || n < 1 || n > 4096 || size < 96 || size > 4096 {
		return PoolSize{}, bad
	}
	return PoolSize{n, size}, nil
}

func parseWindow(text string) (Amount, error) {
	a, err := parseAmount(text)
	if err == nil && (a.Unit != "" && a.Unit != "mss" || a.bytes(units{MSS: 1460}) < 1 || a.bytes(units{MSS: 1460}) > 65535) {
		err = fmt.Errorf("a window is a number up to 65535, or 2mss+1; not %q", text)
	}
	return a, err
}

func parseTime(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, fmt.Errorf("a time such as 500ms or 10s, up to %v, not %q", maxWait, text)
	}
	return d, nil
}
